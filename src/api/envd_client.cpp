#include "api/envd_client.h"

#include "api/limits.h"
#include "core/base/codec.h"
#include "core/json/fields.h"
#include "core/json/reader.h"

namespace wrenn::api {

namespace {

constexpr std::string_view kProcess = "/process.Process/";
constexpr std::string_view kFilesystem = "/filesystem.Filesystem/";
constexpr std::uint64_t kErrorBytes = 64 * 1024;  // of the body of an error answer

// The code behind a status of the plain endpoints.
ErrorCode code_of_status(int status) noexcept {
  switch (status) {
    case 400:
    case 416:
      return ErrorCode::invalid_argument;
    case 401:
      return ErrorCode::unauthenticated;
    case 403:
      return ErrorCode::permission_denied;
    case 404:
      return ErrorCode::not_found;
    case 408:
      return ErrorCode::deadline_exceeded;
    case 409:
      return ErrorCode::aborted;
    case 413:
      return ErrorCode::too_large;
    case 429:
    case 507:
      return ErrorCode::resource_exhausted;
    case 501:
      return ErrorCode::unimplemented;
    case 502:
    case 503:
    case 504:
      return ErrorCode::unavailable;
    default:
      return ErrorCode::internal;
  }
}

constexpr std::string_view kWho = "envd";

// Whole request, whole answer. A guest that breaks HTTP is not the caller's mistake.
Task<http::Response> ask(http::Client& client, http::ClientRequest request) {
  try {
    co_return co_await client.send(std::move(request));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    throw http::blame_peer(kWho, error);
  }
}

// Nor is one whose JSON is none, or not the promised one.
template <typename T>
T parse_answer(std::string_view text) {
  try {
    return json::from_json<T>(text);
  } catch (const Error& error) {
    throw http::blame_peer(kWho, error);
  }
}

// The head of an answer; and its body, but for that of a file.
Task<std::string> read_answer(http::Exchange& exchange, bool is_file) {
  try {
    co_await exchange.read_head(limits::kEnvdFileHead);
    if (is_file && (exchange.status() == 200 || exchange.status() == 206)) co_return std::string();
    co_return co_await exchange.body().read_all(kErrorBytes);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    throw http::blame_peer(kWho, error);
  }
}

// {"code":…,"message":…}, or any other text that a proxy on the way may have put there.
[[noreturn]] void throw_plain_error(int status, const std::string& body) {
  std::string message;
  try {
    const json::Value value = json::parse(body);
    message = http::presentable(value.text_of("message"));
  } catch (const Error&) {
    message = http::presentable(body);
  }
  if (message.empty()) message = fmt::format("envd answered with status {}", status);
  throw Error(code_of_status(status), std::move(message));
}

bool is_success(int status) noexcept {
  return status >= 200 && status < 300;
}

std::string files_target(const std::string& prefix, const std::string& path) {
  return prefix + "/files?path=" + percent_encode(path);
}

http::Headers merged(const http::Headers& base, const http::Headers& more) {
  http::Headers headers = base;
  for (const auto& [name, value] : more.fields()) headers.set(name, value);
  return headers;
}

std::string seconds_text(std::chrono::seconds time) {
  return std::to_string(time.count());
}

}  // namespace

Task<std::optional<envd::ProcessEvent>> ProcessStream::next() {
  while (!ended_) {
    const auto message = co_await call_.next();
    if (!message) throw_error(ErrorCode::unavailable, "the stream of a process ended without its end event");
    auto event = parse_answer<envd::ProcessEventMessage>(*message).event;
    if (event.keepalive) continue;
    if (event.end) ended_ = true;
    co_return event;
  }
  co_return std::nullopt;
}

EnvdClient::EnvdClient(http::Client& client, std::string prefix, http::Headers headers)
    : client_(client), prefix_(std::move(prefix)), headers_(std::move(headers)) {}

EnvdClient EnvdClient::as_user(std::string user) const {
  EnvdClient other(client_, prefix_, headers_);
  if (!user.empty()) other.headers_.set("Authorization", "Basic " + base64_encode(user + ":"));
  return other;
}

template <typename Response, typename Request>
Task<Response> EnvdClient::call(std::string method, Request request) {
  std::string target = prefix_ + method;
  std::string body = json::to_json(request);
  http::Headers headers = headers_;
  const std::string answer =
      co_await http::connect_unary(client_, std::move(target), std::move(headers), std::move(body),
                                   limits::kEnvdUnary, limits::kEnvdAnswerBytes);
  co_return parse_answer<Response>(answer);
}

Task<> EnvdClient::health(std::chrono::steady_clock::duration timeout) {
  http::ClientRequest request;
  request.target = prefix_ + "/health";
  request.headers = headers_;
  request.response_bytes_max = kErrorBytes;
  request.timeout = timeout;
  const http::Response response = co_await ask(client_, std::move(request));
  if (!is_success(response.status)) throw_plain_error(response.status, response.body);
}

Task<> EnvdClient::init(envd::InitRequest message, std::chrono::steady_clock::duration timeout) {
  http::ClientRequest request;
  request.method = "POST";
  request.target = prefix_ + "/init";
  request.headers = headers_;
  request.headers.set("Content-Type", http::kJson);
  request.body = json::to_json(message);
  request.response_bytes_max = kErrorBytes;
  request.timeout = timeout;
  const http::Response response = co_await ask(client_, std::move(request));
  if (!is_success(response.status)) throw_plain_error(response.status, response.body);
}

Task<envd::Metrics> EnvdClient::metrics() {
  http::ClientRequest request;
  request.target = prefix_ + "/metrics";
  request.headers = headers_;
  request.response_bytes_max = kErrorBytes;
  request.timeout = limits::kEnvdUnary;
  const http::Response response = co_await ask(client_, std::move(request));
  if (!is_success(response.status)) throw_plain_error(response.status, response.body);
  co_return parse_answer<envd::Metrics>(response.body);
}

Task<ProcessStream> EnvdClient::start(envd::StartRequest request, std::chrono::milliseconds lifetime) {
  std::string target = fmt::format("{}{}Start", prefix_, kProcess);
  std::string body = json::to_json(request);
  http::Headers headers = headers_;
  headers.set("Keepalive-Ping-Interval", seconds_text(limits::kEnvdKeepalive));
  if (lifetime.count() > 0) headers.set("Connect-Timeout-Ms", std::to_string(lifetime.count()));
  auto call = co_await http::ConnectCall::begin(client_, std::move(target), std::move(headers),
                                                std::move(body), limits::kEnvdUnary);
  call.set_stall_limit(3 * limits::kEnvdKeepalive);
  co_return ProcessStream(std::move(call));
}

Task<ProcessStream> EnvdClient::connect(envd::ProcessSelector process) {
  std::string target = fmt::format("{}{}Connect", prefix_, kProcess);
  envd::ConnectRequest request;
  request.process = std::move(process);
  std::string body = json::to_json(request);
  http::Headers headers = headers_;
  headers.set("Keepalive-Ping-Interval", seconds_text(limits::kEnvdKeepalive));
  auto call = co_await http::ConnectCall::begin(client_, std::move(target), std::move(headers),
                                                std::move(body), limits::kEnvdUnary);
  call.set_stall_limit(3 * limits::kEnvdKeepalive);
  co_return ProcessStream(std::move(call));
}

Task<envd::ListResponse> EnvdClient::list() {
  envd::Empty request;
  std::string method = fmt::format("{}List", kProcess);
  co_return co_await call<envd::ListResponse>(std::move(method), request);
}

Task<> EnvdClient::send_input(envd::ProcessSelector process, envd::ProcessInput input) {
  envd::SendInputRequest request{std::move(process), std::move(input)};
  std::string method = fmt::format("{}SendInput", kProcess);
  co_await call<envd::Empty>(std::move(method), std::move(request));
}

Task<> EnvdClient::close_stdin(envd::ProcessSelector process) {
  envd::CloseStdinRequest request{std::move(process)};
  std::string method = fmt::format("{}CloseStdin", kProcess);
  co_await call<envd::Empty>(std::move(method), std::move(request));
}

Task<> EnvdClient::send_signal(envd::ProcessSelector process, int number) {
  envd::SendSignalRequest request{std::move(process), json::Value(std::int64_t(number))};
  std::string method = fmt::format("{}SendSignal", kProcess);
  co_await call<envd::Empty>(std::move(method), std::move(request));
}

Task<> EnvdClient::resize(envd::ProcessSelector process, envd::PtySize size) {
  envd::Pty pty{size};
  envd::UpdateRequest request{std::move(process), pty};
  std::string method = fmt::format("{}Update", kProcess);
  co_await call<envd::Empty>(std::move(method), std::move(request));
}

Task<envd::EntryInfo> EnvdClient::stat(std::string path) {
  envd::PathRequest request{std::move(path)};
  std::string method = fmt::format("{}Stat", kFilesystem);
  auto response = co_await call<envd::EntryResponse>(std::move(method), std::move(request));
  co_return std::move(response.entry);
}

Task<envd::EntryInfo> EnvdClient::make_dir(std::string path) {
  envd::PathRequest request{std::move(path)};
  std::string method = fmt::format("{}MakeDir", kFilesystem);
  auto response = co_await call<envd::EntryResponse>(std::move(method), std::move(request));
  co_return std::move(response.entry);
}

Task<envd::EntryInfo> EnvdClient::move(std::string source, std::string destination) {
  envd::MoveRequest request{std::move(source), std::move(destination)};
  std::string method = fmt::format("{}Move", kFilesystem);
  auto response = co_await call<envd::EntryResponse>(std::move(method), std::move(request));
  co_return std::move(response.entry);
}

Task<envd::ListDirResponse> EnvdClient::list_dir(std::string path, std::uint32_t depth) {
  envd::ListDirRequest request{std::move(path), depth};
  std::string method = fmt::format("{}ListDir", kFilesystem);
  co_return co_await call<envd::ListDirResponse>(std::move(method), std::move(request));
}

Task<> EnvdClient::remove(std::string path) {
  envd::PathRequest request{std::move(path)};
  std::string method = fmt::format("{}Remove", kFilesystem);
  co_await call<envd::Empty>(std::move(method), std::move(request));
}

Task<std::unique_ptr<http::Exchange>> EnvdClient::read_file(std::string path, http::Headers fields) {
  std::string target = files_target(prefix_, path);
  http::Headers headers = merged(headers_, fields);
  auto exchange =
      co_await client_.begin("GET", std::move(target), std::move(headers), http::Client::BodyKind::none);
  const std::string body = co_await read_answer(*exchange, true);
  if (exchange->status() == 200 || exchange->status() == 206) co_return exchange;
  throw_plain_error(exchange->status(), body);
}

Task<std::unique_ptr<http::Exchange>> EnvdClient::begin_write(std::string path) {
  std::string target = files_target(prefix_, path);
  http::Headers headers = headers_;
  headers.set("Content-Type", http::kOctetStream);
  co_return co_await client_.begin("POST", std::move(target), std::move(headers),
                                   http::Client::BodyKind::chunked);
}

Task<> EnvdClient::finish_write(http::Exchange& exchange) {
  // A guest that refuses (a directory, a full disk) may answer and close before it has read everything: then
  // its answer says why, and our broken pipe says nothing.
  std::exception_ptr broken;
  try {
    co_await exchange.finish_body();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    broken = std::current_exception();
  }
  bool answered = false;
  std::string body;
  try {
    body = co_await read_answer(exchange, false);
    answered = true;
  } catch (const Error& error) {
    if (!broken || error.code() == ErrorCode::canceled) throw;
  }
  if (!answered) std::rethrow_exception(broken);
  if (!is_success(exchange.status())) throw_plain_error(exchange.status(), body);
  if (broken) std::rethrow_exception(broken);
}

}  // namespace wrenn::api
