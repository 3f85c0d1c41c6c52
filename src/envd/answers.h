// Answers of the plain endpoints: {"code":<HTTP status>,"message":…} for errors.
#pragma once

#include <exception>
#include <string_view>

#include "core/http/message.h"

namespace wrenn::envd {

http::Response plain_error(int status, std::string_view message);
// The status that a failure has on a plain endpoint; a full disk is 507.
http::Response plain_error(std::exception_ptr failure);
int plain_status(std::exception_ptr failure) noexcept;

}  // namespace wrenn::envd
