#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <cstdio>
#include <random>
#include <thread>

#include "agent/limits.h"
#include "agent/vmm/limits.h"
#include "agent/vmm/qmp.h"
#include "core/async/loop.h"
#include "core/base/error.h"

using namespace wrenn;
using namespace wrenn::agent::vmm;
using async::Task;

TEST_CASE("messages of the monitor are told apart") {
  auto message = parse_qmp(R"({"QMP":{"version":{"qemu":{"major":7}},"capabilities":[]}})");
  REQUIRE(message);
  CHECK(message->kind == QmpMessage::Kind::greeting);
  message = parse_qmp(
      R"({"event":"SHUTDOWN","data":{"guest":true,"reason":"guest-reset"},"timestamp":{"seconds":1}})");
  REQUIRE(message);
  CHECK(message->kind == QmpMessage::Kind::event);
  CHECK(message->text == "SHUTDOWN");
  CHECK(message->data.text_of("reason") == "guest-reset");
  message = parse_qmp(R"({"return":{"status":"paused"},"id":7})");
  REQUIRE(message);
  CHECK(message->kind == QmpMessage::Kind::answer);
  CHECK(message->id == 7);
  message = parse_qmp(R"({"id":8,"error":{"class":"GenericError","desc":"no"}})");
  REQUIRE(message);
  CHECK(message->kind == QmpMessage::Kind::failure);
  CHECK(message->text == "no");
  CHECK(parse_qmp(R"({"return":{}})")->id == -1);

  // The longest chain of files below a disk, as query-block tells it.
  std::string image = R"({"filename":"/dev/fdset/0"})";
  for (std::size_t i = 0; i < agent::limits::kDiskLayersMax; ++i) image = R"({"backing-image":)" + image + "}";
  message = parse_qmp(R"({"return":[{"inserted":{"image":)" + image + R"(}}],"id":9})");
  REQUIRE(message);
  CHECK(message->id == 9);
  const std::string abyss(10'000, '[');
  CHECK_FALSE(parse_qmp(R"({"id":1,"return":)" + abyss));
}

TEST_CASE("malformed messages are absent, whatever they are") {
  for (const char* line :
       {"", "x", "[]", "1", "null", "{", R"({"QMP":1})", R"({"event":1})", R"({"error":"text"})",
        R"({"id":1})", "{\"event\":\"\xff\"}", R"({"event":"A"} {"event":"B"})"}) {
    CAPTURE(line);
    CHECK_FALSE(parse_qmp(line));
  }
  std::string deep(10'000, '[');
  CHECK_FALSE(parse_qmp("{\"return\":" + deep));
  // Mutations of a good line never do anything but parse or not.
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  const std::string good = R"({"event":"SHUTDOWN","data":{"guest":true,"reason":"guest-reset"},"id":12})";
  for (int i = 0; i < 20'000; ++i) {
    std::string line = good;
    for (unsigned n = random() % 4 + 1; n > 0; --n)
      line[random() % line.size()] = static_cast<char>(random());
    (void)parse_qmp(line);
  }
}

TEST_CASE("lines come out whole however the bytes arrive, and too long ones end it") {
  LineSplitter lines(10);
  CHECK(lines.add("ab"));
  CHECK_FALSE(lines.next());
  CHECK(lines.add("c\r\nde\n\nf"));
  CHECK(lines.next() == "abc");
  CHECK(lines.next() == "de");
  CHECK(lines.next() == "");
  CHECK_FALSE(lines.next());
  CHECK(lines.add("123456789"));  // exactly ten
  CHECK_FALSE(lines.next());
  CHECK(lines.add("\n"));
  CHECK(lines.next() == "f123456789");
  CHECK(lines.add("0123456789"));
  CHECK_FALSE(lines.next());
  CHECK_FALSE(lines.add("x"));
  CHECK_FALSE(lines.add("\n"));
  CHECK_FALSE(lines.next());

  // Any cutting of the same bytes gives the same lines.
  const std::string text = "one\ntwo\r\nthree\n\nfour\n";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    LineSplitter cut(100);
    std::vector<std::string> got;
    for (std::size_t at = 0; at < text.size(); at += step) {
      REQUIRE(cut.add(std::string_view(text).substr(at, step)));
      while (auto line = cut.next()) got.push_back(*line);
    }
    CHECK(got == std::vector<std::string>{"one", "two", "three", "", "four"});
  }
}

namespace {

// A monitor of ours: a thread that plays `script` on the first connection: what to send, each piece after the
// next line that arrived.
class FakeMonitor {
 public:
  explicit FakeMonitor(std::vector<std::string> script)
      : path_("/tmp/wrenn-qmp-" + std::to_string(::getpid()) + "-" + std::to_string(count_++)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, path_.size());
    ::unlink(path_.c_str());
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_, 1) == 0);
    thread_ = std::thread([this, script = std::move(script)] {
      const int connection = ::accept(listener_, nullptr, nullptr);
      for (std::size_t i = 0; i < script.size(); ++i) {
        if (i > 0 && !read_line(connection)) break;
        for (std::size_t at = 0; at < script[i].size();) {
          const ssize_t sent = ::send(connection, script[i].data() + at, script[i].size() - at, MSG_NOSIGNAL);
          if (sent <= 0) break;
          at += static_cast<std::size_t>(sent);
        }
      }
      if (!script.empty()) read_line(connection);
      ::close(connection);
    });
  }
  ~FakeMonitor() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    ::unlink(path_.c_str());
  }
  const std::string& path() const { return path_; }

 private:
  static bool read_line(int fd) {
    char c = 0;
    while (::read(fd, &c, 1) == 1)
      if (c == '\n') return true;
    return false;
  }
  static inline int count_ = 0;
  std::string path_;
  int listener_ = -1;
  std::thread thread_;
};

constexpr const char* kGreeting = "{\"QMP\":{}}\r\n";
constexpr const char* kReady = "{\"return\":{},\"id\":1}\r\n";

struct Outcome {
  std::optional<ErrorCode> connect;  // the failure, if there was one
  std::optional<ErrorCode> command;
  std::string status;
  std::vector<std::string> events;
};

Task<> talk(std::string path, Outcome& outcome) {
  async::Scope scope(co_await asio::this_coro::executor, "qmp");
  std::shared_ptr<Qmp> qmp;
  Qmp::EventHandler handler = [&outcome](const std::string& name, const json::Value&) {
    outcome.events.push_back(name);
  };
  const auto patience = std::chrono::milliseconds(500);
  try {
    qmp = co_await Qmp::connect(scope, path, handler, patience);
  } catch (const Error& error) {
    outcome.connect = error.code();
  }
  if (qmp) {
    try {
      const json::Value answer = co_await qmp->execute("query-status", "", patience);
      outcome.status = answer.text_of("status");
    } catch (const Error& error) {
      outcome.command = error.code();
    }
    qmp->close();
  }
  co_await scope.join();
}

Outcome converse(std::vector<std::string> script) {
  FakeMonitor monitor(std::move(script));
  Outcome outcome;
  async::run_loop("test", [&]() -> Task<> { return talk(monitor.path(), outcome); });
  return outcome;
}

}  // namespace

TEST_CASE("a conversation with events between command and answer") {
  const Outcome outcome = converse({kGreeting, kReady,
                                    "{\"event\":\"STOP\"}\r\n{\"return\":1,\"id\":99}\r\n"
                                    "{\"return\":{\"status\":\"paused\"},\"id\":2}\r\n"});
  CHECK_FALSE(outcome.connect);
  CHECK_FALSE(outcome.command);
  CHECK(outcome.status == "paused");
  CHECK(outcome.events == std::vector<std::string>{"STOP"});
}

TEST_CASE("a monitor that misbehaves costs an error and nothing more") {
  SECTION("refuses") {
    CHECK(converse({kGreeting, kReady, "{\"error\":{\"desc\":\"no\"},\"id\":2}\r\n"}).command ==
          ErrorCode::failed_precondition);
  }
  SECTION("is silent") {
    CHECK(converse({kGreeting, kReady, ""}).command == ErrorCode::deadline_exceeded);
  }
  SECTION("sends what is no message") {
    CHECK(converse({kGreeting, kReady, "nonsense\r\n"}).command == ErrorCode::unavailable);
  }
  SECTION("never ends its line") {
    CHECK(converse({kGreeting, kReady, std::string(2 * limits::kQmpLineBytes, 'x')}).command ==
          ErrorCode::unavailable);
  }
  SECTION("hangs up without a greeting") {
    CHECK(converse({}).connect == ErrorCode::unavailable);
  }
  SECTION("does not greet") {
    CHECK(converse({""}).connect == ErrorCode::deadline_exceeded);
  }
  SECTION("is not there") {
    Outcome outcome;
    async::run_loop("test", [&]() -> Task<> { return talk("/nonexistent/qmp", outcome); });
    CHECK(outcome.connect == ErrorCode::unavailable);
  }
}
