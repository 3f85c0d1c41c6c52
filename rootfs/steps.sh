# Shell functions that the builders of this folder share. Sourced by bash with `set -euo pipefail`.

wrenn_started=$SECONDS

progress() { printf '%s: [%3d s] %s\n' "$(basename "$0" .sh)" $((SECONDS - wrenn_started)) "$*" >&2; }
fail() { echo "$(basename "$0" .sh): $*" >&2; exit 1; }

# Runs a command quietly; on failure its output is shown.
quietly() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

need_tools() {
    local tool missing=()
    for tool in "$@"; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    [ ${#missing[@]} -eq 0 ] || fail "missing: ${missing[*]}. Run: packaging/install-dependencies.sh image"
}

need_root() { [ "$(id -u)" -eq 0 ] || fail "only root can do this (ownership of files in the image). Run: sudo $0 …"; }

need_wrenn() {
    [ -n "$1" ] || fail "name the wrenn executable: --wrenn build/wrenn"
    [ -x "$1" ] || fail "no executable at $1. Build it first: ninja -C build"
}

hash_of() { sha256sum | cut -c1-12; }

# A stripped copy: the symbols are of no use in a guest and many times the size of the code.
strip_to() {
    strip -o "$2" "$1" 2>/dev/null || llvm-strip-19 -o "$2" "$1" || cp "$1" "$2"
    chmod 755 "$2"
}

# Puts a finished file in place such that after a crash the old or the new one is there, whole.
install_durably() {
    sync "$1"
    mv -f "$1" "$2"
    sync "$(dirname "$2")"
}

# One builder at a time per directory.
lock_directory() {
    mkdir -p "$1"
    exec 9>"$1/.lock"
    flock -n 9 || { progress "waiting for another build in $1"; flock 9; }
}
