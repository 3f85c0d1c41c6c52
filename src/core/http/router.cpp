#include "core/http/router.h"

#include <algorithm>

#include "core/base/codec.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace wrenn::http {

namespace {

struct Route {
  std::string method;
  std::string pattern;
  std::vector<std::string> names;  // of the parameters, in order
  Handler handler;
};

// A tree with one level per path segment.
struct Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> parameter;  // any one segment
  std::unique_ptr<Node> rest;       // everything that is left
  std::vector<std::unique_ptr<Route>> routes;
};

Node& child_of(std::unique_ptr<Node>& slot) {
  if (!slot) slot = std::make_unique<Node>();
  return *slot;
}

struct Search {
  std::string_view method;
  std::vector<std::optional<std::string>> segments;  // decoded; absent where malformed
  std::vector<std::string_view> raw;                 // where each segment begins in the path, up to its end
  std::vector<std::string> values;                   // of the parameters on the way down
  std::vector<std::string> allowed;                  // methods of routes whose path fits
};

bool accepts(const Route& route, std::string_view method) noexcept {
  return route.method == method || route.method == "*" || (route.method == "GET" && method == "HEAD");
}

const Route* route_of(const Node& node, Search& search) {
  // An own HEAD route, or any exact method, comes before the stand-ins.
  for (const auto& route : node.routes)
    if (route->method == search.method) return route.get();
  for (const auto& route : node.routes)
    if (accepts(*route, search.method)) return route.get();
  for (const auto& route : node.routes) search.allowed.push_back(route->method);
  return nullptr;
}

const Route* descend(const Node& node, std::size_t depth, Search& search) {
  if (depth == search.segments.size()) return route_of(node, search);
  const auto& segment = search.segments[depth];
  if (segment) {
    if (const auto literal = node.literals.find(*segment); literal != node.literals.end())
      if (const Route* found = descend(*literal->second, depth + 1, search)) return found;
    if (node.parameter && !segment->empty()) {
      search.values.push_back(*segment);
      if (const Route* found = descend(*node.parameter, depth + 1, search)) return found;
      search.values.pop_back();
    }
  }
  if (node.rest) {
    if (auto rest = percent_decode(search.raw[depth])) {
      search.values.push_back(std::move(*rest));
      if (const Route* found = route_of(*node.rest, search)) return found;
      search.values.pop_back();
    }
  }
  return nullptr;
}

std::string allow_field(std::vector<std::string> methods) {
  if (std::ranges::find(methods, "GET") != methods.end()) methods.emplace_back("HEAD");
  std::ranges::sort(methods);
  const auto repeated = std::ranges::unique(methods);
  methods.erase(repeated.begin(), repeated.end());
  return join(methods, ", ");
}

}  // namespace

struct Router::Impl {
  Node root;
  std::vector<const Route*> routes;
};

Router::Router() : impl_(std::make_unique<Impl>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

void Router::add(std::string_view method, std::string_view pattern, Handler handler) {
  const auto broken = [&](std::string_view why) {
    throw_error(ErrorCode::internal, "route {} {}: {}", method, pattern, why);
  };
  if (!pattern.starts_with('/')) broken("a pattern begins with /");
  auto route = std::make_unique<Route>();
  route->method = method;
  route->pattern = pattern;
  route->handler = std::move(handler);
  Node* node = &impl_->root;
  const auto parts = split(pattern.substr(1), '/');
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto part = parts[i];
    if (!part.starts_with('{')) {
      if (part.find_first_of("{}") != part.npos) broken("a parameter takes a whole segment");
      node = &child_of(node->literals[std::string(part)]);
      continue;
    }
    if (!part.ends_with('}')) broken("a parameter takes a whole segment");
    part = part.substr(1, part.size() - 2);
    const bool rest = part.ends_with("...");
    if (rest) part.remove_suffix(3);
    if (rest && i + 1 != parts.size()) broken("only the last segment may take the rest of the path");
    if (part.empty()) broken("a parameter has a name");
    if (std::ranges::find(route->names, part) != route->names.end())
      broken("two parameters have the same name");
    route->names.emplace_back(part);
    node = &child_of(rest ? node->rest : node->parameter);
  }
  for (const auto& other : node->routes)
    if (other->method == method) broken("it is added twice");
  impl_->routes.push_back(route.get());
  node->routes.push_back(std::move(route));
}

Router::Match Router::match(Request& request) const {
  Match match;
  const std::string_view path = request.path;
  if (!path.starts_with('/')) return match;
  Search search;
  search.method = request.method;
  for (std::size_t at = 1;;) {
    const auto slash = std::min(path.find('/', at), path.size());
    const auto segment = path.substr(at, slash - at);
    search.raw.push_back(path.substr(at));
    if (segment.find('%') == segment.npos)
      search.segments.emplace_back(segment);
    else
      search.segments.push_back(percent_decode(segment));
    if (slash == path.size()) break;
    at = slash + 1;
  }
  const Route* route = descend(impl_->root, 0, search);
  if (route == nullptr) {
    if (!search.allowed.empty()) {
      match.found = Found::no_method;
      match.allow = allow_field(std::move(search.allowed));
    }
    return match;
  }
  request.params.clear();
  for (std::size_t i = 0; i < route->names.size(); ++i)
    request.params[route->names[i]] = std::move(search.values[i]);
  match.found = Found::yes;
  match.handler = &route->handler;
  match.pattern = route->pattern;
  return match;
}

std::vector<std::pair<std::string, std::string>> Router::routes() const {
  std::vector<std::pair<std::string, std::string>> all;
  for (const Route* route : impl_->routes) all.emplace_back(route->method, route->pattern);
  return all;
}

}  // namespace wrenn::http
