// How much output of foreground commands this process holds in memory: until a command has ended and its
// answer was sent. Each is bounded by itself, but many run at once.
#pragma once

#include <cstddef>
#include <map>
#include <utility>

#include "model/ids.h"

namespace wrenn::cp::handlers {

class HeldOutput {
 public:
  // Bytes, of all commands and of those of one team.
  HeldOutput(std::size_t most, std::size_t most_of_team) noexcept
      : most_(most), most_of_team_(most_of_team) {}

  // What one command holds; its destructor gives it back. `all` must outlive it.
  class Share {
   public:
    Share(HeldOutput& all, model::TeamId team) : all_(all), team_(std::move(team)) {}
    ~Share() { all_.give_back(team_, bytes_); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // False, and nothing is taken, if that would be too much.
    [[nodiscard]] bool take(std::size_t bytes) {
      if (!all_.take(team_, bytes)) return false;
      bytes_ += bytes;
      return true;
    }

   private:
    HeldOutput& all_;
    const model::TeamId team_;
    std::size_t bytes_ = 0;
  };

  std::size_t bytes() const noexcept { return bytes_; }

 private:
  bool take(const model::TeamId& team, std::size_t bytes) {
    if (bytes == 0) return true;
    const auto found = by_team_.find(team);
    const std::size_t of_team = found == by_team_.end() ? 0 : found->second;
    if (bytes > most_ - bytes_ || bytes > most_of_team_ - of_team) return false;
    by_team_[team] += bytes;
    bytes_ += bytes;
    return true;
  }
  void give_back(const model::TeamId& team, std::size_t bytes) noexcept {
    const auto found = by_team_.find(team);
    if (bytes == 0 || found == by_team_.end()) return;
    bytes_ -= bytes;
    if ((found->second -= bytes) == 0) by_team_.erase(found);
  }

  const std::size_t most_, most_of_team_;
  std::size_t bytes_ = 0;
  std::map<model::TeamId, std::size_t> by_team_;  // without those that hold nothing
};

}  // namespace wrenn::cp::handlers
