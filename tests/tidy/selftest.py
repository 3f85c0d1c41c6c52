"""Plants one violation per rule in a tree of its own and expects exactly the check in question to find it."""

import re
import tempfile
from pathlib import Path

import checks
import rules

CLEAN = {
    "src/main.cpp": '#include "cli/cli.h"\nint main() {}\n',
    "src/cli/cli.h": "#pragma once\nnamespace wrenn::cli {}\n",
    "src/cli/README.md": "cli\n",
    "src/core/base/text.h": "#pragma once\nnamespace wrenn {}\n",
    "src/core/base/README.md": "base\n",
    "src/core/http/server.h": "#pragma once\nnamespace wrenn::http {}\n",
    "src/core/http/README.md": "http\n",
    "src/core/db/database.h": "#pragma once\nnamespace wrenn::db {}\n",
    "src/core/db/README.md": "db\n",
    "src/cp/store/rows.cpp": '#include "core/db/database.h"\nnamespace wrenn::cp { auto q = "SELECT a FROM b"; }\n',
    "src/cp/store/README.md": "store\n",
    # Words in comments and strings are no calls.
    "src/cp/service/rule.cpp": '#include "core/base/text.h"\n// system( detached\nnamespace wrenn::cp { auto s = "popen("; }\n',
    "src/cp/service/README.md": "service\n",
    "src/meson.build": "x = ['main.cpp', 'cp/store/rows.cpp', 'cp/service/rule.cpp']\n",
}

# check → files to plant
PLANTS = [
    (checks.check_layers, {"src/core/base/text.h": '#pragma once\n#include "core/http/server.h"\nnamespace wrenn {}\n'}),
    (checks.check_layers, {"src/cp/service/rule.cpp": '#include "core/http/server.h"\nnamespace wrenn::cp {}\n'}),
    (checks.check_layers, {"src/mystery/a.h": "#pragma once\n", "src/mystery/README.md": "m\n"}),
    (checks.check_include_paths, {"src/cli/cli.h": '#pragma once\n#include "../core/base/text.h"\nnamespace wrenn::cli {}\n'}),
    (checks.check_doors, {"src/cli/cli.h": "#pragma once\n#include <simdjson.h>\nnamespace wrenn::cli {}\n"}),
    (checks.check_banned, {"src/cli/cli.h": '#pragma once\nnamespace wrenn::cli { void f() { system("x"); } }\n'}),
    (checks.check_banned, {"src/cli/cli.h": "#pragma once\nnamespace wrenn::cli { void f() { asio::co_spawn(a, b, c); } }\n"}),
    (checks.check_sql, {"src/cp/service/rule.cpp": 'namespace wrenn::cp { auto q = "DELETE FROM x"; }\n'}),
    (checks.check_length, {"src/cli/cli.h": "#pragma once\nnamespace wrenn::cli {}\n" + "\n" * rules.MAX_LINES}),
    (checks.check_readme, {"src/cli/README.md": None}),
    (checks.check_names, {"src/cli/string_utils.h": "#pragma once\nnamespace wrenn::cli {}\n"}),
    (checks.check_headers, {"src/cli/cli.h": "namespace wrenn::cli {}\n"}),
    (checks.check_namespaces, {"src/cli/cli.h": "#pragma once\nnamespace wrenn::cp {}\n"}),
    (checks.check_orphans, {"src/meson.build": "x = ['main.cpp', 'cp/store/rows.cpp']\n"}),
    (checks.check_unfinished, {"src/cli/cli.h": "#pragma once\n// TODO later\nnamespace wrenn::cli {}\n"}),
]


def write(root, files):
    for name, text in files.items():
        path = Path(root) / name
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def findings_of(files):
    with tempfile.TemporaryDirectory() as root:
        write(root, CLEAN)
        write(root, files)
        tree = checks.Tree(root)
        return {check: list(check(tree)) for _, check in checks.CHECKS}


def check_selftest(_tree):
    for check, found in findings_of({}).items():
        for finding in found:
            yield f"{check.__name__} complains about a clean tree: {finding}"
    for number, (check, files) in enumerate(PLANTS):
        found = findings_of(files)
        if not found[check]:
            yield f"{check.__name__} does not find plant {number}, {sorted(files)}"
    untested = {check for _, check in checks.CHECKS} - {check for check, _ in PLANTS}
    for check in untested:
        yield f"{check.__name__} has no plant in tests/tidy/selftest.py"
    if not re.search(rules.UNFINISHED, "FIXME"):
        yield "the pattern for unfinished work finds nothing"
