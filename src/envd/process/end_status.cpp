#include "envd/process/end_status.h"

#include <fmt/format.h>

#include <csignal>
#include <string>
#include <string_view>

namespace wrenn::envd::process {

namespace {

std::string signal_text(int number) {
  switch (number) {
    case SIGHUP:
      return "hangup";
    case SIGINT:
      return "interrupt";
    case SIGQUIT:
      return "quit";
    case SIGILL:
      return "illegal instruction";
    case SIGTRAP:
      return "trace/breakpoint trap";
    case SIGABRT:
      return "aborted";
    case SIGBUS:
      return "bus error";
    case SIGFPE:
      return "floating point exception";
    case SIGKILL:
      return "killed";
    case SIGUSR1:
      return "user defined signal 1";
    case SIGSEGV:
      return "segmentation fault";
    case SIGUSR2:
      return "user defined signal 2";
    case SIGPIPE:
      return "broken pipe";
    case SIGALRM:
      return "alarm clock";
    case SIGTERM:
      return "terminated";
    default:
      return fmt::format("signal {}", number);
  }
}

}  // namespace

api::envd::EndEvent end_event(const sys::ExitStatus& status) {
  api::envd::EndEvent end;
  if (!status.known) {
    end.exit_code = -1;
    end.status = "unknown";
    end.error = "the exit status was taken by somebody else";
  } else if (status.signal != 0) {
    end.exit_code = -1;
    end.status =
        fmt::format("signal: {}{}", signal_text(status.signal), status.core_dumped ? " (core dumped)" : "");
    end.error = end.status;
  } else {
    end.exit_code = status.code;
    end.exited = true;
    end.status = fmt::format("exit status {}", status.code);
    if (status.code != 0) end.error = end.status;
  }
  return end;
}

}  // namespace wrenn::envd::process
