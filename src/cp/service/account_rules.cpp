#include "cp/service/account_rules.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <span>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/outbound/address_policy.h"

namespace wrenn::cp::service {

static constexpr std::size_t kEmailBytes = 254;
static constexpr std::size_t kPasswordBytesMin = 8, kPasswordBytesMax = 1024;
static constexpr std::size_t kNameBytes = 100;
static constexpr std::size_t kTeamNameBytes = 128;

static bool is_control(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string admit_email(std::string_view email) {
  auto address = to_lower(trim(email));
  const auto at = address.find('@');
  const auto unfit = [](char c) { return c == ' ' || c == '<' || c == '>' || c == ',' || is_control(c); };
  if (at == std::string::npos || at == 0 || at + 1 == address.size() ||
      address.find('@', at + 1) != std::string::npos || address.size() > kEmailBytes ||
      std::any_of(address.begin(), address.end(), unfit) || !is_valid_utf8(address))
    throw_error(ErrorCode::invalid_argument, "email must be an address such as alice@example.com");
  return address;
}

void admit_password(std::string_view password, std::string_view field) {
  if (password.size() < kPasswordBytesMin || password.size() > kPasswordBytesMax)
    throw_error(ErrorCode::invalid_argument, "{} must have {} to {} characters", field, kPasswordBytesMin,
                kPasswordBytesMax);
}

static std::string admit_label(std::string_view text, std::string_view what, std::size_t least) {
  const auto trimmed = trim(text);
  if (trimmed.size() < least || trimmed.size() > kNameBytes || !is_valid_utf8(trimmed) ||
      std::any_of(trimmed.begin(), trimmed.end(), is_control))
    throw_error(ErrorCode::invalid_argument, "{} must have {} to {} bytes and no control characters", what,
                least, kNameBytes);
  return std::string(trimmed);
}

std::string admit_user_name(std::string_view name) {
  return admit_label(name, "name", 1);
}

std::string admit_key_name(std::string_view name) {
  auto label = admit_label(name, "name", 0);
  return label.empty() ? "Unnamed API Key" : label;
}

std::string admit_team_name(std::string_view name) {
  const auto trimmed = trim(name);
  const auto fits = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ' ' ||
           c == '_' || c == '-' || c == '@' || c == '\'';
  };
  if (trimmed.empty() || trimmed.size() > kTeamNameBytes ||
      !std::all_of(trimmed.begin(), trimmed.end(), fits))
    throw_error(ErrorCode::invalid_argument,
                "a team's name has 1 to {} letters, digits, spaces and the characters _ - @ '",
                kTeamNameBytes);
  return std::string(trimmed);
}

std::string network_of(std::string_view address) {
  const auto parsed = outbound::IpAddress::parse(address);
  if (!parsed) return std::string(address);
  if (parsed->is_v4()) return parsed->text();
  return fmt::format("{:02x}/64", fmt::join(std::span(parsed->bytes()).first<8>(), ""));
}

}  // namespace wrenn::cp::service
