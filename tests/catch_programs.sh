#!/bin/bash
# Runs the Catch2 programs of one suite: every build/tests/SUITE/*/SUITE_*. A test case is one count; a program that crashes
# or runs into its time limit is one failure.
#
#   tests/catch_programs.sh SUITE [WHICH]      WHICH: their test cases of these tags, as Catch2 takes it
set -uo pipefail
cd "$(dirname "$0")/.."
readonly suite=$1 which=${2:-}

readonly kProgramTimeout=300  # seconds
programs=("${WRENN_BUILD_DIR:-build}/tests/$suite/${suite}"_* "${WRENN_BUILD_DIR:-build}/tests/$suite"/*/"${suite}"_*)
passed=0 failed=0 skipped=0

report=$(mktemp)
trap 'rm -f "$report"' EXIT
for program in "${programs[@]}"; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    name=$(basename "$program")
    timeout "$kProgramTimeout" "$program" --use-colour no ${which:+"$which"} >"$report" 2>&1
    status=$?
    summary=$(grep -E '^(test cases:|All tests passed|No tests ran)' "$report" | tail -n 1)
    ok=0 bad=0
    case $summary in
        'All tests passed'*) ok=$(sed 's/.* in \([0-9]*\) test case.*/\1/' <<<"$summary") ;;
        'test cases:'*)
            ok=$(sed -n 's/.*| *\([0-9]*\) passed.*/\1/p' <<<"$summary")
            bad=$(sed -n 's/.*| *\([0-9]*\) failed\( .*\)\{0,1\}$/\1/p' <<<"$summary")
            ok=${ok:-0} bad=${bad:-0} ;;
    esac
    if [ $status -ne 0 ] && [ "$bad" -eq 0 ]; then
        echo "$name: exit code $status (124 is the time limit)"
        bad=1
    fi
    if [ "$bad" -gt 0 ]; then cat "$report"; fi
    [ -z "$which" ] || [ $((ok + bad)) -gt 0 ] || continue
    printf '%-32s %s passed, %s failed\n' "$name" "$ok" "$bad"
    passed=$((passed + ok)) failed=$((failed + bad))
done

if [ $((passed + failed)) -eq 0 ]; then
    echo "no programs of the suite $suite in ${WRENN_BUILD_DIR:-build}/tests/$suite; is the build configured with -Dtests=true?"
    failed=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
