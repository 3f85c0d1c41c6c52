#include "cp/gateway/address.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/gateway.h"
#include "core/base/text.h"

namespace wrenn::cp::gateway {

namespace {

constexpr std::size_t kLabelBytes = 63;    // RFC 1035 §2.3.4
constexpr std::size_t kDomainBytes = 253;  // …; dots included

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
bool is_id_char(char c) noexcept {
  return is_digit(c) || (c >= 'a' && c <= 'z');
}

// In lower case, without port, brackets and the dot that makes a name absolute.
std::string host_of(const http::Request& request) {
  std::string_view field = request.headers.get("Host").value_or("");
  if (field.starts_with('[')) return to_lower(field.substr(1, field.find(']') - 1));
  field = field.substr(0, field.find(':'));
  if (field.ends_with('.')) field.remove_suffix(1);
  return to_lower(field);
}

bool is_ip_literal(std::string_view host) noexcept {
  if (host.find(':') != host.npos) return true;
  const auto parts = split(host, '.');
  return parts.size() == 4 && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
           return parse_int<std::uint8_t>(part).has_value();
         });
}

Destination refused(std::string why) {
  Destination destination;
  destination.kind = Destination::Kind::refused;
  destination.refusal = std::move(why);
  return destination;
}

// "cl-0…", "0…", either with "-" and anything behind it. Absent if it is no id of any platform.
std::optional<std::string> id_text_of(std::string_view text) {
  const std::string_view prefix = model::SandboxKind::kPrefix;
  const std::size_t start = text.starts_with(prefix) ? prefix.size() : 0;
  const auto end = std::min(text.find('-', start), text.size());
  const auto digits = text.substr(start, end - start);
  if (digits.empty() || text.size() > kLabelBytes) return std::nullopt;
  if (!std::all_of(digits.begin(), digits.end(), is_id_char)) return std::nullopt;
  return std::string(text.substr(0, end));
}

Destination guest_at(std::string_view port, std::string_view id) {
  const auto number = api::gateway::parse_port(port);
  if (!number) return refused("invalid port: a port is a number from 1 to 65535");
  const auto text = id_text_of(id);
  if (!text) return refused("invalid sandbox ID");
  Destination destination;
  destination.kind = Destination::Kind::guest;
  destination.port = *number;
  destination.sandbox_id = *text;
  const std::string_view prefix = model::SandboxKind::kPrefix;
  destination.id = model::SandboxId::parse(text->starts_with(prefix) ? *text : std::string(prefix) + *text);
  return destination;
}

// By the left-most label. Absent: it is not like a guest's.
std::optional<Destination> by_name(std::string_view label) {
  const auto dash = label.find('-');
  if (dash == 0 || dash == label.npos || !std::all_of(label.begin(), label.begin() + dash, is_digit))
    return std::nullopt;
  return guest_at(label.substr(0, dash), label.substr(dash + 1));
}

Destination by_headers(const http::Request& request) {
  const auto ids = request.headers.all(kIdHeader);
  const auto ports = request.headers.all(kPortHeader);
  if (ids.empty() && ports.empty()) return {};
  if (ids.empty()) return refused(fmt::format("missing header {}", kIdHeader));
  if (ports.empty()) return refused(fmt::format("missing header {}", kPortHeader));
  if (ids.size() > 1) return refused(fmt::format("{} is given more than once", kIdHeader));
  if (ports.size() > 1) return refused(fmt::format("{} is given more than once", kPortHeader));
  return guest_at(ports.front(), to_lower(ids.front()));
}

}  // namespace

Destination destination_of(const http::Request& request, const std::vector<std::string>& domains) {
  const std::string host = host_of(request);
  if (host.empty() || is_ip_literal(host) || host == "localhost" || host.starts_with("sandbox."))
    return by_headers(request);
  const auto dot = host.find('.');
  if (dot == host.npos) return {};
  auto destination = by_name(std::string_view(host).substr(0, dot));
  if (!destination) return {};
  if (std::find(domains.begin(), domains.end(), host.substr(dot + 1)) != domains.end())
    return std::move(*destination);
  // Of another domain: if it can only be meant for a guest, the API does not answer either.
  if (destination->kind == Destination::Kind::guest && destination->id)
    return refused(fmt::format("the domain {} is not served here", host.substr(dot + 1)));
  return {};
}

std::optional<std::string> usable_domain(std::string_view configured) {
  const auto colon = configured.find(':');
  if (colon != configured.npos && !api::gateway::parse_port(configured.substr(colon + 1)))
    return std::nullopt;
  const std::string domain = to_lower(configured.substr(0, colon));
  if (domain.empty() || domain.size() > kDomainBytes || is_ip_literal(domain)) return std::nullopt;
  for (const auto label : split(domain, '.')) {
    if (label.empty() || label.size() > kLabelBytes || label.front() == '-' || label.back() == '-')
      return std::nullopt;
    if (!std::all_of(label.begin(), label.end(), [](char c) { return is_id_char(c) || c == '-'; }))
      return std::nullopt;
  }
  return domain;
}

std::vector<std::string> usable_domains(const std::vector<std::string>& configured) {
  std::vector<std::string> domains;
  for (const auto& one : configured)
    if (auto domain = usable_domain(one)) domains.push_back(std::move(*domain));
  return domains;
}

std::string public_domain(const std::vector<std::string>& configured, std::uint16_t listen_port) {
  if (configured.empty()) return {};
  const std::string& domain = configured.front();
  const bool local = domain == "localhost" || domain.ends_with(".localhost");
  return local && listen_port != 80 ? fmt::format("{}:{}", domain, listen_port) : domain;
}

}  // namespace wrenn::cp::gateway
