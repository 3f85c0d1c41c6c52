#include "core/config/settings.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "core/base/error.h"

using namespace wrenn;
using namespace wrenn::config;
using Catch::Contains;

namespace {

struct Values {
  std::string listen = ":8000";
  std::string dir = "/var/lib/x";
  bool secure = false;
  std::int64_t workers = 2;
  std::chrono::milliseconds lifetime = 8h;
  std::int64_t disk_mib = 5120;
  std::vector<std::string> peers;
  std::string level = "info";
  Secret url;
};

void describe(Settings& settings, Values& values) {
  settings.address("listen", values.listen, "address of the server").env("X_LISTEN").env("WRENN_LISTEN");
  settings.text("dir", values.dir, "where files are");
  settings.boolean("secure", values.secure, "TLS only");
  settings.integer("pool.workers", values.workers, "threads", 1, 64);
  settings.duration("session.lifetime", values.lifetime, "how long a login lasts", 1s, 24h);
  settings.size_mib("disk", values.disk_mib, "size of a disk", 100, 1 << 20);
  settings.list("peers", values.peers, "other servers");
  settings.one_of("log.level", values.level, "least level shown", {"debug", "info", "error"});
  settings.secret("database.url", values.url, "where the data is").env("DATABASE_URL");
}

class TempFile {
 public:
  explicit TempFile(const std::string& text) {
    char path[] = "/tmp/wrenn-settings-XXXXXX";
    const int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    close(fd);
    path_ = path;
    std::ofstream(path_) << text;
  }
  ~TempFile() { unlink(path_.c_str()); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Given {
  std::string toml;
  std::map<std::string, std::string> variables;
  std::vector<std::pair<std::string, std::string>> flags;
};

Values load(const Given& given, std::string* printed = nullptr) {
  const TempFile file(given.toml);
  Values values;
  Settings settings("wrenn test");
  describe(settings, values);
  Sources sources;
  sources.file = file.path();
  sources.environment = environment_of(given.variables);
  sources.flags = given.flags;
  settings.load(sources);
  if (printed != nullptr) *printed = settings.print();
  return values;
}

std::string problems_of(const Given& given) {
  try {
    load(given);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_argument);
    return error.what();
  }
  return "no problem";
}

}  // namespace

TEST_CASE("settings keep their defaults when no source gives a value", "[config]") {
  const auto values = load({});
  CHECK(values.listen == ":8000");
  CHECK(values.lifetime == 8h);
  CHECK(values.url.empty());
}

TEST_CASE("settings of every type are read from TOML", "[config]") {
  const auto values = load({R"(
listen = "127.0.0.1:9"
secure = true
disk = "2Gi"
peers = ["a:1", "b:2"]
[pool]
workers = 64
[session]
lifetime = "1h30m"
[log]
level = "debug"
[database]
url = "postgres://u:p@h/d"
)",
                            {},
                            {}});
  CHECK(values.listen == "127.0.0.1:9");
  CHECK(values.secure);
  CHECK(values.disk_mib == 2048);
  CHECK(values.peers == std::vector<std::string>{"a:1", "b:2"});
  CHECK(values.workers == 64);
  CHECK(values.lifetime == 90min);
  CHECK(values.level == "debug");
  CHECK(values.url.equals("postgres://u:p@h/d"));
  CHECK(load({"disk = 300", {}, {}}).disk_mib == 300);
}

TEST_CASE("settings of every type are read from the environment and from flags", "[config]") {
  const auto from_env = load({"",
                              {{"WRENN_LISTEN", "[::1]:7"},
                               {"WRENN_SECURE", "Yes"},
                               {"WRENN_POOL_WORKERS", "3"},
                               {"WRENN_SESSION_LIFETIME", "45s"},
                               {"WRENN_DISK", "512"},
                               {"WRENN_PEERS", " a, ,b "},
                               {"DATABASE_URL", "sqlite:x"}},
                              {}});
  CHECK(from_env.listen == "[::1]:7");
  CHECK(from_env.secure);
  CHECK(from_env.workers == 3);
  CHECK(from_env.lifetime == 45s);
  CHECK(from_env.disk_mib == 512);
  CHECK(from_env.peers == std::vector<std::string>{"a", "b"});
  CHECK(from_env.url.equals("sqlite:x"));
  const auto from_flags = load({"", {}, {{"pool.workers", "9"}, {"secure", "on"}, {"listen", "unix:/x"}}});
  CHECK(from_flags.workers == 9);
  CHECK(from_flags.secure);
  CHECK(from_flags.listen == "unix:/x");
}

TEST_CASE("a later source wins: default < TOML < environment < flag", "[config]") {
  const std::string toml = "[pool]\nworkers = 3";
  CHECK(load({toml, {}, {}}).workers == 3);
  CHECK(load({toml, {{"WRENN_POOL_WORKERS", "4"}}, {}}).workers == 4);
  CHECK(load({toml, {{"WRENN_POOL_WORKERS", "4"}}, {{"pool.workers", "5"}}}).workers == 5);
  // Of several variables the first that is set counts; an empty one is not set.
  CHECK(load({"", {{"X_LISTEN", ":1"}, {"WRENN_LISTEN", ":2"}}, {}}).listen == ":1");
  CHECK(load({"", {{"X_LISTEN", ""}, {"WRENN_LISTEN", ":2"}}, {}}).listen == ":2");
}

TEST_CASE("unknown keys are errors with a suggestion", "[config]") {
  CHECK_THAT(problems_of({"lisen = \":1\"", {}, {}}),
             Contains(":1: \"lisen\" is not a setting; did you mean \"listen\"?"));
  CHECK_THAT(problems_of({"workers = 3", {}, {}}), Contains("did you mean \"pool.workers\"?"));
  CHECK_THAT(problems_of({"[sesion]\nlifetime = \"1s\"", {}, {}}), Contains("did you mean \"session\"?"));
  CHECK_THAT(problems_of({"[completely]\ndifferent = 1\nthing = 2", {}, {}}),
             Contains("\"completely\" is not a setting") && !Contains("different"));
  CHECK_THAT(problems_of({"\"log.level\" = \"info\"", {}, {}}), Contains("is not a setting"));
  CHECK_THAT(problems_of({"", {}, {{"nonsense", "1"}}}), Contains("nonsense"));
}

TEST_CASE("all problems are told at once, in the order of the file", "[config]") {
  const auto text = problems_of(
      {"zzz = 1\ndisk = \"x\"\nlisten = 5\n", {{"WRENN_POOL_WORKERS", "65"}}, {{"secure", "maybe"}}});
  CHECK_THAT(
      text,
      Contains("5 problems") && Contains("zzz") && Contains(":2: disk: expected a size") &&
          Contains("got \"x\"") && Contains(":3: listen: expected an address") && Contains("got 5") &&
          Contains("environment WRENN_POOL_WORKERS: expected a whole number from 1 to 64, got \"65\"") &&
          Contains("--secure: expected true or false, got \"maybe\""));
  CHECK(text.find("zzz") < text.find("disk"));
  CHECK(text.find("disk") < text.find("listen"));
}

TEST_CASE("values of the wrong type or out of range are refused", "[config]") {
  const auto bad = GENERATE(values<std::string>({"listen = \"\"",
                                                 "listen = \"host\"",
                                                 "secure = \"true\"",
                                                 "secure = 1",
                                                 "peers = \"a\"",
                                                 "peers = [1]",
                                                 "disk = 1.5",
                                                 "disk = 99",
                                                 "disk = true",
                                                 "dir = 1979-05-27",
                                                 "dir = 7",
                                                 "session = 3",
                                                 "session.lifetime = 30",
                                                 "session.lifetime = \"0s\"",
                                                 "session.lifetime = \"25h\"",
                                                 "pool.workers = 0",
                                                 "pool.workers = \"3\"",
                                                 "pool.workers = 3.0",
                                                 "log.level = \"loud\"",
                                                 "database.url = 3",
                                                 "[dir]\nx = 1"}));
  INFO(bad);
  CHECK_THAT(problems_of({bad, {}, {}}), Contains("expected"));
}

TEST_CASE("text that is no TOML is refused with its line", "[config]") {
  CHECK_THAT(problems_of({"dir = \"/x\"\nlisten = ", {}, {}}), Contains(":2:") && Contains("not valid TOML"));
  CHECK_THAT(problems_of({"dir = \"a\"\ndir = \"b\"", {}, {}}), Contains("not valid TOML"));
  CHECK_THAT(problems_of({std::string(2 << 20, '#'), {}, {}}), Contains("larger than"));
}

TEST_CASE("a missing file is a problem only when it was asked for", "[config]") {
  Values values;
  Settings settings("wrenn test");
  describe(settings, values);
  Sources sources;
  sources.environment = environment_of({});
  sources.file = "/nonexistent/wrenn.toml";
  CHECK_THROWS_WITH(settings.load(sources), Contains("/nonexistent/wrenn.toml: No such file"));
  sources.file_optional = true;
  CHECK_NOTHROW(settings.load(sources));
  sources.file = "/tmp";  // a directory is no missing file
  CHECK_THROWS_AS(settings.load(sources), Error);
}

TEST_CASE("secrets are masked, never echoed and refused as flags", "[config]") {
  std::string printed;
  load({"", {{"DATABASE_URL", "postgres://hunter2"}}, {}}, &printed);
  CHECK_THAT(printed, !Contains("hunter2") && Contains("# url = \"********\"  # environment DATABASE_URL"));
  CHECK_THAT(problems_of({"", {}, {{"database.url", "hunter2"}}}),
             Contains("command line") && Contains("DATABASE_URL") && !Contains("hunter2"));
  CHECK_THAT(problems_of({"database.url = [\"hunter2\"]", {}, {}}),
             Contains("expected") && !Contains("hunter2"));
}

TEST_CASE("print() is TOML that gives the same settings again", "[config]") {
  std::string first, second;
  load({"dir = \"a\\\"b\\\\\\n\\u0001\"\npeers = [\"x, y\"]\nsession.lifetime = \"1h1ms\"",
        {{"WRENN_DISK", "7Gi"}},
        {}},
       &first);
  CHECK_THAT(first, Contains("listen = \":8000\"  # default") &&
                        Contains("disk = \"7168Mi\"  # environment WRENN_DISK") && Contains("[session]") &&
                        Contains("lifetime = \"1h1ms\""));
  const auto values = load({first, {}, {}}, &second);
  CHECK(values.dir == "a\"b\\\n\x01");
  CHECK(values.peers == std::vector<std::string>{"x, y"});
  CHECK(values.lifetime == 1h + 1ms);
  CHECK(values.disk_mib == 7168);
}

TEST_CASE("required settings, rules and tables of other roles", "[config]") {
  std::string address, other;
  Settings settings("wrenn test");
  settings.text("address", address, "where others reach this host")
      .required("to register with the control plane");
  settings.text("other", other, "something");
  settings.ignore_table("cp");
  settings.rule([&]() -> std::optional<std::string> {
    if (address == other) return "address and other must differ";
    return std::nullopt;
  });
  Sources sources;
  sources.environment = environment_of({});
  CHECK_THROWS_WITH(settings.load(sources),
                    Contains("address is required to register with the control plane") &&
                        Contains("WRENN_ADDRESS or --address"));
  const TempFile file("address = \"a\"\nother = \"a\"\n[cp]\nx = 1\n[cp.deep]\ny = 2\n");
  sources.file = file.path();
  CHECK_THROWS_WITH(settings.load(sources), Contains("must differ"));
  sources.flags = {{"other", "b"}};
  CHECK_NOTHROW(settings.load(sources));
  CHECK(settings.fields()[0].flag() == "--address");
  CHECK(settings.fields()[0].origin() == file.path() + ":1");
}
