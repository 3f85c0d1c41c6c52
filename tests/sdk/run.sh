#!/bin/bash
# The E2B SDKs, as users install them, against envd and against a real capsule through the gateway.
#
#   tests/sdk/run.sh
#
# The packages come from their registries into build/sdk, pinned by package-lock.json and requirements.txt.
set -uo pipefail
cd "$(dirname "$0")/../.."

build=${WRENN_BUILD_DIR:-build}
dir=${WRENN_TEST_DIR:-$build/test-dir}
readonly kNodeVersion=22  # where the machine's own is older than the SDK wants (20.18)

skip() { echo "sdk: skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
broken() { echo "sdk: $*"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
[ "$(id -u)" -eq 0 ] || skip "needs root for network namespaces; run it with sudo"
command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
[ -x "$build/wrenn" ] || broken "$build/wrenn is not built; run packaging/build.sh"

# 1. The machine's npm, whichever it is; Debian's where there is none.
if ! command -v npm >/dev/null; then packaging/install-dependencies.sh sdk || broken "npm could not be installed"; fi

# 2. The packages, anew only when the pins have changed.
mkdir -p "$build/sdk"
modules=$(cd "$build/sdk" && pwd)
if ! cmp -s tests/sdk/package-lock.json "$modules/.installed" || [ ! -d "$modules/node_modules" ]; then
    cp tests/sdk/package.json tests/sdk/package-lock.json "$modules/"
    (cd "$modules" && npm ci --no-audit --no-fund --loglevel=error) || broken "the packages of package-lock.json could not be installed"
    cp tests/sdk/package-lock.json "$modules/.installed"
fi
cp tests/sdk/suite.mjs "$modules/"
fits='const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || major === 20 && minor >= 18 ? 0 : 1)'
node=$(command -v node)
if [ -z "$node" ] || ! "$node" -e "$fits"; then
    node=$modules/node/node_modules/node/bin/node
    [ -x "$node" ] || (mkdir -p "$modules/node" && cd "$modules/node" && npm install --no-audit --no-fund --loglevel=error --prefix . "node@$kNodeVersion") ||
        broken "node $kNodeVersion could not be installed"
fi
if ! cmp -s tests/sdk/requirements.txt "$modules/venv/.installed"; then
    rm -rf "$modules/venv"
    { /usr/bin/python3 -m venv "$modules/venv" && "$modules/venv/bin/pip" install -q --disable-pip-version-check -r tests/sdk/requirements.txt; } ||
        broken "the packages of requirements.txt could not be installed"
    cp tests/sdk/requirements.txt "$modules/venv/.installed"
fi

# 3. What a capsule boots from.
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
{ rootfs/kernel.sh --dir "$dir" --wrenn "$build/wrenn" && rootfs/build.sh debian --dir "$dir" --wrenn "$build/wrenn"; } ||
    broken "kernel or image could not be made"

rm -f "$dir"/wrenn.db* "$dir"/dev.json  # of an earlier run, maybe of another schema
export WRENN_TEST_BINARY=$PWD/$build/wrenn WRENN_TEST_DIR=$dir WRENN_SDK_MODULES=$modules PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 tests/sdk/sdk.py "$node" "$modules/venv/bin/python"
