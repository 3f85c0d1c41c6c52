// Events of the moment for those who listen (server-sent events). One reader of the stream in each process;
// what it reads is rendered once and handed to every listener of the team.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "core/async/event.h"
#include "core/db/database.h"

namespace wrenn::cp {

using async::Task;

class EventFeed {
 public:
  using Chunk = std::shared_ptr<const std::string>;  // as it is written to a listener

  // `database` must outlive this.
  EventFeed(async::Executor executor, db::Database& database);

  // Ends by cancellation only.
  Task<> run();

  // In place of a team: whatever happens to any of them.
  static constexpr std::string_view kEveryTeam = "";

  // What a team is told from its making on, but for what the listener is too slow to take.
  class Listener {
   public:
    // `team` is the text of an id, or kEveryTeam.
    Listener(EventFeed& feed, std::string team);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    // Returns what there is; null when nothing came for `duration`. Throws Error(resource_exhausted) for a
    // listener that is too slow.
    Task<Chunk> next(std::chrono::steady_clock::duration duration);
    // Events up to this number are not told here: they are to be read (EventFeed::read).
    std::int64_t begins_after() const noexcept { return begins_after_; }

   private:
    friend class EventFeed;
    void push(const Chunk& chunk);
    EventFeed& feed_;
    const std::string team_;
    const std::int64_t begins_after_;
    std::deque<Chunk> waiting_;
    bool too_slow_ = false;
    async::Event changed_;
    std::list<Listener*>::iterator place_;
  };

  // The events of a team, or of every team, with numbers above `after` and up to `last`, some at a time: none
  // left when empty.
  struct Kept {
    std::int64_t seq;
    Chunk chunk;
  };
  Task<std::vector<Kept>> read(std::string team, std::int64_t after, std::int64_t last);

  std::size_t listeners() const noexcept { return count_; }
  // False until the first look at the stream, and while the database cannot be reached.
  bool ready() const noexcept { return position_ >= 0; }

 private:
  Task<> follow();
  bool anybody_hears(std::string_view team) const;
  void tell(std::string_view team, const Chunk& chunk);
  void tell_transient(std::string_view word);

  async::Executor executor_;
  db::Database& database_;
  std::map<std::string, std::list<Listener*>, std::less<>> by_team_;
  std::size_t count_ = 0;
  std::int64_t position_ = -1;  // told up to here; -1: not begun
  async::Event woken_;
  bool asked_ = false;
};

}  // namespace wrenn::cp
