// Rows and guest answers as the public API shows them.
#pragma once

#include "api/agent.h"
#include "api/envd.h"
#include "api/public.h"
#include "cp/store/hosts.h"
#include "cp/store/sandboxes.h"
#include "cp/store/templates.h"

namespace wrenn::cp::handlers {

// Into an existing view: a list of a hundred reuses the memory of its strings.
void fill(api::Capsule& view, const store::Sandbox& row);
api::Capsule capsule_view(const store::Sandbox& row);
// With what its owner needs to reach it; `domain` is gateway::public_domain().
api::Capsule detailed_view(const store::Sandbox& row, const std::string& domain);
api::Checkpoint checkpoint_view(const api::agent::CheckpointInfo& told);
api::Template template_view(const store::Template& row);
api::AdminTemplate admin_template_view(const store::Template& row);
api::FileEntry file_view(const api::envd::EntryInfo& entry);
api::Process process_view(const api::envd::ProcessInfo& process);
api::CapsuleMetrics metrics_view(std::string sandbox_id, std::string range,
                                 const api::agent::MetricsResponse& told);
// The name of its team is for admins of the platform.
api::Host host_view(const store::ListedHost& listed, bool for_admin);
api::HostMetrics host_metrics_view(std::string host_id, std::string range,
                                   const api::agent::MetricsResponse& told);

}  // namespace wrenn::cp::handlers
