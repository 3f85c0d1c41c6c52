// gzip (RFC 1952), piece by piece: input and output are the caller's buffers, so memory does not depend on
// how much a stream expands to.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace wrenn::compress {

// What one step used of its input and put into its output.
struct Progress {
  std::size_t consumed = 0;
  std::size_t produced = 0;
};

// About 40 KiB. One stream; members that follow each other are one content (RFC 1952 §2.2).
class GzipReader {
 public:
  GzipReader();  // throws std::bad_alloc
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  // Goes on until `input` is used up or `output` is full. Throws Error(invalid_argument) for what is no gzip,
  // a wrong checksum or a wrong length; it must not be used after that.
  Progress step(std::span<const char> input, std::span<char> output);
  // True between members: the only place where a whole stream may end.
  bool at_end() const noexcept { return at_end_; }

 private:
  struct State;
  std::unique_ptr<State> state_;
  bool at_end_ = false;
};

// About 256 KiB. At the fastest level: a transfer should cost time of the network, not of the machine. What
// proves to be incompressible is stored as it is, with another try from time to time: 16 MB/s become hundreds
// [measured].
class GzipWriter {
 public:
  GzipWriter();  // throws std::bad_alloc
  ~GzipWriter();
  GzipWriter(const GzipWriter&) = delete;
  GzipWriter& operator=(const GzipWriter&) = delete;

  // Goes on until `input` is used up or `output` is full.
  Progress step(std::span<const char> input, std::span<char> output);
  // After all input: writes what is left; repeat until ended(). Returns the bytes produced.
  std::size_t finish(std::span<char> output);
  bool ended() const noexcept { return ended_; }

 private:
  bool turn(std::span<char> output, Progress& progress);

  struct State;
  std::unique_ptr<State> state_;
  bool packing_ = true;
  std::size_t window_left_;     // input until we look whether packing is worth it
  std::size_t window_out_ = 0;  // output of the window so far
  bool ended_ = false;
};

}  // namespace wrenn::compress
