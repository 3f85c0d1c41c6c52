#include "core/db/postgres_handle.h"

#include "core/base/text.h"
#include "core/db/database.h"
#include "core/db/limits.h"
#include "core/log/log.h"

namespace wrenn::db {

std::string_view trimmed_message(const char* text) noexcept {
  return trim(std::string_view(text == nullptr ? "" : text));
}

Handle open_handle(const std::string& url) {
  const std::string timeout = std::to_string(limits::kConnectTimeout.count());
  const std::string silence = std::to_string(std::chrono::milliseconds(limits::kPeerSilence).count());
  const std::string idle = std::to_string(limits::kPeerSilence.count());
  // The last word is the URL's: libpq takes the later of two values.
  const char* const keys[] = {"connect_timeout",
                              "tcp_user_timeout",
                              "keepalives_idle",
                              "application_name",
                              "client_encoding",
                              "dbname",
                              nullptr};
  const char* const values[] = {timeout.c_str(), silence.c_str(), idle.c_str(), "wrenn",
                                "UTF8",          url.c_str(),     nullptr};
  // libpq repeats a URL that it cannot read, with its password.
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parts(
      PQconninfoParse(url.c_str(), nullptr), &PQconninfoFree);
  if (!parts)
    throw_error(
        ErrorCode::invalid_argument,
        "the database's URL cannot be read: it looks like postgres://user:password@host:port/database, "
        "with options of libpq behind a question mark, and %40 for @, %2F for / and so on in a password");
  Handle handle(PQconnectdbParams(keys, values, 1));
  if (handle == nullptr) throw std::bad_alloc();
  if (PQstatus(handle.get()) != CONNECTION_OK)
    throw Failure(ErrorCode::unavailable,
                  fmt::format("database: cannot connect: {}", trimmed_message(PQerrorMessage(handle.get()))));
  PQsetNoticeProcessor(
      handle.get(),
      [](void*, const char* notice) { log::debug("database", {{"notice", trimmed_message(notice)}}); },
      nullptr);
  return handle;
}

}  // namespace wrenn::db
