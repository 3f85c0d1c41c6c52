// A file of the source tree that is part of the binary (packaging/embed.py).
#pragma once

#include <string_view>
#include <vector>

namespace wrenn::cp {

struct EmbeddedFile {
  std::string_view name;  // "0001_teams.sql"
  std::string_view text;
};

extern const std::vector<EmbeddedFile> kMigrationFiles;  // sql/
extern const std::vector<EmbeddedFile> kOpenApiFiles;    // openapi.yaml
extern const std::vector<EmbeddedFile> kDocsFiles;       // docs.html.gz, packaging/api_docs.py's work

}  // namespace wrenn::cp
