#include "core/outbound/curl_handle.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <system_error>

#include "core/base/text.h"
#include "core/outbound/limits.h"

namespace wrenn::outbound {

namespace {

// OpenSSL looks where it was built to be installed, which says nothing about this machine.
constexpr const char* kCaFiles[] = {
    "/etc/ssl/certs/ca-certificates.crt",  // Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",              // SUSE
    "/etc/ssl/cert.pem",                   // Alpine, BSD
};

void start_library() {
  static std::once_flag once;
  static CURLcode result = CURLE_OK;
  std::call_once(once, [] { result = curl_global_init(CURL_GLOBAL_DEFAULT); });
  if (result != CURLE_OK)
    throw_error(ErrorCode::internal, "libcurl does not start: {}", curl_easy_strerror(result));
}

}  // namespace

std::string system_ca_file() {
  for (const char* path : kCaFiles)
    if (::access(path, R_OK) == 0) return path;
  return {};
}

CurlList::CurlList(const std::vector<std::string>& lines) {
  for (const auto& line : lines) add(line);
}

void CurlList::add(const std::string& line) {
  curl_slist* longer = curl_slist_append(list_.get(), line.c_str());
  if (longer == nullptr) throw_error(ErrorCode::resource_exhausted, "out of memory for a list of libcurl");
  static_cast<void>(list_.release());
  list_.reset(longer);
}

CurlHandle::CurlHandle() {
  start_library();
  handle_.reset(curl_easy_init());
  if (!handle_) throw_error(ErrorCode::resource_exhausted, "out of memory for a handle of libcurl");
}

void CurlHandle::check(CURLcode code, CURLoption option) {
  if (code != CURLE_OK)
    throw_error(ErrorCode::internal, "libcurl refuses option {}: {}", static_cast<int>(option),
                curl_easy_strerror(code));
}

Transfer::Transfer(CurlHandle& handle, std::string what, const AddressPolicy& policy, SteadyTime started,
                   std::chrono::milliseconds timeout, const std::atomic<bool>& stopped)
    : handle_(handle), what_(std::move(what)), policy_(policy), stopped_(stopped), timeout_(timeout) {
  if (stopped_) throw_error(ErrorCode::canceled, "{}: wrenn is shutting down", what_);
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(started + timeout - SteadyClock::now());
  if (left.count() <= 0)
    throw_error(ErrorCode::deadline_exceeded,
                "{}: its {} ms were over before it could begin; too many requests are under way", what_,
                timeout_.count());
  handle_.set(CURLOPT_NOSIGNAL, 1L);
  // A look-up that hangs is left to its thread; otherwise the end of the transfer would wait for it.
  handle_.set(CURLOPT_QUICK_EXIT, 1L);
  handle_.set(CURLOPT_ERRORBUFFER, error_.data());
  handle_.set(CURLOPT_TIMEOUT_MS, static_cast<long>(left.count()));
  handle_.set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::min(left, limits::kConnectTimeout).count()));
  handle_.set(CURLOPT_DNS_CACHE_TIMEOUT, static_cast<long>(limits::kNameAge.count()));
  handle_.set(CURLOPT_MAXCONNECTS, limits::kIdleConnections);
  handle_.set(CURLOPT_MAXAGE_CONN, static_cast<long>(limits::kIdleConnectionAge.count()));
  handle_.set(CURLOPT_MAXLIFETIME_CONN, static_cast<long>(limits::kConnectionAge.count()));
  handle_.set(CURLOPT_OPENSOCKETFUNCTION, &Transfer::open_socket);
  handle_.set(CURLOPT_OPENSOCKETDATA, this);
  handle_.set(CURLOPT_NOPROGRESS, 0L);
  handle_.set(CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
  handle_.set(CURLOPT_XFERINFODATA, this);
  handle_.set(CURLOPT_PREREQFUNCTION, &Transfer::before_request);
  handle_.set(CURLOPT_PREREQDATA, this);
}

void Transfer::use_tls(const std::string& ca_file) {
  if (ca_file.empty())
    throw_error(ErrorCode::unavailable,
                "{}: no file of certificate authorities was found on this machine, so no server can be "
                "trusted; install the "
                "package ca-certificates",
                what_);
  handle_.set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  handle_.set(CURLOPT_SSL_VERIFYPEER, 1L);
  handle_.set(CURLOPT_SSL_VERIFYHOST, 2L);
  handle_.set(CURLOPT_CAINFO, ca_file.c_str());
}

// The address that is about to be connected to, whatever led to it.
curl_socket_t Transfer::open_socket(void* self, curlsocktype, curl_sockaddr* address) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  const auto ip = IpAddress::from(&address->addr, address->addrlen);
  const auto refused =
      ip ? transfer.policy_.why_refused(*ip) : std::optional<std::string_view>("of an unknown kind");
  if (refused) {
    transfer.refused_ = refused;
    return CURL_SOCKET_BAD;
  }
  transfer.permitted_ = true;
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// Again for a connection that another request has opened, under another policy perhaps.
int Transfer::before_request(void* self, char* peer, char*, int, int) noexcept {
  auto& transfer = *static_cast<Transfer*>(self);
  if (transfer.policy_.allow_private) return CURL_PREREQFUNC_OK;
  try {
    const auto ip = IpAddress::parse(peer == nullptr ? "" : peer);
    const auto refused = ip ? transfer.policy_.why_refused(*ip) : std::optional<std::string_view>("unknown");
    if (!refused) return CURL_PREREQFUNC_OK;
    transfer.refused_ = refused;
    transfer.permitted_ = false;
  } catch (const std::bad_alloc&) {
  }
  return CURL_PREREQFUNC_ABORT;
}

int Transfer::on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) noexcept {
  return static_cast<Transfer*>(self)->stopped_ ? 1 : 0;
}

std::string Transfer::reason(CURLcode code) const {
  const std::string_view own = trim(error_.data());
  return own.empty() ? curl_easy_strerror(code) : sanitize_utf8(own);
}

void Transfer::fail(CURLcode code) const {
  if (stopped_) throw_error(ErrorCode::canceled, "{}: wrenn is shutting down", what_);
  if (refused_ && !permitted_)
    throw_error(ErrorCode::permission_denied,
                "{}: not sent, because the host has an address that is not public ({}); only the operator "
                "can allow such "
                "addresses",
                what_, *refused_);
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      throw_error(ErrorCode::deadline_exceeded,
                  "{}: no whole answer within {} ms; is the server up and reachable?", what_,
                  timeout_.count());
    case CURLE_COULDNT_RESOLVE_HOST:
      throw_error(ErrorCode::unavailable,
                  "{}: the host name cannot be resolved; check its spelling and the name server", what_);
    case CURLE_COULDNT_CONNECT: {
      long number = 0;
      curl_easy_getinfo(handle_.get(), CURLINFO_OS_ERRNO, &number);
      throw_error(ErrorCode::unavailable, "{}: no connection: {}; is the server up, and is this its address?",
                  what_,
                  number != 0 ? std::generic_category().message(static_cast<int>(number)) : reason(code));
    }
    case CURLE_PEER_FAILED_VERIFICATION:
      throw_error(
          ErrorCode::unavailable,
          "{}: the server's certificate is not trusted ({}); it must be valid for this host and signed by an "
          "authority that this machine knows",
          what_, reason(code));
    case CURLE_SSL_CACERT_BADFILE:
      throw_error(ErrorCode::unavailable, "{}: the file of certificate authorities cannot be used: {}", what_,
                  reason(code));
    case CURLE_SSL_CONNECT_ERROR:
      throw_error(ErrorCode::unavailable,
                  "{}: no TLS connection ({}); does the server speak TLS on this port?", what_, reason(code));
    case CURLE_USE_SSL_FAILED:
      throw_error(ErrorCode::unavailable, "{}: the server offers no TLS, which is required here", what_);
    case CURLE_OUT_OF_MEMORY:
      throw_error(ErrorCode::resource_exhausted, "{}: out of memory", what_);
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_FAILED_INIT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_UNKNOWN_OPTION:
      throw_error(ErrorCode::internal, "{}: {}", what_, reason(code));
    default:
      throw_error(ErrorCode::unavailable, "{}: {}", what_, reason(code));
  }
}

}  // namespace wrenn::outbound
