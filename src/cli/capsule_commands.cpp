// wrenn capsule …
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/capsules.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/session_options.h"
#include "cli/table.h"
#include "core/base/error.h"

namespace wrenn::cli {

namespace {

std::string number_text(const json::Value& capsule, std::string_view key) {
  const auto* value = capsule.find(key);
  return value ? std::to_string(value->as_int64().value_or(0)) : "";
}

void print_capsule(const Context& context, const json::Value& capsule) {
  if (context.json) return print_json(capsule);
  print(fmt::format("{}\n", capsule.text_of("id")));
}

int list_capsules(const Context& context) {
  Api api(find_endpoint(context.endpoint));
  const auto capsules = api.get("/v1/capsules");
  if (context.json) {
    print_json(capsules);
    return 0;
  }
  Table table({"ID", "STATUS", "TEMPLATE", "VCPUS", "MEMORY", "CREATED"});
  if (const auto* array = capsules.as_array()) {
    for (const auto& capsule : *array)
      table.add({std::string(capsule.text_of("id")), std::string(capsule.text_of("status")),
                 std::string(capsule.text_of("template")), number_text(capsule, "vcpus"),
                 number_text(capsule, "memory_mb") + " MiB", age_of(capsule.text_of("created_at"))});
  }
  print(table.text());
  return 0;
}

int inspect_capsule(const Context& context, const std::string& id) {
  Api api(find_endpoint(context.endpoint));
  const auto capsule = api.get(capsule_target(id));
  if (context.json) {
    print_json(capsule);
    return 0;
  }
  Table table({"FIELD", "VALUE"});
  for (const auto& [name, value] : *capsule.as_object()) {
    if (const auto* text = value.as_string()) {
      table.add({name, *text});
    } else if (const auto number = value.as_int64()) {
      table.add({name, std::to_string(*number)});
    } else if (const auto* nested = value.as_object()) {
      for (const auto& [key, item] : *nested)
        table.add({name + "." + key, item.as_string() ? *item.as_string() : ""});
    }
  }
  print(table.text());
  return 0;
}

// pause and resume: a POST that answers with the capsule.
int change_capsules(const Context& context, const std::vector<std::string>& ids, std::string_view verb) {
  Api api(find_endpoint(context.endpoint));
  api.client().set_timeout(std::chrono::seconds(300));
  for (const auto& id : ids) print_capsule(context, api.post(capsule_target(id, verb), ""));
  return 0;
}

int remove_capsules(const Context& context, std::vector<std::string> ids, bool all) {
  Api api(find_endpoint(context.endpoint));
  api.client().set_timeout(std::chrono::seconds(60));
  if (all) {
    const auto capsules = api.get("/v1/capsules");
    if (const auto* array = capsules.as_array())
      for (const auto& capsule : *array) ids.emplace_back(capsule.text_of("id"));
  } else if (ids.empty()) {
    throw_error(ErrorCode::invalid_argument, "name the capsules to remove, or use --all");
  }
  for (const auto& id : ids) {
    api.remove(capsule_target(id));
    print(id + "\n");
  }
  return 0;
}

CLI::App* add_id_command(CLI::App& group, const std::string& name, const std::string& help,
                         const std::shared_ptr<std::vector<std::string>>& ids) {
  auto* command = group.add_subcommand(name, help);
  command->add_option("id", *ids, "Capsule ids")->required();
  return command;
}

void add_create(CLI::App& group, Context& context) {
  const auto options = std::make_shared<CreateOptions>();
  auto* command = group.add_subcommand("create", "Create a capsule and print its id");
  command->add_option("--template", options->template_name, "Template; default: the server's");
  command->add_option("--vcpus", options->vcpus, "Virtual CPUs")->check(CLI::PositiveNumber);
  command->add_option("--memory", options->memory_mb, "Memory in MiB")->check(CLI::PositiveNumber);
  command->add_option("--timeout", options->timeout_sec, "Pause after so many idle seconds; 0: never");
  command->add_option("--boot", options->boot, "auto (the quickest way) or cold")
      ->check(CLI::IsMember({"auto", "cold"}));
  command->callback([&context, options] {
    context.action = [&context, options] {
      Api api(find_endpoint(context.endpoint));
      print_capsule(context, create_capsule(api, *options));
      return 0;
    };
  });
}

void add_exec(CLI::App& group, Context& context) {
  struct Options {
    std::string id;
    SessionFlags session;
  };
  const auto options = std::make_shared<Options>();
  auto* command = group.add_subcommand("exec", "Run a command in a running capsule");
  command->add_option("id", options->id, "Capsule id")->required();
  add_session_flags(*command, options->session);
  command->callback([&context, options] {
    context.action = [&context, options] {
      auto session = session_options(options->session);
      capsule_target(options->id);
      session.capsule_id = options->id;
      return run_session(find_endpoint(context.endpoint), std::move(session));
    };
  });
}

void add_shell(CLI::App& group, Context& context) {
  struct Options {
    std::string id, shell = "/bin/bash", user;
  };
  const auto options = std::make_shared<Options>();
  auto* command = group.add_subcommand("shell", "Open a login shell in a running capsule");
  command->add_option("id", options->id, "Capsule id")->required();
  command->add_option("--shell", options->shell, "Shell; default /bin/bash");
  command->add_option("-u,--user", options->user, "User inside the capsule");
  command->callback([&context, options] {
    context.action = [&context, options] {
      SessionFlags flags;
      flags.command = {options->shell, "-l"};
      flags.user = options->user;
      flags.terminal = flags.interactive = true;
      flags.envs = {"TERM=" + std::string(std::getenv("TERM") ? std::getenv("TERM") : "xterm-256color")};
      auto session = session_options(flags);
      capsule_target(options->id);
      session.capsule_id = options->id;
      return run_session(find_endpoint(context.endpoint), std::move(session));
    };
  });
}

}  // namespace

void add_capsule_commands(CLI::App& app, Context& context) {
  auto* group = app.add_subcommand("capsule", "Create, list, use and remove capsules");
  group->require_subcommand(1);
  group->fallthrough();
  add_create(*group, context);
  group->add_subcommand("ls", "List capsules")->callback([&context] {
    context.action = [&context] { return list_capsules(context); };
  });
  const auto ids = std::make_shared<std::vector<std::string>>();
  add_id_command(*group, "inspect", "Show everything about a capsule", ids)->callback([&context, ids] {
    context.action = [&context, ids] {
      for (const auto& id : *ids) inspect_capsule(context, id);
      return 0;
    };
  });
  add_exec(*group, context);
  add_shell(*group, context);
  for (const auto& [verb, help] : {std::pair<std::string, std::string>{"pause", "Save memory and disk; stop using CPU"},
                                   {"resume", "Continue a paused capsule where it was"}}) {
    add_id_command(*group, verb, help, ids)->callback([&context, ids, verb = verb] {
      context.action = [&context, ids, verb] { return change_capsules(context, *ids, "/" + verb); };
    });
  }
  add_fork_commands(*group, context);
  const auto all = std::make_shared<bool>(false);
  auto* remove = group->add_subcommand("rm", "Destroy capsules with all their data");
  remove->add_option("id", *ids, "Capsule ids");
  remove->add_flag("--all", *all, "Every capsule");
  remove->callback([&context, ids, all] {
    context.action = [&context, ids, all] { return remove_capsules(context, *ids, *all); };
  });
}

}  // namespace wrenn::cli
