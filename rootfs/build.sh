#!/bin/bash
# Builds a base template image. Nothing is mounted on the host: the tree is made by the distribution's own tool, the file
# system by mke2fs -d.
#
#   rootfs/build.sh DISTRO --dir DIR --wrenn PATH [--update]
#
# Leaves in DIR/images/teams/0…0/0…<id>/:
#   rootfs-<generation>.ext4   sparse image of WRENN_DEFAULT_ROOTFS_SIZE (default 5120, in MB; 5Gi, 2G, 1000M)
#   rootfs.ext4                link to the current generation, switched atomically
#   template.json              what the control plane shows; its "warm": [{"vcpus":1,"memory_mb":512}], sizes that are made
#                              ready when the agent starts, is the operator's to write and survives a new generation
# Images never change: running and paused capsules depend on the bytes of the generation they started from. A generation
# that no capsule or snapshot mentions is deleted once a newer one is in place. The same inputs return at once; --update
# makes the distribution's tree anew, with today's package versions.
#
# A distribution (distros/DISTRO.sh) gives: distro_template_id, distro_template_name, distro_packages, distro_tools,
# distro_make_tree DIRECTORY, distro_clean_tree DIRECTORY.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/steps.sh"

usage="usage: rootfs/build.sh DISTRO --dir DIR --wrenn PATH [--update]"
distro= dir= wrenn= update=no
while [ $# -gt 0 ]; do
    case $1 in
        --dir) dir=${2:?}; shift 2 ;;
        --wrenn) wrenn=${2:?}; shift 2 ;;
        --update) update=yes; shift ;;
        -*) fail "unknown argument '$1'; $usage" ;;
        *) distro=$1; shift ;;
    esac
done
[ -n "$distro" ] && [ -n "$dir" ] || fail "$usage"
[ -r "$here/distros/$distro.sh" ] || fail "no distribution '$distro'; there are: $(cd "$here/distros" && ls | sed 's/\.sh$//' | paste -sd' ')"
. "$here/distros/$distro.sh"
need_wrenn "$wrenn"

# "5Gi", "2G", "1000M", "1.5G" or a plain number of MB → MB
megabytes() {
    awk -v text="$1" 'BEGIN {
        if (!match(text, /^[0-9]+(\.[0-9]+)?/)) exit 1
        number = substr(text, 1, RLENGTH); unit = substr(text, RLENGTH + 1)
        if (unit ~ /^(G|Gi|GB|GiB)$/) factor = 1024; else if (unit ~ /^(M|Mi|MB|MiB)?$/) factor = 1; else exit 1
        printf "%d", number * factor }'
}
size_mb=$(megabytes "${WRENN_DEFAULT_ROOTFS_SIZE:-5120}") || fail "WRENN_DEFAULT_ROOTFS_SIZE=$WRENN_DEFAULT_ROOTFS_SIZE is not a size; examples: 5120, 5Gi, 2G, 1000M"
[ "$size_mb" -ge 512 ] || fail "an image of $size_mb MB is too small; WRENN_DEFAULT_ROOTFS_SIZE must be at least 512"

need_root
need_tools mke2fs strip "${distro_tools[@]}"
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
wrenn=$(readlink -f "$wrenn")
image_dir=$dir/images/teams/0000000000000000000000000/$(printf '%025d' "$distro_template_id")
lock_directory "$dir/cache/rootfs"
mkdir -p "$image_dir"
work=$(mktemp -d "$dir/cache/rootfs/.new.XXXXXX")
trap 'rm -rf "$work"' EXIT

# 1. The distribution's tree, cached by what asks for it.
tree_key=$( (cat "$here/distros/$distro.sh"; echo "${distro_packages[*]}" "${WRENN_DEBIAN_MIRROR:-}") | hash_of)
tree=$dir/cache/rootfs/$distro-$tree_key
[ $update = no ] || rm -rf "$tree"
if [ ! -e "$tree.versions" ] || [ ! -d "$tree" ]; then
    progress "making the $distro tree (about half a minute with a near mirror)"
    distro_make_tree "$work/tree" || fail "could not make the $distro tree; see above"
    distro_clean_tree "$work/tree"
    rm -rf "$dir/cache/rootfs/$distro"-*  # earlier package lists
    date -u +%FT%TZ >"$work/versions"
    mv "$work/tree" "$tree"
    mv "$work/versions" "$tree.versions"
fi

# 2. Is there anything to do?
generation=$( (cat "$tree.versions" "$here/build.sh" "$here/wrenn-init" "$here/distros/$distro.sh"; echo "$tree_key $size_mb"; cat "$wrenn") | hash_of)
image=$image_dir/rootfs-$generation.ext4
if [ -e "$image" ] && [ "$(readlink "$image_dir/rootfs.ext4" 2>/dev/null)" = "$(basename "$image")" ] &&
    grep -qs "\"generation\":\"$generation\"" "$image_dir/template.json"; then
    exit 0
fi

# 3. What every distribution gets. Each step may run again over the same tree.
progress "installing wrenn into the tree"

add_user() {  # NAME ID: with a home, bash, no password, and sudo without one
    local name=$1 id=$2
    grep -q "^$name:" "$tree/etc/passwd" || echo "$name:x:$id:$id::/home/$name:/bin/bash" >>"$tree/etc/passwd"
    grep -q "^$name:" "$tree/etc/group" || echo "$name:x:$id:" >>"$tree/etc/group"
    grep -q "^$name:" "$tree/etc/shadow" || echo "$name:*:19000:0:99999:7:::" >>"$tree/etc/shadow"
    if [ ! -d "$tree/home/$name" ]; then
        mkdir -p "$tree/home"
        cp -a "$tree/etc/skel" "$tree/home/$name"
        chown -R "$id:$id" "$tree/home/$name"
        chmod 755 "$tree/home/$name"
    fi
    echo "$name ALL=(ALL:ALL) NOPASSWD: ALL" >"$tree/etc/sudoers.d/$name"
    chmod 440 "$tree/etc/sudoers.d/$name"
}
add_user wrenn-user 1000
add_user user 1001
sed -i 's/^root:[^:]*:/root::/' "$tree/etc/shadow"

echo capsule >"$tree/etc/hostname"
printf '127.0.0.1 localhost capsule\n::1 localhost ip6-localhost ip6-loopback\n' >"$tree/etc/hosts"
rm -f "$tree/etc/resolv.conf" "$tree/etc/machine-id" "$tree/var/lib/dbus/machine-id"
printf 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n' >"$tree/etc/resolv.conf"
: >"$tree/etc/fstab"
mkdir -p "$tree/etc/chrony"
cat >"$tree/etc/chrony/chrony.conf" <<'CHRONY'
# The host's clock, as the hypervisor offers it. A capsule that was paused is behind: step at any time.
refclock PHC /dev/ptp0 poll 2 dpoll -2
driftfile /run/chrony.drift
makestep 1.0 -1
cmdport 0
CHRONY

strip_to "$wrenn" "$work/wrenn"
install -m 755 "$work/wrenn" "$tree/usr/local/bin/wrenn"
ln -sf wrenn "$tree/usr/local/bin/envd"
install -m 755 "$here/wrenn-init" "$tree/usr/local/bin/wrenn-init"
for needed in sbin/tini bin/sh bin/bash usr/local/bin/envd; do
    [ -x "$tree/$needed" ] || [ -L "$tree/$needed" ] || fail "the $distro tree lacks /$needed"
done

# 4. The image. Options, and why:
#   ^resize_inode           images never grow
#   ^metadata_csum          checksums in software are slow without hardware virtualisation
#   lazy_itable_init=0      the file is a hole, so its inode tables are zero already; marked as such, no kernel thread goes
#                           over them after boot, which would dirty 80 MB of every capsule's overlay
#   journal of 16 MB        a capsule writes little at once; less to replay, less to store
#   1 % reserved            what envd, as root, needs when user code fills the disk
progress "writing an image of $size_mb MB"
uuid=$(sha256sum <<<"$distro $generation" | sed 's/^\(.\{8\}\)\(.\{4\}\).\(.\{3\}\).\(.\{3\}\)\(.\{12\}\).*/\1-\2-4\3-8\4-\5/')
find "$image_dir" -maxdepth 1 -name '.rootfs-*.new' -delete
new=$image_dir/.rootfs-$generation.new
truncate -s "${size_mb}M" "$new"
quietly mke2fs -t ext4 -F -b 4096 -I 256 -m 1 -L wrenn-root -U "$uuid" -O ^resize_inode,^metadata_csum,uninit_bg \
    -J size=16 -E "lazy_itable_init=0,lazy_journal_init=1,hash_seed=$uuid,root_owner=0:0" -d "$tree" "$new"
chmod 444 "$new"
install_durably "$new" "$image"

# 5. Switch over: link first, then the description that names the generation.
previous=$(readlink "$image_dir/rootfs.ext4" 2>/dev/null || true)
ln -s "$(basename "$image")" "$work/rootfs.ext4"
mv -T "$work/rootfs.ext4" "$image_dir/rootfs.ext4"
# What the operator wants made ahead of time stays: "warm", a list of sizes.
warm=$(cat "$image_dir/template.json" 2>/dev/null | tr -d '\n' | grep -o '"warm" *: *\[[^]]*\]' || true)
printf '{"id":%d,"name":"%s","distro":"%s","generation":"%s","created_at":"%s","default_user":"root"%s}\n' \
    "$distro_template_id" "$distro_template_name" "$distro" "$generation" "$(date -u +%FT%TZ)" "${warm:+,$warm}" >"$work/template.json"
install_durably "$work/template.json" "$image_dir/template.json"

# 6. Old generations that nothing depends on.
for old in "$image_dir"/rootfs-*.ext4; do
    [ "$old" != "$image" ] || continue
    if ! grep -qsrF --include='*.json' "$(basename "$old")" "$dir/sandboxes" "$dir/snapshots"; then
        rm -f "$old"
        [ "$(basename "$old")" != "$previous" ] || progress "removed the previous generation"
    fi
done
progress "image $(basename "$image"), $(du -m "$image" | cut -f1) MB on disk"
