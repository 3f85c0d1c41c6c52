// The first byte is the size of the pieces. What is read, written again, is what was there; pieces do not
// matter. The JSON of errors, from a peer that may send anything, is read as well.
#include "core/base/error.h"
#include "core/http/connect_rpc.h"
#include "pieces.h"

using namespace wrenn;

namespace {

constexpr std::size_t kFrameBytes = 4096;

async::Task<> read_stream(http::Body& body, std::string& out) {
  http::EnvelopeReader reader(body, kFrameBytes);
  while (const auto envelope = co_await reader.next()) {
    fuzz::require(envelope->message.size() <= kFrameBytes, "messages keep the limit");
    out += http::connect_envelope(envelope->message, envelope->end ? 2 : 0);
  }
}

std::string read_again(std::string_view data, std::size_t piece, std::string& error) {
  fuzz::PieceBody body(data, piece);
  std::string out;
  try {
    fuzz::run(read_stream(body, out));
  } catch (const Error& failed) {
    error = failed.what();
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view data(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  std::string error, error_in_pieces;
  const auto whole = read_again(data, data.size() + 1, error);
  fuzz::require(data.starts_with(whole), "envelopes are read as they are");
  fuzz::require(!error.empty() || whole.size() == data.size(), "nothing is left out");
  fuzz::require(read_again(data, 1 + bytes[0] % 16, error_in_pieces) == whole, "pieces do not matter");
  fuzz::require(error == error_in_pieces, "pieces do not matter to errors");
  const auto told = http::connect_error_of("call", 500, data);
  fuzz::require(std::string_view(told.what()).size() < 20'000, "messages of a peer are cut");
  if (const auto end = http::connect_end_error(data))
    fuzz::require(std::string_view(end->what()).size() < 20'000, "messages of a peer are cut");
  return 0;
}
