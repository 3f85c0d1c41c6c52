// What the tests on real kernel objects share: needs that make a skip with its reason, and a census that must
// be the same before and after each test.
#pragma once

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace wrenn::host_test {

// Every object of the kinds we make that is visible from here, one line each, sorted: named namespaces,
// interfaces, routes and rules of our namespace, loop and mapped devices, groups below ours, mounts,
// children, open descriptors.
std::vector<std::string> take_census();

// Checks at the end of a test that it left nothing and took nothing. The kernel finishes some removals a
// little later, so it waits up to two seconds for that.
class Host {
 public:
  Host();
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

 private:
  std::vector<std::string> before_;
};

// Notes a skip for the running test and prints it.
void note_skip(const std::string& reason);

// Why root's rights are not here; empty when they are.
std::string root_problem();

}  // namespace wrenn::host_test

// Leaves the test as skipped when `problem`, a std::string, is not empty.
#define NEEDS(problem)                                           \
  do {                                                           \
    if (const std::string reason = (problem); !reason.empty()) { \
      ::wrenn::host_test::note_skip(reason);                     \
      return;                                                    \
    }                                                            \
  } while (false)
