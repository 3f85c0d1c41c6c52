// The JSON of process events, written straight into the text: output is the bulk of what envd sends.
#pragma once

#include <string>

#include "api/envd.h"
#include "envd/process/output_log.h"

namespace wrenn::envd::process {

std::string start_event_json(std::uint32_t pid);
std::string data_event_json(const Piece& piece);
std::string end_event_json(const api::envd::EndEvent& end);
std::string_view keepalive_event_json() noexcept;

}  // namespace wrenn::envd::process
