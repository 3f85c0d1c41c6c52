// The first byte is the size of the pieces in which the body comes. However it is cut, the result is the
// same: the same parts and contents, or the same error.
#include "core/base/error.h"
#include "core/http/multipart.h"
#include "pieces.h"

using namespace wrenn;

namespace {

async::Task<> read_form(http::Body& body, std::size_t step, std::string& out) {
  static const std::string kType = "multipart/form-data; boundary=XyZ";
  http::Multipart form(body, kType);
  std::string buffer(step, '\0');
  while (auto part = co_await form.next()) {
    out += "part:" + part->name + ":" + part->filename.value_or("-") + ":";
    while (const auto count = co_await form.read_some(buffer)) out.append(buffer, 0, count);
    out += "|";
  }
  out += "end";
}

std::string parse(std::string_view data, std::size_t piece, std::size_t step) {
  fuzz::PieceBody body(data, piece);
  std::string out;
  try {
    fuzz::run(read_form(body, step, out));
  } catch (const Error& error) {
    // How much of an unfinished part was given out before its error was seen depends on the pieces; the error
    // must not.
    return std::string("error: ") + error.what();
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view data(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  const auto whole = parse(data, data.size() + 1, 70'000);
  fuzz::require(parse(data, 1 + bytes[0] % 32, 1 + bytes[0] / 8) == whole, "pieces do not matter");
  return 0;
}
