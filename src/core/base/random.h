// Random bytes from the kernel (getrandom); good for ids, tokens and keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace wrenn {

// Throws SystemError (never seen once the kernel's pool is ready).
void fill_random(std::span<std::uint8_t> out);
// 2·bytes lower-case hex digits.
std::string random_hex(std::size_t bytes);

}  // namespace wrenn
