#!/bin/bash
# Puts the libraries for which Debian has no static archive under subprojects/, from Debian's source packages.
#
# A machine with open internet does not need this: meson follows the wrap files. Here the same versions come from the
# machine's own Debian mirror, verified by apt's signatures, and get the same overlay (subprojects/packagefiles/).
# The apt configuration of the machine is not changed: lists and downloads live in a temporary directory.
# Does nothing where a directory is already complete.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)

# wrap name | Debian source package | upstream version, or how it begins (the wrap's must, too)
sources='
fmt          fmtlib       9.1.0
simdjson     simdjson     3.0.1
cpp-httplib  cpp-httplib  0.11.4
libpq        postgresql-15 15.
libcurl      curl         7.88.1
'

say() { echo "fetch-sources: $*" >&2; }
fail() { say "$*"; exit 1; }

directory_of() { sed -n 's/^directory *= *//p' "$root/subprojects/$1.wrap"; }

apply_overlay() {  # copies only what differs, so that nothing is rebuilt needlessly
    local overlay=$root/subprojects/packagefiles/$1 target=$2 file
    (cd "$overlay" && find . -type f) | while read -r file; do
        cmp -s "$overlay/$file" "$target/$file" || install -D -m 644 "$overlay/$file" "$target/$file"
    done
}

missing=()
while read -r name package version; do
    [ -n "$name" ] || continue
    directory=$(directory_of "$name")
    [ -n "$directory" ] || fail "subprojects/$name.wrap names no directory"
    if [ -e "$root/subprojects/$directory/.complete" ]; then
        apply_overlay "$name" "$root/subprojects/$directory"
    else
        missing+=("$name $package $version $directory")
    fi
done <<<"$sources"
[ ${#missing[@]} -eq 0 ] && exit 0

for tool in apt-get dpkg-source; do
    command -v "$tool" >/dev/null || fail "$tool is missing; run packaging/install-dependencies.sh build (or, off Debian, let meson follow the wraps)"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/download"
"$root/packaging/debian-sources.sh" deb-src >"$work/sources.list"
apt=(apt-get -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=-
     -o Dir::State="$work/state" -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$work/cache"
     -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Sandbox::User="$(id -un)")

with_retries() {
    local pause
    for pause in 2 5 15; do
        "$@" && return 0
        say "failed, trying again in $pause s"
        sleep "$pause"
    done
    "$@"
}

# The newest of the offered versions that the mirror really has: what the security suite names is sometimes gone already.
download() {  # PACKAGE VERSIONS
    local version
    for version in $2; do
        rm -f -- *.dsc
        "${apt[@]}" source --download-only "$1=$version" && return 0
    done
    return 1
}

say "reading the source index"
with_retries "${apt[@]}" update >"$work/update.log" 2>&1 || { cat "$work/update.log" >&2; fail "apt could not read the source index"; }

for entry in "${missing[@]}"; do
    read -r name package version directory <<<"$entry"
    say "$name $version"
    mkdir "$work/download/$name"
    cd "$work/download/$name"
    offered=$(apt-cache "${apt[@]:2}" showsrc --only-source "$package" | sed -n 's/^Version: //p' | grep -E "^([0-9]+:)?${version//./\\.}" | sort -Vru)
    [ -n "$offered" ] || fail "Debian offers no $package $version, which subprojects/$name.wrap wants"
    with_retries download "$package" "$offered" >"$work/source.log" 2>&1 ||
        { cat "$work/source.log" >&2; fail "apt could not download the source package $package"; }
    dsc=$(ls -- *.dsc)
    dpkg-source --no-check -x "$dsc" unpacked >"$work/unpack.log" 2>&1 || { cat "$work/unpack.log" >&2; fail "cannot unpack $dsc"; }
    apply_overlay "$name" unpacked
    touch unpacked/.complete
    target=$root/subprojects/$directory
    rm -rf "$target" "$target.new"
    cp -a unpacked "$target.new"
    mv "$target.new" "$target"
done
