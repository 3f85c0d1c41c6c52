// The kinds of ids (spec/data-model.md §2). Append-only: a prefix, once given out, is never reused.
#pragma once

#include "core/base/id.h"

namespace wrenn::model {

struct ApiKeyKind { static constexpr std::string_view kPrefix = "key-", kName = "API key"; };
struct AuditLogKind { static constexpr std::string_view kPrefix = "log-", kName = "audit log"; };
struct ChannelKind { static constexpr std::string_view kPrefix = "ch-", kName = "channel"; };
struct CheckpointKind { static constexpr std::string_view kPrefix = "cp-", kName = "checkpoint"; };
struct HostKind { static constexpr std::string_view kPrefix = "host-", kName = "host"; };
struct SandboxKind { static constexpr std::string_view kPrefix = "cl-", kName = "sandbox"; };
struct TeamKind { static constexpr std::string_view kPrefix = "team-", kName = "team"; };
struct TemplateKind { static constexpr std::string_view kPrefix = "", kName = "template"; };
struct UserKind { static constexpr std::string_view kPrefix = "usr-", kName = "user"; };

using ApiKeyId = Id<ApiKeyKind>;
using AuditLogId = Id<AuditLogKind>;
using ChannelId = Id<ChannelKind>;
using CheckpointId = Id<CheckpointKind>;
using HostId = Id<HostKind>;
using SandboxId = Id<SandboxKind>;
using TeamId = Id<TeamKind>;
using TemplateId = Id<TemplateKind>;
using UserId = Id<UserKind>;

// The platform team owns the system templates; it is the all-zero id.
inline const TeamId kPlatformTeam{};

// Template ids 0–1024 are reserved for system templates and cannot be deleted (spec/vm.md §6.1).
inline constexpr std::uint64_t kReservedTemplateIds = 1024;

}  // namespace wrenn::model
