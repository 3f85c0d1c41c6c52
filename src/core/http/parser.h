// The HTTP/1.1 parser: pure, incremental, no I/O. It serves the server (requests) and the client (answers),
// and both treat the peer as hostile; so it is strict, and one reading of a message is the only one it
// admits:
//
//   Transfer-Encoding with Content-Length, any other coding than "chunked", repeated or non-digit lengths, a
//   line end other than CRLF, a bare CR, folded fields, space before the colon, control characters, an empty
//   name, no or more than one Host in a 1.1 request: refused, and the connection must be closed (RFC 9112
//   §2.2, §5, §6).
//
// A head parser is given all bytes of the head received so far, from its first byte, again and again as they
// grow. It remembers where it stopped, so each byte is looked at once however they trickle in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/limits.h"
#include "core/http/headers.h"
#include "core/http/message.h"

namespace wrenn::http {

// Why a message is not accepted, and the status that says so. Only requests are answered; for a client the
// status does not matter.
struct Refusal {
  int status = 400;
  std::string_view reason;  // a sentence without its full stop; static text
};

// How the end of a body is found (RFC 9112 §6.3).
struct Framing {
  enum class Kind { none, sized, chunked, until_close };
  Kind kind = Kind::none;
  std::uint64_t length = 0;  // of sized
  bool operator==(const Framing&) const = default;
};

// Smaller in tests only.
struct HeadLimits {
  std::size_t head_bytes = limits::kHttpHeadBytes;
  std::size_t header_count = limits::kHttpHeaderCount;
  std::size_t target_bytes = limits::kHttpTargetBytes;
};

// Splits a head into lines and fields; what requests, answers and trailers have in common.
class FieldReader {
 public:
  enum class Result { more, done, refused };
  const Refusal& refusal() const noexcept { return refusal_; }  // of Result::refused
  std::size_t size() const noexcept { return at_; }  // bytes of the head up to and with the empty line

 protected:
  explicit FieldReader(HeadLimits head_limits) noexcept : limits_(head_limits) {}
  ~FieldReader() = default;

  // The next line without its CRLF; data() is null when it is not complete yet or refused.
  std::string_view next_line(std::string_view bytes, bool& refused);
  // Adds one field; false when refused.
  bool read_field(std::string_view line, Headers& headers);
  // Framing and connection fields of a complete head; false when refused.
  bool check_fields(int minor_version);
  Result refuse(int status, std::string_view reason) noexcept;
  void restart() noexcept;

  HeadLimits limits_;
  Refusal refusal_;
  std::size_t at_ = 0;       // start of the line that is not complete yet
  std::size_t scanned_ = 0;  // no line feed before this

  // What the fields say, noted as they pass.
  std::size_t fields_ = 0;
  int hosts_ = 0;
  int lengths_ = 0;
  int codings_ = 0;
  bool chunked_ = false;
  bool close_ = false;
  bool keep_alive_token_ = false;
  bool expects_continue_ = false;
  bool expects_other_ = false;
  std::uint64_t length_ = 0;
};

class RequestParser : public FieldReader {
 public:
  explicit RequestParser(HeadLimits head_limits = {}) noexcept : FieldReader(head_limits) {}

  // Fills method, target, path, query, minor_version and headers of `request`; give it the same one until
  // done.
  Result parse(std::string_view bytes, Request& request);
  void reset() noexcept;

  // Of a head that is done.
  const Framing& framing() const noexcept { return framing_; }
  bool keep_alive() const noexcept { return keep_alive_; }
  bool expects_continue() const noexcept { return expects_continue_; }
  // True once a byte of the request line has been seen: an end of stream is then a broken request.
  bool begun() const noexcept { return begun_; }

 private:
  bool read_request_line(std::string_view line, Request& request);
  bool read_target(std::string_view target, Request& request);

  bool begun_ = false;
  bool have_line_ = false;
  bool skipped_empty_line_ = false;
  std::string authority_;  // of an absolute-form target; it replaces Host (RFC 9112 §3.2.2)
  bool keep_alive_ = false;
  Framing framing_;
};

struct ResponseHead {
  int status = 0;
  int minor_version = 1;
  std::string reason;
  Headers headers;
};

class ResponseParser : public FieldReader {
 public:
  explicit ResponseParser(HeadLimits head_limits = {}) noexcept : FieldReader(head_limits) {}

  Result parse(std::string_view bytes, ResponseHead& head);
  void reset() noexcept;

  // Of a head that is done. `request_method` matters: an answer to HEAD has no body.
  Framing framing(std::string_view request_method, int status) const noexcept;
  bool keep_alive() const noexcept { return keep_alive_; }

 private:
  bool read_status_line(std::string_view line, ResponseHead& head);
  bool have_line_ = false;
  bool keep_alive_ = false;
};

// Takes the chunked coding off (RFC 9112 §7.1). Extensions are skipped, trailer fields checked and dropped.
class ChunkDecoder {
 public:
  struct Step {
    std::size_t consumed = 0;  // bytes taken from the input
    std::string_view data;     // the part of them that is body; points into the input
    bool done = false;         // the last chunk and the trailers have been read
    bool refused = false;      // see refusal(); nothing more may be read
  };
  // One piece: repeat until `consumed` is 0 (more input is needed), done or refused.
  Step next(std::string_view in);
  const Refusal& refusal() const noexcept { return refusal_; }
  // Bytes of the current chunk that are still to come; they may be read past the decoder and reported by
  // skip().
  std::uint64_t chunk_left() const noexcept { return state_ == State::data ? left_ : 0; }
  void skip(std::uint64_t bytes) noexcept;
  // The caller had no room for the last `bytes` of the data of the step before: they will be put in again.
  void give_back(std::uint64_t bytes) noexcept;
  void reset() noexcept { *this = ChunkDecoder(); }

 private:
  enum class State { size, extension, size_lf, data, data_cr, data_lf, trailer, done, refused };
  bool take(char c);
  bool refuse(std::string_view reason) noexcept;
  bool end_trailer_line();

  State state_ = State::size;
  Refusal refusal_;
  std::uint64_t left_ = 0;
  int digits_ = 0;
  std::size_t line_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
  std::string trailer_line_;
};

}  // namespace wrenn::http
