// POST /files/compose: several files become one.
#pragma once

#include "core/async/offload.h"
#include "core/http/reply.h"
#include "envd/defaults.h"
#include "envd/files/aligned_bytes.h"

namespace wrenn::envd::files {

// Body: api::envd::ComposeRequest. The sources, in their order, are put in the place of the destination in
// one step, and removed after that (but for the destination itself). Answers an api::envd::UploadedFile.
// Throws Error(not_found), Error(invalid_argument), Error(unauthenticated), SystemError (ENOSPC); then the
// sources are as they were.
async::Task<> compose(http::Request& request, http::Reply& reply, async::ThreadPool& threads,
                      const Defaults& defaults, PageCache cache);

}  // namespace wrenn::envd::files
