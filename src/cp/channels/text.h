// An event as people read it in a chat.
#pragma once

#include <string>

#include "api/event.h"

namespace wrenn::cp::channels {

// "Capsule cl-… paused", an empty line, and a line for each fact; at most limits::kMessageBytes.
std::string message_text(const api::Event& event);

}  // namespace wrenn::cp::channels
