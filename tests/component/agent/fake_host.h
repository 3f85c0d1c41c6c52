// A host without a kernel: mechanisms, VMM and guest that keep book in memory and fail on demand. The World
// outlives "agents" (sets of driver, registry, …), as kernel objects and VMM processes outlive the real one.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "agent/mechanisms.h"
#include "agent/sandbox/registry.h"
#include "core/http/server.h"

namespace wrenn::test {

using async::Task;

struct FakeProcess {
  bool paused = false;
  std::size_t disk_layers = 0;
  agent::vmm::DiskMerge merge = agent::vmm::DiskMerge::none;
  bool hangs = false;
  std::string owner;
  std::optional<agent::vmm::MachineEnd> end;
};

class World {
 public:
  explicit World(std::string directory) : directory(std::move(directory)) {}

  // Everything that exists on the host because of sandboxes, one name each; empty when nothing is left.
  std::set<std::string> census();
  void add(const std::string& thing);
  void remove(const std::string& thing);
  bool has(const std::string& thing);
  // The next times that step `name` is reached it throws.
  void fail(const std::string& name, int times = 1);
  void reach(const std::string& name);  // throws if fail() says so
  int reached(const std::string& name);
  std::shared_ptr<FakeProcess> process(std::int64_t pid);
  std::int64_t spawn(bool paused, const std::string& owner);
  void end(std::int64_t pid, agent::vmm::MachineEnd::Cause cause);
  std::vector<std::int64_t> pids();  // of those that live

  const std::string directory;
  // Of disks.
  std::atomic<agent::disk::DiskKind> disk_kind = agent::disk::DiskKind::qcow2;
  std::atomic<agent::disk::StoreRoom> room = agent::disk::StoreRoom::ample;
  std::atomic<bool> disk_lost = false;
  std::atomic<bool> copies_wait = false;
  // Of the guest.
  bool guest_answers = true;
  int inits = 0;
  std::string token;
  std::uint16_t guest_port = 0;  // of envd; other ports of guests are those of this machine

 private:
  std::mutex mutex_;  // mechanisms run on pool threads
  std::set<std::string> things_;
  std::map<std::string, int> failures_;
  std::map<std::string, int> reached_;
  std::map<std::int64_t, std::shared_ptr<FakeProcess>> processes_;
  std::int64_t next_pid_ = 100;
};

std::unique_ptr<agent::Mechanisms> make_fake_mechanisms(World& world);
agent::sandbox::EngineSource fake_engine(World& world);

// envd of every guest at once: health, init, metrics, /echo (answers with the request's body), /stream (a
// line now and then until the client goes).
class FakeGuest {
 public:
  FakeGuest(async::Executor executor, World& world);
  Task<> serve();
  Task<> stop();
  static net::Address address(const World& world) { return net::Address::tcp("127.0.0.1", world.guest_port); }

 private:
  Task<> answer(http::Request& request, http::Reply& reply);
  World& world_;
  net::Listener listener_;
  http::Server server_;
};

// One run of the agent without its listener.
class FakeAgent {
 public:
  // Nothing fills the pool of slots but a test that asks for it.
  FakeAgent(async::Executor executor, World& world, std::size_t ready_slots = 0);

  agent::sandbox::Registry& sandboxes() { return registry_; }
  agent::sandbox::Host& host() { return host_; }
  agent::Journal& journal() { return journal_; }
  // As the end of the process would, but with time for what is under way.
  Task<> end();

 private:
  async::ThreadPool sys_;
  std::unique_ptr<agent::Mechanisms> mechanisms_;
  agent::Journal journal_;
  metrics::Registry figures_registry_;
  agent::sandbox::Figures figures_;
  agent::sandbox::Engine engine_;
  agent::sandbox::SlotPool slots_;
  agent::sandbox::BootQueue boots_;
  agent::sandbox::Layers layers_;
  agent::sandbox::MemoryBases bases_;
  agent::sandbox::Host host_;
  agent::sandbox::Registry registry_;
};

api::agent::CreateSandboxRequest create_request();

}  // namespace wrenn::test
