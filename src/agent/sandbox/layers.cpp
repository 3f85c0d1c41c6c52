#include "agent/sandbox/layers.h"

#include <unistd.h>

#include "agent/limits.h"
#include "agent/template/catalogue.h"
#include "core/async/timeout.h"
#include "core/base/crash_point.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/scope_guard.h"
#include "core/log/log.h"
#include "linux/file.h"

namespace wrenn::agent::sandbox {

// What we make there, drafts included: they are of a run that ended.
static std::vector<std::string> list_files(const std::string& root) {
  std::vector<std::string> paths;
  for (const std::string& name : sys::list_directory(root))
    if (name.starts_with("disk-") || name.starts_with("memory-") || name.starts_with(".draft-"))
      paths.push_back(root + "/" + name);
  return paths;
}

Layers::Pin::Pin(Layers& layers, std::vector<std::string> paths) : layers_(&layers) {
  for (std::string& path : paths) add(std::move(path));
}

Layers::Pin::Pin(Pin&& other) noexcept
    : layers_(std::exchange(other.layers_, nullptr)), paths_(std::move(other.paths_)) {}

Layers::Pin& Layers::Pin::operator=(Pin&& other) noexcept {
  if (this == &other) return *this;
  release();
  layers_ = std::exchange(other.layers_, nullptr);
  paths_ = std::move(other.paths_);
  return *this;
}

void Layers::Pin::add(std::string path) {
  if (path.empty()) return;
  ++layers_->pins_[path];
  if (layers_->collecting_) layers_->touched_.insert(path);
  paths_.push_back(std::move(path));
}

void Layers::Pin::release() noexcept {
  if (layers_ == nullptr) return;
  for (const std::string& path : paths_)
    if (const auto at = layers_->pins_.find(path); at != layers_->pins_.end() && --at->second == 0)
      layers_->pins_.erase(at);
  paths_.clear();
  layers_ = nullptr;
}

std::string Layers::fresh_disk() const {
  return root() + "/disk-" + random_hex(16);
}

void Layers::something_went() noexcept {
  wanted_ = true;
  changed_.notify_all();
}

// Listed first, looked up afterwards: a layer that is named, or held, at any moment after it was listed
// stays. A name that moves from a record that was not read yet into one that was is held by a pin meanwhile,
// and `touched_` keeps what was held since the start.
Task<int> Layers::collect() {
  if (collecting_ || pauses_ > 0) {
    wanted_ = true;  // again, later
    co_return 0;
  }
  collecting_ = true;
  pauses_seen_ = 0;
  const ScopeGuard end([this] {
    collecting_ = false;
    touched_.clear();
  });
  for (const auto& [path, count] : pins_) touched_.insert(path);
  auto look = [root = root(), directory = directory_] {
    std::vector<std::string> unnamed = list_files(root);
    const std::set<std::string> named = templates::referenced_files(directory, "layers");
    std::erase_if(unnamed, [&](const std::string& path) { return named.contains(path); });
    return unnamed;
  };
  std::vector<std::string> garbage = co_await async::offload(sys_, std::move(look));
  std::erase_if(garbage, [this](const std::string& path) { return touched_.contains(path); });
  if (pauses_seen_ > 0) {
    wanted_ = true;
    co_return 0;
  }
  if (garbage.empty()) co_return 0;
  const int count = static_cast<int>(garbage.size());
  auto remove = [garbage = std::move(garbage)] {
    crash_point("layers.remove.begin");
    for (const std::string& path : garbage)
      if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw_errno("remove {}", path);
  };
  co_await async::offload(sys_, std::move(remove));
  log::debug("removed layers that nothing names", {{"count", count}});
  co_return count;
}

Task<> Layers::watch() {
  for (;;) {
    while (!wanted_) co_await changed_.wait();
    wanted_ = false;
    std::string failure;
    try {
      co_await collect();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      failure = describe(error);
    }
    if (!failure.empty()) log::error("cannot look for layers that nothing names", {{"error", failure}});
    co_await async::sleep(limits::kCollectInterval);
  }
}

}  // namespace wrenn::agent::sandbox
