#!/bin/bash
# Tests on real kernel objects: every build/tests/host/*/host_*. Each prints "N passed, N failed, N skipped" as its last
# line (the contract of tests/run.sh); without root it skips and says so. A program that ends without its counts, or runs
# into its time limit, is one failure. WRENN_TEST_FILTER chooses tests, as Catch does ("[disk]").
set -uo pipefail
cd "$(dirname "$0")/../.."

readonly kProgramTimeout=300  # seconds
passed=0 failed=0 skipped=0 found=0

# The machine tests boot the kernel that capsules boot; made once, as in tests/e2e (WRENN_TEST_PREPARED: it is there).
build=${WRENN_BUILD_DIR:-build}
export WRENN_TEST_DIR=${WRENN_TEST_DIR:-$build/test-dir}
if [ -z "${WRENN_TEST_PREPARED:-}" ] && [ "$(id -u)" -eq 0 ] && [ -x "$build/wrenn" ]; then
    mkdir -p "$WRENN_TEST_DIR"
    WRENN_TEST_DIR=$(cd "$WRENN_TEST_DIR" && pwd)
    rootfs/kernel.sh --dir "$WRENN_TEST_DIR" --wrenn "$build/wrenn" || echo "no kernel could be made; see above"
fi

report=$(mktemp)
trap 'rm -f "$report"' EXIT
for program in "${WRENN_BUILD_DIR:-build}"/tests/host/{,*/}host_*; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    found=1
    name=$(basename "$program")
    timeout --kill-after=10 "$kProgramTimeout" "$program" ${WRENN_TEST_FILTER:+"$WRENN_TEST_FILTER"} >"$report" 2>&1
    status=$?
    if [[ $(tail -n 1 "$report") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        ok=${BASH_REMATCH[1]} bad=${BASH_REMATCH[2]} skips=${BASH_REMATCH[3]}
        if [ $status -ne 0 ] && [ "$bad" -eq 0 ]; then
            echo "$name: exit code $status in spite of no failure"
            bad=1
        fi
    else
        echo "$name: exit code $status (124 is the time limit) and no counts"
        ok=0 bad=1 skips=0
    fi
    if [ "$bad" -gt 0 ]; then cat "$report"; else grep '^skipped: ' "$report"; fi
    printf '%-32s %s passed, %s failed, %s skipped\n' "$name" "$ok" "$bad" "$skips"
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skips))
done
if [ $found -eq 0 ]; then
    echo "no programs in ${WRENN_BUILD_DIR:-build}/tests/host; is the build configured with -Dtests=true?"
    failed=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
