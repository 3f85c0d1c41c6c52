#!/bin/bash
# Fetches Debian's cloud kernel and makes the initramfs for it.
#
#   rootfs/kernel.sh --dir DIR --wrenn PATH [--update]
#
# Leaves in DIR/kernels/debian-cloud/:
#   vmlinux      uncompressed ELF. Every VMM enters it directly (PVH): no boot loader code, no decompression in the guest
#   vmlinuz      the same kernel as the package has it
#   modules/     the drivers that this kernel has as modules, and load-order, dependencies first
#   initramfs    guest-init (the small program beside wrenn; wrenn itself where that is missing) plus the modules
#   kernel.json  what is what; written last
# The kernel is fetched once; --update looks for a newer one. The initramfs is made anew when wrenn changes. The package is
# unpacked, never installed. An operator's own DIR/kernels/vmlinux[-VERSION] is none of this script's business.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/steps.sh"

meta_package=linux-image-cloud-amd64
# What a guest on virtio-mmio needs; dependencies are resolved and come out as: virtio_ring, virtio, virtio_mmio, failover,
# net_failover, virtio_blk, virtio_net. ext4, af_packet, unix, IPv6 and the serial console are built in.
wanted_modules=(virtio_mmio virtio_blk virtio_net)

dir= wrenn= update=no
while [ $# -gt 0 ]; do
    case $1 in
        --dir) dir=${2:?}; shift 2 ;;
        --wrenn) wrenn=${2:?}; shift 2 ;;
        --update) update=yes; shift ;;
        *) fail "unknown argument '$1'; usage: rootfs/kernel.sh --dir DIR --wrenn PATH [--update]" ;;
    esac
done
[ -n "$dir" ] || fail "name the data directory: --dir DIR"
need_wrenn "$wrenn"
wrenn=$(readlink -f "$wrenn")

init=$wrenn
for candidate in "$(dirname "$wrenn")/src/guest/guest-init" "$(dirname "$wrenn")/../libexec/wrenn/guest-init"; do
    if [ -x "$candidate" ]; then init=$candidate; break; fi
done

target=$dir/kernels/debian-cloud
lock_directory "$target"
target=$(cd "$target" && pwd)
work=$(mktemp -d "$target/.new.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Downloads the newest kernel package that the mirror really has: a security version that was just superseded is still
# in the index and answers 404, then the release's version does.
download_kernel() {
    local apt=(apt-get -q -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3) cache=(apt-cache)
    local pass version concrete
    for pass in machine private; do
        if [ $pass = private ]; then  # fresh lists of our own; the machine's stay as they are
            progress "reading the package index"
            mkdir -p "$work/apt/state/lists/partial" "$work/apt/cache/archives/partial"
            "$here/../packaging/debian-sources.sh" deb >"$work/apt/sources.list"
            local options=(-o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=-
                           -o Dir::State="$work/apt/state" -o Dir::State::status=/var/lib/dpkg/status
                           -o Dir::Cache="$work/apt/cache" -o Acquire::Languages=none)
            apt+=("${options[@]}") cache+=("${options[@]}")
            quietly "${apt[@]}" update || fail "apt could not read the package index"
        fi
        for version in $("${cache[@]}" madison "$meta_package" 2>/dev/null | awk -F'|' '$3 ~ /Packages/ { gsub(/ /, "", $2); print $2 }' | sort -Vru); do
            concrete=$("${cache[@]}" show "$meta_package=$version" | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -1)
            [ -n "$concrete" ] || continue
            if [ "$concrete $version" = "${1:-}" ]; then downloaded=same; return 0; fi
            progress "downloading $concrete $version"
            if (cd "$work" && quietly "${apt[@]}" download "$concrete=$version"); then
                downloaded="$concrete $version"
                return 0
            fi
        done
    done
    fail "no kernel package could be downloaded; see above"
}

unpack_kernel() {
    need_tools dpkg-deb depmod lz4 python3 strip
    local package=${downloaded% *} version=${downloaded#* } tree=$work/tree release path name
    progress "unpacking $package"
    dpkg-deb -x "$work/$package"_*.deb "$tree"
    release=$(basename "$tree"/boot/vmlinuz-*)
    release=${release#vmlinuz-}
    depmod -b "$tree" "$release"

    mkdir "$work/modules"
    for name in "${wanted_modules[@]}"; do
        # modules.dep: "path: nearest dependency … furthest"; so the line backwards is an order to load them in.
        awk -v name="$name" '{ file = $1; sub(/.*\//, "", file); if (file == name ".ko:") { for (i = NF; i > 1; i--) print $i; sub(/:$/, "", $1); print $1 } }' \
            "$tree/lib/modules/$release/modules.dep" | grep . ||
            grep -q "/$name\.ko$" "$tree/lib/modules/$release/modules.builtin" ||
            fail "kernel $release has no module $name"
    done | awk '!seen[$0]++' | while read -r path; do
        # Debug data goes and with it the signature: this kernel does not insist on one, and checking it takes time.
        strip --strip-debug --remove-section=.BTF -o "$work/modules/$(basename "$path")" "$tree/lib/modules/$release/$path"
        basename "$path"
    done >"$work/load-order"
    mv "$work/load-order" "$work/modules/load-order"

    cp "$tree/boot/vmlinuz-$release" "$work/vmlinuz"
    # The payload of Debian's image is an LZ4 stream; its magic number says where it starts.
    python3 - "$work/vmlinuz" "$work/payload" <<'PYTHON'
import sys
image = open(sys.argv[1], "rb").read()
start = image.find(b"\x02\x21\x4c\x18")
if start < 0:
    sys.exit("this vmlinuz has no LZ4 payload")
open(sys.argv[2], "wb").write(image[start:])
PYTHON
    lz4 -d -q -f "$work/payload" "$work/vmlinux" 2>/dev/null || true  # what follows the stream makes lz4 complain
    head -c 4 "$work/vmlinux" | grep -q ELF || fail "could not unpack the kernel image"
    echo "$release" >"$work/release"
    echo "$package $version" >"$work/package"
}

# 1. The kernel, once.
known=$(cat "$target/package" 2>/dev/null || true)
if [ -z "$known" ] || [ "$update" = yes ]; then
    downloaded=
    download_kernel "$known"
    if [ "$downloaded" != same ]; then
        unpack_kernel
        rm -f "$target/kernel.json"  # from here until the end there is no valid set
        rm -rf "$target/modules"
        mv "$work/modules" "$target/modules"
        for file in vmlinuz vmlinux release package; do install_durably "$work/$file" "$target/$file"; done
    fi
fi
release=$(cat "$target/release")

# 2. The initramfs, whenever its inputs changed.
key=$(cat "$here/kernel.sh" "$target/package" "$target/modules"/* "$init" | hash_of)
if [ ! -e "$target/initramfs" ] || ! grep -qs "\"key\":\"$key\"" "$target/kernel.json"; then
    progress "writing the initramfs for $release"
    strip_to "$init" "$work/init"
    "$wrenn" initramfs --output "$work/initramfs" --modules "$target/modules" --init-binary "$work/init"
    install_durably "$work/initramfs" "$target/initramfs"
    printf '{"version":"%s","vmlinux":"vmlinux","vmlinuz":"vmlinuz","initramfs":"initramfs","key":"%s"}\n' "$release" "$key" >"$work/kernel.json"
    install_durably "$work/kernel.json" "$target/kernel.json"
fi
