#!/bin/bash
# The whole journey on real tables: starts a server on a free loopback port with a fresh
# database, uploads, trains, watches, predicts, shows each curl command, and ends by itself.
#   usage: demo.sh build/release/mlpd
set -euo pipefail
cd "$(dirname "$0")/.."
mlpd=${1:-build/release/mlpd}
work=$(mktemp -d)
server=
url=

cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

fail() {
    echo "demo: $*" >&2
    [ ! -s "$work/log" ] || tail -n 20 "$work/log" >&2
    exit 1
}

title() { printf '\n== %s\n\n' "$*"; }

# Prints a curl command the way a person would type it, then runs it: answer in $answer.
call() {
    local shown=curl argument
    for argument in "$@"; do
        case $argument in
        *[!A-Za-z0-9_@%+=:,./-]*) shown="$shown '$argument'" ;;
        *) shown="$shown $argument" ;;
        esac
    done
    printf '$ %s\n' "$shown"
    answer=$(curl -sS --fail-with-body "$@") || fail "$answer"
}

start_server() {
    "$mlpd" serve --db "$work/demo.db" --listen 127.0.0.1:0 2>"$work/log" &
    server=$!
    for _ in $(seq 100); do
        url=$(sed -n 's/.*listening on \(http:[^ ]*\).*/\1/p' "$work/log")
        [ -z "$url" ] || return 0
        kill -0 "$server" 2>/dev/null || fail "the server did not start"
        sleep 0.05
    done
    fail "the server does not answer"
}

# A line per look at the running job, drawn over the last one on a terminal.
draw() {
    local ending='\n'
    [ ! -t 1 ] || ending='\r'
    jq -j '
        (.progress * 30 | floor) as $n |
        "  [" + ("#" * $n) + ("." * (30 - $n)) + "] epoch \(.epoch)/\(.max_iter)"
        + "  loss \(.train_loss // 0 | . * 10000 | round / 10000)"
        + "  eta \(.eta_seconds // 0 | . * 10 | round / 10) s  \(.state)        "' <<<"$answer"
    # shellcheck disable=SC2059
    printf "$ending"
}

watch_job() {
    local job=$1 state last=
    printf '$ curl %s/v1/jobs/%s    (again and again)\n' "$url" "$job"
    while :; do
        answer=$(curl -sS --fail-with-body "$url/v1/jobs/$job") || fail "$answer"
        state=$(jq -r .state <<<"$answer")
        [ "$state $(jq .epoch <<<"$answer")" = "$last" ] || draw
        last="$state $(jq .epoch <<<"$answer")"
        case $state in
        succeeded) [ ! -t 1 ] || echo; return ;;
        failed | cancelled) fail "job $state: $(jq -c .error <<<"$answer")" ;;
        esac
        sleep 0.1
    done
}

upload() {
    call -H 'Content-Type: text/csv' --data-binary "@tests/data/$1.csv" \
        "$url/v1/datasets?name=$1"
    jq -r '"  \(.id): \(.rows) rows; " +
        ([.columns[] | "\(.name) (\(.kind)\(if .missing > 0 then ", \(.missing) missing" else "" end))"]
         | join(", "))' <<<"$answer"
    dataset=$(jq -r .id <<<"$answer")
}

train() {
    call -H 'Content-Type: application/json' -d "$1" "$url/v1/jobs"
    watch_job "$(jq -r .id <<<"$answer")"
}

classify_penguins() {
    title "1. Penguins: which species? (344 birds, text columns, missing cells)"
    upload penguins
    echo
    train '{"dataset": "'"$dataset"'", "target": "species", "hidden_layer_sizes": [100, 50],
    "max_iter": 1500, "n_iter_no_change": 1500, "test_fraction": 0.2}'
    echo
    call "$url/v1/models/penguins/versions/1"
    jq -r '
        "  held-out accuracy \(.metrics.test.accuracy * 1000 | round / 1000) on \(.metrics.test.rows) birds that training never saw",
        "  confusion matrix (row: true, column: predicted; \(.classes | join(", ")))",
        (.metrics.test.confusion_matrix[] | "    " + (map(tostring | (" " * (4 - length)) + .) | join("")))' \
        <<<"$answer"
    jq -e '.metrics.test.accuracy >= 0.95' <<<"$answer" >/dev/null ||
        fail "held-out accuracy below 0.95"
    echo
    echo "Three new birds, columns in another order, one value missing:"
    call -H 'Content-Type: application/json' -d '{"rows": [
    {"year": 2009, "sex": "male", "island": "Torgersen", "body_mass_g": 3900, "flipper_length_mm": 190, "bill_depth_mm": 18.9, "bill_length_mm": 39.5},
    {"year": 2008, "sex": "female", "island": "Biscoe", "body_mass_g": 4800, "flipper_length_mm": 215, "bill_depth_mm": 14.3, "bill_length_mm": 46.8},
    {"year": 2007, "sex": null, "island": "Dream", "body_mass_g": 3750, "flipper_length_mm": 196, "bill_depth_mm": 18.6, "bill_length_mm": 50.1}]}' \
        "$url/v1/models/penguins/predict"
    jq -r '. as $a | range(.predictions | length) as $i |
        "  bird \($i + 1): \($a.predictions[$i]) (probability \($a.probabilities[$i] | max * 1000 | round / 1000))"' \
        <<<"$answer"
}

regress_diabetes() {
    title "2. Diabetes: how far after a year? (442 patients, a number to predict)"
    upload diabetes
    echo
    train '{"dataset": "'"$dataset"'", "target": "progression", "test_fraction": 0.2}'
    echo
    call "$url/v1/models/diabetes/versions/1"
    jq -r '.metrics.test |
        "  held-out R2 \(.r2 * 1000 | round / 1000), RMSE \(.rmse * 10 | round / 10) on \(.rows) patients that training never saw"' \
        <<<"$answer"
    jq -e '.metrics.test.r2 >= 0.3' <<<"$answer" >/dev/null || fail "held-out R2 below 0.3"
    echo
    call -H 'Content-Type: text/csv' --data-binary $'age,sex,bmi,bp,s1,s2,s3,s4,s5,s6\n59,2,32.1,101,157,93.2,38,4,4.8598,87\n' \
        "$url/v1/models/diabetes/predict"
    jq -r '"  predicted progression: \(.predictions[0])"' <<<"$answer"
}

start_server
echo "mlpd listens on $url; its database is one file, removed at the end."
classify_penguins
regress_diabetes
kill "$server"
wait "$server" || fail "the server did not stop cleanly"
server=
title "Done. 'make run' starts a server to keep; README.md has the rest."
