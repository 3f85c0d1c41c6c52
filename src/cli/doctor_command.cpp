// wrenn doctor: is this machine fit to run capsules, and if not, what to do.
#include <CLI/CLI.hpp>
#include <cstdlib>

#include "agent/host_checks.h"
#include "cli/commands.h"
#include "cli/table.h"

namespace wrenn::cli {

static int examine(const Context& context) {
  std::string directory = context.endpoint.dir;
  if (directory.empty()) {
    const char* value = std::getenv("WRENN_DIR");
    directory = value ? value : std::string(kDefaultDir);
  }
  const auto checks = agent::examine_host(directory);
  bool failed = false;
  json::Value::Array array;
  Table table({"CHECK", "RESULT", "FOUND"});
  for (const auto& check : checks) {
    failed |= check.verdict == agent::HostCheck::Verdict::failure;
    const std::string verdict(to_string(check.verdict));
    table.add({check.name, verdict, check.finding});
    if (!check.remedy.empty()) table.add({"", "", "→ " + check.remedy});
    json::Value::Object object;
    object.emplace_back("check", json::Value(check.name));
    object.emplace_back("result", json::Value(verdict));
    object.emplace_back("found", json::Value(check.finding));
    object.emplace_back("remedy", json::Value(check.remedy));
    array.emplace_back(std::move(object));
  }
  if (context.json) {
    print_json(json::Value(std::move(array)));
  } else {
    print(table.text());
  }
  return failed ? 1 : 0;
}

void add_doctor_command(CLI::App& app, Context& context) {
  app.add_subcommand("doctor", "Examine whether this machine can run capsules, with a remedy for what is missing")
      ->callback([&context] {
        context.action = [&context] { return examine(context); };
      });
}

}  // namespace wrenn::cli
