// POST /files: files, streamed to disk.
#pragma once

#include "core/async/offload.h"
#include "core/http/reply.h"
#include "envd/auth.h"
#include "envd/defaults.h"
#include "envd/files/aligned_bytes.h"

namespace wrenn::envd::files {

// application/octet-stream with a `path` in the query, or multipart/form-data: each part named "file" goes to
// `path`, or else to its file name; other parts are skipped. All files are put in place when the whole body
// has arrived, none if it breaks off. With Content-Encoding: gzip the body, or each part of a form, is
// packed. X-Metadata-… fields are kept with every file (metadata.h). Who may: access.h. Answers
// [{"path","name","type":"file","metadata"?}]. Throws Error(invalid_argument), Error(unauthenticated),
// SystemError (ENOSPC), and what the body throws when it is cut.
async::Task<> upload(http::Request& request, http::Reply& reply, async::ThreadPool& threads,
                     const AccessToken& token, const Defaults& defaults, PageCache cache);

}  // namespace wrenn::envd::files
