#!/bin/bash
# How fast wrenn is, as JSON, one object a line:
#
#   tests/bench/run.sh [lifecycle|envd|api]…     default: all
#
#   {"bench":NAME,"unit":"ms"|"MB/s"|"1/s"|"MiB","n":N,"p50":X,"p99":Y,"accel":"kvm"|"tcg",…}
#
# For rates and sizes p50 is the figure. Never part of the tests: timings of a busy machine prove nothing.
# Needs root, QEMU, a built build/wrenn; kernel and image are made once in WRENN_TEST_DIR (default build/test-dir).
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${WRENN_BUILD_DIR:-build}
dir=${WRENN_TEST_DIR:-$build/test-dir}
[ -x "$build/wrenn" ] || { echo "bench: $build/wrenn is not built; run packaging/build.sh" >&2; exit 1; }
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
rootfs/kernel.sh --dir "$dir" --wrenn "$build/wrenn" >&2
rootfs/build.sh debian --dir "$dir" --wrenn "$build/wrenn" >&2
export WRENN_TEST_BINARY=$PWD/$build/wrenn WRENN_TEST_DIR=$dir PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH=$PWD/tests/e2e:$PWD/tests/bench
exec /usr/bin/python3 tests/bench/bench.py "$@"
