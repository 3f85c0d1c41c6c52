"""The rules of the source tree, as data. checks.py applies them; a change of the design is a change here."""

# Who may include whom. A file belongs to the folder with the longest matching path. `may` lists folders (with all below
# them) or single files; a folder may always include itself. `never` wins over `may`.
LAYERS = {
    "core/base": dict(may=[]),
    "core/log": dict(may=["core/base"]),
    "core/json": dict(may=["core/base", "core/log"]),
    "core/config": dict(may=["core/base", "core/log", "core/json"]),
    "core/crypto": dict(may=["core/base", "core/log"]),
    "core/compress": dict(may=["core/base"]),
    "core/async": dict(may=["core/base", "core/log", "core/json", "core/config", "core/crypto"]),
    "core/net": dict(may=["core/base", "core/log", "core/json", "core/config", "core/crypto", "core/async"]),
    "core/http": dict(may=["core/base", "core/log", "core/json", "core/config", "core/crypto", "core/async", "core/net"]),
    "core/outbound": dict(may=["core/base", "core/log", "core/json", "core/config", "core/crypto", "core/async", "core/net", "core/http/headers.h", "core/http/characters.h"]),
    "core/metrics": dict(may=["core/base", "core/log"]),
    "core/db": dict(may=["core/base", "core/log", "core/json", "core/config", "core/crypto", "core/async"]),
    "core/events": dict(may=["core/base", "core/log", "core/json", "core/config", "core/crypto", "core/async", "core/db"]),
    "linux": dict(may=["core/base", "core/log"]),
    "guest": dict(may=["core/base", "core/log", "linux"]),
    "model": dict(may=["core/base", "core/json"]),
    "api": dict(may=["model", "core"], never=["core/db", "core/events"]),
    "envd": dict(may=["api", "model", "linux", "core"], never=["core/db", "core/events"]),
    "agent": dict(may=["api", "model", "linux", "core"], never=["core/db", "core/events"]),
    "cp": dict(may=["api", "model", "core"]),
    "cp/service": dict(may=["cp", "api", "model", "core"], never=["core/http", "cp/handlers"]),
    "cp/store": dict(may=["cp", "api", "model", "core"], never=["core/http", "cp/handlers", "cp/service"]),
    "dev": dict(may=["cp/run.h", "cp/config.h", "agent/run.h", "agent/config.h", "api", "model", "core"]),
    "cli": dict(may=["cp/run.h", "cp/config.h", "cp/admin.h", "agent/run.h", "agent/config.h", "agent/host_checks.h", "envd/run.h", "envd/config.h", "dev/run.h",
                     "dev/config.h", "guest", "linux", "api", "model", "core"]),
    "main.cpp": dict(may=["cli", "cp/run.h", "agent/run.h", "envd/run.h", "dev/run.h", "guest", "core"]),
}
LAYER_REMEDY = "move the code to a layer that may know it, or pass what is needed as a parameter (LAYERS in tests/tidy/rules.py says who may include whom)"

# Third-party headers have one door each: pattern of the include → the only places for it.
DOORS = [
    (r"asio[/.]", ["core/async/asio.h"], 'include "core/async/asio.h"'),
    (r"simdjson", ["core/json/reader.cpp"], 'use "core/json/reader.h"'),
    (r"toml\+\+/", ["core/config/toml.cpp"], 'use "core/config/toml.h"'),
    (r"httplib\.h", ["core/http/blocking_client.cpp"], 'use "core/http/blocking_client.h"'),
    (r"CLI/", ["cli/"], "parse arguments in src/cli and pass a struct"),
    (r"sqlite3\.h", ["core/db/sqlite.cpp"], 'use "core/db/database.h"'),
    (r"\bzlib\.h", ["core/compress/gzip.cpp"], 'use "core/compress/gzip.h"'),
    (r"xxhash", ["core/base/checksum.cpp"], 'use "core/base/checksum.h"'),
    (r"\bcrypt\.h", ["core/crypto/password.cpp"], 'use "core/crypto/password.h"'),
    (r"libpq", ["core/db/postgres"], 'use "core/db/database.h"'),
    (r"openssl/", ["core/crypto/", "core/net/tls", "core/async/asio.h", "core/http/blocking_client.cpp"], 'use "core/crypto/…" or "core/net/tls.h"'),
    (r"curl/", ["core/outbound/curl_handle.h"], 'use "core/outbound/http_request.h"'),
    (r"hiredis/", ["core/outbound/redis_stream.cpp"], 'use "core/outbound/redis_stream.h"'),
    (r"catch2/", [], "tests belong under tests/"),
]

# Calls that are wrong here: pattern in code without comments and strings → places where it is right, remedy.
BANNED = [
    (r"(?<![\w.>])system\s*\(", [], "start programs with sys::Process, without a shell"),
    (r"\bpopen\s*\(", [], "start programs with sys::Process, without a shell"),
    (r"\bv?sprintf\s*\(", [], "use fmt::format"),
    (r"\bstr(cpy|cat)\s*\(", [], "use std::string"),
    (r"\bgets\s*\(", [], "use sys::read_up_to"),
    (r"\b(tmpnam|mktemp|tempnam)\s*\(", [], "use sys::TempDir"),
    (r"\bstd::j?thread\b(?!::hardware_concurrency)", ["core/async/", "core/net/connect.cpp", "linux/netns.cpp"],
     "use async::offload; only a role's loop, its pools and a visit to another namespace have threads"),
    (r"\bstd::async\b", [], "use async::offload"),
    (r"\bco_spawn\b|\bdetached\b", ["core/async/"], "spawn in an async::Scope that somebody awaits"),
    (r"\bget(pw|gr)(nam|uid|gid|ent)(_r)?\s*\(", [], "a static program cannot load NSS; parse /etc/passwd and /etc/group"),
    (r"\bgethostbyname(_r)?\s*\(", [], "use net::connect"),
    (r"\bstd::regex\b", [], "write a small parser; std::regex recurses on hostile input"),
]

# Statements of SQL inside string literals belong to these places.
SQL = r"\b(SELECT\s+.+\s+FROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX))\b"
SQL_PLACES = ["cp/store/", "core/db/", "core/events/"]
SQL_REMEDY = "put the statement into cp/store and call a function of it"

MAX_LINES = 500
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "manager", "common", "misc"}
UNFINISHED = r"\b(TODO|FIXME|XXX|HACK)\b"
UNFINISHED_PLACES = ["src", "tests", "rootfs", "packaging", "sql"]

# Namespace of a folder where it is not its path.
NAMESPACES = {"core/base": "wrenn", "linux": "wrenn::sys", "agent/template": "wrenn::agent::templates"}
