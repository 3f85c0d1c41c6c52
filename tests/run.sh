#!/bin/bash
# Runs the tests: installs what is missing, builds, then every suite from fast to slow.
#
#   tests/run.sh [SUITE…]
#
# A suite is an executable tests/SUITE/run.sh. Its contract: it runs from the repository's root with WRENN_BUILD_DIR set,
# shows what it likes, and its last line is
#     N passed, N failed, N skipped
# A suite that ends without that line counts as one failure. A missing need (no root, no QEMU) is a skip, with its reason in
# the suite's output, never a silent pass. The last line here is the sum; the exit code is 1 when anything failed or
# nothing ran at all.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

order=(tidy unit component host fuzz sdk e2e lab)

suites=()
if [ $# -gt 0 ]; then
    for suite in "$@"; do
        if [ ! -x "tests/$suite/run.sh" ]; then
            echo "tests: no suite '$suite'; there are: $(cd tests && for s in */run.sh; do dirname "$s"; done | paste -sd' ')" >&2
            exit 2
        fi
        suites+=("$suite")
    done
else
    for suite in "${order[@]}"; do
        [ ! -x "tests/$suite/run.sh" ] || suites+=("$suite")
    done
fi

export WRENN_BUILD_DIR=${WRENN_BUILD_DIR:-build}
passed=0 failed=0 skipped=0
started=$SECONDS

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    if [ "$failed" -gt 0 ] || [ $((passed + failed)) -eq 0 ]; then exit 1; fi
    exit 0
}

header() { printf '\n==== %s\n' "$*"; }

header "prepare"
if ! packaging/install-dependencies.sh build run image test || ! packaging/build.sh --tests; then
    echo "the build failed; its messages are above"
    failed=1
    finish
fi
printf 'prepared in %d s\n' $((SECONDS - started))

output=$(mktemp)
trap 'rm -f "$output"' EXIT
for suite in "${suites[@]}"; do
    header "$suite"
    suite_started=$SECONDS
    "tests/$suite/run.sh" 2>&1 | tee "$output"
    status=${PIPESTATUS[0]}
    if [[ $(tail -n 1 "$output") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        suite_failed=${BASH_REMATCH[2]}
        if [ "$status" -ne 0 ] && [ "$suite_failed" -eq 0 ]; then
            echo "$suite: exit code $status in spite of no failure"
            suite_failed=1
        fi
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + suite_failed))
        skipped=$((skipped + BASH_REMATCH[3]))
    else
        echo "$suite: ended with exit code $status and without its counts; that is one failure"
        failed=$((failed + 1))
    fi
    printf '%s took %d s\n' "$suite" $((SECONDS - suite_started))
done

header "all suites, $((SECONDS - started)) s"
finish
