// Templates that teams make of their capsules (spec/rest-api.md §8). The capsule stays what it is.
//
// The end of each is told once: the event and the entry of the audit log are written with the row, by whoever
// changes it.
//
// The row comes first and holds the name; the agent is asked; the row says where the files are. If the agent
// fails, a new row goes again and what may be on the host is deleted there; of a row that was to be
// overwritten nothing has changed, for the agent keeps the old generation until the new one is complete.
// Whatever is left behind is settled when the host tells its templates (Templates::sync).
#pragma once

#include <set>
#include <string>
#include <vector>

#include "cp/service/capsule_service.h"

namespace wrenn::cp::service {

// What a snapshot of that name would be to `team`. Pure; `same_name` are its and the platform's templates.
enum class SnapshotName {
  fresh,      // nobody has it
  abandoned,  // a snapshot that was begun and never finished: it goes, then fresh
  replace,    // the team's snapshot, to be overwritten
  reserved,   // a template of the platform is called so, or a system image
  taken,      // a template of the team is
  busy,       // a snapshot of that name is being made
};
SnapshotName judge_snapshot_name(const std::vector<store::Template>& same_name, const model::TeamId& team,
                                 bool overwrite, UnixTime at) noexcept;

class Snapshots {
 public:
  // All must outlive this.
  Snapshots(Operations& operations, db::Database& database, HostAgents& hosts, CapsuleService& capsules,
            Templates& templates)
      : operations_(operations),
        database_(database),
        hosts_(hosts),
        capsules_(capsules),
        templates_(templates) {}

  // Throws Error(not_found) without such a capsule, PublicError invalid_state, name_reserved,
  // template_name_taken or conflict, what throw_agent_failure() makes of the agent's. If the capsule is to be
  // destroyed then and cannot be, the template is made nevertheless.
  Task<store::Template> create(Caller caller, SnapshotInput input);
  // Deletes the files on every host that has them, then the row. If a host does not answer: PublicError
  // host_unavailable, and the template stays. Throws Error(not_found), Error(permission_denied) for one of
  // the platform that is not the caller's to delete, PublicError conflict while it is made or overwritten.
  Task<> remove(Caller caller, std::string name);

 private:
  struct Reserved {
    SnapshotName what;
    store::Template row;
  };
  Task<Reserved> reserve(model::Actor by, store::Sandbox capsule, SnapshotInput input);
  Task<store::Template> do_create(Caller by, store::Sandbox capsule, Reserved reserved, bool then_destroy);
  Task<> destroy_source(Caller by, model::SandboxId id);
  Task<> undo_create(model::Actor by, store::Template row, model::HostId host, bool fresh, std::string why);
  Task<Done> do_remove(model::Actor by, store::Template row);
  Task<> delete_on(model::HostId host, const store::Template& row);
  // Tries; what is left, the next sync finds.
  Task<> clean_up(model::HostId host, store::Template row);
  Task<> look_again();

  Operations& operations_;
  db::Database& database_;
  HostAgents& hosts_;
  CapsuleService& capsules_;
  Templates& templates_;
  std::set<model::TemplateId> changing_;  // being overwritten or deleted
};

}  // namespace wrenn::cp::service
