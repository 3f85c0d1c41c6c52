// Lines that cannot be written: what the log says once it can be again.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <string>

#include "core/base/scope_guard.h"
#include "core/log/log.h"

using namespace wrenn;

namespace {

// Standard error is `fd` for as long as this lives.
class ErrorsTo {
 public:
  explicit ErrorsTo(int fd) : before_(::dup(STDERR_FILENO)) { ::dup2(fd, STDERR_FILENO); }
  ~ErrorsTo() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
  }
  ErrorsTo(const ErrorsTo&) = delete;
  ErrorsTo& operator=(const ErrorsTo&) = delete;

 private:
  const int before_;
};

// A pipe that takes one page and then no more until it was read.
struct SmallPipe {
  SmallPipe() {
    REQUIRE(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) == 0);
    REQUIRE(::fcntl(ends[1], F_SETPIPE_SZ, 4096) == 4096);
  }
  ~SmallPipe() {
    for (const int end : ends) ::close(end);
  }
  std::string read_all() {
    std::string all(65'536, '\0');
    const auto count = ::read(ends[0], all.data(), all.size());
    all.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return all;
  }
  std::array<int, 2> ends{};
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("lines that a full disk does not take are counted in the first that it takes") {
  SmallPipe pipe;
  {
    const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
    REQUIRE(full >= 0);
    const ScopeGuard close_it([full] { ::close(full); });
    const ErrorsTo nowhere(full);
    for (int i = 0; i < 3; ++i) log::error("lost");
  }
  {
    const ErrorsTo there(pipe.ends[1]);
    log::error("first");
    log::error("second");
  }
  const auto lines = lines_of(pipe.read_all());
  REQUIRE(lines.size() == 3);
  CHECK(holds(lines[0], "first"));
  CHECK(holds(lines[1], "were lost"));
  CHECK(holds(lines[1], "3"));
  CHECK(holds(lines[2], "second"));
}

TEST_CASE("a line that was torn does not swallow the next") {
  SmallPipe pipe;
  const ErrorsTo there(pipe.ends[1]);
  log::error(std::string(6000, 'x'));  // more than it takes
  log::error("lost");
  const auto torn = pipe.read_all();
  CHECK(torn.size() == 4096);
  CHECK_FALSE(holds(torn, "lost"));
  log::error("next");
  const auto lines = lines_of(pipe.read_all());
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].empty());  // the end of the torn one
  CHECK(holds(lines[1], "next"));
  CHECK(holds(lines[2], "were lost"));
  CHECK(holds(lines[2], "2"));
}
