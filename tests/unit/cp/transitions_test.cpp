#include "cp/service/transitions.h"

#include <catch2/catch.hpp>

#include "cp/service/quotas.h"
#include "model/event.h"

using namespace wrenn::cp::service;
using wrenn::model::Outcome;
using enum wrenn::model::SandboxState;
namespace event = wrenn::model::event;

TEST_CASE("what a change of a capsule's status means") {
  struct Row {
    SandboxState from, to;
    std::string_view type;
    Outcome outcome;
  };
  const Row rows[] = {
      {starting, running, event::kCapsuleCreate, Outcome::success},
      {pending, running, event::kCapsuleCreate, Outcome::success},
      {starting, paused, event::kCapsuleCreate, Outcome::success},
      {starting, error, event::kCapsuleCreate, Outcome::error},
      {pausing, paused, event::kCapsulePause, Outcome::success},
      {running, paused, event::kCapsulePause, Outcome::success},
      {missing, paused, event::kCapsulePause, Outcome::success},
      {pausing, running, event::kCapsulePause, Outcome::error},
      {pausing, error, event::kCapsulePause, Outcome::error},
      {resuming, running, event::kCapsuleResume, Outcome::success},
      {paused, running, event::kCapsuleResume, Outcome::success},
      {missing, running, event::kCapsuleResume, Outcome::success},
      {resuming, paused, event::kCapsuleResume, Outcome::error},
      {resuming, error, event::kCapsuleResume, Outcome::error},
      {stopping, stopped, event::kCapsuleDestroy, Outcome::success},
      {running, stopped, event::kCapsuleDestroy, Outcome::success},
      {missing, stopped, event::kCapsuleDestroy, Outcome::success},
      {running, error, event::kCapsuleDestroy, Outcome::error},
      {paused, error, event::kCapsuleDestroy, Outcome::error},
  };
  for (const auto& row : rows) {
    INFO(to_string(row.from) << " → " << to_string(row.to));
    CHECK(meaning(row.from, row.to) == Meaning{row.type, row.outcome});
  }
}

TEST_CASE("what stays or is on its way means nothing yet") {
  const SandboxState all[] = {pending,  starting, running, pausing, paused,
                              resuming, stopping, stopped, missing, error};
  for (const auto state : all) {
    INFO(to_string(state));
    CHECK_FALSE(meaning(state, state));
    for (const auto to : {pending, starting, pausing, resuming, stopping, missing})
      CHECK_FALSE(meaning(state, to));
  }
}

TEST_CASE("limits count what is there and what is asked for") {
  const TeamUsage one{1, 2, 512};
  CHECK_FALSE(over_limit({}, {1000, 1000, 1'000'000}, one));
  CHECK_FALSE(over_limit({3, 0, 0}, {2, 9, 9}, one));
  CHECK(over_limit({3, 0, 0}, {3, 0, 0}, one) == OverLimit::concurrent_sandboxes);
  CHECK_FALSE(over_limit({0, 4, 0}, {1, 2, 512}, one));
  CHECK(over_limit({0, 4, 0}, {1, 3, 512}, one) == OverLimit::vcpus);
  CHECK_FALSE(over_limit({0, 0, 1024}, {1, 2, 512}, one));
  CHECK(over_limit({0, 0, 1023}, {1, 2, 512}, one) == OverLimit::memory);
  CHECK(over_limit({1, 1, 1}, {5, 5, 5}, one) == OverLimit::concurrent_sandboxes);
}
