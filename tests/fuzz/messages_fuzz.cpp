// JSON bodies, of envd's callers and of guests that answer: the first byte chooses the message. What was read
// is written, and reading that gives the same again.
#include "api/envd.h"
#include "core/base/error.h"
#include "core/json/fields.h"
#include "pieces.h"

using namespace wrenn;
namespace wire = api::envd;

namespace {

template <typename Message>
void read(std::string_view text) {
  try {
    (void)json::from_json<Message>(text);
  } catch (const Error& refused) {
    fuzz::require(std::string_view(refused.what()).size() < 20'000, "what is said of a message is short");
  }
}

template <typename Message>
void read_and_write(std::string_view text) {
  std::string first;
  try {
    first = json::to_json(json::from_json<Message>(text));
  } catch (const Error& refused) {
    fuzz::require(std::string_view(refused.what()).size() < 20'000, "what is said of a message is short");
    return;
  }
  fuzz::require(json::to_json(json::from_json<Message>(first)) == first,
                "a written message is read as it was");
}

constexpr void (*kReaders[])(std::string_view) = {
    read_and_write<wire::StartRequest>,   read_and_write<wire::ConnectRequest>,
    read_and_write<wire::UpdateRequest>,  read_and_write<wire::SendInputRequest>,
    read<wire::SendSignalRequest>,        read_and_write<wire::CloseStdinRequest>,
    read_and_write<wire::PathRequest>,    read_and_write<wire::MoveRequest>,
    read_and_write<wire::ListDirRequest>, read_and_write<wire::WatchRequest>,
    read_and_write<wire::ComposeRequest>, read_and_write<wire::InitRequest>,
    read<wire::StreamInputMessage>,       read_and_write<wire::ProcessEventMessage>,
    read_and_write<wire::ListResponse>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, std::size_t size) {
  if (size == 0) return 0;
  kReaders[bytes[0] % std::size(kReaders)]({reinterpret_cast<const char*>(bytes) + 1, size - 1});
  return 0;
}
