// Which templates there are, and which one a request means.
#pragma once

#include <set>
#include <string_view>
#include <vector>

#include "api/agent.h"
#include "core/async/task.h"
#include "core/base/clock.h"
#include "cp/host_agents.h"

namespace wrenn::cp::service {

using async::Task;

inline constexpr std::string_view kDefaultTemplate = "minimal-ubuntu";
inline constexpr std::string_view kDefaultAlias = "minimal";

// The template that `name` stands for; null if there is none. An empty name and, unless a template is called
// so, "minimal" mean the default: minimal-ubuntu where it is installed, else the platform's base template
// with the lowest id. A team's own template goes before the platform's of the same name.
const store::Template* choose_template(const std::vector<store::Template>& usable,
                                       std::string_view name) noexcept;

class Templates {
 public:
  Templates(db::Database& database, HostAgents& hosts) : database_(database), hosts_(hosts) {}

  // Throws Error(not_found) that says what to do, PublicError no_hosts_available when nothing is known of any
  // template because no agent answers.
  Task<store::Template> resolve(model::TeamId team, std::string name);
  // What the team may use. Asks the agent first when nothing is known yet.
  Task<std::vector<store::Template>> usable(model::TeamId team);
  // Those of all teams.
  Task<std::vector<store::Template>> all();

  // Asks the agent for its facts and templates and makes the rows agree (store::follow_host_templates); what
  // was deleted while it was away is deleted there. Throws the agent's or the database's Error.
  Task<> sync();

 private:
  // Deletes on the host what has no row any more, and tells of what is strange, once.
  Task<> tidy(HostAgent& host, store::Followed followed);
  Task<std::vector<store::Template>> read(model::TeamId team);
  // Absent, or why the agent could not be asked.
  Task<std::exception_ptr> try_sync();

  db::Database& database_;
  HostAgents& hosts_;
  SteadyTime last_sync_{};
  std::set<model::TemplateId> refused_;  // told in the log already
};

}  // namespace wrenn::cp::service
