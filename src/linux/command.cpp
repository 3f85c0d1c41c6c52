#include "linux/command.h"

#include <signal.h>
#include <unistd.h>

#include "core/base/error.h"

namespace wrenn::sys {

namespace {

std::string content(FdView file, std::size_t max_bytes) {
  if (::lseek(file.get(), 0, SEEK_SET) < 0) throw_errno("rewind the output of a command");
  return read_up_to(file, max_bytes);
}

}  // namespace

CommandResult run_command(SpawnOptions options, std::string_view input, std::chrono::milliseconds timeout,
                          std::size_t max_output_bytes) {
  // Files in memory instead of pipes: nobody can block on a full one, so there is nothing to pump while
  // waiting.
  const Fd in = make_memfd("stdin");
  const Fd out = make_memfd("stdout");
  const Fd err = make_memfd("stderr");
  write_full(in, input);
  if (::lseek(in.get(), 0, SEEK_SET) < 0) throw_errno("rewind the input of a command");
  options.stdin_fd = in;
  options.stdout_fd = out;
  options.stderr_fd = err;
  options.new_session = true;

  Process process = Process::spawn(options);
  const auto status = process.wait(timeout);
  if (!status) {
    process.signal_group(SIGKILL);
    process.wait(std::chrono::seconds(1));  // reaps; a process stuck in the kernel is left behind
    throw_error(ErrorCode::deadline_exceeded, "{} did not end in {} ms and was killed", options.argv.front(),
                timeout.count());
  }
  return {*status, content(out, max_output_bytes), content(err, max_output_bytes)};
}

}  // namespace wrenn::sys
