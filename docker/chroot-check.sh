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

# shellcheck source=docker/debian.sh
. "$(dirname "$0")/debian.sh"

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
make_debian "$root" git,make,ca-certificates
stage "chroot: $(du -sh "$root" | cut -f1)"
clone
run_target demo
run_target test
[ "$failed" = 0 ]
