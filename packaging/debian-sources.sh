#!/bin/sh
# Prints apt source lines for this machine's own Debian mirror and suites, whatever form they are configured in.
#
#   packaging/debian-sources.sh TYPE      TYPE is deb or deb-src
#
# WRENN_DEBIAN_MIRROR=URL (and WRENN_DEBIAN_SUITE, default bookworm) replaces what the machine is configured with; it is
# needed on machines that are not Debian.
set -eu

type=${1:?"usage: $0 deb|deb-src"}
suite=${WRENN_DEBIAN_SUITE:-bookworm}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
if [ -r "$keyring" ]; then option="[signed-by=$keyring] "; else option=; fi

if [ -n "${WRENN_DEBIAN_MIRROR:-}" ]; then
    echo "$type $option$WRENN_DEBIAN_MIRROR $suite main"
    exit 0
fi

lines=
if command -v apt-get >/dev/null; then
    lines=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk -v type="$type" -v option="$option" -v suite="$suite" '
            $2 == "main" && ($1 == suite || index($1, suite "-updates") == 1 || index($1, suite "-security") == 1) &&
            !seen[$1 $3]++ { print type " " option $3 " " $1 " " $2 }')
fi
if [ -z "$lines" ]; then
    echo "debian-sources: this machine has no apt source for Debian $suite; set WRENN_DEBIAN_MIRROR to a mirror's URL" >&2
    exit 1
fi
echo "$lines"
