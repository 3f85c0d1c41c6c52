#include "core/outbound/smtp.h"

#include <algorithm>
#include <cstring>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/http/characters.h"
#include "core/outbound/curl_handle.h"

namespace wrenn::outbound {

namespace {

constexpr std::pair<SmtpSecurity, std::string_view> kSecurities[] = {
    {SmtpSecurity::automatic, "auto"},
    {SmtpSecurity::implicit_tls, "tls"},
    {SmtpSecurity::starttls, "starttls"},
    {SmtpSecurity::plain, "plain"},
};
constexpr std::uint16_t kImplicitTlsPort = 465;  // RFC 8314 §3.3

std::size_t give(char* out, std::size_t size, std::size_t count, void* from) noexcept {
  auto& rest = *static_cast<std::string_view*>(from);
  const auto given = std::min(size * count, rest.size());
  std::memcpy(out, rest.data(), given);
  rest.remove_prefix(given);
  return given;
}

// The last line with which the server refuses something: it says why.
std::size_t take_line(char* data, std::size_t size, std::size_t count, void* into) noexcept {
  constexpr std::size_t kShown = 200;
  try {
    const std::string_view line(data, size * count);
    if (line.starts_with('4') || line.starts_with('5'))
      *static_cast<std::string*>(into) = sanitize_utf8(trim(line.substr(0, kShown)));
  } catch (const std::bad_alloc&) {
    return 0;
  }
  return size * count;
}

}  // namespace

std::string_view to_string(SmtpSecurity security) noexcept {
  for (const auto& [value, text] : kSecurities)
    if (value == security) return text;
  return "auto";
}

std::optional<SmtpSecurity> from_string(std::string_view text, SmtpSecurity*) noexcept {
  for (const auto& [value, name] : kSecurities)
    if (name == text) return value;
  return std::nullopt;
}

SmtpMailer::SmtpMailer(SmtpSettings settings)
    : settings_(std::move(settings)), threads_("mail", limits::kMailThreads) {
  const bool bracketed = settings_.host.starts_with('[');
  const bool v6 = !bracketed && settings_.host.find(':') != std::string::npos;
  if (!http::has_host_characters(settings_.host) || settings_.host.find('@') != std::string::npos ||
      settings_.port == 0)
    throw_error(ErrorCode::invalid_argument,
                "\"{}:{}\" is no mail server: a host name or address and a port are wanted", settings_.host,
                settings_.port);
  settings_.from.address = clean_address(settings_.from.address);
  if (settings_.security == SmtpSecurity::automatic) {
    if (settings_.port == kImplicitTlsPort)
      settings_.security = SmtpSecurity::implicit_tls;
    else if (!settings_.username.empty())
      settings_.security = SmtpSecurity::starttls;
  }
  if (settings_.ca_file.empty()) settings_.ca_file = system_ca_file();
  url_ = fmt::format("{}://{}{}{}:{}", settings_.security == SmtpSecurity::implicit_tls ? "smtps" : "smtp",
                     v6 ? "[" : "", settings_.host, v6 ? "]" : "", settings_.port);
}

SmtpMailer::~SmtpMailer() {
  stopped_ = true;
}

async::Task<> SmtpMailer::send(Mail mail) {
  auto work = [this, mail = std::move(mail), started = SteadyClock::now()] { run(mail, started); };
  co_await async::offload(threads_, std::move(work));
}

void SmtpMailer::send_now(const Mail& mail) {
  run(mail, SteadyClock::now());
}

void SmtpMailer::run(const Mail& mail, SteadyTime started) {
  const auto message = compose(mail, settings_.from, now(), random_hex(16));
  const auto recipient = clean_address(mail.to.address);
  const auto policy = AddressPolicy::anywhere();
  const CurlList recipients({recipient});
  const auto what = fmt::format("mail by way of {}", url_);
  std::string_view rest = message;
  std::string said;
  CurlHandle handle;
  Transfer transfer(handle, what, policy, started, settings_.timeout, stopped_);
  handle.set(CURLOPT_URL, url_.c_str());
  handle.set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  handle.set(CURLOPT_HEADERFUNCTION, &take_line);
  handle.set(CURLOPT_HEADERDATA, &said);
  handle.set(CURLOPT_WRITEFUNCTION, &take_line);
  handle.set(CURLOPT_WRITEDATA, &said);
  handle.set(CURLOPT_MAIL_FROM, settings_.from.address.c_str());
  handle.set(CURLOPT_MAIL_RCPT, recipients.get());
  handle.set(CURLOPT_UPLOAD, 1L);
  handle.set(CURLOPT_READFUNCTION, &give);
  handle.set(CURLOPT_READDATA, &rest);
  handle.set_size(CURLOPT_INFILESIZE_LARGE, message.size());
  if (!settings_.username.empty()) {
    handle.set(CURLOPT_USERNAME, settings_.username.c_str());
    handle.set(CURLOPT_PASSWORD, settings_.password.reveal().c_str());
    handle.set(CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN");
  }
  if (settings_.security != SmtpSecurity::plain) {
    transfer.use_tls(settings_.ca_file);
    handle.set(
        CURLOPT_USE_SSL,
        static_cast<long>(settings_.security == SmtpSecurity::automatic ? CURLUSESSL_TRY : CURLUSESSL_ALL));
  }

  const auto code = transfer.run();
  if (code == CURLE_OK) return;
  if (code == CURLE_LOGIN_DENIED)
    throw_error(ErrorCode::unauthenticated,
                "{}: the server does not accept user name and password (\"{}\"); check them", what, said);
  long reply = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &reply);
  const bool refused =
      code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_WEIRD_SERVER_REPLY;
  if (refused && reply >= 400)  // RFC 5321 §4.2.1: 4xx for now, 5xx for good
    throw_error(reply < 500 ? ErrorCode::unavailable : ErrorCode::failed_precondition,
                "{}: the server refuses the mail to {}: {}", what, recipient, said);
  transfer.fail(code);
}

}  // namespace wrenn::outbound
