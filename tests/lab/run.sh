#!/bin/bash
# The production path (device-mapper, KVM, power cuts) in a machine of its own; see README.md.
#
#   tests/lab/run.sh [host|e2e-kvm|power …]
#
# Needs root, and the network once: for packages that are missing and the lab's root disk. What it makes is kept in
# WRENN_LAB_DIR (default build/lab); kernel and image of the capsules come from WRENN_TEST_DIR (default build/test-dir), as in
# tests/e2e.
set -uo pipefail
cd "$(dirname "$0")/../.."

build=${WRENN_BUILD_DIR:-build}
state=${WRENN_TEST_DIR:-$build/test-dir}
lab=${WRENN_LAB_DIR:-$build/lab}

skip() { echo "lab: skipped: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
broken() { echo "lab: $*"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }

[ "$(id -u)" -eq 0 ] || skip "needs root for the ownership of files in its disks; run it with sudo"
packaging/install-dependencies.sh run image test || echo "lab: not all packages could be installed; see above"
for tool in qemu-system-x86_64 mmdebstrap mke2fs python3 strip; do
    command -v "$tool" >/dev/null || skip "$tool is not installed; run packaging/install-dependencies.sh run image test"
done
[ -x "$build/wrenn" ] || broken "$build/wrenn is not built; run packaging/build.sh --tests"

mkdir -p "$state" "$lab"
{ rootfs/kernel.sh --dir "$state" --wrenn "$build/wrenn" && rootfs/build.sh debian --dir "$state" --wrenn "$build/wrenn"; } ||
    broken "kernel or image of the capsules could not be made"
if [ ! -e "$lab/root.key" ] && ! packaging/debian-sources.sh deb >/dev/null; then
    skip "no package source for the lab's root disk"
fi
tests/lab/root.sh "$lab" || skip "the lab's root disk could not be made (no network?); see above"

exec 8>"$lab/.run.lock"
flock -n 8 || skip "another run uses $lab"
python3 -B tests/lab/lab.py --cache "$lab" --build "$build" --state "$state" "$@"
