// Services elsewhere with which users sign in (OAuth 2.0, RFC 6749 §4.1). One file each; the registry knows
// them by name.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/async/task.h"

namespace wrenn::cp::oauth {

using async::Task;

struct Identity {
  std::string id;     // the provider's own, which never changes
  std::string email;  // verified by the provider; empty: it knows none
  std::string name;
};

class Provider {
 public:
  virtual ~Provider() = default;
  // Stands in our paths and in the database: never renamed.
  virtual std::string_view name() const noexcept = 0;
  // Where the user's browser is sent; it comes back to `callback` with `state`.
  virtual std::string authorize_url(std::string_view state, std::string_view callback) const = 0;
  // Who has come back with `code`. Throws Error: unauthenticated for a code that the provider does not know,
  // unavailable, deadline_exceeded, internal for an answer that makes no sense.
  virtual Task<Identity> identify(std::string code, std::string callback) = 0;
};

class Registry {
 public:
  void add(std::unique_ptr<Provider> provider) { providers_.push_back(std::move(provider)); }
  // Null if there is none of that name.
  Provider* find(std::string_view name) const noexcept {
    for (const auto& one : providers_)
      if (one->name() == name) return one.get();
    return nullptr;
  }

 private:
  std::vector<std::unique_ptr<Provider>> providers_;
};

}  // namespace wrenn::cp::oauth
