// Capsules as JSON text, kept as long as their rows do not change. Dashboards and SDKs ask for the list again
// and again, and nearly always nothing has changed: then the list is one look into an index and one
// concatenation.
//
// It is a memory, not a state: the database says with every list which version of a row counts, so another
// process's change is seen at once. Belongs to the loop thread.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "core/db/database.h"
#include "cp/store/labels.h"
#include "cp/store/sandboxes.h"

namespace wrenn::cp::handlers {

class CapsuleTexts {
 public:
  explicit CapsuleTexts(db::Database& database) : database_(database) {}

  // The JSON array of what the team has, newest first; with labels: of those that have all of them. Throws what
  // the database throws.
  async::Task<std::string> list(model::TeamId team, store::Labels labels);

 private:
  using Text = std::shared_ptr<const std::string>;
  struct Known {
    store::RowVersion version;
    Text text;
  };
  Text find(const store::ListedSandbox& listed) const;

  db::Database& database_;
  std::unordered_map<model::SandboxId, Known> known_;
};

}  // namespace wrenn::cp::handlers
