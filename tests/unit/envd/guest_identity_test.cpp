#include "envd/guest_identity.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "linux/fd.h"
#include "linux/file.h"
#include "linux/temp_dir.h"

using namespace wrenn;
using namespace wrenn::envd;

TEST_CASE("the hosts file gets one line of ours, however often", "[envd]") {
  const std::string start = "127.0.0.1 localhost\n# a comment\n10.0.0.1 db # wrenn is fast\n";
  const std::string once = hosts_with(start, "cl-1");
  CHECK(once == start + "127.0.1.1 cl-1 # wrenn\n");
  CHECK(hosts_with(once, "cl-1") == once);
  CHECK(hosts_with(once, "cl-2") == start + "127.0.1.1 cl-2 # wrenn\n");
  CHECK(hosts_with("", "a") == "127.0.1.1 a # wrenn\n");
  CHECK(hosts_with("no end of line", "a") == "no end of line\n127.0.1.1 a # wrenn\n");
}

TEST_CASE("host names", "[envd]") {
  for (const char* good : {"a", "capsule", "cl-0abc", "a.b", "A1"}) CHECK(is_host_name(good));
  for (const char* bad : {"", "-a", "a-", ".a", "a b", "a_b", "a\n", "ä"}) CHECK_FALSE(is_host_name(bad));
  CHECK(is_host_name(std::string(64, 'a')));
  CHECK_FALSE(is_host_name(std::string(65, 'a')));
}

TEST_CASE("the address of the host's events has one line", "[envd]") {
  const auto once = hosts_with_events(hosts_with("127.0.0.1 localhost\n", "cl-1"), "10.1.2.3");
  CHECK(once ==
        "127.0.0.1 localhost\n127.0.1.1 cl-1 # wrenn\n10.1.2.3 events.wrenn.local events.e2b.local # "
        "wrenn-events\n");
  CHECK(hosts_with_events(once, "10.1.2.3") == once);
  CHECK(hosts_with(once, "cl-1").find("10.1.2.3 events") != std::string::npos);
}

TEST_CASE("machine ids", "[envd]") {
  CHECK(is_machine_id("0123456789abcdef0123456789abcdef"));
  for (const char* bad : {"", "0123456789abcdef0123456789abcde", "0123456789ABCDEF0123456789abcdef",
                          "0123456789abcdef0123456789abcdeg", "0123456789abcdef0123456789abcdef0"})
    CHECK_FALSE(is_machine_id(bad));
}

TEST_CASE("a machine id is written where programs look for it, and only when it is another", "[envd]") {
  const auto root = sys::TempDir::create("/tmp/wrenn-identity-");
  const std::string etc = root.path() + "/etc/machine-id";
  const std::string dbus = root.path() + "/var/lib/dbus/machine-id";
  const std::string a(32, 'a');
  const std::string b(32, 'b');
  const auto read = [](const std::string& path) { return sys::try_read_file(path, 1000).value_or("none"); };

  CHECK_THROWS_AS(set_machine_id(root.path(), a), SystemError);  // no /etc
  sys::make_directories(root.path() + "/etc");
  CHECK(set_machine_id(root.path(), a));
  CHECK(read(etc) == a + "\n");
  CHECK(read(dbus) == "none");  // not for a machine that has no D-Bus
  CHECK_FALSE(set_machine_id(root.path(), a));

  sys::make_directories(root.path() + "/var/lib/dbus");
  sys::write_file_atomic(dbus, "something that was longer than an id, to be shortened\n", 0644);
  CHECK(set_machine_id(root.path(), b));
  CHECK(read(etc) == b + "\n");
  CHECK(read(dbus) == b + "\n");

  REQUIRE(::unlink(dbus.c_str()) == 0);
  REQUIRE(::symlink("/etc/machine-id", dbus.c_str()) == 0);  // of the image, not of this machine
  CHECK(set_machine_id(root.path(), a));
  CHECK(read(etc) == a + "\n");
}

TEST_CASE("SSH host keys are removed, and nothing else", "[envd]") {
  const auto root = sys::TempDir::create("/tmp/wrenn-identity-");
  CHECK_FALSE(remove_ssh_host_keys(root.path()));
  const std::string ssh = root.path() + "/etc/ssh/";
  sys::make_directories(ssh);
  CHECK_FALSE(remove_ssh_host_keys(root.path()));
  const auto keys = {"ssh_host_rsa_key", "ssh_host_rsa_key.pub", "ssh_host_ed25519_key"};
  const auto others = {"sshd_config", "ssh_host_notes", "moduli", "my_key"};
  for (const char* name : keys) sys::write_file_atomic(ssh + name, "x", 0600);
  for (const char* name : others) sys::write_file_atomic(ssh + name, "x", 0600);
  CHECK(remove_ssh_host_keys(root.path()));
  for (const char* name : keys) CHECK_FALSE(sys::exists(ssh + name));
  for (const char* name : others) CHECK(sys::exists(ssh + name));
  CHECK_FALSE(remove_ssh_host_keys(root.path()));
}
