# What the benches share, to be sourced: coprocesses that take turns, and the table. Both sides
# of a ratio are measured in one run, in turn; a figure is the median of its turns.
# The caller has set `build`, the folder with libmlpd.a. BENCH_PEERS=0 installs nothing and
# measures our side only; BENCH_TURNS is how many turns each side gets at most.
# shellcheck shell=bash disable=SC2034
bin=${build:?}/tests/bench
peers=${BENCH_PEERS:-1}
python=/usr/bin/python3 # Debian's, whatever else comes first in PATH
turns=${BENCH_TURNS:-5}
budget=40 # seconds after which a section starts no further turn
cores=$(nproc)
work=$(mktemp -d -p "${TMPDIR:-/var/tmp}" mlpd-bench.XXXXXX)
started=() # process ids
declare -A to from pid_of # the coprocesses: file descriptors, process ids

cleanup() {
    local pid
    for pid in "${started[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT

fail() {
    echo "bench: $*" >&2
    [ ! -s "$work/log" ] || tail -n 5 "$work/log" >&2
    exit 1
}

# --- set-up ----------------------------------------------------------------------------

install_missing() {
    local package missing=() as=''
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || as=sudo
    echo "Installing with apt-get: ${missing[*]} (BENCH_PEERS=0 does without)"
    $as apt-get update -qq &&
        $as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            --no-install-recommends "${missing[@]}" >/dev/null
}

compile() { # NAME [FILE…]: from tests/bench/NAME.c and FILEs beside it
    local name=$1 files=("$1.c" "${@:2}")
    local -a flags libraries
    read -ra flags <<<"$(pkg-config --cflags libmicrohttpd openblas)"
    read -ra libraries <<<"$(pkg-config --libs libmicrohttpd jansson sqlite3 openblas \
        libsodium)"
    mkdir -p "$bin"
    "${CC:-cc}" -std=c17 -D_GNU_SOURCE -O2 -Wall -Wextra -pthread -Isrc -Itests \
        "${flags[@]}" -o "$bin/$name" "${files[@]/#/tests/bench/}" "$build/libmlpd.a" \
        "${libraries[@]}" -lm || fail "$name.c does not compile"
}

# --- coprocesses: one line in, one line out --------------------------------------------

launch() { # NAME COMMAND…
    local name=$1 in out
    shift
    mkfifo "$work/$name.in" "$work/$name.out"
    "$@" <"$work/$name.in" >"$work/$name.out" 2>>"$work/log" &
    pid_of[$name]=$!
    started+=($!)
    exec {in}>"$work/$name.in" {out}<"$work/$name.out"
    to[$name]=$in
    from[$name]=$out
}

ask() { # NAME QUESTION → $answer
    echo "$2" >&"${to[$1]}"
    read -r -t 200 answer <&"${from[$1]}" || fail "$1 does not answer '$2'"
}

# --- turns -----------------------------------------------------------------------------

section() {
    turn=0
    section_start=$SECONDS
}

next_turn() { # true as long as the section is to go on
    [ "$turn" = 0 ] || { [ "$turn" -lt "$turns" ] &&
        [ $((SECONDS - section_start)) -lt "$budget" ]; } || return 1
    turn=$((turn + 1))
}

median() {
    tr ' ' '\n' <<<"$*" | grep . | sort -g |
        awk '{v[NR] = $1} END {print (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2}'
}

# The parentheses matter: without them awk takes a > b for printing a into a file b.
calc() { awk "BEGIN {printf \"$1\", ($2)}"; }

# --- the table -------------------------------------------------------------------------

row() { printf '%-44s %11s %11s %8s  %-12s %-6s %s\n' "$@"; }

head_row() { row "" ours peer ratio promise "" "peer is"; }

# A promise is on the ratio; one with a unit ("<= 50 ms") on our own figure.
line() { # WORK OURS PEER RATIO PROMISE PEER'S NAME
    local sign bound unit judged=$4 verdict=''
    read -r sign bound unit <<<"$5"
    [ -z "$unit" ] || judged=${2%% *}
    if [ -n "$sign" ] && [ "$judged" != - ]; then
        [ "$(calc %d "$judged $sign $bound")" = 1 ] && verdict=ok || verdict=short
    fi
    row "$1" "$2" "$3" "$4" "$5" "$verdict" "$6"
}
