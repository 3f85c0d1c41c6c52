// Settings of `wrenn dev`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/settings.h"
#include "cp/config.h"

namespace wrenn::dev {

struct Config {
  std::string dir = "/var/lib/wrenn";
  std::string listen = "127.0.0.1:8000";
  std::string on_exit = "pause";  // what becomes of running capsules at the end: "pause", or "keep" running
  std::string acceleration = "auto";
  std::int64_t ready_sandboxes = 2;  // as agent::Config
  std::vector<std::string> gateway_domains = {"localhost"};  // as cp::Config
  cp::ChannelConfig channels;
  std::string log_level = "info";
};

void describe(config::Settings& settings, Config& values);

}  // namespace wrenn::dev
