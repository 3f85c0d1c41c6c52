#include "core/outbound/redis_stream.h"

#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/http/characters.h"

namespace wrenn::outbound {

namespace {

constexpr std::string_view kField = "payload";

struct ReplyFree {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, ReplyFree>;

std::string_view text_of(const redisReply& reply) noexcept {
  const bool text =
      reply.type == REDIS_REPLY_STRING || reply.type == REDIS_REPLY_STATUS || reply.type == REDIS_REPLY_ERROR;
  return text ? std::string_view(reply.str, static_cast<std::size_t>(reply.len)) : std::string_view();
}

std::vector<const redisReply*> elements_of(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ARRAY) return {};
  return {reply.element, reply.element + reply.elements};
}

bool is_error(const Reply& reply, std::string_view prefix = {}) noexcept {
  return reply->type == REDIS_REPLY_ERROR && text_of(*reply).starts_with(prefix);
}

timeval to_timeval(std::chrono::milliseconds time) noexcept {
  return {.tv_sec = time.count() / 1000, .tv_usec = time.count() % 1000 * 1000};
}

// The first word of an error is its kind (redis.io/docs/reference/protocol-spec, "Simple errors").
ErrorCode code_of_error(std::string_view text) noexcept {
  constexpr std::pair<std::string_view, ErrorCode> kKinds[] = {
      {"NOAUTH", ErrorCode::unauthenticated},
      {"WRONGPASS", ErrorCode::unauthenticated},
      {"ERR invalid password", ErrorCode::unauthenticated},
      {"NOPERM", ErrorCode::permission_denied},
      {"LOADING", ErrorCode::unavailable},
      {"BUSY", ErrorCode::unavailable},
      {"READONLY", ErrorCode::unavailable},
      {"MASTERDOWN", ErrorCode::unavailable},
      {"NOREPLICAS", ErrorCode::unavailable},
      {"MISCONF", ErrorCode::unavailable},
      {"OOM", ErrorCode::resource_exhausted},
  };
  for (const auto& [prefix, code] : kKinds)
    if (text.starts_with(prefix)) return code;
  return ErrorCode::failed_precondition;
}

}  // namespace

RedisUrl RedisUrl::parse(std::string_view text) {
  const auto refuse = [](std::string_view why) {
    throw_error(ErrorCode::invalid_argument,
                "the URL of the Redis server cannot be used: {}; it looks like redis://localhost:6379/0",
                why);
  };
  RedisUrl out;
  if (text.starts_with("rediss://")) refuse("TLS (rediss://) is not supported");
  if (!text.starts_with("redis://")) refuse("it does not begin with redis://");
  text.remove_prefix(8);
  const auto slash = text.find('/');
  if (slash != text.npos) {
    const auto db = text.substr(slash + 1);
    const auto number = db.empty() ? 0 : parse_int<int>(db);
    if (!number || *number < 0) refuse("behind its slash stands no number of a database");
    out.db = *number;
    text = text.substr(0, slash);
  }
  if (const auto sign = text.rfind('@'); sign != text.npos) {
    const auto credentials = text.substr(0, sign);
    const auto colon = credentials.find(':');
    const auto user = percent_decode(credentials.substr(0, colon));
    const auto password = percent_decode(colon == credentials.npos ? "" : credentials.substr(colon + 1));
    if (!user || !password) refuse("user or password have a % that is not followed by two digits");
    if (password->empty()) refuse("a user needs a password");
    out.user = *user;
    out.password = Secret(*password);
    text.remove_prefix(sign + 1);
  }
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == text.npos) refuse("the bracket of its address is not closed");
    out.host = text.substr(1, end - 1);
    port = text.substr(end + 1);
  } else {
    const auto colon = std::min(text.find(':'), text.size());
    out.host = text.substr(0, colon);
    port = text.substr(colon);
  }
  if (!http::has_host_characters(out.host)) refuse("it has no valid host");
  if (port.empty()) return out;
  const auto number = parse_int<std::uint16_t>(port.substr(1));
  if (port[0] != ':' || !number || *number == 0) refuse("its port is not a number from 1 to 65535");
  out.port = *number;
  return out;
}

std::string RedisUrl::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("redis://{}{}{}:{}/{}", v6 ? "[" : "", host, v6 ? "]" : "", port, db);
}

std::optional<StreamId> StreamId::parse(std::string_view text) noexcept {
  const auto dash = text.find('-');
  if (dash == text.npos) return std::nullopt;
  const auto first = parse_int<std::uint64_t>(text.substr(0, dash));
  const auto second = parse_int<std::uint64_t>(text.substr(dash + 1));
  if (!first || !second) return std::nullopt;
  return StreamId{*first, *second};
}

std::string StreamId::text() const {
  return fmt::format("{}-{}", first, second);
}

class RedisStream::Connection {
 public:
  // A name is looked up by the C library, whose own limits (resolv.conf) hold for that.
  Connection(const RedisUrl& url, std::chrono::milliseconds timeout)
      : what_(url.text()),
        timeout_(timeout),
        context_(redisConnectWithTimeout(url.host.c_str(), url.port, to_timeval(timeout))) {
    if (!context_) throw_error(ErrorCode::resource_exhausted, "{}: out of memory for a connection", what_);
    if (context_->err != 0) fail();
    if (redisSetTimeout(context_.get(), to_timeval(timeout)) != REDIS_OK) fail();
    if (!url.password.empty()) {
      const auto& password = url.password.reveal();
      if (url.user.empty())
        expect_success(ask({"AUTH", password}));
      else
        expect_success(ask({"AUTH", url.user, password}));
    }
    if (url.db != 0) expect_success(ask({"SELECT", std::to_string(url.db)}));
  }

  // An error of the server is a reply like any other.
  Reply ask(const std::vector<std::string_view>& words) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const auto word : words) {
      texts.push_back(word.data());
      sizes.push_back(word.size());
    }
    auto* reply = static_cast<redisReply*>(
        redisCommandArgv(context_.get(), static_cast<int>(words.size()), texts.data(), sizes.data()));
    if (reply == nullptr) fail();
    return Reply(reply);
  }

  Reply expect_success(Reply reply) const {
    if (is_error(reply))
      throw_error(code_of_error(text_of(*reply)), "{}: the server refuses: {}", what_,
                  sanitize_utf8(text_of(*reply)));
    return reply;
  }

  const std::string& what() const noexcept { return what_; }

 private:
  struct ContextFree {
    void operator()(redisContext* context) const noexcept { redisFree(context); }
  };

  [[noreturn]] void fail() const {
    const bool timed_out = context_->err == REDIS_ERR_IO && (errno == EAGAIN || errno == ETIMEDOUT);
    if (timed_out)
      throw_error(ErrorCode::deadline_exceeded, "{}: no answer within {} ms; is the server overloaded?",
                  what_, timeout_.count());
    throw_error(ErrorCode::unavailable, "{}: {}; is the server up, and is this its address?", what_,
                context_->errstr);
  }

  std::string what_;
  std::chrono::milliseconds timeout_;
  std::unique_ptr<redisContext, ContextFree> context_;
};

RedisStream::RedisStream(RedisUrl url, std::chrono::milliseconds timeout)
    : url_(std::move(url)), timeout_(timeout) {}
RedisStream::~RedisStream() = default;

// A connection that idled may have been closed by the server, or by a firewall on the way: then `work` is
// done again on a new one, which is safe because ids are exact.
template <typename F>
auto RedisStream::with_connection(F work) {
  const bool idled = connection_ != nullptr;
  auto connection = connection_ ? std::move(connection_) : std::make_unique<Connection>(url_, timeout_);
  connection_ = nullptr;  // until it has proved itself
  try {
    auto result = work(*connection);
    connection_ = std::move(connection);
    return result;
  } catch (const Error& error) {
    if (!idled || error.code() != ErrorCode::unavailable) throw;
  }
  connection = std::make_unique<Connection>(url_, timeout_);
  auto result = work(*connection);
  connection_ = std::move(connection);
  return result;
}

RedisStream::Outcome RedisStream::xadd_exact(std::string_view stream, StreamId id, std::string_view payload,
                                             std::uint64_t max_entries) {
  const auto id_text = id.text();
  const auto limit = std::to_string(max_entries);
  std::vector<std::string_view> words{"XADD", stream};
  if (max_entries != 0) words.insert(words.end(), {"MAXLEN", "~", limit});
  words.insert(words.end(), {id_text, kField, payload});
  return with_connection([&](Connection& connection) {
    auto reply = connection.ask(words);
    if (!is_error(reply, "ERR The ID specified in XADD is equal or smaller")) {
      connection.expect_success(std::move(reply));
      return Outcome::added;
    }
    const auto found = connection.expect_success(connection.ask({"XRANGE", stream, id_text, id_text}));
    for (const auto* entry : elements_of(*found)) {
      const auto halves = elements_of(*entry);  // id, [field, value, …]
      const auto fields = halves.size() == 2 ? elements_of(*halves[1]) : std::vector<const redisReply*>();
      if (fields.size() == 2 && text_of(*fields[0]) == kField && text_of(*fields[1]) == payload)
        return Outcome::was_there;
    }
    throw_error(ErrorCode::failed_precondition,
                "{}: the stream {} goes beyond {} with entries that do not come from this database; delete "
                "it or name another",
                connection.what(), stream, id_text);
  });
}

std::optional<StreamId> RedisStream::last_id(std::string_view stream) {
  return with_connection([&](Connection& connection) -> std::optional<StreamId> {
    auto reply = connection.ask({"XINFO", "STREAM", stream});
    if (is_error(reply, "ERR no such key")) return std::nullopt;
    reply = connection.expect_success(std::move(reply));
    const auto fields = elements_of(*reply);
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
      if (text_of(*fields[i]) != "last-generated-id") continue;
      if (const auto id = StreamId::parse(text_of(*fields[i + 1]))) return id;
    }
    throw_error(ErrorCode::failed_precondition,
                "{}: the server does not say where the stream {} ends; it must be Redis 5.0 or later",
                connection.what(), stream);
  });
}

}  // namespace wrenn::outbound
