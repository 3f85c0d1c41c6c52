#!/bin/bash
# Runs a command with a PostgreSQL of its own, which listens on a Unix socket only and is gone afterwards.
#
#   tests/postgres.sh COMMAND…
#
# The command finds the server's URL in WRENN_TEST_POSTGRES: it ends in options, so that more can be added with '&'.
set -euo pipefail

programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$programs" ] || { echo "postgres: no server is installed; run packaging/install-dependencies.sh test" >&2; exit 1; }

place=$(mktemp -d)
as=()
if [ "$(id -u)" -eq 0 ]; then  # the server refuses to run as root
    as=(setpriv --reuid nobody --regid nogroup --clear-groups)
    chown nobody:nogroup "$place"
fi
server=
stop() {
    if [ -n "$server" ]; then kill -INT "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    rm -rf "$place"
}
trap stop EXIT

"${as[@]}" "$programs/initdb" --pgdata "$place/data" --username wrenn --auth trust --encoding UTF8 --locale C --no-sync >"$place/log" ||
    { cat "$place/log" >&2; exit 1; }
# Nobody needs what is left of it after a crash.
"${as[@]}" "$programs/postgres" -D "$place/data" -k "$place" -c listen_addresses= -c fsync=off -c max_connections=200 >>"$place/log" 2>&1 &
server=$!
for _ in $(seq 300); do
    "$programs/pg_isready" -q -h "$place" && break
    kill -0 "$server" 2>/dev/null || { cat "$place/log" >&2; exit 1; }
    sleep 0.1
done

WRENN_TEST_POSTGRES="postgres://wrenn@/postgres?host=$place" "$@"
