#include "core/http/blocking_client.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

// A peer that closes must be an error of write(), not a signal (TLS writes by itself; see main).
#define CPPHTTPLIB_SEND_FLAGS MSG_NOSIGNAL
#define CPPHTTPLIB_OPENSSL_SUPPORT
// httplib would start OpenSSL in every process, before main and in guests that never use TLS: a seventh of the code
// that envd's start runs through. Since 1.1.0 OpenSSL starts by itself with its first use.
#include <openssl/ssl.h>
#define OPENSSL_init_ssl(options, settings) static_cast<void>(0)
#include <httplib.h>
#undef OPENSSL_init_ssl

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/scope_guard.h"
#include "core/base/text.h"
#include "core/http/characters.h"

namespace wrenn::http {

namespace {

constexpr auto kTimeout = std::chrono::seconds(30);
constexpr std::size_t kBodyBytes = 64 * 1024 * 1024;  // a whole answer in memory; larger ones want download()
constexpr std::size_t kErrorBodyBytes = 1024 * 1024;  // an answer to download() that is an error
constexpr int kDiagnosisMs = 2'000;

struct BaseUrl {
  bool tls = false;
  std::string host;  // an IPv6 address without its brackets
  std::string port;
  std::string prefix;  // "" or "/path" without a slash at its end
  std::string origin() const {
    const bool v6 = host.find(':') != std::string::npos;
    return fmt::format("{}://{}{}{}:{}", tls ? "https" : "http", v6 ? "[" : "", host, v6 ? "]" : "", port);
  }
};

BaseUrl parse_base(std::string_view text) {
  const auto refuse = [text](std::string_view why) {
    throw_error(ErrorCode::invalid_argument,
                "\"{}\" is no usable URL: {}; it looks like http://127.0.0.1:8000", text, why);
  };
  BaseUrl url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    url.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    refuse("it begins neither with http:// nor with https://");
  }
  if (rest.find_first_of("?#@") != rest.npos) refuse("it has a query, a fragment or a user name");
  const auto slash = rest.find('/');
  auto authority = rest.substr(0, slash);
  auto prefix = slash == rest.npos ? std::string_view() : rest.substr(slash);
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  if (!prefix.empty() && !is_target(prefix)) refuse("its path has characters that need percent-encoding");
  url.prefix = prefix;

  std::string_view port;
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == authority.npos) refuse("the bracket of its address is not closed");
    url.host = authority.substr(1, end - 1);
    authority.remove_prefix(end + 1);
    if (!authority.empty() && !authority.starts_with(':')) refuse("something stands behind its address");
    port = authority.empty() ? authority : authority.substr(1);
  } else {
    const auto colon = authority.find(':');
    url.host = authority.substr(0, colon);
    if (colon != authority.npos) port = authority.substr(colon + 1);
    if (port.find(':') != port.npos) refuse("an IPv6 address needs brackets");
  }
  if (url.host.empty() || !has_host_characters(url.host)) refuse("it has no valid host");
  url.port = port.empty() ? (url.tls ? "443" : "80") : std::string(port);
  const auto number = parse_int<std::uint16_t>(url.port);
  if (!number || *number == 0) refuse("its port is not a number from 1 to 65535");
  return url;
}

// httplib says only that it could not connect. Tries again by hand to learn why; blocks up to kDiagnosisMs.
std::string why_unreachable(const BaseUrl& url) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int failed = ::getaddrinfo(url.host.c_str(), url.port.c_str(), &hints, &list); failed != 0)
    return fmt::format("the host name cannot be resolved ({})", ::gai_strerror(failed));
  const ScopeGuard free_list([list] { ::freeaddrinfo(list); });
  std::string why = "no address";
  for (const auto* at = list; at != nullptr; at = at->ai_next) {
    const int fd = ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);
    if (fd < 0) {
      why = std::strerror(errno);
      continue;
    }
    const ScopeGuard close_it([fd] { ::close(fd); });
    if (::connect(fd, at->ai_addr, at->ai_addrlen) == 0) return "it answers now; try again";
    if (errno == EINPROGRESS) {
      pollfd waiting{fd, POLLOUT, 0};
      if (::poll(&waiting, 1, kDiagnosisMs) == 0) {
        why = "no answer";
        continue;
      }
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error == 0) return "it answers now; try again";
      errno = error;
    }
    why = std::strerror(errno);
  }
  return why;
}

httplib::Headers to_httplib(const Headers& first, const Headers& second) {
  httplib::Headers out;
  for (const auto& [name, value] : first.fields())
    if (!second.has(name)) out.emplace(name, value);
  for (const auto& [name, value] : second.fields()) out.emplace(name, value);
  return out;
}

// What came of one request. The receiver is called while the answer comes in.
struct Answer {
  Response response;
  bool have_head = false;
  std::exception_ptr error;  // thrown by a callback; httplib must not see it

  bool take_head(const httplib::Response& from) {
    have_head = true;
    response.status = from.status;
    for (const auto& [name, value] : from.headers)
      if (is_token(name) && is_field_value(value)) response.headers.add(name, value);
    return true;
  }

  bool is_success() const noexcept { return response.status >= 200 && response.status < 300; }

  bool append(std::string_view piece, std::size_t limit) {
    if (piece.size() > limit - response.body.size())
      throw_error(ErrorCode::too_large, "the answer is larger than {} bytes", limit);
    response.body += piece;
    return true;
  }
};

}  // namespace

struct BlockingClient::Impl {
  Impl(std::string_view base_url, Headers common)
      : url(parse_base(base_url)), headers(std::move(common)), client(url.origin()) {
    client.set_keep_alive(true);
    client.set_tcp_nodelay(true);
    client.set_url_encode(false);
    client.set_follow_location(false);
    client.set_decompress(false);
    client.set_connection_timeout(limits::kHttpConnectTimeout);
    set_timeout(kTimeout);
    if (!headers.has("User-Agent")) headers.set("User-Agent", "wrenn");
  }

  void set_timeout(std::chrono::seconds value) {
    timeout = value;
    client.set_read_timeout(value);
    client.set_write_timeout(value);
  }

  httplib::Request request(std::string_view method, std::string_view target, const Headers& own) const {
    if (!is_token(method) || !target.starts_with('/') || !is_target(target))
      throw_error(ErrorCode::invalid_argument, "\"{} {}\" is no valid HTTP request", method, target);
    httplib::Request out;
    out.method = method;
    out.path = url.prefix + std::string(target);
    out.headers = to_httplib(headers, own);
    return out;
  }

  using Receiver = std::function<bool(Answer&, std::string_view)>;

  Response run(httplib::Request& out, const Receiver& receive, Answer& answer) {
    out.response_handler = [&answer](const httplib::Response& head) { return answer.take_head(head); };
    out.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
      try {
        return receive(answer, std::string_view(data, size));
      } catch (...) {
        answer.error = std::current_exception();
        return false;
      }
    };
    const auto start = SteadyClock::now();
    const auto result = client.send(out);
    if (answer.error) std::rethrow_exception(answer.error);
    if (result) {
      if (!answer.have_head) answer.take_head(*result);  // HEAD and 204 have no body and call no handler
      return std::move(answer.response);
    }
    if (result.error() == httplib::Error::Canceled && answer.have_head) return std::move(answer.response);
    fail(result.error(), out, SteadyClock::now() - start);
  }

  [[noreturn]] void fail(httplib::Error error, const httplib::Request& out,
                         SteadyClock::duration spent) const {
    const auto what = fmt::format("{} {}{}", out.method, url.origin(), out.path);
    switch (error) {
      case httplib::Error::Connection:
      case httplib::Error::ConnectionTimeout:
        throw_error(ErrorCode::unavailable,
                    "cannot connect to {}: {}. Is the server running, and is this its address?", url.origin(),
                    error == httplib::Error::Connection ? why_unreachable(url) : "no answer");
      case httplib::Error::Read:
        if (spent >= timeout)
          throw_error(ErrorCode::deadline_exceeded, "{}: no answer within {} s; the server may be overloaded",
                      what, timeout.count());
        throw_error(ErrorCode::unavailable,
                    "{}: the server closed the connection before its answer was complete", what);
      case httplib::Error::Write:
        throw_error(ErrorCode::unavailable, "{}: the server stopped reading while the request was being sent",
                    what);
      case httplib::Error::SSLConnection:
        throw_error(ErrorCode::unavailable,
                    "{}: no TLS connection; does the server speak HTTPS on this port?", what);
      case httplib::Error::SSLLoadingCerts:
      case httplib::Error::SSLServerVerification:
        throw_error(
            ErrorCode::unavailable,
            "{}: the server's certificate is not trusted; install the certificate authority that signed it",
            what);
      default:
        throw_error(ErrorCode::unavailable, "{}: {}", what, httplib::to_string(error));
    }
  }

  BaseUrl url;
  Headers headers;
  httplib::Client client;
  std::chrono::seconds timeout{};
};

BlockingClient::BlockingClient(std::string_view base_url, Headers headers)
    : impl_(std::make_unique<Impl>(base_url, std::move(headers))) {}
BlockingClient::~BlockingClient() = default;

void BlockingClient::set_timeout(std::chrono::seconds timeout) {
  impl_->set_timeout(timeout);
}

Response BlockingClient::send(std::string_view method, std::string_view target, Headers headers,
                              std::string body) {
  auto request = impl_->request(method, target, headers);
  request.body = std::move(body);
  Answer answer;
  return impl_->run(
      request, [](Answer& into, std::string_view piece) { return into.append(piece, kBodyBytes); }, answer);
}

Response BlockingClient::download(std::string_view method, std::string_view target, Headers headers,
                                  std::string body, const std::function<bool(std::string_view)>& receive) {
  auto request = impl_->request(method, target, headers);
  request.body = std::move(body);
  Answer answer;
  return impl_->run(
      request,
      [&receive](Answer& into, std::string_view piece) {
        return into.is_success() ? receive(piece) : into.append(piece, kErrorBodyBytes);
      },
      answer);
}

Response BlockingClient::upload(std::string_view method, std::string_view target, Headers headers,
                                std::string_view content_type,
                                const std::function<bool(std::string& out)>& produce) {
  headers.set("Content-Type", content_type);
  headers.set("Transfer-Encoding", "chunked");
  auto request = impl_->request(method, target, headers);
  Answer answer;
  std::string piece;
  request.is_chunked_content_provider_ = true;
  request.content_provider_ = [&](std::size_t, std::size_t, httplib::DataSink& sink) {
    try {
      piece.clear();
      const bool more = produce(piece);
      if (!piece.empty() && !sink.write(piece.data(), piece.size())) return false;
      if (!more) sink.done();
      return true;
    } catch (...) {
      answer.error = std::current_exception();
      return false;
    }
  };
  return impl_->run(
      request, [](Answer& into, std::string_view chunk) { return into.append(chunk, kBodyBytes); }, answer);
}

}  // namespace wrenn::http
