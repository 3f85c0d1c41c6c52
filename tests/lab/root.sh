#!/bin/bash
# Makes the lab's root disk and takes its kernel out of it. Nothing is mounted; what is there already is kept.
#
#   tests/lab/root.sh DIR
#
# Leaves in DIR: root.ext4, vmlinuz, modules/ (those that the root disk itself needs, with their load-order), root.key.
# The packages come from the machine's own mirror (packaging/debian-sources.sh).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../rootfs/steps.sh"

dir=${1:?"usage: tests/lab/root.sh DIR"}
need_root
need_tools mmdebstrap mke2fs depmod

# What the agent runs (qemu, nft, kmod), what the suites run (python), and tools that look from outside (dmsetup, losetup).
packages=(qemu-system-x86 qemu-utils nftables iproute2 kmod e2fsprogs python3 python3-pytest python3-websocket dmsetup mount
          procps curl sqlite3 openssl tini)
boot_modules=(virtio_pci virtio_blk)

lock_directory "$dir"
key=$(cat "$0" "$here/inside/lab-init" | hash_of)
if [ "$(cat "$dir/root.key" 2>/dev/null)" = "$key" ]; then exit 0; fi
rm -f "$dir/root.key"
rm -rf "$dir"/.root.*
work=$(mktemp -d "$dir/.root.XXXXXX")
trap 'rm -rf "$work"' EXIT
tree=$work/tree

# The kernel package is only unpacked: installing it would make an initramfs that nobody uses.
# Run by mmdebstrap with the root's own package lists; the newest version that the mirror really has.
cat >"$work/kernel-hook" <<'HOOK'
#!/bin/bash
set -eu
export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG
mkdir "$1/tmp/kernel"
cd "$1/tmp/kernel"
for version in $(apt-cache madison linux-image-cloud-amd64 | awk -F'|' '{ gsub(/ /, "", $2); print $2 }' | sort -Vru); do
    package=$(apt-cache show "linux-image-cloud-amd64=$version" | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -1)
    if apt-get -q -o APT::Sandbox::User=root download "$package=$version"; then
        # /lib is a link, which must stay one.
        dpkg-deb --fsys-tarfile ./*.deb | tar -x -C "$1" --keep-directory-symlink
        rm -rf "$1/tmp/kernel"
        exit 0
    fi
done
exit 1
HOOK
chmod 755 "$work/kernel-hook"

progress "making the root (half a minute with a near mirror)"
sources=$("$here/../../packaging/debian-sources.sh" deb)
proxies=()
while read -r line; do proxies+=(--aptopt="$line"); done < <(apt-config dump 2>/dev/null |
    grep -E '^Acquire::(http|https)::Proxy |^Acquire::(Check-Valid-Until|Check-Date) ' || true)
for attempt in 1 2 3; do
    [ $attempt -ne 3 ] || sources=$(grep -v security <<<"$sources")  # superseded security versions answer 404
    rm -rf "$tree"
    if quietly mmdebstrap --mode=root --variant=minbase --components=main --format=directory \
        --include="$(IFS=,; echo "${packages[*]}")" --customize-hook="$work/kernel-hook \"\$1\"" \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        "${proxies[@]}" "${WRENN_DEBIAN_SUITE:-bookworm}" "$tree" - <<<"$sources"; then
        break
    fi
    [ $attempt -lt 3 ] || fail "mmdebstrap failed three times; see above"
    progress "mmdebstrap failed (attempt $attempt)"
done

release=$(cd "$tree/lib/modules" && ls)
depmod -b "$tree" "$release"
mkdir "$work/modules"
for name in "${boot_modules[@]}"; do
    # modules.dep: "path: nearest dependency … furthest"; the line backwards is an order to load them in.
    awk -v name="$name" '{ file = $1; sub(/.*\//, "", file); if (file == name ".ko:") { for (i = NF; i > 1; i--) print $i; sub(/:$/, "", $1); print $1 } }' \
        "$tree/lib/modules/$release/modules.dep"
done | awk '!seen[$0]++' | while read -r path; do
    cp "$tree/lib/modules/$release/$path" "$work/modules/"
    basename "$path"
done >"$work/load-order"
[ -s "$work/load-order" ] || fail "kernel $release has none of the modules ${boot_modules[*]}"
mv "$work/load-order" "$work/modules/load-order"
cp "$tree/boot/vmlinuz-$release" "$work/vmlinuz"
rm -rf "$tree/boot" "$tree/var/lib/apt/lists" "$tree/var/cache/apt"

install -m 755 "$here/inside/lab-init" "$tree/sbin/lab-init"
echo lab >"$tree/etc/hostname"
printf '127.0.0.1 localhost lab\n' >"$tree/etc/hosts"
mkdir -p "$tree/lab" "$tree/data"

progress "writing the root disk"
truncate -s 2G "$work/root.ext4"
quietly mke2fs -t ext4 -F -b 4096 -O ^metadata_csum,^has_journal -E lazy_itable_init=0,root_owner=0:0 -d "$tree" "$work/root.ext4"
rm -rf "$dir/modules"
mv "$work/modules" "$work/vmlinuz" "$work/root.ext4" "$dir/"
echo "$key" >"$dir/root.key"
progress "kernel $release, root of $(du -m "$dir/root.ext4" | cut -f1) MB"
