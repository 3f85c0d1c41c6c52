#!/bin/bash
# Fuzz tests: builds every target of meson.build in a tree of its own (coverage, address and undefined-behaviour
# sanitizers, dynamic link) and runs each for FUZZ_SECONDS (default 10), from its seeds. A target that crashes, hangs or
# leaks is a failure; the input that did it stays in the build tree and its path is printed.
#
#   FUZZ_SECONDS=600 tests/fuzz/run.sh [NAME…]        e.g. http_parser
set -uo pipefail
cd "$(dirname "$0")/../.."

readonly kSeconds=${FUZZ_SECONDS:-10}
readonly kInputBytes=8192
readonly kInputSeconds=5
readonly kMemoryMib=2048
build=${WRENN_BUILD_DIR:-build}-fuzz
passed=0 failed=0 skipped=0

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}

if ! command -v clang++-19 >/dev/null; then
    echo "fuzz: libFuzzer needs clang-19, which is not here"
    skipped=1
    finish
fi
if [ ! -f "$build/build.ninja" ]; then
    CXX="$(command -v ccache >/dev/null && echo 'ccache ')clang++-19" CC=clang-19 CXX_LD=lld-19 \
        meson setup "$build" -Dsanitizers=fuzzer-no-link,address,undefined -Db_lundef=false >"$build-setup.log" 2>&1 ||
        { tail -n 20 "$build-setup.log"; failed=1; finish; }
fi
if ! ninja -C "$build" fuzzers >"$build/fuzzers.log" 2>&1; then
    tail -n 40 "$build/fuzzers.log"
    failed=1
    finish
fi

# One target: its line, or the end of its log.
fuzz() {
    local program=$1 name=$2 folder=$build/fuzz-$2
    mkdir -p "$folder/corpus" "$folder/crashes"
    local arguments=(-max_total_time="$kSeconds" -max_len=$kInputBytes -timeout=$kInputSeconds -rss_limit_mb=$kMemoryMib
        -artifact_prefix="$folder/crashes/" -print_final_stats=1)
    [ ! -f "tests/fuzz/$name.dict" ] || arguments+=(-dict="tests/fuzz/$name.dict")
    local corpora=("$folder/corpus")
    [ ! -d "tests/fuzz/seeds/$name" ] || corpora+=("tests/fuzz/seeds/$name")
    if UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        "$program" "${arguments[@]}" "${corpora[@]}" >"$folder/log" 2>&1; then
        printf '%-16s %s inputs, %s in the corpus\n' "$name" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/log")" \
            "$(find "$folder/corpus" -type f | wc -l)"
    else
        tail -n 60 "$folder/log"
        echo "$name failed; its inputs are in $folder/crashes"
        return 1
    fi
}

# As many at a time as there are CPUs.
running=0
one_done() { wait -n && passed=$((passed + 1)) || failed=$((failed + 1)); running=$((running - 1)); }
for program in "$build"/tests/fuzz/fuzz_*; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    name=$(basename "$program")
    name=${name#fuzz_}
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    [ "$running" -lt "$(nproc)" ] || one_done
    fuzz "$program" "$name" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do one_done; done
finish
