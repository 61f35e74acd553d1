# shellcheck shell=bash disable=SC2154
# Sourced by the checks beside it: a minimal Debian 12 from this machine's own package
# sources. Expects $work, a temporary directory, and $0, whose name failures begin with.

stage() { printf '%s (%d s)\n' "$*" "$SECONDS"; }

# Without it nothing that follows can be told: says why and ends.
must() {
    "$@" >"$work/must.log" 2>&1 && return
    tail -n 60 "$work/must.log"
    echo "$(basename "$0" .sh): failed: $*" >&2
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

# make_debian FOLDER [PACKAGES]: a minimal Debian 12 with those packages besides.
make_debian() {
    local sources=()
    debian_sources >"$work/sources.list"
    # With none to go by, for example on another release, mmdebstrap's default holds.
    [ ! -s "$work/sources.list" ] || sources=("$work/sources.list")
    must mmdebstrap --variant=minbase ${2:+"--include=$2"} bookworm "$1" "${sources[@]}"
}
