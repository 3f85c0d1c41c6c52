// What a channel may look like. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cp/channels/providers.h"

namespace wrenn::cp::service {

// All throw Error(invalid_argument) that says what is wrong.

// Trimmed, lower case, spaces as hyphens; a SafeName.
std::string admit_channel_name(std::string_view name);
// At least one, each once; names of earlier versions become today's.
std::vector<std::string> admit_event_types(const std::vector<std::string>& types);
const channels::Provider& admit_provider(std::string_view name);
void admit_channel_config(const channels::Provider& provider, const channels::Config& config);

}  // namespace wrenn::cp::service
