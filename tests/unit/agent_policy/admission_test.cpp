#include "agent/sandbox/admission.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <deque>
#include <functional>
#include <optional>
#include <random>

using namespace wrenn::agent::sandbox;
using enum wrenn::model::SandboxState;

namespace {

constexpr SandboxState kStates[] = {pending,  starting, running, pausing, paused,
                                    resuming, stopping, stopped, missing, error};

Verdict verdict(SandboxState state, Command command) {
  return admit(state, std::nullopt, command).verdict;
}

}  // namespace

TEST_CASE("the table of admission", "[admission]") {
  struct Row {
    SandboxState state;
    Admission answers[std::size(kCommands)];  // in their order
  };
  constexpr Admission accept{Verdict::accept}, merge{Verdict::merge}, done{Verdict::done},
      wait{Verdict::wait}, ignore{Verdict::ignore}, exists{Verdict::refuse, Refusal::exists},
      failed{Verdict::refuse, Refusal::failed}, going{Verdict::refuse, Refusal::being_destroyed};
  //                    create  pause   resume  destroy freeze rollback vmm_exited merged ttl_due
  const Row rows[] = {
      {starting, {merge, wait, wait, accept, wait, wait, ignore, ignore, ignore}},
      {running, {done, accept, done, accept, accept, accept, accept, accept, accept}},
      {pausing, {exists, merge, wait, accept, wait, wait, wait, ignore, ignore}},
      {paused, {exists, done, accept, accept, accept, accept, ignore, ignore, ignore}},
      {resuming, {exists, wait, merge, accept, wait, wait, ignore, ignore, ignore}},
      {stopping, {going, going, going, merge, going, going, ignore, ignore, ignore}},
      {error, {exists, failed, failed, accept, failed, accept, ignore, ignore, ignore}},
      {stopped, {exists, failed, failed, accept, failed, accept, ignore, ignore, ignore}},
  };
  for (const Row& row : rows)
    for (std::size_t i = 0; i < std::size(kCommands); ++i) {
      INFO(to_string(row.state) << " + " << to_string(kCommands[i]));
      CHECK(admit(row.state, std::nullopt, kCommands[i]) == row.answers[i]);
    }
}

TEST_CASE("rules that hold for every state", "[admission]") {
  for (const SandboxState state : kStates) {
    INFO(to_string(state));
    // Destroy is possible from anywhere, and the only thing that interrupts an operation.
    const Verdict destroy = verdict(state, Command::destroy);
    CHECK((destroy == Verdict::accept || destroy == Verdict::merge));
    for (const Command command : kCommands) {
      INFO(to_string(command));
      const Admission admission = admit(state, std::nullopt, command);
      CHECK((admission.verdict == Verdict::refuse) == (admission.refusal != Refusal::none));
      if (is_transient(state) && admission.verdict == Verdict::accept && state != pending)
        CHECK(command == Command::destroy);
      // Waiting without an operation under way would be for ever.
      if (admission.verdict == Verdict::wait || admission.verdict == Verdict::merge)
        CHECK(is_transient(state));
      // Nobody awaits an answer to what the agent tells itself, everybody else does.
      const bool own =
          command == Command::vmm_exited || command == Command::merged || command == Command::ttl_due;
      if (admission.verdict == Verdict::ignore) CHECK(own);
      if (own) CHECK(admission.verdict != Verdict::refuse);
    }
  }
}

TEST_CASE("what comes into an operation that keeps the state waits for its end", "[admission]") {
  for (const Command operation : {Command::freeze, Command::merged}) {
    REQUIRE(keeps_state(operation));
    for (const SandboxState state : {running, paused})
      for (const Command command : kCommands) {
        INFO(to_string(state) << " + " << to_string(command) << " in " << to_string(operation));
        const Verdict expected = command == Command::destroy   ? Verdict::accept
                                 : command == Command::ttl_due ? Verdict::ignore
                                                               : Verdict::wait;
        CHECK(admit(state, operation, command).verdict == expected);
      }
  }
}

TEST_CASE("only a destroy begins before the operation under way has ended", "[admission]") {
  for (const SandboxState state : kStates)
    for (const Command operation : kCommands)
      for (const Command command : kCommands) {
        INFO(to_string(state) << " + " << to_string(command) << " in " << to_string(operation));
        if (admit(state, operation, command).verdict == Verdict::accept) CHECK(command == Command::destroy);
      }
  // What has failed is still being freed.
  CHECK(admit(error, Command::vmm_exited, Command::rollback).verdict == Verdict::wait);
}

// A model of the driver: random commands and random ends of operations. Whatever the order, every command
// gets exactly one answer, at most one operation runs, nothing changes the state but the operation, and the
// end is reachable.
TEST_CASE("random sequences of commands all come to an end", "[admission][property]") {
  const char* given = std::getenv("WRENN_TEST_SEED");
  const unsigned long seed = given ? std::strtoul(given, nullptr, 10) : std::random_device{}();
  INFO("WRENN_TEST_SEED=" << seed);
  std::mt19937 random(static_cast<std::mt19937::result_type>(seed));
  const auto one_in = [&random](unsigned n) { return random() % n == 0; };

  for (int round = 0; round < 500; ++round) {
    std::optional<Command> operation = Command::create;
    SandboxState before = pending, state = starting;
    int asked = 1, answered = 0, waiters = 1;
    bool gone = false;
    std::deque<Command> waiting;

    const auto begin = [&](Command command, int count) {
      before = state;
      operation = command;
      waiters = count;
      state = command == Command::pause || command == Command::ttl_due     ? pausing
              : command == Command::resume || command == Command::rollback ? resuming
              : keeps_state(command)                                       ? state
              : command == Command::vmm_exited ? error  // frees what is left of it
                                               : stopping;
    };
    std::function<void(Command)> give;
    const auto end = [&](bool success) {
      const Command ended = *operation;
      operation.reset();
      answered += waiters;
      waiters = 0;
      switch (ended) {
        case Command::create:
          success ? void(state = running) : void(gone = true);
          break;
        case Command::pause:
        case Command::ttl_due:
          state = success ? paused : running;
          break;
        case Command::resume:
        case Command::rollback:  // a failed one is paused at the checkpoint
          state = success ? running : paused;
          break;
        case Command::freeze:
        case Command::merged:
          state = before;
          break;
        case Command::destroy:
          success ? void(gone = true) : void(state = error);
          break;
        case Command::vmm_exited:
          state = error;
          break;
      }
      auto again = std::move(waiting);
      waiting.clear();
      for (const Command command : again) gone ? void(++answered) : give(command);
    };
    give = [&](Command command) {
      const Admission admission = admit(state, operation, command);
      switch (admission.verdict) {
        case Verdict::accept:
          if (operation) {
            REQUIRE(command == Command::destroy);
            answered += waiters;  // with "cancelled"
          }
          begin(command, 1);
          break;
        case Verdict::merge:
          REQUIRE(operation.has_value());
          // A rollback leads where a resume does.
          REQUIRE((*operation == command || *operation == Command::ttl_due ||
                   (*operation == Command::rollback && command == Command::resume)));
          ++waiters;
          break;
        case Verdict::done:
          REQUIRE(state == (command == Command::pause ? paused : running));
          ++answered;
          break;
        case Verdict::wait:
          REQUIRE(operation.has_value());
          if (!is_transient(state) && !keeps_state(*operation))  // of what has just failed
            REQUIRE((*operation == Command::vmm_exited && command == Command::rollback));
          waiting.push_back(command);
          break;
        case Verdict::ignore:
        case Verdict::refuse:
          ++answered;
          break;
      }
    };

    for (int step = 0; step < 60 && !gone; ++step) {
      if (operation && one_in(3)) {
        end(!one_in(4));
      } else {
        ++asked;
        give(kCommands[random() % std::size(kCommands)]);
      }
      if (gone) break;
      if (is_transient(state)) REQUIRE(operation.has_value());
      if (operation && !keeps_state(*operation)) REQUIRE((is_transient(state) || state == error));
    }
    while (!gone) {
      if (operation) {
        end(true);
      } else {
        ++asked;
        give(Command::destroy);
      }
    }
    CHECK(waiting.empty());
    CHECK(asked == answered);
  }
}
