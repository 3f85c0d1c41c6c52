// Makes build/tests/crash/wrenn-crash out of the objects of wrenn: the same program, but with armed crash
// points (core/base/crash_point.h). The environment says where it dies, by SIGKILL to itself:
//
//   WRENN_CRASH_AT=NAME[:N]  the N-th time (1 without) that the point NAME is reached
//   WRENN_CRASH_AT=list      nowhere; every point that is reached is written to standard error
//   WRENN_CRASH_AT=@FILE     FILE holds NAME[:N], or nothing, and is looked at whenever a point is reached: N
//   counts
//                            from when the order has stood there. Names that are reached are added to
//                            FILE.reached.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>
#include <string>

#include "core/base/crash_point.h"
#include "core/base/text.h"

namespace wrenn::crash_points {

namespace {

class Orders {
 public:
  explicit Orders(std::string text) : text_(std::move(text)) {}

  void reach(const std::string& name) {
    const std::lock_guard lock(mutex_);  // held when we die: nobody gets further than this either
    if (text_ == "list") {
      append(STDERR_FILENO, "crash point " + name + "\n");
      return;
    }
    std::string order = text_;
    if (text_.starts_with('@')) {
      order = read(text_.substr(1));
      const int log =
          ::open((text_.substr(1) + ".reached").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
      if (log >= 0) {
        append(log, name + "\n");
        ::close(log);
      }
    }
    if (order != order_) order_ = order, count_ = 0;
    const auto colon = order.rfind(':');
    if (order.substr(0, colon) != name) return;
    const int wanted = colon == std::string::npos ? 1 : parse_int<int>(order.substr(colon + 1)).value_or(1);
    if (++count_ < wanted) return;
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();
  }

 private:
  static void append(int file, const std::string& line) { (void)!::write(file, line.data(), line.size()); }
  static std::string read(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return {};
    char buffer[256];
    const ssize_t got = ::read(file, buffer, sizeof buffer);
    ::close(file);
    return std::string(trim(std::string_view(buffer, got > 0 ? static_cast<std::size_t>(got) : 0)));
  }

  std::mutex mutex_;
  const std::string text_;
  std::string order_;
  int count_ = 0;
};

void obey(std::string_view name, std::string_view part) {
  static Orders& orders = *new Orders(std::getenv("WRENN_CRASH_AT"));
  orders.reach(std::string(name) + std::string(part));
}

[[maybe_unused]] const bool armed = [] {
  if (std::getenv("WRENN_CRASH_AT") != nullptr) hook = obey;
  return true;
}();

}  // namespace

}  // namespace wrenn::crash_points
