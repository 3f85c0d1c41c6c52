// Who holds a lease: a process, named so that others on the same machine can tell that it is gone.
#pragma once

#include <string>
#include <string_view>

namespace wrenn::db {

// "<boot>/<pid namespace>/<pid>/<start time>/<random>". Throws SystemError.
std::string this_holder();

// True only if the process ran on this machine since it booted, in a namespace where it could be seen, and is
// not there any more.
bool is_gone(std::string_view holder);

}  // namespace wrenn::db
