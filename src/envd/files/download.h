// GET /files: a file, streamed.
#pragma once

#include "core/async/offload.h"
#include "core/http/reply.h"
#include "envd/defaults.h"
#include "envd/files/aligned_bytes.h"

namespace wrenn::envd::files {

// Query: path, username. Range, If-Range, If-Modified-Since. Files of unknown size (those of /proc) are read
// whole. Throws Error(not_found), Error(invalid_argument) for a directory or a device,
// Error(unauthenticated), SystemError.
async::Task<> download(http::Request& request, http::Reply& reply, async::ThreadPool& threads,
                       const Defaults& defaults, PageCache cache);

}  // namespace wrenn::envd::files
