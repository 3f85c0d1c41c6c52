// Replacing the key that encrypts secrets at rest (`wrenn admin rotate-key`).
//
//   encryption.key.new-CHECK written ─▶ everything sealed anew, in one transaction ─▶ renamed to
//   encryption.key
//
// A crash before the commit: the database says the old key, and the file is ignored. After it: the database
// says the new one, and whoever wants that key first finds its file and renames it (encryption_key.h). So do
// control planes that run meanwhile on this machine; one that cannot find the new key neither reads nor
// writes secrets.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/secret.h"
#include "cp/config.h"

namespace wrenn::cp {

struct Rotated {
  std::int64_t resealed = 0;
  std::int64_t unreadable = 0;  // did not open with the old key either; left as they were
  bool in_settings = false;     // the operator has to put the new key where the old one stands
};

// `next`: 64 hexadecimal digits; empty: a random key, unless the old one is a setting, which we cannot
// change. Blocking. Throws Error with what to do, and as EncryptionKey. After Error(unavailable) it may have
// worked: the next start finds the right key.
Rotated rotate_key(const Config& config, const Secret& next);

}  // namespace wrenn::cp
