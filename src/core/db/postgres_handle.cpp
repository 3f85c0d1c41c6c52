#include "core/db/postgres_handle.h"

#include <vector>

#include "core/base/text.h"
#include "core/db/database.h"
#include "core/db/limits.h"
#include "core/log/log.h"

namespace wrenn::db {

std::string_view trimmed_message(const char* text) noexcept {
  return trim(std::string_view(text == nullptr ? "" : text));
}

std::map<std::string, std::string> connection_parameters() {
  // While a connection waits for an answer, or for words (LISTEN), the kernel asks whether its peer is there.
  // How often it asks in vain does not count: tcp_user_timeout ends the connection, but only when the next
  // question is due.
  static_assert(limits::kPeerProbe < limits::kPeerSilence);
  return {{"connect_timeout", std::to_string(limits::kConnectTimeout.count())},
          {"tcp_user_timeout", std::to_string(std::chrono::milliseconds(limits::kPeerSilence).count())},
          {"keepalives_idle", std::to_string((limits::kPeerSilence - limits::kPeerProbe).count())},
          {"keepalives_interval", std::to_string(limits::kPeerProbe.count())},
          {"application_name", "wrenn"},
          {"client_encoding", "UTF8"}};
}

Handle open_handle(const std::string& url) {
  const auto parameters = connection_parameters();
  std::vector<const char*> keys, values;
  for (const auto& [key, value] : parameters) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  // Last: libpq takes the later of two values.
  keys.push_back("dbname");
  values.push_back(url.c_str());
  keys.push_back(nullptr);
  values.push_back(nullptr);
  // libpq repeats a URL that it cannot read, with its password.
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parts(
      PQconninfoParse(url.c_str(), nullptr), &PQconninfoFree);
  if (!parts)
    throw_error(
        ErrorCode::invalid_argument,
        "the database's URL cannot be read: it looks like postgres://user:password@host:port/database, "
        "with options of libpq behind a question mark, and %40 for @, %2F for / and so on in a password");
  Handle handle(PQconnectdbParams(keys.data(), values.data(), 1));
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
