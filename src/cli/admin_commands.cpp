// wrenn admin …: the first account, and what must be possible when nobody can sign in. wrenn config check.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "agent/run.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "core/base/error.h"
#include "core/config/settings.h"
#include "cp/admin.h"
#include "dev/run.h"

namespace wrenn::cli {

namespace {

template <typename Config>
Config load(const std::string& role, const Context& context, const std::string& file) {
  Config config;
  config::Settings settings(role);
  describe(settings, config);
  config::Sources sources;
  sources.file = file;
  if (!context.endpoint.dir.empty()) sources.flags.emplace_back("dir", context.endpoint.dir);
  settings.load(sources);
  return config;
}

Secret password_of_stdin() {
  std::string line;
  if (!std::getline(std::cin, line) || line.empty())
    throw_error(ErrorCode::invalid_argument, "--password-stdin: no password came");
  return Secret(std::move(line));
}

void add_create_user(CLI::App& group, Context& context, const std::shared_ptr<std::string>& file) {
  struct State {
    cp::NewUser user;
    bool from_stdin = false;
  };
  const auto state = std::make_shared<State>();
  auto* command = group.add_subcommand("create-user", "Make an active account with a team of its own");
  command->add_option("email", state->user.email, "Its address")->required();
  command->add_option("--name", state->user.name, "Name of its owner; the address by default");
  command->add_flag("--admin", state->user.admin, "An admin of the platform");
  command->add_flag("--password-stdin", state->from_stdin, "The password is a line of standard input; else one is made up");
  command->callback([&context, file, state] {
    context.action = [&context, file, state] {
      if (state->from_stdin) state->user.password = password_of_stdin();
      const auto made = cp::create_user(load<cp::Config>("wrenn cp", context, *file), state->user);
      if (context.json) {
        json::Value::Object object;
        object.emplace_back("user_id", json::Value(made.id));
        object.emplace_back("email", json::Value(made.email));
        object.emplace_back("team_id", json::Value(made.team));
        if (!made.password.empty()) object.emplace_back("password", json::Value(made.password.reveal()));
        print_json(json::Value(std::move(object)));
      } else {
        print(fmt::format("{} {}\n", made.id, made.email));
        if (!made.password.empty()) print(fmt::format("password: {}\n", made.password.reveal()));
      }
      return 0;
    };
  });
}

void add_for_email(CLI::App& group, Context& context, const std::shared_ptr<std::string>& file, const char* name,
                   const char* help, void (*work)(const cp::Config&, const std::string&)) {
  const auto email = std::make_shared<std::string>();
  auto* command = group.add_subcommand(name, help);
  command->add_option("email", *email, "Address of the account")->required();
  command->callback([&context, file, email, work] {
    context.action = [&context, file, email, work] {
      work(load<cp::Config>("wrenn cp", context, *file), *email);
      return 0;
    };
  });
}

void add_backup(CLI::App& group, Context& context, const std::shared_ptr<std::string>& file) {
  auto* command = group.add_subcommand("backup", "Copy the database beside itself, as it is at one moment");
  command->callback([&context, file] {
    context.action = [&context, file] {
      const auto path = cp::backup(load<cp::Config>("wrenn cp", context, *file));
      if (!path)
        throw_error(ErrorCode::unimplemented, "the database is PostgreSQL: its own tool pg_dump makes the copy");
      print(*path + "\n");
      return 0;
    };
  });
}

void add_rotate_key(CLI::App& group, Context& context, const std::shared_ptr<std::string>& file) {
  auto* command = group.add_subcommand("rotate-key",
                                       "Replace the key that encrypts secrets at rest; WRENN_NEW_ENCRYPTION_KEY may hold the "
                                       "new one");
  command->callback([&context, file] {
    context.action = [&context, file] {
      const char* given = std::getenv("WRENN_NEW_ENCRYPTION_KEY");
      const auto done =
          cp::rotate_key(load<cp::Config>("wrenn cp", context, *file), Secret(given == nullptr ? "" : given));
      print(fmt::format("{} secrets are encrypted with the new key\n", done.resealed));
      if (done.unreadable > 0)
        print(fmt::format("{} could not be decrypted and stay as they are\n", done.unreadable));
      print(done.in_settings ? "now set WRENN_ENCRYPTION_KEY (or encryption_key) to the new key and start the control planes anew\n"
                             : "back encryption.key up, and give it to control planes of this database on other machines\n");
      return 0;
    };
  });
}

}  // namespace

void add_admin_commands(CLI::App& app, Context& context) {
  auto* group = app.add_subcommand("admin", "Accounts, backups and the encryption key, on the database of a control plane");
  group->require_subcommand(1);
  const auto file = std::make_shared<std::string>();
  group->add_option("--config", *file, "TOML file with the settings of `wrenn cp`");
  add_create_user(*group, context, file);
  add_for_email(*group, context, file, "grant-admin", "Make somebody an admin of the platform", cp::grant_admin);
  add_for_email(*group, context, file, "activate-user", "Activate an account without its mail, or enable it again",
                cp::activate_user);
  add_backup(*group, context, file);
  add_rotate_key(*group, context, file);

  auto* settings = app.add_subcommand("config", "Settings of the roles");
  settings->require_subcommand(1);
  auto* check = settings->add_subcommand("check", "Read the settings of a role and say what is wrong with them");
  struct State {
    std::string role = "cp", file;
  };
  const auto state = std::make_shared<State>();
  check->add_option("role", state->role, "cp, agent or dev")->check(CLI::IsMember({"cp", "agent", "dev"}));
  check->add_option("--config", state->file, "TOML file");
  check->callback([&context, state] {
    context.action = [&context, state] {
      if (state->role == "cp") load<cp::Config>("wrenn cp", context, state->file);
      if (state->role == "agent") load<agent::Config>("wrenn agent", context, state->file);
      if (state->role == "dev") load<dev::Config>("wrenn dev", context, state->file);
      print(fmt::format("the settings of wrenn {} are fine\n", state->role));
      return 0;
    };
  });
}

}  // namespace wrenn::cli
