#!/bin/bash
# The whole path as a user has it: `wrenn dev` as a black box, real VMs, the CLI and the REST API.
#
#   tests/e2e/run.sh [pytest arguments]
#
# Needs root and QEMU. Kernel and image are made once in WRENN_TEST_DIR (default build/test-dir) and reused; with
# WRENN_TEST_PREPARED they are there (tests/lab). What else tests/lab says by environment: wrenn_platform.py, conftest.py.
set -uo pipefail
cd "$(dirname "$0")/../.."

build=${WRENN_BUILD_DIR:-build}
dir=${WRENN_TEST_DIR:-$build/test-dir}

skip() { echo "e2e: skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
[ "$(id -u)" -eq 0 ] || skip "needs root for network namespaces; run it with sudo"
command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
[ -x "$build/wrenn" ] || { echo "e2e: $build/wrenn is not built; run packaging/build.sh"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ -n "${WRENN_TEST_PREPARED:-}" ] || { rootfs/kernel.sh --dir "$dir" --wrenn "$build/wrenn" && rootfs/build.sh debian --dir "$dir" --wrenn "$build/wrenn"; } || {
    echo "e2e: kernel or image could not be made"; echo "0 passed, 1 failed, 0 skipped"; exit 1
}

rm -f "$dir"/wrenn.db* "$dir"/dev.json  # of an earlier run, maybe of another schema
export WRENN_TEST_BINARY=$PWD/$build/wrenn WRENN_TEST_DIR=$dir PYTHONDONTWRITEBYTECODE=1
report=$(mktemp)
trap 'rm -f "$report"' EXIT
/usr/bin/python3 -m pytest -p no:cacheprovider -q --tb=short --durations=5 --junitxml="$report" tests/e2e "$@"
status=$?
/usr/bin/python3 - "$report" "$status" <<'PY'
import sys, xml.etree.ElementTree as tree
try:
    suite = next(tree.parse(sys.argv[1]).getroot().iter("testsuite"))
    total, errors, failures, skipped = (int(suite.get(k)) for k in ("tests", "errors", "failures", "skipped"))
    failed = failures + errors
    if int(sys.argv[2]) not in (0, 1) and failed == 0:
        failed = 1
    print(f"{total - failures - errors - skipped} passed, {failed} failed, {skipped} skipped")
except Exception as error:
    print(f"pytest left no report: {error}")
    print("0 passed, 1 failed, 0 skipped")
PY
exit $status
