// wrenn cp, agent, envd, dev, initramfs: the commands that start a role or make a part of one.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <memory>

#include "agent/run.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "core/base/error.h"
#include "core/config/settings.h"
#include "core/log/log.h"
#include "cp/run.h"
#include "dev/run.h"
#include "envd/run.h"
#include "guest/initramfs.h"

namespace wrenn::cli {

namespace {

// A role with settings: every setting becomes a flag, in addition to file and environment.
template <typename Config>
void add_role(CLI::App& app, Context& context, const std::string& name, const std::string& help,
              std::function<void(const Config&)> run_role) {
  struct State {
    Config config;
    config::Settings settings;
    std::vector<std::pair<std::string, std::unique_ptr<std::string>>> flags;
    std::string file;
    bool print = false;
    explicit State(const std::string& role) : settings(role) {}
  };
  const auto state = std::make_shared<State>("wrenn " + name);
  describe(state->settings, state->config);
  auto* command = app.add_subcommand(name, help);
  command->add_option("--config", state->file, "TOML file with settings");
  command->add_flag("--print-config", state->print, "Print the settings in effect and where they come from");
  for (const auto& field : state->settings.fields()) {
    // The program's own options of these names stand before the command and mean the same.
    if (field.secret() || field.flag() == "--dir" || field.flag() == "--log-level") continue;
    auto& [key, value] = state->flags.emplace_back(field.key(), std::make_unique<std::string>());
    command->add_option(field.flag(), *value, field.help());
  }
  command->callback([&context, state, run_role = std::move(run_role)] {
    context.action = [&context, state, run_role] {
      config::Sources sources;
      sources.file = state->file;
      for (const auto& [key, value] : state->flags)
        if (!value->empty()) sources.flags.emplace_back(key, *value);
      if (!context.endpoint.dir.empty()) sources.flags.emplace_back("dir", context.endpoint.dir);
      state->settings.load(sources);
      if (state->print) {
        print(state->settings.print());
        return 0;
      }
      if (!context.log_level_given) log::set_level(std::string_view(state->config.log_level));
      run_role(state->config);
      return 0;
    };
  });
}

void add_envd(CLI::App& app, Context& context) {
  struct State {
    envd::Options options;
    std::string socket, cgroup_root, forward;
  };
  const auto state = std::make_shared<State>();
  auto* command = app.add_subcommand("envd", "The guest agent; runs inside capsules, and anywhere for a try");
  command->add_option("--host", state->options.host, "Address to listen on");
  command->add_option("--port", state->options.port, "Port; 0: any free one");
  command->add_option("--unix-socket", state->socket, "Listen on this path instead");
  command->add_option("--cgroup-root", state->cgroup_root, "cgroup v2 directory for the groups of processes");
  command->add_option("--forward", state->forward,
                      "Make what listens on loopback reachable at this address of the machine; \"off\": nowhere");
  command->add_flag("--in-guest", state->options.in_guest, "This machine is a capsule's guest and envd may change it");
  command->add_flag("--print-address", state->options.print_address, "Print where it listens");
  command->callback([&context, state] {
    context.action = [state] {
      if (!state->socket.empty()) state->options.unix_socket = state->socket;
      if (!state->cgroup_root.empty()) state->options.cgroup_root = state->cgroup_root;
      if (!state->forward.empty()) state->options.forward_address = state->forward;
      log::set_role("envd");
      envd::run(state->options);
      return 0;
    };
  });
}

void add_initramfs(CLI::App& app, Context& context) {
  const auto options = std::make_shared<guest::InitramfsOptions>();
  auto* command = app.add_subcommand("initramfs", "Write the initramfs that capsules boot from");
  command->add_option("--output", options->output, "File to write")->required();
  command->add_option("--modules", options->modules, "Directory of kernel modules, in load order")->required();
  command->add_option("--init-binary", options->init_binary, "The static wrenn executable that becomes /init")->required();
  command->callback([&context, options] {
    context.action = [options] {
      guest::write_initramfs(*options);
      return 0;
    };
  });
}

}  // namespace

void add_role_commands(CLI::App& app, Context& context) {
  add_role<dev::Config>(app, context, "dev", "Control plane and agent on this machine", dev::run);
  add_role<cp::Config>(app, context, "cp", "The control plane", [](const cp::Config& config) {
    log::set_role("cp");
    cp::run(config);
  });
  add_role<agent::Config>(app, context, "agent", "The agent of a host", [](const agent::Config& config) {
    log::set_role("agent");
    agent::run(config);
  });
  add_envd(app, context);
  add_initramfs(app, context);
}

}  // namespace wrenn::cli
