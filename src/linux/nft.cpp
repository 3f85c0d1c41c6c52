#include "linux/nft.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "linux/command.h"
#include "linux/kernel_limits.h"

namespace wrenn::sys {

namespace {

std::string run_nft(std::vector<std::string> arguments, std::string_view input, FdView netns,
                    const char* what) {
  SpawnOptions options;
  options.argv = std::move(arguments);
  options.netns = netns;
  const CommandResult result =
      run_command(std::move(options), input, limits::kNftTimeout, limits::kNftListBytes);
  if (result.status.success()) return result.output;
  std::string_view complaint = trim(result.error);
  throw_error(ErrorCode::failed_precondition, "{}: nft: {}: {}", what, to_string(result.status),
              complaint.substr(0, limits::kNftErrorBytes));
}

}  // namespace

void apply_nft(std::string_view ruleset, FdView netns) {
  run_nft({"nft", "-f", "-"}, ruleset, netns, "apply packet filter rules");
}

void delete_nft_table(std::string_view family, std::string_view table, FdView netns) {
  // Adding what exists is no error, so the deletion after it always finds the table.
  apply_nft(fmt::format("add table {0} {1}\ndelete table {0} {1}\n", family, table), netns);
}

std::string list_nft(FdView netns) {
  return run_nft({"nft", "list", "ruleset"}, {}, netns, "list packet filter rules");
}

std::string nft_problem(FdView netns) {
  try {
    list_nft(netns);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace wrenn::sys
