#!/bin/bash
# Installs the Debian packages of packaging/dependencies.txt that are missing.
#
#   packaging/install-dependencies.sh SECTION…      e.g. build run image test
#
# Quick when nothing is missing: then neither root nor the network is needed. Otherwise three attempts, because a
# mirror that is being updated answers 404 for files that its own (or our older) index names:
#   1. with the package lists as they are        2. after `apt-get update`
#   3. preferring the release's own versions over those of the security suite
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
list=$here/dependencies.txt

say() { echo "install-dependencies: $*" >&2; }

known_sections() { sed -n 's/^\[\(.*\)\]$/\1/p' "$list" | paste -sd' '; }

packages_of() {
    awk -v want="$1" '/^\[/ { in_section = ($0 == "[" want "]"); next }
                      in_section && NF && $1 !~ /^#/ { print $1 }' "$list"
}

if [ $# -eq 0 ]; then
    say "name at least one section: $(known_sections)"
    exit 2
fi

wanted=()
for section in "$@"; do
    mapfile -t of_section < <(packages_of "$section")
    if [ ${#of_section[@]} -eq 0 ]; then
        say "no section '$section' in $list; there are: $(known_sections)"
        exit 2
    fi
    wanted+=("${of_section[@]}")
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "this is not a Debian system. Install the equivalents of: ${wanted[*]}"
    exit 1
fi

find_missing() {
    local installed
    installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^ii  *//p' || true)
    missing=()
    for package in "${wanted[@]}"; do
        grep -qxF "$package" <<<"$installed" || missing+=("$package")
    done
}

find_missing
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
    say "missing packages: ${missing[*]}"
    say "only root can install them. Run: sudo $0 $*"
    exit 1
fi

export DEBIAN_FRONTEND=noninteractive
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
apt_options=(-q -y --no-install-recommends -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120
             -o Dpkg::Options::=--force-confold)

update_lists() {
    for pause in 0 3 10; do
        sleep "$pause"
        apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 update >&2 && return 0
    done
    say "apt-get update failed; continuing with the package lists there are"
}

have_lists() { apt-cache show "${missing[0]}" >/dev/null 2>&1; }

say "installing: ${missing[*]}"
have_lists || update_lists
for attempt in as-is after-update release-versions; do
    extra=()
    case $attempt in
        as-is) ;;
        after-update) say "trying again with fresh package lists"; update_lists ;;
        release-versions)
            [ -n "$codename" ] || break
            say "trying again with the versions of $codename itself"
            extra=(-t "$codename") ;;
    esac
    if apt-get "${apt_options[@]}" "${extra[@]}" install "${missing[@]}" >&2; then
        find_missing
        [ ${#missing[@]} -eq 0 ] && exit 0
    fi
done
say "could not install: ${missing[*]}"
say "the output of apt-get above says why; check the network and /etc/apt/sources.list*, then run this again"
exit 1
