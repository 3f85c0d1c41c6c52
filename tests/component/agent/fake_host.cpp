#include "fake_host.h"

#include <fcntl.h>
#include <unistd.h>

#include <thread>

#include "agent/network/slot.h"
#include "core/async/scope.h"
#include "linux/file.h"

namespace wrenn::test {

using namespace agent;

// --- world
// ----------------------------------------------------------------------------------------------------------

std::set<std::string> World::census() {
  const std::lock_guard lock(mutex_);
  auto all = things_;
  for (const auto& [pid, process] : processes_)
    if (!process->end) all.insert("process " + std::to_string(pid));
  return all;
}
void World::add(const std::string& thing) {
  const std::lock_guard lock(mutex_);
  things_.insert(thing);
}
void World::remove(const std::string& thing) {
  const std::lock_guard lock(mutex_);
  things_.erase(thing);
}
bool World::has(const std::string& thing) {
  const std::lock_guard lock(mutex_);
  return things_.contains(thing);
}
void World::fail(const std::string& name, int times) {
  const std::lock_guard lock(mutex_);
  failures_[name] = times;
}
void World::reach(const std::string& name) {
  const std::lock_guard lock(mutex_);
  ++reached_[name];
  const auto at = failures_.find(name);
  if (at == failures_.end() || at->second == 0) return;
  --at->second;
  throw Error(ErrorCode::internal, "made to fail: " + name);
}
int World::reached(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return reached_[name];
}
std::shared_ptr<FakeProcess> World::process(std::int64_t pid) {
  const std::lock_guard lock(mutex_);
  const auto at = processes_.find(pid);
  return at == processes_.end() ? nullptr : at->second;
}
std::int64_t World::spawn(bool paused, const std::string& owner) {
  const std::lock_guard lock(mutex_);
  const std::int64_t pid = ++next_pid_;
  processes_[pid] = std::make_shared<FakeProcess>();
  processes_[pid]->paused = paused;
  processes_[pid]->owner = owner;
  return pid;
}
void World::end(std::int64_t pid, vmm::MachineEnd::Cause cause) {
  const std::lock_guard lock(mutex_);
  auto& process = *processes_.at(pid);
  if (!process.end) process.end = vmm::MachineEnd{cause, "made to end", "console says\nhello"};
}
std::vector<std::int64_t> World::pids() {
  const std::lock_guard lock(mutex_);
  std::vector<std::int64_t> alive;
  for (const auto& [pid, process] : processes_)
    if (!process->end) alive.push_back(pid);
  return alive;
}

// --- mechanisms
// -----------------------------------------------------------------------------------------------------

namespace {

class FakeMechanisms final : public Mechanisms {
 public:
  explicit FakeMechanisms(World& world) : world_(world) {}

  templates::TemplateImage find_template(const model::TeamId& team, const model::TemplateId& id) override {
    world_.reach("template");
    templates::TemplateImage image;
    image.team = team;
    image.id = id;
    image.image = world_.directory + "/image.ext4";
    image.default_user = "root";
    return image;
  }
  templates::Kernel find_kernel(const std::string&) override {
    world_.reach("kernel");
    return {world_.directory + "/vmlinux", "", "6.1.0"};
  }
  bool claim_slot(int slot) override {
    world_.reach("claim slot");
    if (world_.has(fmt::format("foreign slot {}", slot))) return false;
    world_.add(fmt::format("slot claim {}", slot));
    return true;
  }
  void create_network(int slot) override {
    world_.reach("network");
    world_.add(fmt::format("network {}", slot));
  }
  bool network_is_complete(int slot) override { return world_.has(fmt::format("network {}", slot)); }
  NetworkAttachment attach_network(int) override {
    world_.reach("attach");
    return {};
  }
  void destroy_network(int slot) override {
    world_.reach("destroy network");
    world_.remove(fmt::format("network {}", slot));
    world_.remove(fmt::format("slot claim {}", slot));
  }
  net::Address guest_address(int) const override { return FakeGuest::address(world_); }
  std::optional<sys::ProcessIdentity> identity(int, vmm::Acceleration) const override { return std::nullopt; }

  disk::DiskRecord plan_disk(const disk::DiskSpec& spec) const override {
    return {world_.disk_kind, spec.sandbox_id, spec.image, spec.layers, spec.cow_path, 0, spec.size_bytes};
  }
  disk::DiskRecord create_disk(const disk::DiskSpec& spec) override {
    world_.reach("disk");
    (void)sys::create_sparse_file(spec.cow_path, 4096);
    world_.add("disk " + spec.sandbox_id);
    return plan_disk(spec);
  }
  void open_disk(const disk::DiskRecord& record) override {
    world_.reach("open disk");
    world_.add("disk " + record.sandbox_id);
  }
  void release_disk(const disk::DiskRecord& record) override { world_.remove("disk " + record.sandbox_id); }
  void destroy_disk(const disk::DiskRecord& record) override {
    world_.reach("destroy disk");
    world_.remove("disk " + record.sandbox_id);
    sys::remove_tree(record.cow_path);
  }
  std::uint64_t disk_bytes(const disk::DiskRecord&) override { return 12345; }
  disk::StoreLevel disk_level(const disk::DiskRecord& record) override {
    world_.reach("disk level");
    if (world_.disk_lost) throw Error(ErrorCode::data_loss, "the disk is lost");
    if (!world_.has("disk " + record.sandbox_id)) throw Error(ErrorCode::internal, "no such disk is set up");
    disk::StoreLevel level;
    level.room = world_.room;
    if (level.room != disk::StoreRoom::ample) level.free_bytes = 0;
    return level;
  }
  disk::DiskRecord freeze_disk_by_copy(const disk::DiskRecord& record, const std::string& layer) override {
    world_.reach("copy disk");
    while (world_.copies_wait) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return disk::freeze_by_copy(record, layer);
  }
  disk::DiskRecord freeze_disk_by_link(const disk::DiskRecord& record, const std::string& layer) override {
    world_.reach("link disk");
    return disk::freeze_by_link(record, layer);
  }
  void make_overlay(const disk::DiskRecord& record) override {
    world_.reach("overlay");
    (void)sys::create_sparse_file(record.cow_path, 4096);
  }
  agent::disk::DiskRecord lay_disk_over(const agent::disk::DiskRecord& frozen, const std::string& sandbox_id,
                                        const std::string& cow_path) override {
    auto record = agent::disk::plan_overlay(frozen, sandbox_id, cow_path);
    make_overlay(record);
    return record;
  }

  std::optional<sys::Fd> create_group(const std::string& id, const GroupLimits&) override {
    world_.reach("cgroup");
    world_.add("cgroup " + id);
    return std::nullopt;
  }
  void destroy_group(const std::string& id) override { world_.remove("cgroup " + id); }
  bool claim_sandbox(const std::string& id) override {
    world_.reach("claim");
    world_.add("claim " + id);
    return true;
  }
  void unclaim_sandbox(const std::string& id) override { world_.remove("claim " + id); }

  std::shared_ptr<const snapshot::MemoryBase> load_base(const std::string& path, int memory_mib) override {
    world_.reach("base");
    return path.empty() ? snapshot::MemoryBase::zeros(memory_mib)
                        : snapshot::MemoryBase::load(path, memory_mib);
  }
  // The machine's memory is its base.
  void copy_memory_ahead(snapshot::Draft&, const vmm::MachineRecord& machine) override {
    world_.reach("memory ahead");
    const auto process = world_.process(machine.pid);
    if (!process || process->end) throw Error(ErrorCode::data_loss, "the process is gone");
  }
  void write_memory(snapshot::Draft&, const vmm::MachineRecord& machine) override {
    world_.reach("memory");
    const auto process = world_.process(machine.pid);
    if (!process || process->end) throw Error(ErrorCode::data_loss, "the process is gone");
    if (!process->paused) throw Error(ErrorCode::internal, "memory of a machine that runs");
  }
  void restore_memory(const snapshot::Snapshot&, const vmm::MachineRecord&) override {
    world_.reach("restore memory");
  }
  void kill_machine(const vmm::MachineRecord& machine) override {
    if (world_.process(machine.pid)) world_.end(machine.pid, vmm::MachineEnd::Cause::stopped);
  }
  int kill_strays(const std::string& id) override {
    int killed = 0;
    for (const std::int64_t pid : world_.pids()) {
      if (world_.process(pid)->owner != id) continue;
      world_.end(pid, vmm::MachineEnd::Cause::stopped);
      ++killed;
    }
    return killed;
  }
  Claimed claimed() override {
    Claimed claimed;
    for (const std::string& thing : world_.census()) {
      if (thing.starts_with("claim ")) claimed.sandbox_ids.push_back(thing.substr(6));
      if (thing.starts_with("slot claim ")) claimed.slots.push_back(std::stoi(thing.substr(11)));
    }
    return claimed;
  }

 private:
  World& world_;
};

class FakeMachine final : public vmm::Machine {
 public:
  FakeMachine(World& world, vmm::MachineRecord record)
      : world_(world), record_(std::move(record)), process_(world.process(record_.pid)) {}

  const vmm::MachineRecord& record() const noexcept override { return record_; }
  Task<> pause() override {
    world_.reach("freeze");
    check();
    process_->paused = true;
    co_return;
  }
  Task<> resume() override {
    world_.reach("unfreeze");
    check();
    process_->paused = false;
    co_return;
  }
  Task<> save_state(sys::FdView file) override {
    world_.reach("save state");
    check();
    sys::write_full(file, "device state");
    co_return;
  }
  Task<> push_overlay(sys::FdView overlay) override {
    world_.reach("push overlay");
    check();
    if (!process_->paused) throw Error(ErrorCode::internal, "the disk of a machine that runs");
    if (!overlay.valid()) throw Error(ErrorCode::internal, "no overlay");
    if (process_->merge != vmm::DiskMerge::none) throw Error(ErrorCode::internal, "a merge goes on");
    ++process_->disk_layers;
    co_return;
  }
  Task<std::size_t> disk_layers() override { co_return process_->disk_layers; }
  Task<> begin_disk_merge(std::string) override {
    world_.reach("begin merge");
    check();
    if (process_->merge != vmm::DiskMerge::none) throw Error(ErrorCode::failed_precondition, "one goes on");
    process_->merge = vmm::DiskMerge::going;
    co_return;
  }
  Task<vmm::DiskMerge> disk_merge() override {
    check();
    co_return process_->merge;
  }
  Task<> end_disk_merge() override {
    world_.reach("end merge");
    check();
    if (process_->merge == vmm::DiskMerge::ended) process_->disk_layers = 1;
    process_->merge = vmm::DiskMerge::none;
    co_return;
  }
  Task<> stop() override {
    world_.reach("stop");
    world_.end(record_.pid, vmm::MachineEnd::Cause::stopped);
    co_return;
  }
  Task<std::optional<std::string>> find_hang() override {
    if (process_->end || !process_->hangs) co_return std::nullopt;
    co_return "made to hang";
  }
  void end_hung(std::string) override { world_.end(record_.pid, vmm::MachineEnd::Cause::hung); }
  Task<vmm::MachineEnd> wait_end() override {
    while (!process_->end) co_await async::sleep(std::chrono::milliseconds(5));
    co_return *process_->end;
  }
  std::optional<vmm::MachineEnd> ended() const override { return process_->end; }
  Task<std::string> console() override { co_return "console says\nhello"; }

 private:
  void check() const {
    if (process_->end) throw Error(ErrorCode::unavailable, "the machine is gone");
  }
  World& world_;
  vmm::MachineRecord record_;
  std::shared_ptr<FakeProcess> process_;
};

class FakeVmm final : public vmm::Vmm {
 public:
  explicit FakeVmm(World& world) : world_(world) {}
  std::string version() const override { return "fake 1"; }
  std::string cpu_model(vmm::Acceleration) const override { return "max"; }
  Task<std::unique_ptr<vmm::Machine>> start(const vmm::MachineConfig& config) override {
    world_.reach("start");
    co_return make(config, false);
  }
  Task<std::unique_ptr<vmm::Machine>> restore(const vmm::MachineConfig& config, sys::FdView state,
                                              Fill fill) override {
    world_.reach("restore");
    if (sys::read_up_to(state, 64) != "device state") throw Error(ErrorCode::data_loss, "wrong device state");
    auto machine = make(config, true);
    if (fill) fill(machine->record());
    co_return machine;
  }
  Task<std::unique_ptr<vmm::Machine>> adopt(const vmm::MachineRecord& record) override {
    world_.reach("adopt");
    const auto process = world_.process(record.pid);
    if (!process || process->end) co_return nullptr;
    co_return std::make_unique<FakeMachine>(world_, record);
  }

 private:
  std::unique_ptr<vmm::Machine> make(const vmm::MachineConfig& config, bool paused) {
    if (!config.memory.valid()) throw Error(ErrorCode::internal, "no memory");
    vmm::MachineRecord record;
    record.pid = world_.spawn(paused, config.sandbox_id);
    world_.process(record.pid)->disk_layers = config.disk.backing.size();
    record.start_time = 1;
    record.memory_mapping = config.memory_mapping;
    record.memory_base = config.memory_base;
    record.memory_mib = config.memory_mib;
    record.vcpus = config.vcpus;
    record.vmm_version = version();
    return std::make_unique<FakeMachine>(world_, record);
  }
  World& world_;
};

}  // namespace

std::unique_ptr<Mechanisms> make_fake_mechanisms(World& world) {
  return std::make_unique<FakeMechanisms>(world);
}

sandbox::EngineSource fake_engine(World& world) {
  sandbox::EngineSource source;
  source.make_vmm = [&world]() -> std::unique_ptr<vmm::Vmm> {
    world.reach("vmm");
    return std::make_unique<FakeVmm>(world);
  };
  source.find_acceleration = [&world](const vmm::Vmm&, const templates::Kernel&) {
    world.reach("acceleration");
    return vmm::Acceleration::tcg;
  };
  return source;
}

// --- guest
// ----------------------------------------------------------------------------------------------------------

FakeGuest::FakeGuest(async::Executor executor, World& world)
    : world_(world),
      listener_(executor, net::Address::tcp("127.0.0.1", 0)),
      server_(executor, [this](http::Request& request, http::Reply& reply) { return answer(request, reply); },
              {}) {
  world.guest_port = listener_.address().port();
}

Task<> FakeGuest::serve() {
  return server_.serve(listener_);
}
Task<> FakeGuest::stop() {
  return server_.stop(std::chrono::seconds(1));
}

Task<> FakeGuest::answer(http::Request& request, http::Reply& reply) {
  while (!world_.guest_answers) co_await async::sleep(std::chrono::milliseconds(20));
  http::Response response;
  if (request.path == "/health") {
    response = http::json_response(200, R"({"version":"9.8.7"})");
  } else if (request.path == "/init") {
    world_.reach("init");
    const auto init = json::from_json<api::envd::InitRequest>(co_await request.body->read_all(10'000));
    world_.token = init.access_token.value_or("");
    ++world_.inits;
    response.status = 204;
  } else if (request.headers.get(api::envd::kTokenHeader) != world_.token) {
    response.status = 401;
  } else if (request.path == "/metrics") {
    response.headers.set("Content-Type", "application/json");
    response.body = R"({"mem_used":1048576})";
  } else if (request.path == "/echo") {
    response.body = request.target + "|" + co_await request.body->read_all(10'000);
  } else if (request.path == "/stream") {
    http::Headers fields;
    auto out = co_await reply.stream(200, std::move(fields));
    for (;;) {
      co_await out->write("line\n");
      co_await async::sleep(std::chrono::milliseconds(50));
    }
  } else {
    response.status = 404;
  }
  co_await reply.send(std::move(response));
}

// --- agent
// ----------------------------------------------------------------------------------------------------------

FakeAgent::FakeAgent(async::Executor executor, World& world, std::size_t ready_slots)
    : sys_("sys", 4),
      mechanisms_(make_fake_mechanisms(world)),
      journal_(world.directory + "/sandboxes"),
      figures_(figures_registry_),
      engine_(executor, sys_, fake_engine(world)),
      slots_(executor, sys_, *mechanisms_, figures_, {.max = 10, .ready = ready_slots}),
      boots_(executor, 2),
      layers_(executor, sys_, world.directory),
      bases_(executor, sys_, *mechanisms_),
      host_{.directory = world.directory,
            .executor = executor,
            .sys = sys_,
            .mechanisms = *mechanisms_,
            .journal = journal_,
            .engine = engine_,
            .slots = slots_,
            .boots = boots_,
            .layers = layers_,
            .bases = bases_,
            .figures = figures_,
            .agent_version = "test",
            .seal_key = Secret("key of the test")},
      registry_(host_) {
  sys::make_directories(world.directory + "/sandboxes");
  sys::make_directories(world.directory + "/snapshots");
  sys::make_directories(world.directory + "/layers");
  if (!sys::exists(world.directory + "/image.ext4"))
    (void)sys::create_sparse_file(world.directory + "/image.ext4", 4096);
}

Task<> FakeAgent::end() {
  co_await registry_.close();
  co_await slots_.close();
}

api::agent::CreateSandboxRequest create_request() {
  api::agent::CreateSandboxRequest request;
  request.sandbox_id = model::SandboxId::random().text();
  request.team_id = model::TeamId::random().text();
  request.template_id = model::TemplateId::from_number(4).text();
  request.memory_mb = 64;
  request.boot = "cold";
  return request;
}

}  // namespace wrenn::test
