#include "core/async/offload.h"

namespace wrenn::async {

ThreadPool::ThreadPool(std::string name, std::size_t threads) : name_(std::move(name)), pool_(threads) {}

ThreadPool::~ThreadPool() {
  pool_.join();
}

}  // namespace wrenn::async
