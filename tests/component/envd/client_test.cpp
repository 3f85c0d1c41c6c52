// EnvdClient against a real envd and against guests that lie.
#include "api/envd_client.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

#include "core/async/offload.h"
#include "core/async/scope.h"
#include "core/base/error.h"
#include "core/http/server.h"
#include "core/net/listener.h"
#include "coroutine_test.h"
#include "envd/routes.h"

using namespace wrenn;
using api::EnvdClient;
using async::Task;
namespace wire = api::envd;

namespace {

// Runs `body` with a client of a server that answers by `handler`.
Task<> with_server(http::Handler handler, std::function<Task<>(EnvdClient&)> body) {
  const auto executor = co_await asio::this_coro::executor;
  http::ServerOptions options;
  options.render_error = &envd::Routes::render_error;
  http::Server server(executor, std::move(handler), options);
  net::Listener listener(executor, net::Address::tcp("127.0.0.1", 0));
  async::Scope scope(executor, "server");
  scope.spawn(server.serve(listener));
  std::exception_ptr failure;
  {
    http::ClientOptions client_options{};
    http::Client client(executor, listener.address(), client_options);
    EnvdClient envd(client, "");
    try {
      co_await body(envd);
    } catch (...) {
      failure = std::current_exception();
    }
  }
  co_await server.stop(std::chrono::seconds(0));
  co_await scope.join();
  if (failure) std::rethrow_exception(failure);
}

Task<> with_envd(std::function<Task<>(EnvdClient&)> body) {
  const auto executor = co_await asio::this_coro::executor;
  async::ThreadPool threads("test", 2);
  envd::Cgroups cgroups("");
  envd::process::Table processes(executor, threads, cgroups);
  envd::SnapshotHooks snapshots(executor, {false, threads, cgroups, nullptr});
  envd::Routes routes(false, executor, threads, processes, snapshots);
  std::exception_ptr failure;
  http::Handler handler = [&routes](http::Request& request, http::Reply& reply) {
    return routes.handle(request, reply);
  };
  try {
    co_await with_server(std::move(handler), std::move(body));
  } catch (...) {
    failure = std::current_exception();
  }
  co_await processes.stop();
  if (failure) std::rethrow_exception(failure);
}

// A server that answers everything with these bytes.
http::Handler answering(int status, std::string type, std::string body) {
  return [=](http::Request&, http::Reply& reply) {
    http::Response response;
    response.status = status;
    response.headers.set("Content-Type", type);
    response.body = body;
    return reply.send(std::move(response));
  };
}

Task<ErrorCode> code_of_failure(Task<> work) {
  try {
    co_await std::move(work);
  } catch (const Error& error) {
    co_return error.code();
  }
  FAIL("no error");
  co_return ErrorCode::unknown;
}

wire::StartRequest shell(std::string script) {
  wire::StartRequest request;
  request.process = wire::ProcessConfig{"/bin/sh", {"-c", std::move(script)}, {}, std::nullopt};
  return request;
}

struct Run {
  std::string output;
  std::optional<wire::EndEvent> end;
};

Task<> read_all(api::ProcessStream& stream, Run& run) {
  while (auto event = co_await stream.next()) {
    if (event->data && event->data->stdout_data) run.output += event->data->stdout_data->data;
    if (event->end) run.end = event->end;
  }
}

Task<> runs_a_process(EnvdClient& envd) {
  auto request = shell("read x; echo \"<$x>\"; cat >/dev/null; exit 3");
  auto stream = co_await envd.start(std::move(request), std::chrono::milliseconds(0));
  const auto first = co_await stream.next();
  REQUIRE(first);
  REQUIRE(first->start);
  wire::ProcessSelector selector;
  selector.pid = first->start->pid;
  const auto list = co_await envd.list();
  REQUIRE(list.processes.size() == 1);
  CHECK(list.processes[0].config.cmd == "/bin/sh");
  auto other = co_await envd.connect(selector);
  wire::ProcessInput input;
  input.stdin_data = json::Bytes{std::string("a\xff\0b\n", 5)};
  co_await envd.send_input(selector, input);
  co_await envd.close_stdin(selector);
  Run run, seen_by_other;
  co_await read_all(stream, run);
  co_await read_all(other, seen_by_other);
  CHECK(run.output ==
        "<a\xff"
        "b>\n");
  CHECK(seen_by_other.output == run.output);
  REQUIRE(run.end);
  CHECK(run.end->exit_code == 3);
  const auto after = co_await stream.next();
  CHECK_FALSE(after.has_value());
}

Task<> kills_and_times_out(EnvdClient& envd) {
  auto request = shell("sleep 1000");
  request.tag = "sleeper";
  auto stream = co_await envd.start(std::move(request), std::chrono::milliseconds(0));
  wire::ProcessSelector selector;
  selector.tag = "sleeper";
  const auto started = co_await stream.next();
  CHECK(started->start);
  co_await envd.send_signal(selector, SIGTERM);
  Run run;
  co_await read_all(stream, run);
  CHECK(run.end->status == "signal: terminated");
  CHECK(co_await code_of_failure(envd.send_signal(selector, SIGKILL)) == ErrorCode::not_found);

  auto slow = shell("sleep 1000");
  auto limited = co_await envd.start(std::move(slow), std::chrono::milliseconds(200));
  Run cut;
  CHECK(co_await code_of_failure(read_all(limited, cut)) == ErrorCode::deadline_exceeded);
}

Task<> resizes(EnvdClient& envd) {
  auto request = shell("stty size; read x; stty size");
  request.pty = wire::Pty{wire::PtySize{90, 33}};
  auto stream = co_await envd.start(std::move(request), std::chrono::milliseconds(0));
  const auto first = co_await stream.next();
  wire::ProcessSelector selector;
  selector.pid = first->start->pid;
  const wire::PtySize size{70, 20};
  std::string seen;
  while (const auto event = co_await stream.next()) {
    if (event->data) seen += event->data->pty->data;
    if (seen.ends_with("33 90\r\n")) break;
  }
  co_await envd.resize(selector, size);
  wire::ProcessInput input;
  input.pty = json::Bytes{"\n"};
  co_await envd.send_input(selector, input);
  while (const auto event = co_await stream.next())
    if (event->data) seen += event->data->pty->data;
  CHECK(seen.ends_with("20 70\r\n"));
}

Task<std::string> read_file(EnvdClient& envd, std::string path, http::Headers fields) {
  const auto exchange = co_await envd.read_file(std::move(path), std::move(fields));
  co_return co_await exchange->body().read_all(1 << 20);
}

Task<> write_file(EnvdClient& envd, std::string path, std::string data) {
  const auto exchange = co_await envd.begin_write(std::move(path));
  co_await exchange->write(data);
  co_await envd.finish_write(*exchange);
}

Task<> discard(Task<std::string> work) {
  (void)co_await std::move(work);
}
Task<> discard(Task<wire::EntryInfo> work) {
  (void)co_await std::move(work);
}

Task<> moves_files(EnvdClient& envd) {
  const std::string folder =
      std::filesystem::temp_directory_path() / ("wrenn client " + std::to_string(::getpid()));
  const std::string file = folder + "/a+b %41.txt";
  const std::string data(300'000, 'x');
  const auto made = co_await envd.make_dir(folder);
  CHECK(made.type == "FILE_TYPE_DIRECTORY");
  co_await write_file(envd, file, data);
  CHECK(co_await read_file(envd, file, {}) == data);
  http::Headers range{{"Range", "bytes=1-3"}};
  CHECK(co_await read_file(envd, file, range) == "xxx");
  const auto entry = co_await envd.stat(file);
  CHECK(entry.size.value == 300'000);
  const auto moved = co_await envd.move(file, folder + "/c");
  CHECK(moved.name == "c");
  const auto list = co_await envd.list_dir(folder, 1);
  REQUIRE(list.entries.size() == 1);
  co_await envd.remove(folder);
  CHECK(co_await code_of_failure(envd.remove(folder)) == ErrorCode::not_found);
  CHECK(co_await code_of_failure(discard(envd.stat(file))) == ErrorCode::not_found);
  CHECK(co_await code_of_failure(discard(read_file(envd, file, {}))) == ErrorCode::not_found);
  CHECK(co_await code_of_failure(write_file(envd, "/", "x")) == ErrorCode::invalid_argument);
  const EnvdClient nobody = envd.as_user("no-such-user");
  EnvdClient other = nobody;
  CHECK(co_await code_of_failure(discard(other.stat("/"))) == ErrorCode::unauthenticated);
}

Task<> sets_up(EnvdClient& envd) {
  co_await envd.health(std::chrono::seconds(5));
  wire::InitRequest request;
  request.access_token = "secret";
  request.env_vars["A"] = "1";
  co_await envd.init(request, std::chrono::seconds(5));
  CHECK(co_await code_of_failure(discard(envd.stat("/"))) == ErrorCode::unauthenticated);
  co_await envd.health(std::chrono::seconds(5));
  wire::InitRequest wrong;
  wrong.access_token = "other";
  CHECK(co_await code_of_failure(envd.init(wrong, std::chrono::seconds(5))) == ErrorCode::unauthenticated);
}

Task<> first_event(EnvdClient& envd) {
  auto request = shell("true");
  auto stream = co_await envd.start(std::move(request), std::chrono::milliseconds(0));
  Run run;
  co_await read_all(stream, run);
}

Task<> list_once(EnvdClient& envd) {
  (void)co_await envd.list();
}

Task<> record_failure(EnvdClient& envd, Task<> (*work)(EnvdClient&), ErrorCode& code) {
  code = co_await code_of_failure(work(envd));
}

// What `work` fails with when the guest answers so.
ErrorCode failure(http::Handler handler, Task<> (*work)(EnvdClient&)) {
  ErrorCode code = ErrorCode::unknown;
  test::run(
      with_server(std::move(handler), [&](EnvdClient& envd) { return record_failure(envd, work, code); }));
  return code;
}

}  // namespace

TEST_CASE("the client runs processes", "[envd]") {
  test::run(with_envd(runs_a_process));
  test::run(with_envd(kills_and_times_out));
  test::run(with_envd(resizes));
}
TEST_CASE("the client moves files", "[envd]") {
  test::run(with_envd(moves_files));
}
TEST_CASE("the client sets up a guest", "[envd]") {
  test::run(with_envd(sets_up));
}

TEST_CASE("a stream without an end event is no success", "[envd]") {
  const std::string type(http::kConnectStreamJson);
  const std::string start = http::connect_envelope(R"({"event":{"start":{"pid":1}}})");
  const std::string end = http::connect_envelope("{}", 2);
  CHECK(failure(answering(200, type, start), first_event) == ErrorCode::unavailable);
  CHECK(failure(answering(200, type, start + end), first_event) == ErrorCode::unavailable);
  CHECK(failure(answering(200, type, ""), first_event) == ErrorCode::unavailable);
  CHECK(failure(answering(200, type, start + start.substr(0, 9)), first_event) != ErrorCode::unknown);
  const std::string gone = http::connect_error_json(ErrorCode::not_found, "gone");
  const std::string error = http::connect_envelope("{\"error\":" + gone + "}", 2);
  CHECK(failure(answering(200, type, error), first_event) == ErrorCode::not_found);
}

TEST_CASE("answers of a guest that lies are errors", "[envd]") {
  const std::string json(http::kConnectJson);
  // `internal`, not the codes of a caller's mistake: who asked cannot mend what the guest says.
  for (const char* body : {"", "{", "[]", "{\"processes\":7}", "{\"processes\":[{\"pid\":-1}]}"})
    CHECK(failure(answering(200, json, body), list_once) == ErrorCode::internal);
  CHECK(failure(answering(200, "text/html", "<html>"), list_once) != ErrorCode::unknown);
  CHECK(failure(answering(200, json, std::string(20 << 20, ' ')), list_once) == ErrorCode::internal);
  CHECK(failure(answering(401, json, "{\"code\":401,\"message\":\"no\"}"), list_once) ==
        ErrorCode::unauthenticated);
  CHECK(failure(answering(502, "text/plain", "bad gateway"), list_once) == ErrorCode::unavailable);
}
