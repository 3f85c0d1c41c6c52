#include "agent/vmm/qemu_disk.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "agent/vmm/limits.h"
#include "agent/vmm/qemu_arguments.h"
#include "core/async/task.h"
#include "core/base/clock.h"
#include "core/base/error.h"

// A merge is QEMU's block-stream job (qemu.org, "QEMU QMP Reference Manual", block-stream): it copies into
// the disk's own file whatever that does not have yet, and at its end leaves the files in between out. Until
// then, and also when it is cancelled, the chain is as before and has the same content, so nothing needs to
// be undone. QEMU keeps a job that has ended until it is dismissed, so that its end is not missed.

namespace wrenn::agent::vmm {

namespace {

constexpr int kFirstOverlayFdset = 1000;  // plus the node's number
constexpr const char* kMergeJob = "merge";
constexpr std::string_view kFdsetPrefix = "/dev/fdset/";
constexpr auto kEndPoll = std::chrono::milliseconds(2);

json::Value text(std::string value) {
  return json::Value(std::move(value));
}

Task<json::Value> ask(std::shared_ptr<Qmp> qmp, std::string command, std::string arguments = {}) {
  co_return co_await qmp->execute(std::move(command), std::move(arguments), limits::kCommandTimeout);
}

// What may be refused because there is nothing to do.
Task<> try_ask(std::shared_ptr<Qmp> qmp, std::string command, std::string arguments) {
  try {
    co_await ask(qmp, std::move(command), std::move(arguments));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::failed_precondition) throw;
  }
}

std::optional<int> number_after(std::string_view prefix, std::string_view name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  int number = 0;
  const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (failed != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

struct Top {
  int number = 0;          // of its node
  std::size_t layers = 0;  // files below it
  bool extended_l2 = false;
};

bool has_extended_l2(const json::Value& inserted) {
  const json::Value* value = &inserted;
  for (const char* key : {"image", "format-specific", "data", "extended-l2"})
    if ((value = value->find(key)) == nullptr) return false;
  return value->as_bool().value_or(false);
}

Task<Top> find_top(std::shared_ptr<Qmp> qmp) {
  const json::Value devices = co_await ask(qmp, "query-block");
  if (const auto* list = devices.as_array()) {
    for (const json::Value& device : *list) {
      const json::Value* inserted = device.find("inserted");
      if (inserted == nullptr) continue;
      const auto number = number_after(kQemuDiskPrefix, inserted->text_of("node-name"));
      const json::Value* depth = inserted->find("backing_file_depth");
      const auto layers = depth == nullptr ? std::nullopt : depth->as_int64();
      if (number && layers && *layers >= 0)
        co_return Top{*number, static_cast<std::size_t>(*layers), has_extended_l2(*inserted)};
    }
  }
  throw_error(ErrorCode::internal, "QEMU does not say what its disk is");
}

Task<std::optional<std::string>> find_job(std::shared_ptr<Qmp> qmp) {
  const json::Value jobs = co_await ask(qmp, "query-jobs");
  if (const auto* list = jobs.as_array())
    for (const json::Value& job : *list)
      if (job.text_of("id") == kMergeJob) co_return std::string(job.text_of("status"));
  co_return std::nullopt;
}

// Files that nothing reads any more: QEMU holds them open, and their space with them, until told otherwise.
Task<> close_unused(std::shared_ptr<Qmp> qmp, int top) {
  const std::string flat = qmp_object({{"flat", json::Value(true)}});
  json::Value nodes = co_await ask(qmp, "query-named-block-nodes", flat);
  std::vector<int> between;
  if (const auto* list = nodes.as_array())
    for (const json::Value& node : *list)
      if (const auto number = number_after(kQemuDiskPrefix, node.text_of("node-name")))
        if (*number != 0 && *number != top) between.push_back(*number);
  // From above: each holds the one below it. Those still in use are refused.
  std::sort(between.rbegin(), between.rend());
  for (const int number : between)
    co_await try_ask(qmp, "blockdev-del", qmp_object({{"node-name", text(qemu_disk_node(number))}}));

  nodes = co_await ask(qmp, "query-named-block-nodes", flat);
  std::set<int> used;
  if (const auto* list = nodes.as_array())
    for (const json::Value& node : *list)
      if (const auto set = number_after(kFdsetPrefix, node.text_of("file"))) used.insert(*set);
  const json::Value sets = co_await ask(qmp, "query-fdsets");
  if (const auto* list = sets.as_array()) {
    for (const json::Value& set : *list) {
      const json::Value* id = set.find("fdset-id");
      const auto number = id == nullptr ? std::nullopt : id->as_int64();
      if (!number || used.contains(static_cast<int>(*number))) continue;
      co_await try_ask(qmp, "remove-fd", qmp_object({{"fdset-id", json::Value(*number)}}));
    }
  }
}

}  // namespace

Task<> push_overlay(std::shared_ptr<Qmp> qmp, sys::FdView overlay) {
  const Top top = co_await find_top(qmp);
  const int next = top.number + 1;
  const int set = kFirstOverlayFdset + next;
  const std::string pass = qmp_object({{"fdset-id", json::Value(std::int64_t{set})}});
  co_await qmp->execute("add-fd", pass, limits::kCommandTimeout, overlay);
  co_await ask(qmp, "blockdev-add", qemu_overlay_node(set, next));
  const std::string link =
      qmp_object({{"node", text(qemu_disk_node(top.number))}, {"overlay", text(qemu_disk_node(next))}});
  std::exception_ptr failure;
  try {
    co_await qmp->execute("blockdev-snapshot", link, limits::kPauseTimeout);
  } catch (const Error&) {
    failure = std::current_exception();
  }
  if (!failure) co_return;
  if (!qmp->closed()) {
    co_await ask(qmp, "blockdev-del", qmp_object({{"node-name", text(qemu_disk_node(next))}}));
    co_await ask(qmp, "remove-fd", pass);
  }
  std::rethrow_exception(failure);
}

Task<std::size_t> count_disk_layers(std::shared_ptr<Qmp> qmp) {
  const Top top = co_await find_top(qmp);
  co_return top.layers;
}

Task<> begin_disk_merge(std::shared_ptr<Qmp> qmp, std::string image) {
  const Top top = co_await find_top(qmp);
  // A file of an earlier wrenn: a merge into it would end QEMU (agent/disk/qcow2.cpp).
  if (top.extended_l2) co_return;
  const std::string arguments = qmp_object({{"job-id", text(kMergeJob)},
                                            {"device", text(qemu_disk_node(top.number))},
                                            {"base-node", text(qemu_disk_node(0))},
                                            {"backing-file", text(std::move(image))},
                                            {"speed", json::Value(limits::kMergeBytesPerSecond)},
                                            {"auto-dismiss", json::Value(false)}});
  co_await ask(qmp, "block-stream", arguments);
}

Task<DiskMerge> find_disk_merge(std::shared_ptr<Qmp> qmp) {
  const auto status = co_await find_job(qmp);
  if (!status) co_return DiskMerge::none;
  co_return *status == "concluded" ? DiskMerge::ended : DiskMerge::going;
}

Task<> end_disk_merge(std::shared_ptr<Qmp> qmp) {
  auto status = co_await find_job(qmp);
  const std::string job = qmp_object({{"id", text(kMergeJob)}});
  if (status && *status != "concluded") co_await try_ask(qmp, "job-cancel", job);
  const SteadyTime deadline =
      SteadyClock::now() + limits::kPauseTimeout;  // what is in flight is a disk's write
  while (status && *status != "concluded") {
    if (SteadyClock::now() >= deadline)
      throw_error(ErrorCode::deadline_exceeded, "QEMU does not end the merge of a disk's files within {} s",
                  std::chrono::seconds(limits::kPauseTimeout).count());
    co_await async::sleep(kEndPoll);
    status = co_await find_job(qmp);
  }
  if (status) co_await ask(qmp, "job-dismiss", job);
  const Top top = co_await find_top(qmp);
  co_await close_unused(qmp, top.number);
}

}  // namespace wrenn::agent::vmm
