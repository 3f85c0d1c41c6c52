// Spare machines: clones of golden snapshots that nobody has asked for yet. They have run once, so that what
// a VMM does at first (load itself, translate the guest's code under emulation, fault its memory in) lies
// behind them, and stand still. A create that finds one has to write a record and let it go on.
//
// Kept for the kinds that were asked for last, as many in all as the setting says; made one at a time while
// nobody creates anything. A spare is a sandbox with a made-up id in state `starting`, so whatever happens to
// the agent removes it. The sandbox that is made of it keeps its names on the host (Record::place).
#pragma once

#include <deque>
#include <list>
#include <memory>
#include <string>

#include "agent/sandbox/assembly.h"
#include "agent/sandbox/goldens.h"

namespace wrenn::agent::sandbox {

// Belongs to the loop thread.
class Spares {
 public:
  // `host` outlives this. `count`: of all kinds together; at least 1.
  Spares(Host& host, std::size_t count) : host_(host), count_(count), changed_(host.executor) {}

  // Null when there is none of this kind. Does not block.
  std::unique_ptr<Assembly> take(const GoldenKey& key);
  // Of this kind more will be asked for.
  void want(const GoldenKey& key, const templates::TemplateImage& image, const Record& record);
  // Makes what is missing and removes what is too many, until it is cancelled.
  Task<> fill();
  // At the agent's end: removes all. Does not throw.
  Task<> close();
  std::size_t ready() const noexcept;

 private:
  struct Kind {
    GoldenKey key;
    templates::TemplateImage image;
    Record record;  // of the sizes
    std::deque<std::unique_ptr<Assembly>> ready;
    std::vector<std::unique_ptr<Assembly>> ended;  // found dead, to be removed
    std::size_t share = 0;
  };
  void note_use(const std::string& digest);
  void divide() noexcept;
  Kind* most_lacking() noexcept;
  Task<> apart(Task<> work);
  Task<> make_one(bool& made);
  std::unique_ptr<Assembly> pop_surplus();
  Task<> remove_surplus();
  Task<> remove(std::unique_ptr<Assembly> spare);
  bool may_make() const;

  Host& host_;
  std::size_t count_;
  async::Event changed_;
  std::list<Kind> kinds_;  // the latest use first
  SteadyTime last_use_{};
};

}  // namespace wrenn::agent::sandbox
