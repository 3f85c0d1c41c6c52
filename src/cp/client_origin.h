// Where a request really comes from, when a proxy of ours stands in between.
#pragma once

#include <string>
#include <vector>

#include "core/http/message.h"

namespace wrenn::cp {

struct ClientOrigin {
  std::string address;  // of the client, without port; "unix" for a local socket
  bool https = false;   // as the client sees it
};

// X-Forwarded-For and X-Forwarded-Proto count only from peers in `trusted` (addresses, without ports), the
// first from its end backwards to the first address that is not trusted: what stands before it the client may
// have made up.
ClientOrigin client_origin(const http::Request& request, const std::vector<std::string>& trusted);

}  // namespace wrenn::cp
