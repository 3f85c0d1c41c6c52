// The layers of this host: files below DIR/layers that never change, shared by whatever was made from them
// (bases of memory, disks of earlier moments).
//
// Nobody counts references on disk, where a crash would make the count wrong. A layer lives as long as some
// record or manifest names it, which is looked up: collect() reads them all and deletes what none names.
// Between the making of a layer and the record that names it, and while a name moves from one record to
// another, a Pin holds it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/async/event.h"
#include "core/async/offload.h"

namespace wrenn::agent::sandbox {

using async::Task;

// Belongs to the loop thread.
class Layers {
 public:
  // `directory` is the agent's, absolute; DIR/layers must exist.
  Layers(async::Executor executor, async::ThreadPool& sys, std::string directory)
      : sys_(sys), directory_(std::move(directory)), changed_(std::move(executor)) {}

  std::string root() const { return directory_ + "/layers"; }
  // A name that no layer has: "DIR/layers/disk-…".
  std::string fresh_disk() const;

  // Keeps files of `paths` from being collected while it lives; paths outside of root() are allowed and do
  // nothing.
  class Pin {
   public:
    Pin() = default;
    Pin(Layers& layers, std::vector<std::string> paths);
    ~Pin() { release(); }
    Pin(Pin&& other) noexcept;
    Pin& operator=(Pin&& other) noexcept;
    void add(std::string path);
    void release() noexcept;

   private:
    Layers* layers_ = nullptr;
    std::vector<std::string> paths_;
  };
  Pin pin(std::vector<std::string> paths = {}) { return Pin(*this, std::move(paths)); }

  // While one lives nothing is collected: for a layer whose name is known only once it is made.
  class Pause {
   public:
    explicit Pause(Layers& layers) : layers_(&layers) { ++layers_->pauses_, ++layers_->pauses_seen_; }
    ~Pause() {
      if (layers_) --layers_->pauses_;
    }
    Pause(Pause&& other) noexcept : layers_(std::exchange(other.layers_, nullptr)) {}
    Pause& operator=(Pause&&) = delete;

   private:
    Layers* layers_;
  };
  Pause pause() { return Pause(*this); }

  // Something that may have named a layer is gone: the next round looks. Does not block.
  void something_went() noexcept;
  // Deletes what nothing names. Throws Error when a record cannot be read; nothing is deleted then.
  Task<int> collect();
  // collect() after each something_went(), at most once in limits::kCollectInterval, until it is cancelled.
  Task<> watch();

 private:
  async::ThreadPool& sys_;
  std::string directory_;
  async::Event changed_;
  std::map<std::string, int> pins_;
  std::set<std::string> touched_;  // pinned at any time since the collection under way began
  bool collecting_ = false;
  int pauses_ = 0;
  int pauses_seen_ = 0;  // begun since the collection under way
  bool wanted_ = false;
};

}  // namespace wrenn::agent::sandbox
