// nftables through nft(8): a rule set is applied as one transaction, all or nothing.
#pragma once

#include <string>
#include <string_view>

#include "linux/fd.h"

namespace wrenn::sys {

// Feeds `ruleset` to `nft -f -` in `netns` (ours when unset). Blocks some milliseconds. Throws
// Error(failed_precondition) with nft's complaint when it refuses, SystemError when nft is not installed,
// Error(deadline_exceeded).
void apply_nft(std::string_view ruleset, FdView netns = {});
// Deletes a table ("inet", "wrenn"); not an error when there is none. Throws as apply_nft().
void delete_nft_table(std::string_view family, std::string_view table, FdView netns = {});
// The whole rule set as nft prints it; empty when there is none. Throws as apply_nft().
std::string list_nft(FdView netns = {});
// Whether this user can read the rule set here: nft is installed, the kernel has nf_tables, and we may.
// Otherwise the reason; empty when all is well.
std::string nft_problem(FdView netns = {});

}  // namespace wrenn::sys
