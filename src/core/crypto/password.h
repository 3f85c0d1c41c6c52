// Password hashes: scrypt for new ones, bcrypt for those of earlier installations.
//
// A hash is a text that says how it was made: "$scrypt$ln=14,r=8,p=5$SALT$HASH" (the PHC string format, both
// parts base64 without padding) or "$2b$12$…" (crypt(5)). So costs can rise without touching what is stored.
#pragma once

#include <string>
#include <string_view>

namespace wrenn::crypto {

// Every function below takes about 50 ms of a CPU and 16 MiB of memory: never on a loop thread.

// Throws Error(internal) when OpenSSL fails: out of memory.
std::string hash_password(std::string_view password);

enum class PasswordCheck {
  wrong,
  right,
  right_but_old,  // right, and hash_password() makes something stronger by now
};
// `wrong` too for a hash that is none, and for scrypt parameters whose cost is out of all proportion. Takes as
// long for a wrong password as for a right one. Throws as hash_password().
PasswordCheck check_password(std::string_view password, std::string_view hash);

// As long as check_password() of a real hash: for accounts that do not exist.
void waste_password_time(std::string_view password);

}  // namespace wrenn::crypto
