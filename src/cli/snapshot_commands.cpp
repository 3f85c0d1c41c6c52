// wrenn snapshot …: templates made of capsules.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/capsules.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/json/writer.h"

namespace wrenn::cli {

namespace {

// A snapshot writes the memory of a capsule before it answers.
constexpr auto kSnapshotTimeout = std::chrono::seconds(330);

struct SnapshotOptions {
  std::string id, name;
  bool overwrite = false;
};

int create_snapshot(const Context& context, const SnapshotOptions& options) {
  Api api(find_endpoint(context.endpoint));
  api.client().set_timeout(kSnapshotTimeout);
  capsule_target(options.id);
  std::string body;
  json::Writer writer(body);
  writer.begin_object();
  writer.member("sandbox_id", options.id);
  if (!options.name.empty()) writer.member("name", options.name);
  writer.end_object();
  const auto made = api.post(options.overwrite ? "/v1/snapshots?overwrite=true" : "/v1/snapshots", body);
  if (context.json) {
    print_json(made);
  } else {
    print(fmt::format("{}\n", made.text_of("name")));
  }
  return 0;
}

std::string number_or_dash(const json::Value& one, std::string_view key, std::string_view unit) {
  const auto* value = one.find(key);
  return value ? fmt::format("{}{}", value->as_int64().value_or(0), unit) : "-";
}

int list_snapshots(const Context& context, bool all) {
  Api api(find_endpoint(context.endpoint));
  const auto templates = api.get(all ? "/v1/snapshots" : "/v1/snapshots?type=snapshot");
  if (context.json) {
    print_json(templates);
    return 0;
  }
  Table table({"NAME", "TYPE", "VCPUS", "MEMORY", "SIZE", "CREATED"});
  if (const auto* array = templates.as_array()) {
    for (const auto& one : *array) {
      const auto* size = one.find("size_bytes");
      table.add({std::string(one.text_of("name")), std::string(one.text_of("type")),
                 number_or_dash(one, "vcpus", ""), number_or_dash(one, "memory_mb", " MiB"),
                 size_text(size ? size->as_double().value_or(0) : 0), age_of(one.text_of("created_at"))});
    }
  }
  print(table.text());
  return 0;
}

int delete_snapshots(const Context& context, const std::vector<std::string>& names) {
  Api api(find_endpoint(context.endpoint));
  api.client().set_timeout(std::chrono::seconds(90));
  for (const auto& name : names) {
    // It becomes part of a target.
    if (!is_safe_name(name))
      throw_error(ErrorCode::invalid_argument, "\"{}\" is no template name; `wrenn snapshot list` lists them",
                  name);
    api.remove("/v1/snapshots/" + name);
    print(name + "\n");
  }
  return 0;
}

}  // namespace

void add_snapshot_commands(CLI::App& app, Context& context) {
  auto* group = app.add_subcommand("snapshot", "Make templates of capsules, list and delete them");
  group->require_subcommand(1);
  group->fallthrough();

  const auto options = std::make_shared<SnapshotOptions>();
  auto* create =
      group->add_subcommand("create", "Make a template of a capsule, which goes on, and print its name");
  create->add_option("id", options->id, "Capsule id")->required();
  create->add_option("--name", options->name, "Its name; default: one is made up");
  create->add_flag("--overwrite", options->overwrite, "Replace a snapshot of that name");
  create->callback([&context, options] {
    context.action = [&context, options] { return create_snapshot(context, *options); };
  });

  const auto all = std::make_shared<bool>(false);
  auto* list = group->add_subcommand("list", "List snapshots");
  list->alias("ls");
  list->add_flag("--all", *all, "Base templates too");
  list->callback(
      [&context, all] { context.action = [&context, all] { return list_snapshots(context, *all); }; });

  const auto names = std::make_shared<std::vector<std::string>>();
  auto* remove = group->add_subcommand("delete", "Delete snapshots; capsules made of them go on");
  remove->alias("rm");
  remove->add_option("name", *names, "Names")->required();
  remove->callback([&context, names] {
    context.action = [&context, names] { return delete_snapshots(context, *names); };
  });
}

}  // namespace wrenn::cli
