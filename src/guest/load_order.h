// The list of modules in an initramfs, shared by the program that writes it and the one that reads it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace wrenn::guest {

inline constexpr std::string_view kModulesDirectory = "modules";  // in the archive's root
inline constexpr std::string_view kLoadOrderFile =
    "load-order";  // in that directory, and in the input directory

// One plain file name a line, dependencies first; empty lines and lines starting with # do not count.
// Throws Error(invalid_argument) on a name with a slash.
std::vector<std::string> parse_load_order(std::string_view text);

}  // namespace wrenn::guest
