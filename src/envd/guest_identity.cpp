#include "envd/guest_identity.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <memory>
#include <vector>

#include "core/base/error.h"
#include "core/base/text.h"
#include "envd/limits.h"
#include "linux/command.h"
#include "linux/fd.h"
#include "linux/file.h"

namespace wrenn::envd {

namespace {

constexpr std::string_view kHostsMark = "# wrenn";
constexpr std::string_view kEventsMark = "# wrenn-events";
// What the agents in guests of wrenn and of E2B look up.
constexpr std::string_view kEventsNames = "events.wrenn.local events.e2b.local";
constexpr const char* kHostsFile = "/etc/hosts";

bool is_alphanumeric(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Exactly one line that ends in `mark`, at the end.
std::string with_line(std::string_view hosts, std::string_view line_of_ours, std::string_view mark) {
  std::string out;
  while (!hosts.empty()) {
    const std::string_view line = hosts.substr(0, hosts.find('\n'));
    hosts.remove_prefix(std::min(line.size() + 1, hosts.size()));
    if (trim(line).ends_with(mark)) continue;
    out += line;
    out += '\n';
  }
  return out.append(line_of_ours).append(" ").append(mark).append("\n");
}

// Without the kernel's write-back that follows a file emptied or renamed over, and without a name of its own:
// this stands between a clone's first breath and its first answer. Never waits for a pipe that somebody has
// put there.
void overwrite(const std::string& path, std::string_view content, int flags) {
  const sys::Fd file = sys::open_file(path, O_WRONLY | O_NONBLOCK | flags, 0644);
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) throw_errno("inspect {}", path);
  if (!S_ISREG(info.st_mode)) throw_error(ErrorCode::failed_precondition, "{} is not a file", path);
  sys::write_full(file, content);
  if (static_cast<std::size_t>(info.st_size) > content.size() &&
      ::ftruncate(file.get(), static_cast<off_t>(content.size())) != 0)
    throw_errno("shorten {}", path);
}

void replace_hosts(const std::string& before, const std::string& after) {
  if (after != before) overwrite(kHostsFile, after, O_CREAT);
}

std::string read_hosts() {
  return sys::try_read_file(kHostsFile, limits::kHostsFileBytes).value_or("127.0.0.1 localhost\n");
}

constexpr std::string_view kHostKeyPrefix = "ssh_host_";

}  // namespace

bool is_host_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= limits::kHostNameBytes && is_alphanumeric(name.front()) &&
         is_alphanumeric(name.back()) && std::all_of(name.begin(), name.end(), [](char c) {
           return is_alphanumeric(c) || c == '-' || c == '.';
         });
}

std::string hosts_with(std::string_view hosts, std::string_view name) {
  return with_line(hosts, fmt::format("127.0.1.1 {}", name), kHostsMark);
}

std::string hosts_with_events(std::string_view hosts, std::string_view address) {
  return with_line(hosts, fmt::format("{} {}", address, kEventsNames), kEventsMark);
}

void set_host_name(const std::string& name) {
  if (::sethostname(name.data(), name.size()) != 0) throw_errno("set the host name to '{}'", name);
  const std::string before = read_hosts();
  replace_hosts(before, hosts_with(before, name));
}

void set_events_address(const std::string& address) {
  const std::string before = read_hosts();
  replace_hosts(before, hosts_with_events(before, address));
}

void write_marker(std::string_view name, std::string_view value) {
  struct Place {
    const char* directory;
    const char* prefix;
  };
  for (const Place& place : {Place{"/run/wrenn", "WRENN_"}, Place{"/run/e2b", "E2B_"}}) {
    const std::string path = fmt::format("{}/.{}{}", place.directory, place.prefix, name);
    try {
      overwrite(path, value, O_CREAT | O_NOFOLLOW);
    } catch (const SystemError& error) {
      if (error.code() != ErrorCode::not_found) throw;
      sys::make_directories(place.directory);
      overwrite(path, value, O_CREAT | O_NOFOLLOW);
    }
  }
}

bool is_machine_id(std::string_view id) noexcept {
  return id.size() == 32 && std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool set_machine_id(const std::string& root, const std::string& id) {
  const std::string path = root + "/etc/machine-id";
  const std::string line = id + "\n";
  if (sys::try_read_file(path, limits::kHostsFileBytes) == line) return false;
  overwrite(path, line, O_CREAT);
  try {
    // Mostly a link to the other.
    overwrite(root + "/var/lib/dbus/machine-id", line, O_NOFOLLOW);
  } catch (const SystemError& error) {
    if (error.code() != ErrorCode::not_found && error.errno_value() != ELOOP) throw;
  }
  return true;
}

bool remove_ssh_host_keys(const std::string& root) {
  const std::string directory = root + "/etc/ssh";
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  if (!stream) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    throw_errno("list {}", directory);
  }
  bool any = false;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with(kHostKeyPrefix) || (!name.ends_with("_key") && !name.ends_with("_key.pub")))
      continue;
    if (::unlinkat(::dirfd(stream.get()), entry->d_name, 0) != 0 && errno != ENOENT)
      throw_errno("remove {}/{}", directory, name);
    any = true;
  }
  return any;
}

void make_ssh_host_keys() {
  sys::SpawnOptions options;
  options.argv = {"ssh-keygen", "-A"};
  const sys::CommandResult result = sys::run_command(std::move(options), {}, limits::kHostKeysTime);
  if (!result.status.success())
    throw_error(ErrorCode::internal, "ssh-keygen: {}: {}", to_string(result.status), trim(result.error));
}

std::int64_t adjust_clock(UnixTime host_time) {
  const std::int64_t off_us = now().us - host_time.us;
  const auto tolerance =
      std::chrono::duration_cast<std::chrono::microseconds>(limits::kClockTolerance).count();
  if (std::abs(off_us) <= tolerance) return off_us;
  const timespec time{host_time.us / 1'000'000, (host_time.us % 1'000'000) * 1'000};
  if (::clock_settime(CLOCK_REALTIME, &time) != 0) throw_errno("set the clock");
  return off_us;
}

void reseed_random(std::string_view seed) {
  const sys::Fd random = sys::open_file("/dev/urandom", O_RDWR);
  // struct rand_pool_info ends in an array that C++ cannot size: two counts, then the bytes.
  const std::size_t bytes = std::min(seed.size(), limits::kEntropyBytes);
  std::vector<int> request(2 + (bytes + sizeof(int) - 1) / sizeof(int));
  request[0] = static_cast<int>(bytes * 8);
  request[1] = static_cast<int>(bytes);
  std::memcpy(&request[2], seed.data(), bytes);
  if (::ioctl(random.get(), RNDADDENTROPY, request.data()) != 0) throw_errno("add entropy");
  if (::ioctl(random.get(), RNDRESEEDCRNG) != 0) throw_errno("reseed the random number generator");
}

}  // namespace wrenn::envd
