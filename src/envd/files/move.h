// Moving a file or a directory.
#pragma once

#include <string>

#include "envd/users.h"

namespace wrenn::envd::files {

// rename(2), with the missing directories above `destination` made for `user`. Between file systems (a guest
// has its /tmp in memory) it is copied with all attributes beside the destination, put in place in one step,
// and removed at the source. Blocks. Throws Error(not_found | already_exists | invalid_argument),
// SystemError.
void move_tree(const std::string& source, const std::string& destination, const User& user);

}  // namespace wrenn::envd::files
