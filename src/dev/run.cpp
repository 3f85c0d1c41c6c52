// Two roles, two loops, one process:
//
//   main thread: cp, API on TCP ──HTTP over DIR/agent.sock──→ thread "agent": VMs
//        │ ended by a signal, or when the agent fails                │
//        └──────────────── stop flag ───────────────────────────────→┘ ends after the control plane
//
// They talk as they would across machines, so what works here works there.
#include "dev/run.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <future>

#include "agent/run.h"
#include "core/async/loop.h"
#include "core/async/loop_thread.h"
#include "core/async/scope.h"
#include "core/async/stop_flag.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/json/fields.h"
#include "core/log/log.h"
#include "cp/run.h"

namespace wrenn::dev {

using async::Task;

namespace {

struct Credentials {
  std::string url;
  std::string api_key;
  static constexpr auto kFields =
      json::fields(json::field("url", &Credentials::url), json::field("api_key", &Credentials::api_key));
};

constexpr std::size_t kCredentialsBytes = 4096;

// Empty fields when there is none, or one that cannot be used: then another key is made.
Credentials read_credentials(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string text(kCredentialsBytes, '\0');
  const ssize_t got = ::read(fd, text.data(), text.size());
  ::close(fd);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  try {
    return json::from_json<Credentials>(text);
  } catch (const Error&) {
    return {};
  }
}

void write_credentials(const std::string& path, const Credentials& credentials) {
  const std::string partial = path + "." + random_hex(4);
  const int fd = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) throw_errno("create {}", partial);
  const std::string text = json::to_json(credentials) + "\n";
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
  const int saved = errno;
  ::close(fd);
  if (!written || ::rename(partial.c_str(), path.c_str()) != 0) {
    if (!written) errno = saved;
    const int failed = errno;
    ::unlink(partial.c_str());
    throw SystemError(failed, "write " + path);
  }
}

// The address as a client on this machine would write it.
std::string url_of(const net::Address& address) {
  const std::string& host = address.host();
  if (host.empty() || host == "0.0.0.0" || host == "::") return fmt::format("http://127.0.0.1:{}", address.port());
  return host.find(':') == std::string::npos ? fmt::format("http://{}:{}", host, address.port())
                                             : fmt::format("http://[{}]:{}", host, address.port());
}

Task<> until_signal() {
  const int number = co_await async::wait_for_stop_signal();
  log::info("stopping", {{"signal", number}});
}

Task<> until_told(async::StopFlag& told) {
  auto signal = until_signal();
  auto flag = told.wait();
  co_await async::first_of(std::move(signal), std::move(flag));
}

// The agent on its thread. Told to end by the destructor at the latest.
class AgentThread {
 public:
  explicit AgentThread(agent::Config config)
      : thread_(
            "agent", [this, config = std::move(config)] { return serve(config); },
            [this] {
              ended_.set();
              tell_ready();
            }) {}
  ~AgentThread() { stop_.set(); }

  // Waits until it serves; rethrows why it does not.
  void wait_ready() {
    ready_.get_future().wait();
    if (!serving_) thread_.join();
    if (!serving_) throw Error(ErrorCode::internal, "the agent ended while it started");
  }
  async::StopFlag& ended() noexcept { return ended_; }
  // Ends it and rethrows its failure.
  void finish() {
    stop_.set();
    thread_.join();
  }

 private:
  Task<> serve(agent::Config config) {
    agent::Hooks hooks;
    hooks.ready = [this](const net::Address&) {
      serving_ = true;
      tell_ready();
    };
    hooks.until = [this] { return stop_.wait(); };
    co_await agent::serve(std::move(config), std::move(hooks));
  }
  void tell_ready() {
    if (!std::exchange(told_, true)) ready_.set_value();
  }

  std::promise<void> ready_;
  bool told_ = false;     // touched by the agent's thread only
  bool serving_ = false;  // written before ready_ is set, read after
  async::StopFlag stop_, ended_;
  async::LoopThread thread_;  // last: it ends first
};

void announce(const Credentials& credentials, const std::string& path) {
  std::printf("wrenn dev is ready\n  URL      %s\n  API key  %s\n  (both in %s)\n", credentials.url.c_str(),
              credentials.api_key.c_str(), path.c_str());
  std::fflush(stdout);
}

}  // namespace

void run(const Config& config) {
  if (::mkdir(config.dir.c_str(), 0755) != 0 && errno != EEXIST) throw_errno("create {}", config.dir);

  // 1. The agent first: it finds again what an earlier run left, and it refuses a second one on this directory.
  agent::Config agent_config;
  agent_config.dir = config.dir;
  agent_config.on_exit = config.on_exit;
  agent_config.acceleration = config.acceleration;
  agent_config.ready_sandboxes = config.ready_sandboxes;
  AgentThread agent(agent_config);
  agent.wait_ready();

  // 2. The database with a team and a key. The key in dev.json stays as long as the database knows it.
  cp::Config cp_config;
  cp_config.dir = config.dir;
  cp_config.listen = config.listen;
  cp_config.mail_dir = config.dir + "/mails";
  cp_config.gateway_domains = config.gateway_domains;
  cp_config.channels = config.channels;
  cp_config.agent_address = agent_config.effective_listen();
  const auto database = cp::open_database(cp_config);
  const std::string path = config.dir + "/dev.json";
  Credentials credentials = read_credentials(path);
  credentials.api_key = cp::bootstrap_dev(*database, credentials.api_key).api_key.reveal();

  // 3. The control plane, until a signal comes or the agent fails.
  log::set_role("cp");
  async::run_loop("cp", [&] {
    return cp::serve(cp_config, *database, until_told(agent.ended()), [&](const net::Address& address) {
      credentials.url = url_of(address);
      write_credentials(path, credentials);
      announce(credentials, path);
    });
  });

  // 4. The agent last, so that operations under way could end.
  agent.finish();
}

}  // namespace wrenn::dev
