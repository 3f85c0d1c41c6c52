#include "agent/sandbox/spares.h"

#include <algorithm>

#include "agent/limits.h"
#include "core/async/scope.h"
#include "core/async/timeout.h"
#include "core/base/clock.h"
#include "core/log/log.h"
#include "linux/procfs.h"

namespace wrenn::agent::sandbox {

std::size_t Spares::ready() const noexcept {
  std::size_t count = 0;
  for (const Kind& kind : kinds_) count += kind.ready.size();
  return count;
}

std::unique_ptr<Assembly> Spares::take(const GoldenKey& key) {
  note_use(key.digest);
  if (kinds_.empty() || kinds_.front().key.digest != key.digest) return nullptr;
  Kind& kind = kinds_.front();
  while (!kind.ready.empty()) {
    auto spare = std::move(kind.ready.front());
    kind.ready.pop_front();
    if (spare->machine() && !spare->machine()->ended()) {
      host_.figures.spare_taken("ready");
      return spare;
    }
    kind.ended.push_back(std::move(spare));
  }
  host_.figures.spare_taken("none");
  return nullptr;
}

void Spares::note_use(const std::string& digest) {
  last_use_ = SteadyClock::now();
  const auto at =
      std::find_if(kinds_.begin(), kinds_.end(), [&](const Kind& kind) { return kind.key.digest == digest; });
  if (at != kinds_.end()) kinds_.splice(kinds_.begin(), kinds_, at);
  divide();
  changed_.notify_all();
}

void Spares::want(const GoldenKey& key, const templates::TemplateImage& image, const Record& record) {
  const bool known = std::any_of(kinds_.begin(), kinds_.end(),
                                 [&](const Kind& kind) { return kind.key.digest == key.digest; });
  if (!known) {
    Kind& kind = kinds_.emplace_front();
    kind.key = key;
    kind.image = image;
    kind.record.vcpus = record.vcpus;
    kind.record.memory_mb = record.memory_mb;
    kind.record.disk_size_mb = record.disk_size_mb;
  }
  note_use(key.digest);
}

// The latest kinds share what there is, as evenly as it goes; a kind that is not among them has none.
void Spares::divide() noexcept {
  const std::size_t kinds = std::min({kinds_.size(), count_, limits::kSpareKinds});
  std::size_t place = 0;
  for (Kind& kind : kinds_) {
    kind.share = place < kinds ? count_ / kinds + (place < count_ % kinds ? 1 : 0) : 0;
    ++place;
  }
}

Spares::Kind* Spares::most_lacking() noexcept {
  Kind* found = nullptr;
  for (Kind& kind : kinds_)
    if (kind.ready.size() < kind.share &&
        (found == nullptr || kind.share - kind.ready.size() > found->share - found->ready.size()))
      found = &kind;
  return found;
}

// Those who ask have the first right to slots and memory.
bool Spares::may_make() const {
  const std::uint64_t available = sys::read_machine_memory().available;
  return available > limits::kSpareMemoryBytes && host_.slots.room() > count_;
}

// What cleans up closes its coroutine to cancellation for good; as a child of its own it does not take fill()
// with it.
Task<> Spares::apart(Task<> work) {
  async::Scope scope(host_.executor, "spare machine");
  scope.spawn(std::move(work));
  co_await scope.join();
}

Task<> Spares::make_one(bool& made) {
  Kind* const kind = most_lacking();
  if (kind == nullptr || !may_make()) co_return;
  const std::string digest = kind->key.digest;
  const templates::TemplateImage image = kind->image;
  Record record = kind->record;
  record.sandbox_id = model::SandboxId::random().text();
  record.state = model::SandboxState::starting;
  record.created_at_us = now().us;
  const SteadyTime start = SteadyClock::now();
  try {
    auto origin = co_await host_.goldens->get(kind->key, image, record);
    if (!origin) co_return;
    auto spare = std::make_unique<Assembly>(host_, std::move(record));
    co_await spare->make_spare(image, std::move(origin));
    host_.figures.operation("make_spare", "success", SteadyClock::now() - start);
    const auto at = std::find_if(kinds_.begin(), kinds_.end(),
                                 [&](const Kind& other) { return other.key.digest == digest; });
    if (at != kinds_.end()) {
      at->ready.push_back(std::move(spare));
    } else {
      co_await remove(std::move(spare));
    }
    made = true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::warn("cannot make a spare machine", {{"error", describe(error)}});
  }
}

Task<> Spares::remove(std::unique_ptr<Assembly> spare) {
  try {
    co_await spare->destroy();
  } catch (const Error& error) {
    log::error("cannot remove a spare machine; the next start of the agent does",
               {{"sandbox_id", spare->record().sandbox_id}, {"error", describe(error)}});
  }
}

std::unique_ptr<Assembly> Spares::pop_surplus() {
  for (Kind& kind : kinds_) {
    std::unique_ptr<Assembly> spare;
    if (!kind.ended.empty()) {
      spare = std::move(kind.ended.back());
      kind.ended.pop_back();
    } else if (kind.ready.size() > kind.share) {
      spare = std::move(kind.ready.back());
      kind.ready.pop_back();
    }
    if (spare) return spare;
  }
  return nullptr;
}

Task<> Spares::remove_surplus() {
  while (auto spare = pop_surplus()) {
    auto removal = remove(std::move(spare));
    co_await apart(std::move(removal));
  }
  while (kinds_.size() > limits::kGoldensKept && kinds_.back().ready.empty()) kinds_.pop_back();
}

Task<> Spares::fill() {
  for (;;) {
    co_await remove_surplus();
    if (most_lacking() == nullptr) {
      co_await changed_.wait();
      continue;
    }
    // Not while somebody creates: the CPUs are theirs.
    const auto pause = last_use_ + limits::kSparePause - SteadyClock::now();
    if (pause > pause.zero()) {
      co_await async::sleep(pause);
      continue;
    }
    bool made = false;
    auto making = make_one(made);
    co_await apart(std::move(making));
    if (!made) co_await async::sleep(limits::kSpareRetry);
  }
}

Task<> Spares::close() {
  for (Kind& kind : kinds_) kind.share = 0;
  co_await remove_surplus();
}

}  // namespace wrenn::agent::sandbox
