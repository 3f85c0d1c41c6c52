#include "core/metrics/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace wrenn::metrics {

namespace {

bool is_name(std::string_view text, bool colon) {
  const auto letter = [colon](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
  };
  return !text.empty() && letter(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

std::string escape(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
  return out;
}

std::string render_labels(const Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    if (!is_name(name, false)) throw_error(ErrorCode::internal, "metric label \"{}\" is no legal name", name);
    out += fmt::format("{}{}=\"{}\"", out.empty() ? "" : ",", name, escape(value, true));
  }
  return out;
}

std::string render_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

std::string braces(std::string_view labels, std::string_view more = {}) {
  if (labels.empty() && more.empty()) return {};
  return fmt::format("{{{}{}{}}}", labels, labels.empty() || more.empty() ? "" : ",", more);
}

void render_histogram(std::string& out, std::string_view name, std::string_view labels,
                      const Histogram& histogram) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < histogram.counts().size(); ++i) {
    total += histogram.counts()[i];
    const std::string bound = i < histogram.bounds().size() ? render_number(histogram.bounds()[i]) : "+Inf";
    out += fmt::format("{}_bucket{} {}\n", name, braces(labels, fmt::format("le=\"{}\"", bound)), total);
  }
  out += fmt::format("{}_sum{} {}\n", name, braces(labels), render_number(histogram.sum()));
  out += fmt::format("{}_count{} {}\n", name, braces(labels), histogram.count());
}

}  // namespace

void Histogram::observe(double value) noexcept {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  ++count_;
  sum_ += value;
}

std::vector<double> duration_bounds_seconds() {
  return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
}

template <typename T>
T& Registry::find(std::string_view name, std::string_view help, const Labels& labels,
                  const std::function<std::unique_ptr<T>()>& make) {
  if (!is_name(name, true)) throw_error(ErrorCode::internal, "metric \"{}\" is no legal name", name);
  const std::string key = render_labels(labels);
  Series made = make();
  auto family = families_.find(name);
  if (family == families_.end()) {
    family = families_.emplace(std::string(name), Family{}).first;
    family->second.help = help;
    family->second.kind = made.index();
  } else if (family->second.kind != made.index()) {
    throw_error(ErrorCode::internal, "metric {} is used as two kinds", name);
  }
  const auto series = family->second.series.try_emplace(key, std::move(made)).first;
  return *std::get<std::unique_ptr<T>>(series->second);
}

Counter& Registry::counter(std::string_view name, std::string_view help, const Labels& labels) {
  return find<Counter>(name, help, labels, [] { return std::make_unique<Counter>(); });
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  return find<Gauge>(name, help, labels, [] { return std::make_unique<Gauge>(); });
}

Histogram& Registry::histogram(std::string_view name, std::string_view help,
                               const std::vector<double>& bounds, const Labels& labels) {
  return find<Histogram>(name, help, labels, [&bounds] { return std::make_unique<Histogram>(bounds); });
}

std::string Registry::render() const {
  for (const auto& refresh : refreshers_) refresh();
  static constexpr std::string_view kKinds[] = {"counter", "gauge", "histogram"};
  std::string out;
  for (const auto& [name, family] : families_) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escape(family.help, false), name,
                       kKinds[family.kind]);
    for (const auto& [labels, series] : family.series) {
      if (const auto* counter = std::get_if<std::unique_ptr<Counter>>(&series)) {
        out += fmt::format("{}{} {}\n", name, braces(labels), render_number((*counter)->value()));
      } else if (const auto* gauge = std::get_if<std::unique_ptr<Gauge>>(&series)) {
        out += fmt::format("{}{} {}\n", name, braces(labels), render_number((*gauge)->value()));
      } else {
        render_histogram(out, name, labels, *std::get<std::unique_ptr<Histogram>>(series));
      }
    }
  }
  return out;
}

}  // namespace wrenn::metrics
