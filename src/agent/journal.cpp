#include "agent/journal.h"

#include <sys/stat.h>
#include <unistd.h>

#include "agent/limits.h"
#include "core/base/crash_point.h"
#include "core/base/error.h"
#include "linux/fd.h"
#include "linux/file.h"
#include "model/ids.h"

namespace wrenn::agent {

static constexpr const char* kFileName = "/sandbox.json";

void Journal::save(const Record& record) const {
  crash_point("journal.save.begin");
  const std::string directory = sandbox_directory(record.place_name());
  // Others may pass through, but see no names.
  if (mkdir(directory.c_str(), 0711) == 0) {
    if (chmod(directory.c_str(), 0711) != 0) throw_errno("set the mode of {}", directory);
    sys::fsync_dir(directory_);
  } else if (errno != EEXIST) {
    throw_errno("make {}", directory);
  }
  crash_point("journal.save.directory_there");
  sys::write_file_atomic(directory + kFileName, json::to_json(record) + "\n", 0600);
  crash_point("journal.save.end");
}

void Journal::remove(const std::string& place) const {
  const std::string directory = sandbox_directory(place);
  if (!sys::exists(directory)) return;
  for (const std::string& name : sys::list_directory(directory))
    if ("/" + name != kFileName) sys::remove_tree(directory + "/" + name);
  crash_point("journal.remove.record_left");
  sys::remove_tree(directory);
  crash_point("journal.remove.end");
}

static JournalEntry load_entry(const std::string& place, const std::string& path) {
  JournalEntry entry;
  entry.place = place;
  try {
    const auto text = sys::try_read_file(path, limits::kJournalRecordBytes);
    if (!text) return entry;
    Record record = json::from_json<Record>(*text);
    if (record.format != Record::kFormat)
      throw_error(ErrorCode::data_loss, "format {} is not known to this version of wrenn", record.format);
    if (record.place_name() != place)
      throw_error(ErrorCode::data_loss, "it names another sandbox, {}", record.place_name());
    entry.record = std::move(record);
  } catch (const Error& error) {
    entry.damage = "the journal record " + path + " cannot be used: " + error.what();
  }
  return entry;
}

std::vector<JournalEntry> Journal::load() const {
  std::vector<JournalEntry> entries;
  for (const std::string& name : sys::list_directory(directory_))
    if (model::SandboxId::parse(name))
      entries.push_back(load_entry(name, sandbox_directory(name) + kFileName));
  return entries;
}

}  // namespace wrenn::agent
