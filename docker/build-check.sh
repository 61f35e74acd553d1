#!/bin/bash
# Builds the image and runs the server from it without a container engine: buildah builds
# onto a base made by mmdebstrap from this machine's own package sources, and namespaces
# made here stand in for the engine: the image's own user, command and environment, a
# read-only root, a volume at /data, no capabilities, a network of its own.
#   usage: build-check.sh      (as root, on a Debian system)
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ]; then
    echo "build-check: needs root for namespaces and apt-get" >&2
    exit 2
fi

work=$(mktemp -d)
export TMPDIR=$work
passed=0
failed=0
engine=   # unshare, the parent of the server
server=   # the server's id here; in its own namespace it is 1

cleanup() {
    [ -z "$engine" ] || kill -KILL "$engine" 2>/dev/null || true
    [ -z "$engine" ] || wait "$engine" 2>/dev/null || true
    # Should anything still be mounted in there, it must not be emptied.
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT

# check CLAIM COMMAND…: runs it and prints one line, and what it printed when it failed.
check() {
    local claim=$1
    shift
    if "$@" >"$work/check.log" 2>&1; then
        passed=$((passed + 1))
        printf '  ok    %s\n' "$claim"
    else
        failed=$((failed + 1))
        printf '  FAIL  %s\n' "$claim"
        tail -n 40 "$work/check.log"
    fi
}

# shellcheck source=docker/debian.sh
. docker/debian.sh

# --- the image --------------------------------------------------------------------------

store() {
    buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"
}

make_base() {
    local container top
    container=$(store from scratch)
    top=$(store mount "$container")
    make_debian "$top"
    must store commit --rm --format docker "$container" localhost/base
}

build_image() {
    # Only docker's format has a place for HEALTHCHECK.
    must store build --isolation chroot --format docker --pull-never \
        --build-arg BASE=localhost/base --tag localhost/mlpd .
    store inspect --type image localhost/mlpd >"$work/image.json"
    root=$(store mount "$(store from --pull-never localhost/mlpd)")
    user=$(image_text .User)
}

is() { jq -e ".Docker.config | $1" "$work/image.json"; }

image_text() { jq -r ".Docker.config | $1" "$work/image.json"; }

image_list() { image_text "$1 | .[]?"; }

size_of() { store images --format '{{.Size}}' "localhost/$1"; }

finds_nothing() {
    find "$@" >"$work/found" && cat "$work/found" && [ ! -s "$work/found" ]
}

check_image() {
    check "the user is a number and not root" is '
        .User | test("^[1-9][0-9]*:[1-9][0-9]*$")'
    check "it starts 'mlpd serve'" is '.Entrypoint == ["mlpd"] and .Cmd == ["serve"]'
    check "it has a healthcheck" is '.Healthcheck.Test == ["CMD", "mlpd", "healthcheck"]'
    check "/data is a volume and 8080 a port" is '
        .Volumes["/data"] and .ExposedPorts["8080/tcp"]'
    check "SIGTERM stops it" is '.StopSignal == "SIGTERM"'
    check "it carries title, description and licence" is '
        [.Labels["org.opencontainers.image." + ("title", "description", "licenses")]]
        | all'
    check "/data belongs to the user" test "$(stat -c %u:%g "$root/data")" = "$user"
    check "no compiler or header in it" finds_nothing \
        "$root/usr/bin" "$root/usr/include" -name '*gcc*' -o -name make -o -name '*.h'
    check "no package lists in it" finds_nothing \
        "$root/var/lib/apt/lists" -name '*Packages*'
}

# --- a container of it ------------------------------------------------------------------

# What an engine does for process 1 before it starts it. $root and $volume are exported.
# shellcheck disable=SC2016  # for the shell inside
enter='
    set -eu
    mount --bind "$root" "$root"
    mount -o remount,bind,ro "$root"
    mount -t proc proc "$root/proc"
    mount --bind "$volume" "$root/data"
    ip link set lo up
    exec "$@"'

# Fills the array `as_image`: what runs a command inside as the image says.
read_config() {
    local variables
    mapfile -t variables < <(image_list .Env)
    mapfile -t start < <(image_list '.Entrypoint + .Cmd')
    mapfile -t probe < <(image_list '.Healthcheck.Test[1:]')
    as_image=(chroot "$root" env -i -C "$(image_text .WorkingDir)" "${variables[@]}"
        setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups
        --bounding-set=-all --inh-caps=-all --no-new-privs)
    # A new named volume starts as a copy of what the image has there.
    volume=$work/volume
    cp -a "$root/data" "$volume"
    export root volume
}

inside() { nsenter --target "$server" --mount --pid --net "${as_image[@]}" "$@"; }

# This machine's curl in the network of the container.
ask() {
    nsenter --target "$server" --net curl -sS --fail-with-body --max-time 60 "$@"
}

wait_for() {
    local i
    for ((i = 0; i < 600; i++)); do
        ! "$@" || return 0
        [ -d "/proc/$engine" ] || return 1
        sleep 0.1
    done
    return 1
}

has_server() {
    server=$(tr -d ' ' <"/proc/$engine/task/$engine/children")
    [ -n "$server" ]
}

start_container() {
    unshare --mount --pid --net --ipc --uts --fork --kill-child \
        bash -c "$enter" enter "${as_image[@]}" "${start[@]}" >"$work/server.log" 2>&1 &
    engine=$!
    wait_for has_server
}

stop_container() {
    local status=0
    kill -TERM "$server"
    wait "$engine" || status=$?
    engine=
    [ "$status" = 0 ] || { echo "exit $status" && cat "$work/server.log" && false; }
}

is_healthy() { inside "${probe[@]}" 2>"$work/probe.log"; }

runs_unprivileged() {
    cat "/proc/$server/status"
    [ "$(stat -c %u:%g "/proc/$server")" = "$user" ] &&
        grep -q '^CapBnd:[[:space:]]*0*$' "/proc/$server/status" &&
        grep -q '^CapEff:[[:space:]]*0*$' "/proc/$server/status" &&
        grep -q '^NoNewPrivs:[[:space:]]*1$' "/proc/$server/status"
}

root_is_read_only() {
    awk '$5 == "/" { print; ro = $6 ~ /^ro(,|$)/ } END { exit !ro }' \
        "/proc/$server/mountinfo"
}

upload() {
    ask -H 'Content-Type: text/csv' --data-binary @tests/data/iris.csv \
        "$url/v1/datasets?name=iris" | tee "$work/dataset.json" && echo &&
        jq -e '.rows == 150' "$work/dataset.json"
}

job_ended() {
    ask "$url/v1/jobs/$(jq -r .id "$work/job.json")" >"$work/state.json" &&
        jq -e '.state | IN("succeeded", "failed", "cancelled")' "$work/state.json"
}

train() {
    jq '{dataset: .id, target: "species", model: "iris", hidden_layer_sizes: [16],
        max_iter: 200, seed: 1}' "$work/dataset.json" |
        ask -H 'Content-Type: application/json' -d @- "$url/v1/jobs" |
        tee "$work/job.json" && echo && wait_for job_ended && cat "$work/state.json" &&
        jq -e '.state == "succeeded"' "$work/state.json"
}

predict() {
    ask -H 'Content-Type: application/json' "$url/v1/models/iris/predict" -d '{
        "columns": ["sepal_length", "sepal_width", "petal_length", "petal_width"],
        "data": [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]}' |
        tee "$work/answer.json" && echo &&
        jq -e '.predictions == ["setosa", "virginica"]' "$work/answer.json"
}

database_is_in_volume() {
    ls -ln "$volume"
    [ "$(head -c 15 "$volume/mlpd.db")" = "SQLite format 3" ] &&
        [ "$(stat -c %u "$volume/mlpd.db")" = "$(stat -c %u "$root/data")" ]
}

check_container() {
    url=http://127.0.0.1:8080
    check "it starts" start_container
    check "its healthcheck succeeds" wait_for is_healthy
    check "it runs as that user, without capabilities" runs_unprivileged
    check "its root is read-only" root_is_read_only
    # Any address but 127.0.0.1 stands for the one that a port is published to.
    check "it answers on every address" ask http://127.0.0.2:8080/healthz
    check "a table is uploaded" upload
    check "a model is trained" train
    check "it predicts" predict
    check "SIGTERM ends it with exit code 0" stop_container
    check "the database is in /data" database_is_in_volume
    check "a second container starts on the same volume" start_container
    check "its healthcheck succeeds" wait_for is_healthy
    check "it still predicts" predict
    check "SIGTERM ends it with exit code 0" stop_container
}

install_missing buildah mmdebstrap jq curl iproute2 util-linux
make_base
stage "base image: $(size_of base)"
build_image
stage "image: $(size_of mlpd)"
check_image
read_config
check_container
stage "done"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
