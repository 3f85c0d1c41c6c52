#include "core/outbound/http_request.h"

#include <algorithm>
#include <mutex>
#include <optional>

#include "core/base/limits.h"
#include "core/base/text.h"
#include "core/base/version.h"
#include "core/http/characters.h"
#include "core/outbound/curl_handle.h"

namespace wrenn::outbound {

namespace {

constexpr std::string_view kOwnFields[] = {"Host", "Content-Length", "Transfer-Encoding"};

// The URL as libcurl understands it: what is checked is what is used.
class Url {
 public:
  explicit Url(const std::string& text) : url_(curl_url()) {
    const auto refuse = [](std::string_view why) {
      throw_error(ErrorCode::invalid_argument, "the URL cannot be used: {}; it looks like https://host/path",
                  why);
    };
    if (!url_) throw_error(ErrorCode::resource_exhausted, "out of memory for a URL");
    if (text.size() > limits::kUrlBytes) refuse(fmt::format("it has more than {} bytes", limits::kUrlBytes));
    if (text.find('\0') != text.npos) refuse("it has a NUL byte");
    const auto code = curl_url_set(url_.get(), CURLUPART_URL, text.c_str(), CURLU_DISALLOW_USER);
    if (code == CURLUE_USER_NOT_ALLOWED)
      refuse("it has a user name or password, which belong into a header field");
    if (code != CURLUE_OK) refuse(curl_url_strerror(code));
    const auto scheme = part(CURLUPART_SCHEME);
    if (scheme != "http" && scheme != "https") refuse("it begins neither with http:// nor with https://");
    tls_ = scheme == "https";
    origin_ = fmt::format("{}://{}:{}", scheme, part(CURLUPART_HOST), part(CURLUPART_PORT));
  }

  bool tls() const noexcept { return tls_; }
  const std::string& origin() const noexcept { return origin_; }
  CURLU* get() const noexcept { return url_.get(); }

 private:
  std::string part(CURLUPart which) const {
    char* text = nullptr;
    if (curl_url_get(url_.get(), which, &text, CURLU_DEFAULT_PORT) != CURLUE_OK)
      throw_error(ErrorCode::invalid_argument,
                  "the URL cannot be used: it has no host; it looks like https://host/path");
    const std::unique_ptr<char, decltype(&curl_free)> owner(text, &curl_free);
    return text;
  }

  std::unique_ptr<CURLU, CurlFree> url_;
  bool tls_ = false;
  std::string origin_;
};

// The answer while it comes in. The callbacks are libcurl's, and what they throw must not pass through it.
struct Incoming {
  const Request& request;
  Response response{};
  std::size_t head_bytes = 0;
  bool head_too_large = false;
  bool body_too_large = false;
  std::exception_ptr error{};

  void take_line(std::string_view line) {
    head_bytes += line.size();
    if (line.starts_with("HTTP/")) {  // of an interim answer, or of the answer
      response.headers.clear();
      return;
    }
    if (head_bytes > wrenn::limits::kHttpHeadBytes ||
        response.headers.fields().size() >= wrenn::limits::kHttpHeaderCount) {
      head_too_large = true;
      return;
    }
    const auto colon = line.find(':');
    if (colon == line.npos) return;
    const auto value = trim(line.substr(colon + 1));
    if (http::is_token(line.substr(0, colon)) && http::is_field_value(value))
      response.headers.add(line.substr(0, colon), value);
  }

  void take_body(std::string_view piece) {
    const auto room = request.max_answer_bytes - response.body.size();
    response.body.append(piece.substr(0, room));
    body_too_large = piece.size() > room;
  }

  template <void (Incoming::*kTake)(std::string_view)>
  static std::size_t receive(char* data, std::size_t size, std::size_t count, void* self) noexcept {
    auto& incoming = *static_cast<Incoming*>(self);
    try {
      (incoming.*kTake)(std::string_view(data, size * count));
    } catch (...) {
      incoming.error = std::current_exception();
    }
    const bool stop = incoming.head_too_large || incoming.body_too_large || incoming.error;
    return stop ? 0 : size * count;
  }
};

void check(const Request& request) {
  if (!http::is_token(request.method) || request.method == "CONNECT")
    throw_error(ErrorCode::invalid_argument, "\"{}\" is no method of HTTP for a request", request.method);
  for (const auto name : kOwnFields)
    if (request.headers.has(name))
      throw_error(ErrorCode::invalid_argument, "the header field {} is not for the caller to set", name);
}

CurlList header_lines(const http::Headers& headers) {
  CurlList lines;
  for (const auto& [name, value] : headers.fields())
    lines.add(value.empty() ? name + ";" : fmt::format("{}: {}", name, value));  // "name:" would remove it
  // What libcurl would add by itself.
  if (!headers.has("Content-Type")) lines.add("Content-Type:");
  if (!headers.has("Expect")) lines.add("Expect:");
  return lines;
}

void set_method(CurlHandle& handle, const Request& request) {
  if (request.method == "HEAD") {
    handle.set(CURLOPT_NOBODY, 1L);
    return;
  }
  const bool has_body = !request.body.empty() || request.method == "POST" || request.method == "PUT" ||
                        request.method == "PATCH";
  if (has_body) {
    handle.set(CURLOPT_POST, 1L);
    handle.set(CURLOPT_POSTFIELDS, request.body.data());
    handle.set_size(CURLOPT_POSTFIELDSIZE_LARGE, request.body.size());
  }
  handle.set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

}  // namespace

// Handles that wait for their next request, the one used last at the end.
struct Client::Idle {
  struct Entry {
    std::string origin;  // its last request went there, so it may have a connection to it
    CurlHandle handle;
  };
  explicit Idle(std::size_t most_entries) : most(most_entries) { entries.reserve(most); }

  const std::size_t most;
  std::mutex mutex;
  std::vector<Entry> entries;
  std::size_t leased = 0;
};

class Client::Lease {
 public:
  Lease(Idle& idle, const std::string& origin) : idle_(idle) {
    const std::lock_guard lock(idle_.mutex);
    auto& entries = idle_.entries;
    auto found = std::find_if(entries.rbegin(), entries.rend(),
                              [&](const auto& entry) { return entry.origin == origin; });
    if (found != entries.rend()) {
      take(std::prev(found.base()));
    } else if (entries.size() + idle_.leased >= idle_.most && !entries.empty()) {
      take(entries.begin());  // the one unused for longest
    } else {
      entry_.emplace();
    }
    entry_->origin = origin;
    ++idle_.leased;
  }

  ~Lease() {
    const std::lock_guard lock(idle_.mutex);
    --idle_.leased;
    if (idle_.entries.size() < idle_.most) idle_.entries.push_back(std::move(*entry_));
  }

  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  CurlHandle& handle() noexcept { return entry_->handle; }

 private:
  void take(std::vector<Idle::Entry>::iterator which) {
    entry_ = std::move(*which);
    idle_.entries.erase(which);
  }

  Idle& idle_;
  std::optional<Idle::Entry> entry_;
};

Client::Client(ClientOptions options)
    : options_(std::move(options)),
      idle_(std::make_unique<Idle>(options_.threads)),
      threads_("outbound", options_.threads) {
  if (options_.ca_file.empty()) options_.ca_file = system_ca_file();
}

Client::~Client() {
  stop();
}

async::Task<Response> Client::send(Request request) {
  auto work = [this, request = std::move(request), started = SteadyClock::now()] {
    return run(request, started);
  };
  co_return co_await async::offload(threads_, std::move(work));
}

Response Client::send_now(const Request& request) {
  return run(request, SteadyClock::now());
}

Response Client::run(const Request& request, SteadyTime started) {
  check(request);
  const Url url(request.url);
  const auto what = fmt::format("{} {}", request.method, url.origin());
  const auto headers = header_lines(request.headers);
  const CurlList names(options_.fixed_names);
  Incoming incoming{request};
  CURLcode code = CURLE_OK;
  long status = 0;
  {
    Lease lease(*idle_, url.origin());
    auto& handle = lease.handle();
    Transfer transfer(handle, what, request.policy, started, request.timeout, stopped_);
    handle.set(CURLOPT_CURLU, url.get());
    handle.set(CURLOPT_PROTOCOLS_STR, "http,https");
    handle.set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    handle.set(CURLOPT_FOLLOWLOCATION, 0L);
    handle.set(CURLOPT_HTTPHEADER, headers.get());
    handle.set(CURLOPT_USERAGENT, "wrenn/" WRENN_VERSION);
    handle.set(CURLOPT_HEADERFUNCTION, &Incoming::receive<&Incoming::take_line>);
    handle.set(CURLOPT_HEADERDATA, &incoming);
    handle.set(CURLOPT_WRITEFUNCTION, &Incoming::receive<&Incoming::take_body>);
    handle.set(CURLOPT_WRITEDATA, &incoming);
    if (names.get() != nullptr) handle.set(CURLOPT_RESOLVE, names.get());
    if (url.tls()) transfer.use_tls(options_.ca_file);
    set_method(handle, request);
    code = transfer.run();
    if (incoming.error) std::rethrow_exception(incoming.error);
    if (incoming.head_too_large)
      throw_error(ErrorCode::too_large, "{}: the head of the answer has more than {} bytes or {} fields",
                  what, wrenn::limits::kHttpHeadBytes, wrenn::limits::kHttpHeaderCount);
    if (incoming.body_too_large) {
      if (!request.cut_answer)
        throw_error(ErrorCode::too_large, "{}: the answer is larger than {} bytes", what,
                    request.max_answer_bytes);
      incoming.response.cut = true;
    } else if (code != CURLE_OK) {
      transfer.fail(code);
    }
    curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  }
  incoming.response.status = static_cast<int>(status);
  return std::move(incoming.response);
}

}  // namespace wrenn::outbound
