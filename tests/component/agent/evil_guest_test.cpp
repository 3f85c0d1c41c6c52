// A hostile guest: whatever its envd answers, the agent's callers get an error that names it, soon; another
// sandbox is served as before; and no memory is lost to it.
#include <malloc.h>
#include <unistd.h>

#include "agent/sandbox/guest.h"
#include "core/base/text.h"
#include "evil_answers.h"
#include "linux/procfs.h"
#include "service_test.h"

using namespace wrenn;
using namespace wrenn::test;
using namespace std::chrono_literals;
using model::SandboxState;

namespace {

using Row = EvilRow;
using After = Script::After;
using Evil = EvilGuest::Evil;

constexpr std::size_t kMib = 1024 * 1024;
constexpr auto kPatience = 500ms;  // of callers with guests that never end
constexpr auto kSoon = 5s;         // for anything else; generous, for machines that are busy

// Two sandboxes: one whose guest is evil, and its neighbour.
struct Pair {
  Service& service;
  EvilGuest& evil;
  net::Address evil_address;
  std::string evil_id;
  std::string neighbour_id;

  std::string prefix() const { return fmt::format("/sandboxes/{}/envd", evil_id); }
};
using PairBody = std::function<Task<>(Pair&)>;

Task<std::string> create(Service& service, std::uint16_t guest_port) {
  const auto request = create_request();
  const std::uint16_t usual = std::exchange(service.world.guest_port, guest_port);
  co_await service.client.create(request);
  service.world.guest_port = usual;
  co_return request.sandbox_id;
}

Task<> in_pair(World& world, EvilGuest& evil, net::Address address, PairBody body) {
  Service service(co_await asio::this_coro::executor, world);
  const std::string evil_id = co_await create(service, address.port());
  const std::string neighbour_id = co_await create(service, world.guest_port);
  Pair pair{service, evil, address, evil_id, neighbour_id};
  co_await body(pair);
  co_await service.client.destroy(evil_id);
  co_await service.client.destroy(neighbour_id);
  co_await check_empty(world, service.agent);
  co_await service.end();
}

void with_pair(PairBody body) {
  in_world([&](World& world) -> Task<> {
    EvilGuest evil;
    co_await with_peer(evil.peer(),
                       [&](net::Address address) -> Task<> { co_await in_pair(world, evil, address, body); });
  });
}

Task<> check_neighbour(Pair& pair) {
  http::ClientRequest request;
  request.method = "POST";
  request.target = fmt::format("/sandboxes/{}/envd/echo", pair.neighbour_id);
  request.body = "still here";
  const auto response = co_await pair.service.http.send(std::move(request));
  CHECK(response.status == 200);
  CHECK(response.body == "/echo|still here");
}

// What came of a call: nothing in `failure` means that it succeeded.
struct Outcome {
  bool ok = false;
  ErrorCode code = ErrorCode::unknown;
  std::string text;
  SteadyClock::duration time{};
};

Task<Outcome> outcome_of(Task<> call, SteadyClock::duration patience) {
  Outcome outcome;
  const auto start = SteadyClock::now();
  try {
    co_await async::with_timeout(patience, "the caller's patience", std::move(call));
    outcome.ok = true;
  } catch (const Error& error) {
    outcome.code = error.code();
    outcome.text = error.what();
  }
  outcome.time = SteadyClock::now() - start;
  co_return outcome;
}

// --- the calls

Task<> call_list(api::EnvdClient& envd) {
  (void)co_await envd.list();
}
Task<> call_exec(api::EnvdClient& envd) {
  api::envd::StartRequest request;
  request.process.emplace().cmd = "true";
  auto events = co_await envd.start(std::move(request), 0ms);
  while (co_await events.next()) {
  }
}
Task<> call_download(api::EnvdClient& envd) {
  const auto exchange = co_await envd.read_file("/etc/passwd");
  char buffer[4096];
  while (co_await exchange->body().read_some(buffer) > 0) {
  }
}
Task<> call_upload(api::EnvdClient& envd) {
  const auto exchange = co_await envd.begin_write("/tmp/x");
  co_await exchange->write("hello");
  co_await envd.finish_write(*exchange);
}
Task<> call_health(api::EnvdClient& envd) {
  co_await envd.health(10s);
}
Task<> call_init(api::EnvdClient& envd) {
  co_await envd.init({}, 10s);
}
Task<> call_metrics(api::EnvdClient& envd) {
  (void)co_await envd.metrics();
}
using Call = Task<> (*)(api::EnvdClient&);

Task<Outcome> direct(Pair& pair, Call call, SteadyClock::duration patience) {
  http::Client client(co_await asio::this_coro::executor, pair.evil_address);
  api::EnvdClient envd(client, "");
  co_return co_await outcome_of(call(envd), patience);
}
Task<Outcome> through_agent(Pair& pair, Call call, SteadyClock::duration patience) {
  api::EnvdClient envd(pair.service.http, pair.prefix());
  co_return co_await outcome_of(call(envd), patience);
}

// --- one row of the tables

SteadyClock::duration patience_for(const Row& row) {
  // Those that hold a connection open may hold some call for ever.
  const bool holds = row.script.after == After::hold && row.script.flood.empty();
  return row.fault == Fault::late || holds ? SteadyClock::duration(kPatience) : kSoon;
}

bool printable(std::string_view text) {
  return is_valid_utf8(text) &&
         std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

void check_failure(const Outcome& outcome, ErrorCode code, const std::string& text) {
  INFO(outcome.text);
  CHECK(!outcome.ok);
  CHECK(to_string(outcome.code) == to_string(code));
  CHECK(outcome.text.find(text) != std::string::npos);
  CHECK(outcome.text.size() < 5000);
  CHECK(printable(outcome.text));
  CHECK(outcome.time < kSoon);
}

Task<> check_row(Pair& pair, const Row& row) {
  INFO(row.name);
  pair.evil.answer_by(row.script, Evil::everything);
  const auto patience = patience_for(row);
  // As the agent sees it.
  const int before = pair.evil.victims();
  const Outcome seen = co_await direct(pair, call_list, patience);
  if (row.fault == Fault::none) {
    INFO(seen.text);
    CHECK(seen.ok);
  } else {
    check_failure(seen, row.code, row.text);
  }
  CHECK(pair.evil.victims() == before + 1);  // not sent again, no redirect followed
  // As the agent's client sees it.
  const Outcome told = co_await through_agent(pair, call_list, patience);
  switch (row.fault) {
    case Fault::none:
      CHECK(told.ok);
      break;
    case Fault::head:
      check_failure(told, row.code, row.text);
      check_failure(told, row.code, "the envd of sandbox " + pair.evil_id);
      break;
    case Fault::body:
      check_failure(told, ErrorCode::unavailable, "");
      break;
    case Fault::content:
    case Fault::late:
      check_failure(told, row.code, row.text);
      break;
  }
  // The other calls: none may hang, succeed with nonsense, or pass for our own cancellation.
  for (const Call call : {call_exec, call_download, call_upload}) {
    const Outcome outcome = co_await through_agent(pair, call, patience);
    INFO(outcome.text);
    CHECK(outcome.time < kSoon);
    CHECK(outcome.code != ErrorCode::canceled);
    CHECK(outcome.code != ErrorCode::invalid_argument);  // it is not the caller's mistake
    CHECK(outcome.code != ErrorCode::too_large);
    if (row.fault == Fault::head) check_failure(outcome, row.code, row.text);
    if (row.fault == Fault::late) CHECK(!outcome.ok);
  }
  for (const Call call : {call_health, call_init, call_metrics}) {
    const Outcome outcome = co_await direct(pair, call, patience);
    INFO(outcome.text);
    CHECK(outcome.time < kSoon);
    if (row.fault == Fault::head || row.fault == Fault::body) check_failure(outcome, row.code, row.text);
    if (row.fault == Fault::late) CHECK(!outcome.ok);
    CHECK(printable(outcome.text));
  }
  pair.evil.answer_well();
  co_await check_neighbour(pair);
}

// What this process holds, without what only the allocator holds back.
std::int64_t resident() {
  malloc_trim(0);
  return static_cast<std::int64_t>(sys::resident_bytes(getpid()).value());
}

// The same call again and again: after the first few nothing may be added.
Task<> check_flat(Pair& pair, const Script& script, Call call) {
  static constexpr int kWarm = 5;
  static constexpr int kRounds = 50;
  static constexpr std::int64_t kGrowthMax = 4 * kMib;
  pair.evil.answer_by(script, Evil::calls);
  std::int64_t before = 0;
  for (int i = 0; i < kWarm + kRounds; ++i) {
    if (i == kWarm) before = resident();
    (void)co_await through_agent(pair, call, kSoon);
    (void)co_await direct(pair, call, kSoon);
  }
  CHECK(resident() - before < kGrowthMax);
  co_await check_neighbour(pair);
}

// --- calls of the agent itself

Task<> fail_create(Pair& pair, std::function<Task<>(std::string id)> stop, std::string& failure) {
  const auto request = create_request();
  pair.service.world.guest_port = pair.evil_address.port();
  async::Scope scope(co_await asio::this_coro::executor, "create");
  scope.spawn(ignore(pair.service.agent.sandboxes().create(request), failure));
  if (stop) {
    while (pair.service.world.pids().size() < 3) co_await async::sleep(5ms);
    co_await async::sleep(200ms);
    CHECK(failure.empty());  // it is still being tried
    co_await stop(request.sandbox_id);
  }
  const auto start = SteadyClock::now();
  co_await scope.join();
  CHECK(SteadyClock::now() - start < kSoon);
  CHECK(pair.service.world.pids().size() == 2);
  CHECK(pair.service.agent.sandboxes().find(request.sandbox_id) == nullptr);
}

}  // namespace

TEST_CASE("answers of an evil guest become clear errors", "[agent][evil]") {
  with_pair([](Pair& pair) -> Task<> {
    for (const Row& row : evil_answers()) co_await check_row(pair, row);
    CHECK(evil_answers().size() >= 50);
  });
}

TEST_CASE("streams of an evil guest become clear errors", "[agent][evil]") {
  with_pair([](Pair& pair) -> Task<> {
    for (const Row& row : evil_streams()) {
      INFO(row.name);
      pair.evil.answer_by(row.script, Evil::calls);
      const auto patience = patience_for(row);
      const Outcome seen = co_await direct(pair, call_exec, patience);
      const Outcome told = co_await through_agent(pair, call_exec, patience);
      for (const Outcome& outcome : {seen, told}) {
        INFO(outcome.text);
        if (row.fault == Fault::none) {
          CHECK(outcome.ok);
          CHECK(outcome.time < kSoon);
        } else {
          check_failure(outcome, row.code, row.text);
        }
      }
      co_await check_neighbour(pair);
    }
  });
}

TEST_CASE("a guest that is evil from its first breath does not get a sandbox", "[agent][evil]") {
  with_pair([](Pair& pair) -> Task<> {
    World& world = pair.service.world;
    const std::uint16_t usual = world.guest_port;
    const auto machine_ends = [&world](std::string) -> Task<> {
      world.end(world.pids().back(), agent::vmm::MachineEnd::Cause::failed);
      co_return;
    };
    const auto destroyed = [&pair](std::string id) -> Task<> {
      co_await pair.service.agent.sandboxes().destroy(id);
    };
    for (const Row& row : evil_answers()) {
      if (row.fault != Fault::head && row.fault != Fault::body && row.fault != Fault::late) continue;
      INFO(row.name);
      // A bad /health is asked again for as long as the guest may boot; the end of the machine shortens it
      // here.
      if (row.fault != Fault::body) {
        pair.evil.answer_by(row.script, Evil::health);
        std::string failure;
        co_await fail_create(pair, machine_ends, failure);
        CHECK(failure.find("ended before its guest was up") != failure.npos);
      }
      // A bad /init ends it.
      pair.evil.answer_by(row.script, Evil::init);
      std::string failure;
      if (row.fault == Fault::late) {
        co_await fail_create(pair, destroyed, failure);
        CHECK(failure.find("destroyed meanwhile") != failure.npos);
      } else {
        co_await fail_create(pair, nullptr, failure);
        INFO(failure);
        CHECK(failure.find("the guest's envd refused its /init: ") != failure.npos);
        CHECK(failure.find(row.text) != failure.npos);
        CHECK(printable(failure));
      }
      world.guest_port = usual;
    }
    // Its words are repeated, but not its control characters, and not all of them.
    pair.evil.answer_by(
        {answer("500 x", "Content-Length: 34\r\n\r\n{\"message\":\"a\\u001b[2J\\nb\\u0000c\"}")}, Evil::init);
    std::string failure;
    co_await fail_create(pair, nullptr, failure);
    CHECK(failure == "the guest's envd refused its /init: a [2J b c");
    pair.evil.answer_by({answer("500 x", "\r\n" + std::string(60'000, 'w'))}, Evil::init);
    co_await fail_create(pair, nullptr, failure);
    CHECK(failure.size() < 5000);
    // A version that is none is not kept.
    const std::string version = R"({"version":"1\n2\u0000"})";
    pair.evil.answer_by({json_answer(version)}, Evil::health);
    const auto request = create_request();
    const auto info = co_await pair.service.agent.sandboxes().create(request);
    CHECK(info.status == SandboxState::running);
    const auto told = info.metadata.find("envd_version");
    CHECK((told == info.metadata.end() || told->second.empty()));
    co_await pair.service.client.destroy(request.sandbox_id);
    world.guest_port = usual;
    pair.evil.answer_well();
    co_await check_neighbour(pair);
  });
}

TEST_CASE("metrics of an evil guest are numbers or none", "[agent][evil]") {
  struct MetricsRow {
    std::string body;
    std::optional<std::int64_t> used;
  };
  const MetricsRow table[] = {
      {R"({"mem_used":-5})", -5},  // the sampler's to clamp, see below
      {R"({"mem_used":NaN})", {}},
      {R"({"mem_used":1e308})", {}},
      {R"({"mem_used":1e999})", {}},
      {R"({"mem_used":9223372036854775808})", {}},
      {R"({"mem_used":1.5})", {}},
      {R"({"mem_used":"7"})", {}},
      {R"({"mem_used":[]})", {}},
      {R"({"cpu_used_pct":"x"})", {}},
      {R"([])", {}},
      {R"({"mem_used":1,"mem_used":2})", 2},
      {std::string(4'000, '['), {}},
      {"{}" + std::string(20'000, ' '), {}},
  };
  with_pair([&table](Pair& pair) -> Task<> {
    agent::sandbox::Guest guest(co_await asio::this_coro::executor, pair.evil_address, "token");
    for (const MetricsRow& row : table) {
      INFO(row.body.substr(0, 100));
      pair.evil.answer_by({json_answer(row.body)}, Evil::metrics);
      const auto metrics = co_await guest.metrics();
      CHECK(metrics.has_value() == row.used.has_value());
      if (metrics && row.used) CHECK(metrics->mem_used == *row.used);
    }
    // What the agent tells of it.
    for (const auto& [body, bytes] : {std::pair<std::string, std::int64_t>{R"({"mem_used":-5})", 0},
                                      {R"({"mem_used":9223372036854775807})", 64 * kMib}}) {
      pair.evil.answer_by({json_answer(body)}, Evil::metrics);
      const std::string id = co_await create(pair.service, pair.evil_address.port());
      api::agent::MetricsRequest request{id, "10m"};
      auto points = co_await pair.service.client.metrics(request);
      for (int i = 0; i < 100 && points.points.empty(); ++i) {
        co_await async::sleep(50ms);
        points = co_await pair.service.client.metrics(request);
      }
      REQUIRE(!points.points.empty());
      CHECK(points.points[0].mem_bytes == bytes);
      co_await pair.service.client.destroy(id);
    }
  });
}

TEST_CASE("an evil guest leaves no memory behind", "[agent][evil]") {
  with_pair([](Pair& pair) -> Task<> {
    for (const Row& row : evil_answers()) {
      const bool big = !row.script.flood.empty() || row.script.answer.size() > 10'000;
      if (!big || row.script.answer.size() > kMib) continue;
      INFO(row.name);
      co_await check_flat(pair, row.script, call_list);
    }
    for (const Row& row : evil_streams()) {
      if (row.fault == Fault::late || row.script.flood.empty()) continue;
      INFO(row.name);
      co_await check_flat(pair, row.script, call_exec);
    }
  });
}

TEST_CASE("one big answer of an evil guest does not stay in memory", "[agent][evil]") {
  with_pair([](Pair& pair) -> Task<> {
    const Script nearly_too_long{json_answer("{\"x\":\"" + std::string(15 * kMib, 'x') + "\"}")};
    pair.evil.answer_by(nearly_too_long, Evil::calls);
    const std::int64_t before = resident();
    const Outcome outcome = co_await through_agent(pair, call_list, kSoon);
    CHECK(outcome.ok);
    CHECK(resident() - before < static_cast<std::int64_t>(8 * kMib));
    const Script endless{"HTTP/1.1 200 OK\r\n\r\n", After::hold, std::string(64 * 1024, ' ')};
    pair.evil.answer_by(endless, Evil::calls);
    for (int i = 0; i < 10; ++i) {
      const Outcome refused = co_await through_agent(pair, call_list, kSoon);
      CHECK(refused.code == ErrorCode::internal);
    }
    CHECK(resident() - before < static_cast<std::int64_t>(8 * kMib));
    co_await check_neighbour(pair);
  });
}

static Task<> upload_for_ever(api::EnvdClient envd, std::uint64_t& sent) {
  const auto exchange = co_await envd.begin_write("/tmp/x");
  const std::string piece(64 * 1024, 'u');
  for (;;) {
    co_await exchange->write(piece);
    sent += piece.size();
  }
}
static Task<> download_and_stop_reading(api::EnvdClient envd) {
  const auto exchange = co_await envd.read_file("/tmp/x");
  co_await async::sleep(std::chrono::hours(1));
}

TEST_CASE("an upload that the guest does not read, and a download that nobody reads, stand still",
          "[agent][evil]") {
  with_pair([](Pair& pair) -> Task<> {
    const std::int64_t before = resident();
    std::uint64_t sent = 0;
    async::Scope scope(co_await asio::this_coro::executor, "transfers");
    const api::EnvdClient envd(pair.service.http, pair.prefix());
    const auto stands_still = [](const auto& amount) -> Task<> {
      std::uint64_t last = amount() + 1;
      for (int i = 0; i < 50 && last != amount(); ++i) {
        last = amount();
        co_await async::sleep(200ms);
      }
      CHECK(last == amount());
    };
    pair.evil.answer_by({"", After::hold}, Evil::calls);
    scope.spawn(upload_for_ever(envd, sent));
    const auto uploaded = [&] { return sent; };
    co_await stands_still(uploaded);
    CHECK(sent > 0);
    CHECK(sent < 64 * kMib);
    pair.evil.answer_by({"HTTP/1.1 200 OK\r\n\r\n", After::hold, std::string(64 * 1024, 'd')}, Evil::calls);
    scope.spawn(download_and_stop_reading(envd));
    const auto downloaded = [&] { return pair.evil.flooded_bytes(); };
    while (downloaded() == 0) co_await async::sleep(10ms);
    co_await stands_still(downloaded);
    CHECK(downloaded() < 64 * kMib);
    CHECK(resident() - before < static_cast<std::int64_t>(8 * kMib));
    co_await check_neighbour(pair);
    scope.cancel();
    co_await scope.join();
  });
}
