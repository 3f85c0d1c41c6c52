#!/bin/bash
# Component tests: whole parts against real sockets and files, with fakes of what would need a kernel or a network. First the
# Catch2 programs, then pytest in each folder that has test_*.py.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

readonly kFolderTimeout=900  # seconds
passed=0 failed=0 skipped=0
outputs=$(mktemp -d)
trap 'rm -rf "$outputs"' EXIT

# Adds the counts that stand in the last line of a part's output; $1 is that file, $2 names the part, $3 is its exit code.
add_counts() {
    local bad=1
    if [[ $(tail -n 1 "$1") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        passed=$((passed + BASH_REMATCH[1])) skipped=$((skipped + BASH_REMATCH[3]))
        bad=${BASH_REMATCH[2]}
        if [ "$3" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    fi
    if [ "$bad" -gt 0 ]; then echo "$2: $bad failed (exit code $3)"; fi
    failed=$((failed + bad))
}

# "3 failed, 10 passed, 1 skipped, 2 errors in 1.2s" of pytest → our counts.
pytest_counts() {
    local line
    line=$(grep -E '[0-9]+ (passed|failed|skipped|error|errors)\b.* in ' | tail -n 1)
    count() { grep -oE "[0-9]+ $1\b" <<<"$line" | head -n 1 | grep -oE '^[0-9]+' || echo 0; }
    echo "$(count passed) passed, $(($(count failed) + $(count 'errors?'))) failed, $(count skipped) skipped"
}

# FILE FOLDER [COMMAND…]: the folder's Python tests, by way of COMMAND; what they say into FILE, which ends in our counts.
run_folder() {
    local file=$1 folder=$2 status
    shift 2
    {
        echo "-- $folder${*:+ with $*}"
        "$@" timeout "$kFolderTimeout" /usr/bin/python3 -m pytest -q -p no:cacheprovider --tb=short -rs "$folder"
        status=$?
    } >"$file" 2>&1
    pytest_counts <"$file" >"$file.counts"
    cat "$file.counts" >>"$file"
    return "$status"
}

tests/catch_programs.sh component 2>&1 | tee "$outputs/programs"
add_counts "$outputs/programs" programs "${PIPESTATUS[0]}"

# What touches a database, on PostgreSQL as well.
tests/postgres.sh tests/catch_programs.sh unit '[engine],[postgres]' 2>&1 | tee "$outputs/programs-postgres"
add_counts "$outputs/programs-postgres" "programs on PostgreSQL" "${PIPESTATUS[0]}"

# The control plane's tests take longest and wait most of the time: those on PostgreSQL run beside all others.
run_folder "$outputs/postgres" tests/component/cp/ tests/postgres.sh &
on_postgres=$!
for folder in tests/component/*/; do
    compgen -G "${folder}test_*.py" >/dev/null || continue
    run_folder "$outputs/folder" "$folder"
    status=$?
    cat "$outputs/folder"
    add_counts "$outputs/folder" "$folder" "$status"
done
wait "$on_postgres"
status=$?
cat "$outputs/postgres"
add_counts "$outputs/postgres" "tests/component/cp/ on PostgreSQL" "$status"

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
