// Router: method + path pattern → handler. Patterns are literal segments and "{name}"; a last "{name...}"
// takes the rest of the path, slashes included and possibly empty. Literals win over parameters, segment by
// segment; a path that fits there but with another method falls back to less literal routes. A known path
// with another method gets 405 with Allow. A GET route serves HEAD too (the reply leaves the body out), and
// method "*" is any method.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/http/reply.h"

namespace wrenn::http {

class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  // Throws Error(internal) for a malformed pattern, or if the same method and pattern is added twice.
  void add(std::string_view method, std::string_view pattern, Handler handler);

  enum class Found { yes, no_path, no_method };
  struct Match {
    Found found = Found::no_path;
    const Handler* handler = nullptr;
    std::string_view pattern;  // of the route, for metrics; valid as long as the router
    std::string allow;         // methods of the path, when no_method
  };
  // Fills request.params. `request` keeps its path; segments are compared and stored percent-decoded. A
  // segment with malformed percent-encoding matches nothing.
  Match match(Request& request) const;

  // method and pattern of every route, for tests that compare with the OpenAPI document.
  std::vector<std::pair<std::string, std::string>> routes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wrenn::http
