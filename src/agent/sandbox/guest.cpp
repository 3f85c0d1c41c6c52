#include "agent/sandbox/guest.h"

#include <algorithm>
#include <array>

#include "agent/limits.h"
#include "core/async/timeout.h"
#include "core/base/clock.h"
#include "core/base/codec.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/crypto/hash.h"
#include "core/log/log.h"

namespace wrenn::agent::sandbox {

namespace {

http::ClientOptions client_options(std::chrono::steady_clock::duration connect_timeout) {
  http::ClientOptions options{};
  options.connect_timeout = connect_timeout;
  options.host = "localhost";
  return options;
}

// Microseconds, because the guest sets its clock by it; to_rfc3339() has seconds only.
std::string precise_time(UnixTime time) {
  std::string text = to_rfc3339(time);
  return text.replace(text.size() - 1, 1, fmt::format(".{:06}Z", time.us % 1'000'000));
}

constexpr std::size_t kEntropyBytes = 64;  // what the kernel's generator takes at most, twice over

json::Bytes fresh_entropy() {
  std::array<std::uint8_t, kEntropyBytes> bytes{};
  fill_random(bytes);
  return {std::string(bytes.begin(), bytes.end())};
}

// A message is under way for so long at most when the clock is set by it: an emulated machine that has just
// been restored takes 100 to 250 ms for the first [measured], as it translates all that it runs, and some ms
// for the next.
constexpr auto kClockTravel = std::chrono::milliseconds(40);
constexpr int kClockTries = 3;

// The same whenever this sandbox runs, and telling nobody its id; machine-id(5) advises a keyed hash.
std::string machine_id_of(std::string_view sandbox_id) {
  constexpr std::size_t kBytes = 16;
  return hex_encode(crypto::hmac_sha256("wrenn machine-id", sandbox_id).substr(0, kBytes));
}

// The end of a hostile text, on one line and printable.
std::string tail(std::string_view text, std::size_t bytes) {
  text = trim(text);
  if (text.size() > bytes) text.remove_prefix(text.size() - bytes);
  std::string out = sanitize_utf8(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = c == '\n' ? '|' : ' ';
  return out;
}

// One try. The version that envd states; empty when what it states is none. Throws Error when there is no
// good answer.
Task<std::string> ask_health(http::Client& client, std::chrono::steady_clock::duration timeout) {
  http::ClientRequest request;
  request.target = "/health";
  request.response_bytes_max = limits::kHealthAnswerBytes;
  request.timeout = timeout;
  const http::Response response = co_await client.send(std::move(request));
  if (response.status != 200 && response.status != 204)
    throw_error(ErrorCode::unavailable, "the guest's envd answers {} to /health", response.status);
  if (response.body.empty()) co_return std::string();
  const std::string version(json::parse(response.body).text_of("version"));
  co_return is_safe_name(version) ? version : std::string();
}

Task<> poll_health(async::Executor executor, net::Address address, std::string& version) {
  const SteadyTime start = SteadyClock::now();
  for (;;) {
    const SteadyClock::duration patience = (SteadyClock::now() - start) / 10;
    const auto connect =
        std::clamp<SteadyClock::duration>(patience, limits::kHealthConnectMin, limits::kHealthConnectMax);
    http::Client client(executor, address, client_options(connect));
    try {
      version = co_await ask_health(client, limits::kHealthTry);
      co_return;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
    }
    co_await async::sleep(limits::kHealthInterval);
  }
}

Task<> end_of(vmm::Machine& machine, std::string& why) {
  const vmm::MachineEnd end = co_await machine.wait_end();
  why = vmm::describe(end);
}

}  // namespace

Guest::Guest(async::Executor executor, net::Address address, std::string access_token)
    : executor_(executor),
      client_(executor, std::move(address), client_options(std::chrono::seconds(2))),
      token_(std::move(access_token)) {}

Task<std::string> Guest::wait_ready(vmm::Machine& machine) {
  const std::chrono::seconds patience = machine.record().acceleration == vmm::Acceleration::kvm
                                            ? limits::kGuestReady
                                            : limits::kGuestReadyEmulated;
  std::string why;
  std::string version;
  auto ready = poll_health(executor_, client_.address(), version);
  auto ended = end_of(machine, why);
  auto race = async::first_of(std::move(ready), std::move(ended));
  int first = 0;
  bool late = false;
  try {
    first = co_await async::with_timeout(patience, "the guest", std::move(race));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::deadline_exceeded) throw;
    late = true;
  }
  if (first == 1) throw_error(ErrorCode::aborted, "the machine ended before its guest was up: {}", why);
  if (late) {
    const std::string console = co_await machine.console();
    throw_error(ErrorCode::deadline_exceeded,
                "the guest's envd did not answer within {} s; is it in the image? End of the console: {}",
                patience.count(), console.empty() ? "(nothing)" : tail(console, limits::kConsoleTailBytes));
  }
  co_return version;
}

Task<bool> Guest::is_ready(std::chrono::steady_clock::duration timeout) {
  try {
    (void)co_await ask_health(client_, timeout);
    co_return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    co_return false;
  }
}

Task<> Guest::init(const Record& record, InitOptions options) {
  auto introduction = introduce(record, std::move(options.previous_token));
  if (options.machine == nullptr) {
    co_await std::move(introduction);
    co_return;
  }
  std::string why;
  auto ended = end_of(*options.machine, why);
  if (co_await async::first_of(std::move(introduction), std::move(ended)) == 1)
    throw_error(ErrorCode::aborted, "the machine ended before its guest knew who it is: {}", why);
}

Task<> Guest::introduce(const Record& record, std::string previous_token) {
  http::Headers headers;
  headers.set(api::envd::kTokenHeader, previous_token.empty() ? token_ : previous_token);
  api::EnvdClient envd(client_, "", std::move(headers));
  api::envd::InitRequest request;
  request.access_token = token_;
  if (!record.default_user.empty()) request.default_user = record.default_user;
  request.env_vars = record.default_env;
  request.timestamp = precise_time(now());
  request.sandbox_id = record.sandbox_id;
  request.template_id = record.template_id;
  request.hostname = record.sandbox_id;
  request.machine_id = machine_id_of(record.sandbox_id);
  request.entropy = fresh_entropy();
  const SteadyTime deadline = SteadyClock::now() + limits::kGuestInit;
  SteadyTime sent;
  for (;;) {
    sent = SteadyClock::now();
    try {
      auto copy = request;
      co_await envd.init(std::move(copy), limits::kGuestInit);
      break;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::canceled) throw;
      // Saying it twice does no harm, and on a busy host a new clone may need long for its first connection.
      if (error.code() != ErrorCode::deadline_exceeded || SteadyClock::now() >= deadline)
        throw_error(error.code(), "the guest's envd refused its /init: {}", error.what());
    }
    co_await async::sleep(limits::kHealthInterval);
    request.timestamp = precise_time(now());
  }
  co_await correct_clock(record.sandbox_id, sent);
}

// A time that was under way for long, since `sent`, was late when it arrived: it is told again.
Task<> Guest::correct_clock(std::string sandbox_id, SteadyTime sent) {
  auto travel = SteadyClock::now() - sent;
  for (int i = 1; i < kClockTries && travel > kClockTravel; ++i) {
    sent = SteadyClock::now();
    (void)co_await set_clock(sandbox_id);
    travel = SteadyClock::now() - sent;
  }
}

// Quiet about failures: a guest that is late is better than none.
Task<bool> Guest::set_clock(std::string sandbox_id) {
  http::Headers headers;
  headers.set(api::envd::kTokenHeader, token_);
  api::EnvdClient envd(client_, "", std::move(headers));
  api::envd::InitRequest request;
  request.timestamp = precise_time(now());
  request.sandbox_id = std::move(sandbox_id);
  try {
    co_await envd.init(std::move(request), limits::kHoldUsers);
    co_return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::warn("cannot set the clock of a guest again", {{"error", describe(error)}});
    co_return false;
  }
}

Task<bool> Guest::post(std::string path, std::chrono::steady_clock::duration timeout) {
  http::ClientRequest request;
  request.method = "POST";
  request.target = std::move(path);
  request.headers.set(api::envd::kTokenHeader, token_);
  request.response_bytes_max = limits::kHealthAnswerBytes;
  request.timeout = timeout;
  try {
    const http::Response response = co_await client_.send(std::move(request));
    co_return response.status == 200 || response.status == 204;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    co_return false;
  }
}

static Task<> run_nothing(http::Client& client, std::string token) {
  http::Headers headers;
  if (!token.empty()) headers.set(api::envd::kTokenHeader, token);
  api::EnvdClient envd(client, "", std::move(headers));
  api::envd::StartRequest request;
  request.process = api::envd::ProcessConfig{.cmd = "/bin/sh", .args = {"-c", "true"}, .envs = {}, .cwd = {}};
  auto stream = co_await envd.start(std::move(request), limits::kWarmUp);
  while (co_await stream.next()) {
  }
}

// What a clone is told first changes files that exist then, as long as they will be, instead of making them:
// half of the guest's work [measured: 117 instead of 235 ms of emulated CPU].
static Task<> introduce_nobody(http::Client& client) {
  api::EnvdClient envd(client, "");
  api::envd::InitRequest request;
  request.sandbox_id = "cl-" + std::string(25, '0');
  request.template_id = request.sandbox_id;
  request.hostname = request.sandbox_id;
  request.machine_id = std::string(api::envd::kNobodysMachine);
  co_await envd.init(std::move(request), limits::kGuestInit);
}

static Task<> run_and_introduce(http::Client& client) {
  co_await run_nothing(client, {});
  co_await introduce_nobody(client);
}

// Quiet about failures but cancellation: what it is for is speed.
static Task<> attempt_warm_up(Task<> run) {
  try {
    co_await async::with_timeout(limits::kWarmUp, "a first program", std::move(run));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::warn("the first program in a new guest failed", {{"error", describe(error)}});
  }
}

Task<> Guest::warm_up_nobody() {
  auto run = run_and_introduce(client_);
  co_await attempt_warm_up(std::move(run));
  client_.drop_idle();
}

Task<> Guest::warm_up() {
  auto run = run_nothing(client_, token_);
  co_await attempt_warm_up(std::move(run));
  client_.drop_idle();
}

Task<bool> Guest::freeze(std::chrono::steady_clock::duration timeout) {
  co_return co_await post("/freeze", timeout);
}

// Its clock stood still with it.
Task<> Guest::unfreeze(std::string sandbox_id) {
  const auto sent = SteadyClock::now();
  if (co_await set_clock(sandbox_id))
    co_await correct_clock(std::move(sandbox_id), sent);
  else
    (void)co_await post("/unfreeze", limits::kHoldUsers);
}

Task<std::optional<api::envd::Metrics>> Guest::metrics() {
  http::ClientRequest request;
  request.target = "/metrics";
  request.headers.set(api::envd::kTokenHeader, token_);
  request.response_bytes_max = limits::kSampleAnswerBytes;
  request.timeout = limits::kSampleTimeout;
  try {
    const http::Response response = co_await client_.send(std::move(request));
    if (response.status != 200) co_return std::nullopt;
    co_return json::from_json<api::envd::Metrics>(response.body);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    co_return std::nullopt;
  }
}

}  // namespace wrenn::agent::sandbox
