#include "agent/sandbox/goldens.h"

#include <algorithm>

#include "agent/limits.h"
#include "agent/sandbox/assembly.h"
#include "agent/sandbox/spares.h"
#include "core/base/clock.h"
#include "core/base/codec.h"
#include "core/base/scope_guard.h"
#include "core/crypto/hash.h"
#include "core/json/writer.h"
#include "core/log/log.h"
#include "linux/file.h"

namespace wrenn::agent::sandbox {

static constexpr std::size_t kDigestChars = 32;

GoldenKey Goldens::key(const templates::TemplateImage& image, const Record& record,
                       const Means& means) const {
  disk::DiskSpec spec;
  spec.image = image.image;
  spec.size_bytes = static_cast<std::uint64_t>(record.disk_size_mb) << 20;
  GoldenKey key;
  key.host = means.resume_host();
  std::string text;
  json::Writer writer(text);
  writer.begin_object();
  writer.member("image", image.image);
  writer.member("vcpus", record.vcpus);
  writer.member("memoryMb", record.memory_mb);
  writer.member("diskBytes", spec.size_bytes);
  writer.member("diskKind", to_string(host_.mechanisms.plan_disk(spec).kind));
  writer.member("kernel", means.kernel.path + " " + means.kernel.version);
  writer.member("vmm", key.host.vmm_version);
  writer.member("acceleration", to_string(means.acceleration));
  writer.member("cpu", key.host.cpu_model);
  writer.end_object();
  key.digest = hex_encode(crypto::sha256(text)).substr(0, kDigestChars);
  return key;
}

Task<std::shared_ptr<const Origin>> Goldens::get(GoldenKey key, templates::TemplateImage image,
                                                 Record record) {
  while (busy_.contains(key.digest)) co_await changed_.wait();
  for (const auto& [digest, origin] : kept_)
    if (digest == key.digest) co_return keep(digest, origin);
  if (const auto at = failed_.find(key.digest);
      at != failed_.end() && SteadyClock::now() - at->second < limits::kGoldenRetry)
    co_return nullptr;

  busy_[key.digest] = true;
  const ScopeGuard done([this, digest = key.digest] {
    busy_.erase(digest);
    changed_.notify_all();
  });
  std::string failure;
  try {
    auto origin = co_await load(key);
    if (!origin) {
      co_await make(key, image, record);
      origin = co_await load(key);
    }
    if (origin) co_return keep(key.digest, std::move(origin));
    failure = "it is gone again";
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    failure = describe(error);
  }
  failed_[key.digest] = SteadyClock::now();
  log::error("cannot make a golden snapshot; sandboxes of this template boot",
             {{"image", image.image}, {"error", failure}});
  co_return nullptr;
}

std::shared_ptr<const Origin> Goldens::keep(const std::string& digest, std::shared_ptr<const Origin> origin) {
  std::erase_if(kept_, [&](const auto& entry) { return entry.first == digest; });
  kept_.emplace_front(digest, origin);
  if (kept_.size() > limits::kGoldensKept) kept_.pop_back();
  return origin;
}

// Null when there is none, or one that is of no use and gone now.
Task<std::shared_ptr<const Origin>> Goldens::load(const GoldenKey& key) {
  std::string damage;
  try {
    auto look = [root = host_.golden(), digest = key.digest, &seal = host_.seal_key] {
      return snapshot::load(root, digest, seal);
    };
    auto snapshot = co_await async::offload(host_.sys, std::move(look));
    if (!snapshot) co_return nullptr;
    snapshot::check(snapshot->manifest, key.host);
    co_return co_await make_origin(host_, std::move(*snapshot));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    damage = describe(error);
  }
  log::warn("a golden snapshot cannot be used and is made again", {{"error", damage}});
  auto remove = [root = host_.golden(), digest = key.digest] { snapshot::remove(root, digest); };
  co_await async::offload(host_.sys, std::move(remove));
  co_return nullptr;
}

Task<> Goldens::make(const GoldenKey& key, const templates::TemplateImage& image, const Record& like) {
  const SteadyTime start = SteadyClock::now();
  Record record;  // a sandbox without an owner; a crash finds it `starting` and removes it
  record.sandbox_id = model::SandboxId::random().text();
  record.state = model::SandboxState::starting;
  record.created_at_us = now().us;
  record.vcpus = like.vcpus;
  record.memory_mb = like.memory_mb;
  record.disk_size_mb = like.disk_size_mb;
  record.boot = "cold";
  Assembly assembly(host_, std::move(record));
  Frozen frozen = co_await assembly.make_golden(image, host_.golden(), key.digest);
  frozen.manifest.name = image.name;
  auto commit = [&host = host_, &frozen] {
    frozen.manifest.memory_base =
        snapshot::merge_pages(*frozen.base, frozen.draft.pages(), frozen.draft.pages_checksum(),
                              host.layers.root(), frozen.manifest.memory_mib);
    frozen.draft.drop_pages();
    frozen.draft.commit(frozen.manifest, host.seal_key);
  };
  // Until its manifest names the base nothing does; a collection of layers that comes just now would take it.
  const Layers::Pause pause = host_.layers.pause();
  co_await async::offload(host_.sys, std::move(commit));
  const auto took = SteadyClock::now() - start;
  host_.figures.operation("make_golden", "success", took);
  log::info("made a golden snapshot", {{"image", image.image},
                                       {"vcpus", like.vcpus},
                                       {"memory_mb", like.memory_mb},
                                       {"ms", std::chrono::duration<double, std::milli>(took).count()}});
}

Task<> Goldens::warm() {
  try {
    auto list = [directory = host_.directory] { return templates::list_templates(directory); };
    const std::vector<templates::TemplateImage> images = co_await async::offload(host_.sys, std::move(list));
    for (const templates::TemplateImage& image : images) {
      for (const templates::TemplateImage::Size& size : image.warm) {
        const Means means = co_await find_means(host_);
        Record record;
        record.vcpus = size.vcpus;
        record.memory_mb = size.memory_mb;
        GoldenKey golden = key(image, record, means);
        co_await get(golden, image, record);
        if (host_.spares != nullptr) host_.spares->want(golden, image, record);
      }
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::canceled) throw;
    log::info("no golden snapshots are made ahead of time", {{"why", describe(error)}});
  }
}

Task<> Goldens::sweep() {
  auto work = [&host = host_] {
    (void)snapshot::sweep_drafts(host.golden());
    for (const std::string& id : snapshot::list(host.golden())) {
      std::string why;
      try {
        const auto snapshot = snapshot::load(host.golden(), id, host.seal_key);
        if (snapshot && !sys::exists(snapshot->manifest.disk.image)) why = "its image is gone";
      } catch (const Error& error) {
        why = error.what();
      }
      if (why.empty()) continue;
      log::info("removing a golden snapshot", {{"key", id}, {"why", why}});
      snapshot::remove(host.golden(), id);
    }
  };
  co_await async::offload(host_.sys, std::move(work));
}

}  // namespace wrenn::agent::sandbox
