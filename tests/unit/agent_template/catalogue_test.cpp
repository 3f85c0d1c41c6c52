#include <unistd.h>
#include <catch2/catch.hpp>

#include <functional>

#include "agent/template/catalogue.h"
#include "core/base/error.h"
#include "linux/file.h"
#include "linux/temp_dir.h"

using namespace wrenn;
using namespace wrenn::agent::templates;

namespace {

struct Directory {
  sys::TempDir temporary = sys::TempDir::create("/tmp/wrenn-test-");
  const std::string& root() const { return temporary.path(); }
  std::string put(const std::string& path, std::string_view content) const {
    const std::string whole = root() + "/" + path;
    sys::make_directories(whole.substr(0, whole.rfind('/')));
    sys::write_file_atomic(whole, content, 0644);
    return whole;
  }
};

std::string message_of(const std::function<void()>& work, ErrorCode code) {
  try {
    work();
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  FAIL("nothing was thrown");
  return {};
}

const std::string kSystem = "images/teams/0000000000000000000000000/0000000000000000000000004/";

}  // namespace

TEST_CASE("versions compare by number") {
  struct Row {
    const char* a;
    const char* b;
    int sign;
  };
  const Row rows[] = {{"6.1", "6.1", 0},
                      {"6.1", "6.10", -1},
                      {"6.9", "6.10", -1},
                      {"6.1", "6.1.0", 0},
                      {"6.1.0.0", "6.1", 0},
                      {"6.1.1", "6.1", 1},
                      {"10", "9.9.9", 1},
                      {"6.1-rc1", "6.1-rc2", -1},
                      {"6.2-rc1", "6.1", 1},
                      {"", "1", -1},
                      {"5.10.99", "6", -1},
                      {"007", "7", 0},
                      {"99999999999999999999", "1", 1}};
  for (const Row& row : rows) {
    CAPTURE(row.a, row.b);
    const int forward = compare_versions(row.a, row.b);
    CHECK((forward > 0) - (forward < 0) == row.sign);
    const int back = compare_versions(row.b, row.a);
    CHECK((back > 0) - (back < 0) == -row.sign);
  }
}

TEST_CASE("the newest versioned kernel wins, then the plain one, then the distribution's") {
  const Directory directory;
  CHECK(message_of([&] { find_kernel(directory.root()); }, ErrorCode::failed_precondition)
            .find("rootfs/kernel.sh") != std::string::npos);
  directory.put("kernels/debian-cloud/kernel.json",
                R"({"version":"6.1.0-31","vmlinux":"vmlinux","initramfs":"initramfs"})");
  CHECK(message_of([&] { find_kernel(directory.root()); }, ErrorCode::failed_precondition).find("missing") !=
        std::string::npos);
  directory.put("kernels/debian-cloud/vmlinux", "k");
  directory.put("kernels/debian-cloud/initramfs", "i");
  Kernel kernel = find_kernel(directory.root());
  CHECK(kernel.version == "6.1.0-31");
  CHECK(kernel.path.ends_with("/debian-cloud/vmlinux"));
  CHECK(kernel.initramfs.ends_with("/debian-cloud/initramfs"));

  directory.put("kernels/vmlinux", "k");
  kernel = find_kernel(directory.root());
  CHECK(kernel.version == "vmlinux");
  CHECK(kernel.initramfs.empty());

  for (const char* version : {"6.9.1", "6.10", "6.2", "old", ""})
    directory.put(std::string("kernels/vmlinux-") + version, "k");
  CHECK(find_kernel(directory.root()).version == "6.10");
  CHECK(find_kernel(directory.root(), "6.2").version == "6.2");
  CHECK(find_kernel(directory.root(), "vmlinux").version == "vmlinux");
  CHECK(find_kernel(directory.root(), "6.1.0-31").version == "6.1.0-31");
  CHECK(find_kernel(directory.root(), "5.0").version == "6.10");  // no longer there
}

TEST_CASE("templates are found with their immutable generation") {
  const Directory directory;
  const auto id = model::TemplateId::from_number(4);
  CHECK(list_templates(directory.root()).empty());
  const std::string none =
      message_of([&] { find_template(directory.root(), model::kPlatformTeam, id); }, ErrorCode::not_found);
  CHECK(none.find("rootfs/build.sh debian") != std::string::npos);

  const std::string image = directory.put(kSystem + "rootfs-abc.ext4", std::string(8192, 'x'));
  REQUIRE(::symlink("rootfs-abc.ext4", (directory.root() + "/" + kSystem + "rootfs.ext4").c_str()) == 0);
  directory.put(
      kSystem + "template.json",
      R"({"id":4,"name":"minimal-debian","distro":"debian","generation":"abc","default_user":"root"})");
  const TemplateImage found = find_template(directory.root(), model::kPlatformTeam, id);
  CHECK(found.name == "minimal-debian");
  CHECK(found.generation == "abc");
  CHECK(found.image == image);
  CHECK(found.image_bytes == 8192);
  CHECK(found.default_user == "root");

  // A damaged one is left out of the list and explained when asked for.
  const std::string other = "images/teams/0000000000000000000000000/0000000000000000000000001/";
  directory.put(other + "rootfs.ext4", "x");
  directory.put(other + "template.json", "{");
  directory.put("images/teams/not-an-id/x/rootfs.ext4", "x");
  const auto all = list_templates(directory.root());
  REQUIRE(all.size() == 1);
  CHECK(all[0].id == id);
  message_of(
      [&] { find_template(directory.root(), model::kPlatformTeam, model::TemplateId::from_number(1)); },
      ErrorCode::data_loss);
}

TEST_CASE("an image that a record mentions is referenced") {
  const Directory directory;
  CHECK(referenced_files(directory.root(), "images").empty());
  const std::string image = directory.root() + "/" + kSystem + "rootfs-abc.ext4";
  const std::string second = directory.root() + "/" + kSystem + "rootfs-def.ext4";
  directory.put("sandboxes/cl-1/record.json",
                R"({"disk":{"image":")" + image + R"("},"other":["/etc/passwd", 1]})");
  directory.put("snapshots/cl-2/manifest.json", R"([{"image":")" + second + R"("}])");
  directory.put("snapshots/cl-3/manifest.json", R"([{"image":")" + image + R"("}])");
  CHECK(referenced_files(directory.root(), "images") == std::set<std::string>{image, second});
  // What cannot be read may mention anything: nothing must be deleted then.
  directory.put("sandboxes/cl-4/record.json", "{");
  CHECK_THROWS_AS(referenced_files(directory.root(), "images"), Error);
}
