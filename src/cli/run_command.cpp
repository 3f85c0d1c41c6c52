// wrenn run: a fresh capsule for one command.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <memory>

#include "cli/capsules.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/session_options.h"
#include "core/base/error.h"

namespace wrenn::cli {

namespace {

// Keeps Ctrl-C and the like from ending us between the creation of a capsule and its removal; they are looked at
// once the creation is through.
class HoldSignals {
 public:
  HoldSignals() {
    sigemptyset(&set_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set_, number);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~HoldSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  HoldSignals(const HoldSignals&) = delete;
  HoldSignals& operator=(const HoldSignals&) = delete;

  // The number of a signal that came meanwhile (taken from the queue), else 0.
  int take_pending() const {
    const timespec no_wait{};
    const int number = sigtimedwait(&set_, nullptr, &no_wait);
    return number > 0 ? number : 0;
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

int run_in_fresh_capsule(const Context& context, const CreateOptions& create, SessionOptions session, bool remove) {
  const auto endpoint = find_endpoint(context.endpoint);
  Api api(endpoint);
  int exit_code = 0;
  std::exception_ptr failure;
  {
    const HoldSignals hold;
    session.capsule_id = create_capsule(api, create).text_of("id");
    const int number = hold.take_pending();
    if (number != 0) {
      if (remove) api.remove(capsule_target(session.capsule_id));
      return 128 + number;
    }
  }
  const std::string id = session.capsule_id;
  try {
    exit_code = run_session(endpoint, std::move(session));
  } catch (...) {
    failure = std::current_exception();
  }
  if (remove) {
    const HoldSignals hold;
    api.remove(capsule_target(id));
  } else {
    std::fprintf(stderr, "wrenn: %s keeps running; `wrenn capsule rm %s` ends it\n", id.c_str(), id.c_str());
  }
  if (failure) std::rethrow_exception(failure);
  return exit_code;
}

}  // namespace

void add_run_command(CLI::App& app, Context& context) {
  struct Options {
    CreateOptions create;
    SessionFlags session;
    bool remove = false;
  };
  const auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("run", "Run a command in a fresh capsule");
  command->add_option("--template", options->create.template_name, "Template; default: the server's");
  command->add_option("--vcpus", options->create.vcpus, "Virtual CPUs")->check(CLI::PositiveNumber);
  command->add_option("--memory", options->create.memory_mb, "Memory in MiB")->check(CLI::PositiveNumber);
  command->add_option("--timeout", options->create.timeout_sec, "Pause after so many idle seconds; 0: never");
  command->add_option("--boot", options->create.boot, "auto (the quickest way) or cold")
      ->check(CLI::IsMember({"auto", "cold"}));
  command->add_flag("--rm", options->remove, "Remove the capsule when the command has ended");
  add_session_flags(*command, options->session);
  command->callback([&context, options] {
    context.action = [&context, options] {
      return run_in_fresh_capsule(context, options->create, session_options(options->session), options->remove);
    };
  });
}

}  // namespace wrenn::cli
