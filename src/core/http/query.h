// Query strings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace wrenn::http {

// All values of a parameter, percent- and plus-decoded, in their order; malformed ones are left out.
std::vector<std::string> query_values(std::string_view query, std::string_view name);

}  // namespace wrenn::http
