// Kernel settings below /proc/sys. Those of net.* belong to the namespace of the calling thread: set them
// inside run_in_netns().
#pragma once

#include <string>
#include <string_view>

namespace wrenn::sys {

// `name` is "net.ipv4.ip_forward"; a "/" in it stands for a dot that is part of a name
// ("net.ipv4.conf.eth0/1.rp_filter"). Throws SystemError.
void write_sysctl(std::string_view name, std::string_view value);
std::string read_sysctl(std::string_view name);  // without the newline

}  // namespace wrenn::sys
