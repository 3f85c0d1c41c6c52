// The door to libcurl: a handle as a C++ type, and what all transfers have in common (whom they may connect
// to, how long they may take, whom they trust, what a failure is called).
//
// Blocking: for threads of a pool. A handle serves one transfer at a time; its connections stay open between
// them.
#pragma once

#include <curl/curl.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/outbound/address_policy.h"

namespace wrenn::outbound {

struct CurlFree {
  void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
  void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};

// Lines of text (header fields, recipients) in the form that libcurl takes.
class CurlList {
 public:
  CurlList() = default;
  explicit CurlList(const std::vector<std::string>& lines);  // throws as add()
  void add(const std::string& line);                         // throws Error(resource_exhausted)
  curl_slist* get() const noexcept { return list_.get(); }

 private:
  std::unique_ptr<curl_slist, CurlFree> list_;
};

class CurlHandle {
 public:
  CurlHandle();  // throws Error(resource_exhausted)

  // Both throw Error(internal): libcurl was built without that option, or is out of memory.
  void set(CURLoption option, long value) { check(curl_easy_setopt(handle_.get(), option, value), option); }
  template <typename T>
  void set(CURLoption option, T* pointer) {
    check(curl_easy_setopt(handle_.get(), option, pointer), option);
  }
  void set_size(CURLoption option, std::size_t size) {
    check(curl_easy_setopt(handle_.get(), option, static_cast<curl_off_t>(size)), option);
  }
  // Forgets everything but the open connections.
  void reset() noexcept { curl_easy_reset(handle_.get()); }
  CURL* get() const noexcept { return handle_.get(); }

 private:
  static void check(CURLcode code, CURLoption option);
  std::unique_ptr<CURL, CurlFree> handle_;
};

// One transfer over a handle. Lives as long as the handle has its settings: the destructor resets it.
class Transfer {
 public:
  // `what` names it in messages and must hold no secret. It has `timeout` from `started` on, which may be
  // long ago. `policy` and `stopped` are kept by reference. Throws as CurlHandle::set, and
  // Error(deadline_exceeded) if no time is left.
  Transfer(CurlHandle& handle, std::string what, const AddressPolicy& policy, SteadyTime started,
           std::chrono::milliseconds timeout, const std::atomic<bool>& stopped);
  ~Transfer() { handle_.reset(); }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // Certificates are checked against the authorities in `ca_file`. Throws Error(unavailable) if it is empty.
  void use_tls(const std::string& ca_file);
  CURLcode run() noexcept { return curl_easy_perform(handle_.get()); }
  // Says what a code other than CURLE_OK means: Error(unavailable | deadline_exceeded | permission_denied |
  // canceled | resource_exhausted | internal).
  [[noreturn]] void fail(CURLcode code) const;
  // The text of libcurl for the failure: host names and numbers, never a path.
  std::string reason(CURLcode code) const;

 private:
  static curl_socket_t open_socket(void* self, curlsocktype purpose, curl_sockaddr* address) noexcept;
  static int before_request(void* self, char* peer, char* own, int peer_port, int own_port) noexcept;
  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) noexcept;

  CurlHandle& handle_;
  std::string what_;
  const AddressPolicy& policy_;
  const std::atomic<bool>& stopped_;
  std::chrono::milliseconds timeout_;
  std::optional<std::string_view> refused_;
  bool permitted_ = false;  // a connection was tried
  std::array<char, CURL_ERROR_SIZE> error_{};
};

// The file of certificate authorities of this machine; empty if there is none.
std::string system_ca_file();

}  // namespace wrenn::outbound
