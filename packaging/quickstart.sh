#!/bin/bash
# From a fresh Debian 12 machine to a running capsule.
#
#   packaging/quickstart.sh [--dir DIR]               prepares everything and runs `wrenn dev` in the foreground
#   packaging/quickstart.sh [--dir DIR] -- CMD…       the same, but runs CMD in a fresh capsule, prints its output and exits
#                                                     with its exit code; nothing keeps running
#
# DIR (default /var/lib/wrenn) holds kernel, images and database and is reused: a second run prepares nothing anew.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

started=$SECONDS
progress() { printf 'quickstart: [%3d s] %s\n' $((SECONDS - started)) "$*" >&2; }
fail() { echo "quickstart: $*" >&2; exit 1; }

readonly kStartTimeout=60  # seconds from `wrenn dev` to an answer of /health
readonly kStopTimeout=60   # seconds for `wrenn dev` to stop its capsules and end

dir=/var/lib/wrenn command=()
while [ $# -gt 0 ]; do
    case $1 in
        --dir) [ $# -ge 2 ] || fail "--dir needs a directory"; dir=$2; shift 2 ;;
        --dir=*) dir=${1#--dir=}; shift ;;
        --) shift; [ $# -gt 0 ] || fail "no command after --"; command=("$@"); break ;;
        -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail "unknown argument '$1'; usage: packaging/quickstart.sh [--dir DIR] [-- CMD…]" ;;
    esac
done
[ "$(id -u)" -eq 0 ] || fail "capsules need root (network namespaces, cgroups). Run: sudo $0 …"

build=${WRENN_BUILD_DIR:-$root/build}
case $build in /*) ;; *) build=$root/$build ;; esac
wrenn=$build/wrenn

# 1. What the machine must have.
"$root/packaging/install-dependencies.sh" build run image

# 2. The program.
if [ ! -x "$wrenn" ]; then progress "building wrenn (some minutes the first time)"; fi
"$root/packaging/build.sh"

# 3. What a capsule boots from.
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ -e "$dir/kernels/debian-cloud/kernel.json" ] || progress "preparing the kernel"
"$root/rootfs/kernel.sh" --dir "$dir" --wrenn "$wrenn"
[ -e "$dir/images/teams" ] || progress "preparing the base image"
"$root/rootfs/build.sh" debian --dir "$dir" --wrenn "$wrenn"

# 4. The platform, in the foreground.
if [ ${#command[@]} -eq 0 ]; then
    progress "starting wrenn dev; stop it with Ctrl-C"
    exec "$wrenn" dev --dir "$dir"
fi

# 5. Or one command in one capsule. A `wrenn dev` that runs on this directory already is used and left running.
field_of_dev_json() { sed -n 's/.*"'"$1"'" *: *"\([^"]*\)".*/\1/p' "$dir/dev.json" 2>/dev/null | head -1; }

healthy() {
    local url host port status
    url=$(field_of_dev_json url)
    case $url in http://*) ;; *) return 1 ;; esac
    host=${url#http://} host=${host%%/*} port=${host##*:} host=${host%:*}
    [ "$port" != "$host" ] || port=80
    {
        exec 8<>"/dev/tcp/$host/$port" || return 1
        printf 'GET /health HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$host" >&8
        read -r -t 5 status <&8 || status=
        exec 8>&-
    } 2>/dev/null
    case $status in *' 200 '* | *' 200'$'\r') return 0 ;; *) return 1 ;; esac
}

log= dev=
stop_dev() {
    if [ -n "$dev" ]; then
        kill -TERM "$dev" 2>/dev/null || true
        local waited=0
        while kill -0 "$dev" 2>/dev/null && [ $waited -lt $((kStopTimeout * 10)) ]; do sleep 0.1; waited=$((waited + 1)); done
        if kill -0 "$dev" 2>/dev/null; then
            progress "wrenn dev does not end; killing it"
            kill -KILL "$dev" 2>/dev/null || true
        fi
        wait "$dev" 2>/dev/null || true
        dev=
    fi
    [ -z "$log" ] || rm -f "$log"
}
trap stop_dev EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if ! healthy; then
    progress "starting wrenn dev"
    log=$(mktemp)
    "$wrenn" dev --dir "$dir" </dev/null >"$log" 2>&1 &
    dev=$!
    deadline=$((SECONDS + kStartTimeout))
    until healthy; do
        if ! kill -0 "$dev" 2>/dev/null; then
            tail -n 40 "$log" >&2
            fail "wrenn dev ended; its last lines are above"
        fi
        if [ $SECONDS -ge $deadline ]; then
            tail -n 40 "$log" >&2
            fail "wrenn dev does not answer after $kStartTimeout s; its last lines are above"
        fi
        sleep 0.1
    done
fi

WRENN_BASE_URL=$(field_of_dev_json url)
WRENN_API_KEY=$(field_of_dev_json api_key)
export WRENN_BASE_URL WRENN_API_KEY
progress "running: ${command[*]}"
code=0
"$wrenn" run --rm -- "${command[@]}" || code=$?
if [ $code -ge 125 ] && [ -n "$log" ] && [ -s "$log" ]; then
    grep -iE 'error|warn|fail' "$log" | tail -n 20 >&2 || true
fi
exit $code
