// GET /files: a file, streamed.
#pragma once

#include "core/async/offload.h"
#include "core/http/reply.h"
#include "envd/auth.h"
#include "envd/defaults.h"
#include "envd/files/aligned_bytes.h"

namespace wrenn::envd::files {

// Query: path, username, and of a signed URL signature and signature_expiration (access.h). Range, If-Range,
// If-Modified-Since; without these, gzip where Accept-Encoding takes it. Files of unknown size (those of
// /proc) are read whole. Throws Error(not_found), Error(invalid_argument) for a directory or a device,
// Error(unauthenticated), SystemError.
async::Task<> download(http::Request& request, http::Reply& reply, async::ThreadPool& threads,
                       const AccessToken& token, const Defaults& defaults, PageCache cache);

}  // namespace wrenn::envd::files
