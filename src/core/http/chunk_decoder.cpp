#include "core/http/characters.h"
#include "core/http/parser.h"

namespace wrenn::http {

namespace {

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Trailers are dropped, but a peer that sends nonsense there is no better than one that sends it in the head.
class TrailerReader : public FieldReader {
 public:
  TrailerReader() : FieldReader(HeadLimits{}) {}
  bool check(std::string_view line) {
    Headers dropped;
    return read_field(line, dropped);
  }
};

}  // namespace

bool ChunkDecoder::refuse(std::string_view reason) noexcept {
  refusal_ = {400, reason};
  state_ = State::refused;
  return false;
}

void ChunkDecoder::skip(std::uint64_t bytes) noexcept {
  left_ -= bytes;
  if (left_ == 0) state_ = State::data_cr;
}

void ChunkDecoder::give_back(std::uint64_t bytes) noexcept {
  if (bytes == 0) return;
  left_ += bytes;
  state_ = State::data;
}

ChunkDecoder::Step ChunkDecoder::next(std::string_view in) {
  Step step;
  while (step.consumed < in.size() && state_ != State::done && state_ != State::refused) {
    if (state_ == State::data) {
      step.data = in.substr(step.consumed, left_ < in.size() ? static_cast<std::size_t>(left_) : in.size());
      step.consumed += step.data.size();
      skip(step.data.size());
      return step;
    }
    take(in[step.consumed++]);
  }
  step.done = state_ == State::done;
  step.refused = state_ == State::refused;
  return step;
}

// One byte of what is not data: size lines, line ends, trailers.
bool ChunkDecoder::take(char c) {
  switch (state_) {
    case State::size: {
      if (++line_bytes_ > limits::kHttpChunkLineBytes) return refuse("a chunk size line is too long");
      const int digit = hex_value(c);
      if (digit >= 0) {
        // 15 digits keep the size below 2^60.
        if (++digits_ > 15) return refuse("a chunk size is too large");
        left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
        return true;
      }
      if (digits_ == 0) return refuse("a chunk size is not a number");
      if (c == '\r') {
        state_ = State::size_lf;
      } else if (c == ';') {
        state_ = State::extension;
      } else {
        return refuse("a chunk size is not a number");
      }
      return true;
    }
    case State::extension:
      if (++line_bytes_ > limits::kHttpChunkLineBytes) return refuse("a chunk size line is too long");
      if (c == '\r') {
        state_ = State::size_lf;
      } else if (!is_field_value(std::string_view(&c, 1))) {
        return refuse("a chunk extension has a control character");
      }
      return true;
    case State::size_lf:
      if (c != '\n') return refuse("a chunk size line does not end with CR LF");
      state_ = left_ == 0 ? State::trailer : State::data;
      line_bytes_ = 0;
      digits_ = 0;
      return true;
    case State::data_cr:
      if (c != '\r') return refuse("a chunk is longer than its size");
      state_ = State::data_lf;
      return true;
    case State::data_lf:
      if (c != '\n') return refuse("a chunk does not end with CR LF");
      state_ = State::size;
      return true;
    case State::trailer:
      if (++trailer_bytes_ > limits::kHttpTrailerBytes) return refuse("the trailer fields are too long");
      trailer_line_ += c;
      return c != '\n' || end_trailer_line();
    case State::data:
    case State::done:
    case State::refused:
      break;
  }
  return false;
}

bool ChunkDecoder::end_trailer_line() {
  if (!trailer_line_.ends_with("\r\n")) return refuse("a trailer field does not end with CR LF");
  trailer_line_.resize(trailer_line_.size() - 2);
  if (trailer_line_.empty()) {
    state_ = State::done;
    return true;
  }
  if (!TrailerReader().check(trailer_line_)) return refuse("a trailer field is malformed");
  trailer_line_.clear();
  return true;
}

}  // namespace wrenn::http
