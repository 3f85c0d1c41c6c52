# Debian 12 as a base template. Sourced by rootfs/build.sh, which says what each name means.

distro_template_id=4
distro_template_name=minimal-debian

distro_packages=(
    # what the platform promises in every base template
    socat chrony iproute2 tini sudo wget curl ca-certificates git
    # what running code expects
    bash python3 procps less iputils-ping netbase
    # what wrenn-init and user accounts need beyond the essential packages
    mount login passwd
)

distro_tools=(mmdebstrap apt-get)

# Documentation and translations are half of the files of a small system.
distro_dpkg_options=(
    path-exclude=/usr/share/doc/*
    path-include=/usr/share/doc/*/copyright
    path-exclude=/usr/share/man/*
    path-exclude=/usr/share/info/*
    path-exclude=/usr/share/locale/*
    path-exclude=/usr/share/lintian/*
    path-exclude=/usr/share/bug/*
)

distro_make_tree() {  # DIRECTORY
    local tree=$1 options=() line
    local sources
    sources=$("$here/../packaging/debian-sources.sh" deb) || return 1
    for line in "${distro_dpkg_options[@]}"; do options+=(--dpkgopt="$line"); done
    # The machine's own answer to proxies and expired indexes holds for this download too.
    while read -r line; do options+=(--aptopt="$line"); done < <(apt-config dump 2>/dev/null |
        grep -E '^Acquire::(http|https)::Proxy |^Acquire::(Check-Valid-Until|Check-Date) ' || true)

    local attempt
    for attempt in 1 2 3; do
        [ $attempt -ne 3 ] || sources=$(grep -v security <<<"$sources")  # superseded security versions answer 404
        if quietly mmdebstrap --mode=root --variant=minbase --components=main --format=directory \
            --include="$(IFS=,; echo "${distro_packages[*]}")" \
            --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' --aptopt='Acquire::Languages "none"' \
            "${options[@]}" "${WRENN_DEBIAN_SUITE:-bookworm}" "$tree" - <<<"$sources"; then
            rm -f "$tree/etc/apt/apt.conf.d/99mmdebstrap"
            return 0
        fi
        rm -rf "$tree"
        progress "mmdebstrap failed (attempt $attempt)"
        sleep $((attempt * 3))
    done
    return 1
}

distro_clean_tree() {  # DIRECTORY
    local tree=$1
    rm -rf "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/*.bin "$tree"/var/cache/apt/archives/*.deb \
        "$tree"/var/cache/debconf/*-old "$tree"/var/lib/dpkg/*-old "$tree"/var/log/*.log "$tree"/var/log/apt/*
    # Nothing here runs at boot: there is no init system, wrenn-init starts what runs.
    rm -rf "$tree"/etc/cron.d "$tree"/etc/cron.daily "$tree"/etc/init.d "$tree"/etc/rc?.d "$tree"/lib/systemd/system "$tree"/etc/systemd
    ln -sf ../bin/tini-static "$tree/usr/sbin/tini"
}
