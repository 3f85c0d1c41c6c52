#!/bin/bash
# Builds wrenn into build/.
#
#   packaging/build.sh [--tests]      without --tests only what is installed, with it everything
#
# An existing build directory keeps its options (WRENN_BUILD_DIR names another one). Nothing is rebuilt needlessly.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${WRENN_BUILD_DIR:-build}
tests=false target=(wrenn src/guest/guest-init)
if [ "${1:-}" = --tests ]; then tests=true target=(); fi

packaging/fetch-sources.sh

if [ ! -e "$build/build.ninja" ]; then
    if command -v clang++-19 >/dev/null; then
        export CC=clang-19 CXX=clang++-19 CC_LD=lld-19 CXX_LD=lld-19 AR=llvm-ar-19
        if command -v ccache >/dev/null; then export CC="ccache $CC" CXX="ccache $CXX"; fi
    fi
    echo "build: configuring $build" >&2
    meson setup "$build" --buildtype=release -Dtests=$tests >"$build.log" 2>&1 || { cat "$build.log" >&2; rm -f "$build.log"; exit 1; }
    rm -f "$build.log"
elif [ $tests = true ] && ! grep -qs '"name": "tests", "value": true' "$build/meson-info/intro-buildoptions.json"; then
    meson configure "$build" -Dtests=true
fi

# On a terminal ninja shows its progress in one line; elsewhere it would print thousands, so only errors are shown.
if [ -t 2 ]; then
    ninja -C "$build" "${target[@]}" >&2
else
    log=$(mktemp)
    ninja -C "$build" "${target[@]}" >"$log" 2>&1 || { grep -vE '^\[[0-9]+/[0-9]+\] (Compiling|Linking)' "$log" | tail -n 200 >&2; rm -f "$log"; exit 1; }
    rm -f "$log"
fi
