// Figures of a role for Prometheus: counters, gauges and histograms with fixed buckets, rendered as text
// (exposition format 0.0.4). No locks: a registry and everything in it belong to one loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace wrenn::metrics {

// In the order in which they are printed. Values may hold anything; they are escaped. Keep them few: every
// distinct set is a series of its own.
using Labels = std::vector<std::pair<std::string, std::string>>;

class Counter {
 public:
  void add(double amount = 1) noexcept { value_ += amount; }  // never negative
  double value() const noexcept { return value_; }

 private:
  double value_ = 0;
};

class Gauge {
 public:
  void set(double value) noexcept { value_ = value; }
  void add(double amount) noexcept { value_ += amount; }
  double value() const noexcept { return value_; }

 private:
  double value_ = 0;
};

class Histogram {
 public:
  // Upper bounds, ascending; one more bucket takes the rest.
  explicit Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}
  void observe(double value) noexcept;

  const std::vector<double>& bounds() const noexcept { return bounds_; }
  const std::vector<std::uint64_t>& counts() const noexcept { return counts_; }  // per bucket, not cumulative
  std::uint64_t count() const noexcept { return count_; }
  double sum() const noexcept { return sum_; }

 private:
  std::vector<double> bounds_;
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

// 1 ms … 60 s, for anything between an HTTP request and a cold boot.
std::vector<double> duration_bounds_seconds();

class Registry {
 public:
  // Each gives the series of that name and those labels, made at the first call; the reference lives as long
  // as the registry. Names are [a-zA-Z_:][a-zA-Z0-9_:]*, in seconds and bytes, counters end in "_total"
  // (wrenn_agent_sandbox_stage_duration_seconds). Throws Error(internal) for a malformed name, or when the
  // name is already of another kind.
  Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, const std::vector<double>& bounds,
                       const Labels& labels = {});

  // Called before each render(), to set gauges whose value is a question (how many sandboxes run now).
  void before_render(std::function<void()> refresh) { refreshers_.push_back(std::move(refresh)); }

  std::string render() const;

 private:
  using Series = std::variant<std::unique_ptr<Counter>, std::unique_ptr<Gauge>, std::unique_ptr<Histogram>>;
  struct Family {
    std::string help;
    std::size_t kind = 0;                  // index into Series
    std::map<std::string, Series> series;  // by rendered labels: `stage="boot"`
  };
  template <typename T>
  T& find(std::string_view name, std::string_view help, const Labels& labels,
          const std::function<std::unique_ptr<T>()>& make);

  std::map<std::string, Family, std::less<>> families_;
  std::vector<std::function<void()>> refreshers_;
};

inline constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace wrenn::metrics
