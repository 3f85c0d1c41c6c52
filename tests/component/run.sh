#!/bin/bash
# Component tests: whole parts against real sockets and files, with fakes of what would need a kernel or a network. First the
# Catch2 programs, then pytest in each folder that has test_*.py.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

readonly kFolderTimeout=900  # seconds
passed=0 failed=0 skipped=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# Adds the counts that stand in the last line of $output; $1 names the part, $2 is its exit code.
add_counts() {
    local bad=1
    if [[ $(tail -n 1 "$output") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        passed=$((passed + BASH_REMATCH[1])) skipped=$((skipped + BASH_REMATCH[3]))
        bad=${BASH_REMATCH[2]}
        if [ "$2" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    fi
    if [ "$bad" -gt 0 ]; then echo "$1: $bad failed (exit code $2)"; fi
    failed=$((failed + bad))
}

# "3 failed, 10 passed, 1 skipped, 2 errors in 1.2s" of pytest → our counts, as one more line of $output.
pytest_counts() {
    local line
    line=$(grep -E '[0-9]+ (passed|failed|skipped|error|errors)\b.* in ' "$output" | tail -n 1)
    count() { grep -oE "[0-9]+ $1\b" <<<"$line" | head -n 1 | grep -oE '^[0-9]+' || echo 0; }
    echo "$(count passed) passed, $(($(count failed) + $(count 'errors?'))) failed, $(count skipped) skipped"
}

tests/catch_programs.sh component 2>&1 | tee "$output"
add_counts programs "${PIPESTATUS[0]}"

# What touches a database, on PostgreSQL as well.
tests/postgres.sh tests/catch_programs.sh unit '[engine],[postgres]' 2>&1 | tee "$output"
add_counts "programs on PostgreSQL" "${PIPESTATUS[0]}"

run_folder() {  # FOLDER [COMMAND…]: its Python tests, by way of COMMAND
    local folder=$1 status
    shift
    echo "-- $folder${*:+ with $*}"
    "$@" timeout "$kFolderTimeout" /usr/bin/python3 -m pytest -q -p no:cacheprovider --tb=short -rs "$folder" 2>&1 | tee "$output"
    status=${PIPESTATUS[0]}
    pytest_counts >>"$output"
    add_counts "$folder" "$status"
}
for folder in tests/component/*/; do
    if compgen -G "${folder}test_*.py" >/dev/null; then run_folder "$folder"; fi
done
run_folder tests/component/cp/ tests/postgres.sh

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
