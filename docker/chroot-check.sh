#!/bin/bash
# Follows the first steps of a new user on a Debian 12 that has nothing but git, make and
# ca-certificates: clones the last commit of a checkout into a fresh chroot, and runs
# `make demo` and `make test` there.
#   usage: chroot-check.sh [CHECKOUT]      (as root, on a Debian system)
set -euo pipefail

if [ "$(id -u)" != 0 ]; then
    echo "chroot-check: needs root for the chroot and apt-get" >&2
    exit 2
fi

checkout=$(realpath "${1:-$(dirname "$0")/..}")
work=$(mktemp -d)
root=$work/root
failed=0
# Should anything still be mounted in there, it must not be emptied.
trap 'rm -rf --one-file-system "$work"' EXIT

stage() { printf '%s (%d s)\n' "$*" "$SECONDS"; }

# Without it nothing that follows can be told: says why and ends.
must() {
    "$@" >"$work/must.log" 2>&1 && return
    tail -n 60 "$work/must.log"
    echo "chroot-check: failed: $*" >&2
    exit 1
}

install_missing() {
    local package status missing=()
    for package; do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || true
        [ "$status" = installed ] || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    echo "Installing with apt-get: ${missing[*]}"
    must apt-get update
    must env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}"
}

# The lines of a sources.list that name the Debian 12 archives this machine uses.
debian_sources() {
    # shellcheck disable=SC2016  # apt-get fills these in
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' | grep ' bookworm' || true
}

make_root() {
    local sources=()
    debian_sources >"$work/sources.list"
    # With none to go by, for example on another release, mmdebstrap's default holds.
    [ ! -s "$work/sources.list" ] || sources=("$work/sources.list")
    must mmdebstrap --variant=minbase --include=git,make,ca-certificates \
        bookworm "$root" "${sources[@]}"
}

clone() {
    [ -z "$(git -C "$checkout" status --porcelain)" ] ||
        echo "Note: $checkout has changes that are not committed; they are not tested."
    # Through git's protocol, so that the clone shares no file with the checkout.
    must git clone --no-local "$checkout" "$root/root/mlpd"
    git -C "$root/root/mlpd" log -1 --format='commit %h: %s'
}

# A login on a plain machine: root's home and path, no locale, /proc (nothing needed it so
# far) and, for the log of apt-get, /dev/pts. With a target end its processes and mounts.
# shellcheck disable=SC2016  # for the shell inside
inside='
    set -eu
    mount -t proc proc "$1/proc"
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$1/dev/pts"
    exec env -i HOME=/root TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        chroot "$1" sh -c "cd && cd mlpd && exec make $2"'

run_target() {
    local target=$1 status=0 began=$SECONDS
    stage "make $target"
    timeout 1800 unshare --mount --pid --ipc --fork --kill-child \
        bash -c "$inside" inside "$root" "$target" >"$work/$target.log" 2>&1 </dev/null ||
        status=$?
    tail -n 30 "$work/$target.log" | sed 's/^/    /'
    printf 'make %s: exit %d after %d s\n' "$target" "$status" "$((SECONDS - began))"
    [ "$status" = 0 ] || failed=$((failed + 1))
}

install_missing mmdebstrap git util-linux
make_root
stage "chroot: $(du -sh "$root" | cut -f1)"
clone
run_target demo
run_target test
[ "$failed" = 0 ]
