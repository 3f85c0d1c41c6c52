// Sends what the tests ask for: a JSON object a line on standard input, one a line back. One Client for all
// lines, as in a server; {"together": [...]} sends several at once.
#include <csignal>
#include <iostream>
#include <map>

#include <fmt/ranges.h>

#include "core/async/loop.h"
#include "core/async/scope.h"
#include "core/base/error.h"
#include "core/json/reader.h"
#include "core/json/writer.h"
#include "core/outbound/http_request.h"
#include "core/outbound/redis_stream.h"
#include "core/outbound/smtp.h"

using namespace wrenn;

namespace {

std::string describe_answer(const outbound::Response& answer) {
  std::string out;
  json::Writer writer(out);
  writer.begin_object();
  writer.member("status", answer.status);
  writer.member("body", answer.body);
  writer.member("cut", answer.cut);
  writer.key("headers");
  writer.begin_array();
  for (const auto& [name, value] : answer.headers.fields()) writer.value(fmt::format("{}: {}", name, value));
  writer.end_array();
  writer.end_object();
  return out;
}

std::string describe_error(std::exception_ptr error) {
  std::string out;
  json::Writer writer(out);
  writer.begin_object();
  writer.member("error", to_string(code_of(error)));
  writer.member("too_large", code_of(error) == ErrorCode::too_large);
  writer.member("message", describe(error));
  writer.end_object();
  return out;
}

std::vector<std::string> texts(const json::Value& from, std::string_view key) {
  std::vector<std::string> out;
  if (const auto* list = from.find(key); list != nullptr && list->as_array() != nullptr)
    for (const auto& entry : *list->as_array()) out.push_back(*entry.as_string());
  return out;
}

std::int64_t number(const json::Value& from, std::string_view key, std::int64_t otherwise) {
  const auto* value = from.find(key);
  return value == nullptr ? otherwise : value->as_int64().value_or(otherwise);
}

bool flag(const json::Value& from, std::string_view key) {
  const auto* value = from.find(key);
  return value != nullptr && value->as_bool().value_or(false);
}

outbound::Request request_from(const json::Value& line) {
  outbound::Request out;
  if (line.find("method") != nullptr) out.method = line.text_of("method");
  out.url = line.text_of("url");
  out.body = line.text_of("body");
  for (const auto& field : texts(line, "headers"))
    out.headers.add(field.substr(0, field.find(':')), field.substr(field.find(':') + 1));
  out.timeout = std::chrono::milliseconds(number(line, "timeout_ms", 5'000));
  out.max_answer_bytes = static_cast<std::size_t>(number(line, "max_answer_bytes", 1 << 20));
  out.cut_answer = flag(line, "cut_answer");
  out.policy.allow_private = flag(line, "allow_private");
  for (const auto& network : texts(line, "allowed"))
    out.policy.allowed.push_back(outbound::Network::parse(network));
  return out;
}

async::Task<> stop_after(outbound::Client& client, std::chrono::milliseconds delay) {
  co_await async::sleep(delay);
  client.stop();
}

std::unique_ptr<outbound::Mailer> mailer_from(const json::Value& line) {
  const outbound::Mailbox from{"wrenn@example.org", "Wrenn"};
  if (line.find("directory") != nullptr)
    return outbound::make_directory_mailer(std::string(line.text_of("directory")), from);
  if (line.find("port") == nullptr) return outbound::make_silent_mailer();
  outbound::SmtpSettings settings{.host = std::string(line.text_of("host")), .from = from};
  settings.port = static_cast<std::uint16_t>(number(line, "port", 0));
  settings.username = line.text_of("username");
  settings.password = Secret(std::string(line.text_of("password")));
  settings.security = from_string(line.text_of("security"), &settings.security).value();
  settings.ca_file = line.text_of("ca_file");
  settings.timeout = std::chrono::milliseconds(number(line, "timeout_ms", 5'000));
  return std::make_unique<outbound::SmtpMailer>(std::move(settings));
}

async::Task<std::string> send_mail(const json::Value& line) {
  const auto mailer = mailer_from(line);
  outbound::Mail mail{{std::string(line.text_of("to")), std::string(line.text_of("name"))},
                      std::string(line.text_of("subject")),
                      std::string(line.text_of("text")),
                      std::string(line.text_of("html"))};
  co_await mailer->send(std::move(mail));
  co_return "{}";
}

// Blocks, which does not matter here. A stream is kept, and with it its connection.
std::string use_redis(const json::Value& line) {
  static std::map<std::string, outbound::RedisStream, std::less<>> streams;
  const std::string url(line.text_of("redis"));
  const std::chrono::milliseconds timeout(number(line, "timeout_ms", 5'000));
  auto& redis = streams.try_emplace(url, outbound::RedisUrl::parse(url), timeout).first->second;
  const auto stream = line.text_of("stream");
  if (line.find("id") == nullptr) {
    const auto last = redis.last_id(stream);
    return last ? fmt::format(R"({{"last":"{}"}})", last->text()) : R"({"last":null})";
  }
  const auto id = outbound::StreamId::parse(line.text_of("id")).value();
  const auto outcome = redis.xadd_exact(stream, id, line.text_of("payload"),
                                        static_cast<std::uint64_t>(number(line, "max", 0)));
  return outcome == outbound::RedisStream::Outcome::added ? R"({"outcome":"added"})"
                                                          : R"({"outcome":"was_there"})";
}

async::Task<> send_one(outbound::Client& client, json::Value line, std::string& answer) {
  try {
    if (line.find("to") != nullptr) {
      answer = co_await send_mail(line);
      co_return;
    }
    if (line.find("redis") != nullptr) {
      answer = use_redis(line);
      co_return;
    }
    auto request = request_from(line);
    const auto response = co_await client.send(std::move(request));
    answer = describe_answer(response);
  } catch (...) {
    answer = describe_error(std::current_exception());
  }
}

async::Task<> send_all(outbound::Client& client, const json::Value::Array& lines,
                       std::vector<std::string>& answers) {
  answers.resize(lines.size());
  async::Scope scope(co_await asio::this_coro::executor, "probe");
  for (const auto& line : lines)
    if (const auto delay = number(line, "stop_after_ms", 0); delay > 0)
      scope.spawn(stop_after(client, std::chrono::milliseconds(delay)));
  for (std::size_t i = 0; i < lines.size(); ++i) scope.spawn(send_one(client, lines[i], answers[i]));
  co_await scope.join();
}

}  // namespace

// probe [CA_FILE [NAME:PORT:ADDRESS…]]
int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // as wrenn does
  outbound::ClientOptions options;
  if (argc > 1) options.ca_file = argv[1];
  for (int i = 2; i < argc; ++i) options.fixed_names.emplace_back(argv[i]);
  outbound::Client client(std::move(options));
  std::string text;
  while (std::getline(std::cin, text)) {
    const auto line = json::parse(text);
    const auto* several = line.as_array();
    const json::Value::Array lines = several != nullptr ? *several : json::Value::Array{line};
    std::vector<std::string> answers;
    async::run_loop("probe", [&] { return send_all(client, lines, answers); }, false);
    std::cout << (several != nullptr ? fmt::format("[{}]", fmt::join(answers, ",")) : answers.front())
              << std::endl;
  }
  return 0;
}
