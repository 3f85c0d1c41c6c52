// wrenn capsule fork, checkpoint, checkpoints and rollback.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/capsules.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "core/base/error.h"
#include "core/json/writer.h"

namespace wrenn::cli {

namespace {

constexpr int kForkMax = 100;  // of one call, as the API has it
// A checkpoint writes the memory of a capsule before it answers.
constexpr auto kCheckpointTimeout = std::chrono::seconds(330);

// {"name":"value"}, or {} for an empty value.
std::string body_of(std::string_view name, const std::string& value) {
  std::string body;
  json::Writer writer(body);
  writer.begin_object();
  if (!value.empty()) writer.member(name, value);
  writer.end_object();
  return body;
}

struct ForkOptions {
  std::string id;
  int count = 1;
  long timeout_sec = -1;  // -1: the parent's
};

int fork_capsule(const Context& context, const ForkOptions& options) {
  Api api(find_endpoint(context.endpoint));
  std::string body;
  json::Writer writer(body);
  writer.begin_object();
  writer.member("count", options.count);
  if (options.timeout_sec >= 0) writer.member("timeout_sec", static_cast<std::int64_t>(options.timeout_sec));
  writer.end_object();
  const auto answer = post_and_wait(api, capsule_target(options.id, "/fork"), body);
  const auto* capsules = answer.find("capsules");
  if (capsules == nullptr || capsules->as_array() == nullptr)
    throw_error(ErrorCode::internal, "the server's answer to fork has no capsules");
  json::Value::Array children;
  for (const auto& child : *capsules->as_array()) {
    children.push_back(until_running(api, child));
    if (!context.json) print(fmt::format("{}\n", children.back().text_of("id")));
  }
  if (context.json)
    print_json(json::Value(json::Value::Object{{"capsules", json::Value(std::move(children))}}));
  return 0;
}

int create_checkpoint(const Context& context, const std::string& id, const std::string& name) {
  Api api(find_endpoint(context.endpoint));
  api.client().set_timeout(kCheckpointTimeout);
  const auto checkpoint = api.post(capsule_target(id, "/checkpoints"), body_of("name", name));
  if (context.json) {
    print_json(checkpoint);
  } else {
    print(fmt::format("{}\n", checkpoint.text_of("id")));
  }
  return 0;
}

int list_checkpoints(const Context& context, const std::string& id) {
  Api api(find_endpoint(context.endpoint));
  const auto answer = api.get(capsule_target(id, "/checkpoints"));
  if (context.json) {
    print_json(answer);
    return 0;
  }
  Table table({"ID", "NAME", "SIZE", "CREATED"});
  const auto* checkpoints = answer.find("checkpoints");
  if (const auto* array = checkpoints ? checkpoints->as_array() : nullptr) {
    for (const auto& one : *array) {
      const auto* size = one.find("size_bytes");
      table.add({std::string(one.text_of("id")), std::string(one.text_of("name")),
                 size_text(size ? size->as_double().value_or(0) : 0), age_of(one.text_of("created_at"))});
    }
  }
  print(table.text());
  return 0;
}

int rollback(const Context& context, const std::string& id, const std::string& checkpoint) {
  Api api(find_endpoint(context.endpoint));
  auto capsule = post_and_wait(api, capsule_target(id, "/rollback"), body_of("checkpoint", checkpoint));
  capsule = until_running(api, std::move(capsule));
  if (context.json) {
    print_json(capsule);
  } else {
    print(fmt::format("{}\n", capsule.text_of("id")));
  }
  return 0;
}

void add_fork(CLI::App& group, Context& context) {
  const auto options = std::make_shared<ForkOptions>();
  auto* command = group.add_subcommand("fork", "Make running copies of a capsule and print their ids");
  command->add_option("id", options->id, "Capsule id")->required();
  command->add_option("-n,--count", options->count, "How many; default 1")->check(CLI::Range(1, kForkMax));
  command
      ->add_option("--timeout", options->timeout_sec,
                   "Pause a copy after so many idle seconds; 0: never; default: as the capsule")
      ->check(CLI::NonNegativeNumber);
  command->callback([&context, options] {
    context.action = [&context, options] { return fork_capsule(context, *options); };
  });
}

}  // namespace

void add_fork_commands(CLI::App& group, Context& context) {
  add_fork(group, context);
  struct Words {
    std::string id, word;
  };
  const auto words = std::make_shared<Words>();
  auto* checkpoint =
      group.add_subcommand("checkpoint", "Remember memory and disk of a capsule and print the id");
  checkpoint->add_option("id", words->id, "Capsule id")->required();
  checkpoint->add_option("--name", words->word, "A name for it");
  checkpoint->callback([&context, words] {
    context.action = [&context, words] { return create_checkpoint(context, words->id, words->word); };
  });
  auto* list = group.add_subcommand("checkpoints", "List the checkpoints of a capsule");
  list->add_option("id", words->id, "Capsule id")->required();
  list->callback([&context, words] {
    context.action = [&context, words] { return list_checkpoints(context, words->id); };
  });
  auto* back = group.add_subcommand("rollback", "Set a capsule back to a checkpoint");
  back->add_option("id", words->id, "Capsule id")->required();
  back->add_option("checkpoint", words->word, "Id or name of the checkpoint")->required();
  back->callback([&context, words] {
    context.action = [&context, words] { return rollback(context, words->id, words->word); };
  });
}

}  // namespace wrenn::cli
