#include "envd/files/pending_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <new>
#include <sstream>

#include "core/base/scope_guard.h"
#include "envd/limits.h"

namespace {

using namespace wrenn::envd;
using files::PageCache;
using files::PendingFile;

struct Folder {
  std::string path;
  // On disk where there is one: the temporary directory may be a tmpfs, which has no direct writes.
  explicit Folder(std::string template_path) : path(std::move(template_path)) {
    REQUIRE(::mkdtemp(path.data()) != nullptr);
  }
  ~Folder() {
    ::unlink((path + "/file").c_str());
    ::rmdir(path.c_str());
  }
};

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

User ourselves() { return {.name = "x", .uid = ::getuid(), .gid = ::getgid(), .home = "/"}; }

}  // namespace

TEST_CASE("a file that avoids the page cache has every byte of its pieces, whole, short and unaligned") {
  for (const char* place : {"/var/tmp/wrenn-pending-XXXXXX", "/dev/shm/wrenn-pending-XXXXXX"}) {
    CAPTURE(place);
    const Folder folder(place);
    constexpr std::align_val_t kAlignment{limits::kDirectAlignBytes};
    auto* const piece = static_cast<char*>(operator new[](limits::kTransferBytes + 512, kAlignment));
    wrenn::ScopeGuard free_piece([piece] { operator delete[](piece, kAlignment); });
    std::string expected;
    PendingFile file(folder.path + "/file", ourselves(), std::nullopt, PageCache::avoid);
    const struct {
      std::size_t offset, size;
    } appended[] = {{0, limits::kTransferBytes}, {0, limits::kTransferBytes}, {0, 777},
                    {1, limits::kTransferBytes}, {0, limits::kTransferBytes}, {0, 1}};
    unsigned seed = 1;
    for (const auto& [offset, size] : appended) {
      for (std::size_t i = 0; i < size; ++i) piece[offset + i] = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
      file.append({piece + offset, size});
      expected.append(piece + offset, size);
    }
    file.seal();
    CHECK(::access((folder.path + "/file").c_str(), F_OK) != 0);  // not before commit()
    file.commit();
    CHECK(content(folder.path + "/file") == expected);
  }
}
