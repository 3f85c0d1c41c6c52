// Answers for people and for programs: a table on a terminal, JSON with --json.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json/value.h"

namespace wrenn::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // Columns as wide as their widest cell, two spaces apart. Control characters of cells are shown as '?', since cells
  // may come from a guest.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// One line of JSON to standard output.
void print_json(const json::Value& value);
void print(std::string_view text);

// "3 minutes ago" for an RFC 3339 time; the text itself if it is none.
std::string age_of(std::string_view rfc3339);

// "1.4 MiB"
std::string size_text(double bytes);

// Shows control characters as '?', so that guest text cannot drive the terminal.
std::string printable(std::string_view text);

}  // namespace wrenn::cli
