// What a host needs in order to run capsules, examined one by one, each finding with its remedy. `wrenn
// doctor` prints them; the agent logs those that are not fine when it starts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace wrenn::agent {

struct HostCheck {
  enum class Verdict { fine, warning, failure };  // failure: no capsule can run
  std::string name;                               // "kvm", "kernel", …: stable, for programs
  Verdict verdict = Verdict::fine;
  std::string finding;  // what was found
  std::string remedy;   // what to do; empty when fine
};

std::string_view to_string(HostCheck::Verdict verdict) noexcept;  // "ok", "warning", "failure"

// Blocks, up to some seconds when the acceleration has to be probed. Changes nothing on the host but the
// remembered probe in `directory` (if that exists). Never throws for what is missing: that is a finding.
std::vector<HostCheck> examine_host(const std::string& directory);

}  // namespace wrenn::agent
