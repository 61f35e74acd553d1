#!/bin/bash
# The service's speed (predictions, uploads, start; training is core.sh) as ratios to peers
# measured in the same run. Asserts nothing about time: exits 0 unless something breaks.
#   usage: run.sh build/release     (from the repository root, or simply: make bench)
#   BENCH_PEERS=0 installs nothing and prints our figures only; BENCH_TURNS=5.
#   TMPDIR (default /var/tmp, which is a disk where /tmp may be memory) takes about 400 MB.
set -euo pipefail
build=${1:?usage: run.sh build/release}
# shellcheck source=tests/bench/turns.sh
source tests/bench/turns.sh
csv_bytes=30000000
server= # process id
url=
ticks=$(getconf CLK_TCK)
trap 'started+=($server); cleanup' EXIT

# --- 1. predictions over HTTP ----------------------------------------------------------

stop_server() {
    [ -n "$server" ] || return 0
    kill "$server"
    wait "$server" || fail "the server does not stop cleanly"
    server=
}

start_server() { # anew, with an empty database
    local i
    stop_server
    rm -f "$work"/bench.db*
    "$build/mlpd" serve --db "$work/bench.db" --listen 127.0.0.1:0 2>"$work/log" &
    server=$!
    for ((i = 0; i < 100; i++)); do
        url=$(sed -n 's/.*listening on \(http:[^ ]*\).*/\1/p' "$work/log")
        [ -z "$url" ] || return 0
        sleep 0.05
    done
    fail "the server does not start"
}

post() { # PATH TYPE curl's arguments → $answer
    local path=$1 type=$2
    shift 2
    answer=$(curl -sS --fail-with-body -m 100 -H "Content-Type: $type" "$@" "$url$path") ||
        fail "$path: $answer"
}

first_id() { sed -n '1s/^{"id":"\([^"]*\)".*/\1/p' <<<"$answer"; }

train_iris() {
    local job i
    post "/v1/datasets?name=iris" text/csv --data-binary @tests/data/iris.csv
    post /v1/jobs application/json \
        -d '{"dataset": "'"$(first_id)"'", "target": "species", "max_iter": 100}'
    job=$(first_id)
    for ((i = 0; i < 300; i++)); do
        answer=$(curl -sS -m 10 "$url/v1/jobs/$job")
        case $answer in
        *'"state":"succeeded"'*) return 0 ;;
        *'"state":"failed"'*) fail "$answer" ;;
        esac
        sleep 0.1
    done
    fail "the job does not end: $answer"
}

cpu_ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{print $12 + $13}'; }

load() { # PID wrk's arguments → $answer, requests per second; $cost, its CPU in us a request
    local pid=$1 report before
    shift
    before=$(cpu_ticks "$pid")
    # Two threads, so that the client is not what limits the faster side.
    report=$(wrk -t 2 -c 16 -d 2s "$@") || fail "wrk: $report"
    ! grep -qE 'Non-2xx|Socket errors' <<<"$report" || fail "wrk: $report"
    cost=$(calc %.3f "($(cpu_ticks "$pid") - $before) * 1e6 / $ticks / \
        $(sed -n 's/^ *\([0-9]*\) requests in.*/\1/p' <<<"$report")")
    answer=$(sed -n 's/^Requests.sec: *//p' <<<"$report")
}

bench_predictions() {
    local ours='' constant='' health='' ours_cost='' constant_cost='' port body
    local path=/v1/models/iris/predict
    section
    echo
    if ! command -v wrk >/dev/null; then
        line "one row predicted, requests/s" - - - ">= 0.85" "left out: wrk is missing"
        return
    fi
    start_server
    train_iris
    if [ "$peers" != 0 ]; then
        # wrk.body = '…': the constant is our answer to the same row
        body=$(sed -n "s/^wrk.body = '\(.*\)'/\1/p" tests/bench/predict.lua)
        post "$path" application/json -d "$body"
        printf '%s' "$answer" >"$work/answer"
        launch constant "$bin/constant" "$work/answer"
        read -r -t 10 port <&"${from[constant]}" || fail "no constant server"
    fi
    while next_turn; do
        load "$server" -s tests/bench/predict.lua "$url$path"
        ours+="$answer " ours_cost+="$cost "
        [ "$peers" != 0 ] || continue
        load "${pid_of[constant]}" -s tests/bench/predict.lua "http://127.0.0.1:$port$path"
        constant+="$answer " constant_cost+="$cost "
        load "$server" "$url/healthz"
        health+="$answer "
    done
    ours=$(median "$ours") ours_cost=$(median "$ours_cost")
    if [ "$peers" = 0 ]; then
        line "one row predicted, keep-alive, requests/s" "$(calc %.0f "$ours")" - - ">= 0.85" ""
        line "  the server's CPU, us per request" "$(calc %.1f "$ours_cost")" - - "" ""
        return
    fi
    constant=$(median "$constant") constant_cost=$(median "$constant_cost")
    health=$(median "$health")
    line "one row predicted, keep-alive, requests/s" "$(calc %.0f "$ours")" \
        "$(calc %.0f "$constant")" "$(calc %.2f "$ours / $constant")" ">= 0.85" \
        "libmicrohttpd: same body in, constant out"
    line "  the server's CPU, us per request" "$(calc %.1f "$ours_cost")" \
        "$(calc %.1f "$constant_cost")" "$(calc %.2f "$ours_cost / $constant_cost")" "" \
        "the same; wrk shares the cores, this sees past it"
    line "  requests/s again" "$(calc %.0f "$ours")" "$(calc %.0f "$health")" \
        "$(calc %.2f "$ours / $health")" "" "our own GET /healthz"
}

# --- 2. uploads ------------------------------------------------------------------------

memory_mib() { awk -v key="$1:" '$1 == key {print $2 / 1024}' "/proc/$server/status"; }

upload() { # FILE → $answer, seconds until it is typed and durable; then it is deleted
    local seconds
    post "/v1/datasets?name=bench" text/csv --data-binary "@$1" -o "$work/created" \
        -w '%{time_total}'
    seconds=$answer
    answer=$(head -c 200 "$work/created")
    curl -sS -m 60 -X DELETE "$url/v1/datasets/$(first_id)" || fail "delete"
    answer=$seconds
}

bench_upload() { # LABEL KIND PROMISE
    local file=$work/$2.csv ours='' peer='' before above bytes
    "$bin/csv" "$2" "$csv_bytes" >"$file"
    bytes=$(stat -c %s "$file")
    start_server
    section
    before=$(memory_mib VmRSS)
    while next_turn; do
        upload "$file"
        ours+="$(calc %.2f "$bytes / 1e6 / $answer") "
        [ "$turn" != 1 ] || above=$(calc %.0f "$(memory_mib VmHWM) - $before")
        [ "$peers" != 0 ] || continue
        ask peer "csv $file"
        peer+="$(calc %.2f "$bytes / 1e6 / $answer") "
    done
    ours=$(median "$ours")
    if [ "$peers" != 0 ]; then
        peer=$(median "$peer")
        line "upload of $1, MB/s" "$(calc %.0f "$ours")" "$(calc %.0f "$peer")" \
            "$(calc %.2f "$ours / $peer")" ">= 3" "pandas.read_csv, which stores nothing"
    else
        line "upload of $1, MB/s" "$(calc %.0f "$ours")" - - ">= 3" ""
    fi
    line "  memory above idle meanwhile, MiB" "$above" - - "<= 64 MiB" ""
    rm -f "$file"
}

bench_uploads() {
    echo
    bench_upload "30 MB, 785 columns, as MNIST" pixels
    bench_upload "30 MB, 20 columns of decimals" decimals
}

# --- 3. start --------------------------------------------------------------------------

bench_start() {
    local ms='' mib='' peer_ms='' peer_mib='' a b
    section
    echo
    while next_turn; do
        answer=$("$bin/start" "$build/mlpd" "$work/start$turn.db") || fail "no cold start"
        read -r a b <<<"$answer"
        ms+="$a " mib+="$b "
        [ "$peers" != 0 ] || continue
        ask peer start
        read -r a b <<<"$answer"
        peer_ms+="$a " peer_mib+="$b "
    done
    ms=$(median "$ms") mib=$(median "$mib")
    if [ "$peers" != 0 ]; then
        peer_ms=$(median "$peer_ms") peer_mib=$(median "$peer_mib")
        line "cold start to ready, empty database, ms" "$ms" "$peer_ms" \
            "$(calc %.3f "$ms / $peer_ms")" "<= 50 ms" "python3: import sklearn.neural_network"
        line "idle memory, MiB" "$mib" "$peer_mib" "$(calc %.3f "$mib / $peer_mib")" \
            "<= 24 MiB" "the same"
    else
        line "cold start to ready, empty database, ms" "$ms" - - "<= 50 ms" ""
        line "idle memory, MiB" "$mib" - - "<= 24 MiB" ""
    fi
}

[ "$peers" = 0 ] || install_missing curl wrk python3-sklearn python3-pandas
for name in csv start constant; do
    compile "$name"
done
if [ "$peers" != 0 ]; then
    launch peer "$python" tests/bench/peer.py "$work"
    ask peer versions
    echo "peers: $answer"
fi
head_row
if command -v curl >/dev/null; then
    bench_predictions
    bench_uploads
    stop_server
else
    echo "curl is missing: predictions and uploads left out"
fi
bench_start
printf '\n%d s, load %s. Ratios of medians of up to %d turns;\nfor rates more is better, for costs (us, ms, MiB) less.\n' \
    "$SECONDS" "$(cut -d ' ' -f 1 /proc/loadavg)" "$turns"
