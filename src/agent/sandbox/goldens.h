// Golden snapshots: a machine that has just booted, frozen before anybody used it. New sandboxes are clones
// of one, and a boot is only needed to make one.
//
//   DIR/golden/KEY/   KEY is a digest of everything that must be the same for its clones: the image's
//   generation, CPUs,
//                     memory, size and kind of the disk, kernel, VMM version, acceleration
//
// One that cannot be made, or turns out to be damaged, costs speed and nothing else: then sandboxes boot.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>

#include "agent/sandbox/means.h"
#include "agent/sandbox/origin.h"

namespace wrenn::agent::sandbox {

struct GoldenKey {
  std::string digest;
  snapshot::ResumeHost host;
};

// Belongs to the loop thread.
class Goldens {
 public:
  // `host` outlives this.
  explicit Goldens(Host& host) : host_(host), changed_(host.executor) {}

  // Of a sandbox of the sizes in `record`.
  GoldenKey key(const templates::TemplateImage& image, const Record& record, const Means& means) const;
  // The first caller makes it, which takes as long as a boot; who comes meanwhile waits for it. Null: boot.
  // Throws Error(canceled) only.
  Task<std::shared_ptr<const Origin>> get(GoldenKey key, templates::TemplateImage image, Record record);
  // Those that templates ask for ahead of their first use. Failures are logged. Throws Error(canceled) only.
  Task<> warm();
  // At the agent's start: forgets what an image that is gone, or another version of something, has left.
  // Throws Error.
  Task<> sweep();

 private:
  Task<std::shared_ptr<const Origin>> load(const GoldenKey& key);
  Task<> make(const GoldenKey& key, const templates::TemplateImage& image, const Record& record);
  std::shared_ptr<const Origin> keep(const std::string& digest, std::shared_ptr<const Origin> origin);

  Host& host_;
  async::Event changed_;
  std::map<std::string, bool> busy_;
  std::map<std::string, SteadyTime> failed_;
  std::list<std::pair<std::string, std::shared_ptr<const Origin>>> kept_;  // the latest use first
};

}  // namespace wrenn::agent::sandbox
