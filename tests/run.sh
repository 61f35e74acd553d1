#!/bin/sh
# Runs every test binary of one build and prints a counted line: "N passed, N failed".
#   usage: run.sh build/MODE
set -u
build=$1
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The servers under test are this build's own binary.
here=$(pwd)
case $build in
/*) export MLPD_BINARY="$build/mlpd" ;;
*) export MLPD_BINARY="$here/$build/mlpd" ;;
esac
# A size that no machine has is an error to the code under test, not to the sanitizers.
export ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:allocator_may_return_null=1:${ASAN_OPTIONS:-}"
export TSAN_OPTIONS="halt_on_error=0:allocator_may_return_null=1:suppressions=$here/tests/lint/tsan.supp:${TSAN_OPTIONS:-}"
for test in "$build"/tests/unit/test_* "$build"/tests/api/test_*; do
    case $test in *.o | *.d) continue ;; esac
    [ -x "$test" ] || continue
    "$test" >"$log" 2>&1
    status=$?
    ok=$(grep -c '^\[       OK \]' "$log")
    # cmocka names a failed test where it fails and once more at the end
    bad=$(grep '^\[  FAILED  \] [A-Za-z_0-9]*$' "$log" | sort -u | grep -c .)
    # A binary that dies (a sanitizer's report, a signal) fails, whatever it counted.
    [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
    passed=$((passed + ok))
    failed=$((failed + bad))
    if [ "$status" -eq 0 ] && [ "$bad" -eq 0 ]; then
        printf '  ok    %s (%d)\n' "${test#"$build"/tests/}" "$ok"
    else
        printf '  FAIL  %s (exit %d)\n' "${test#"$build"/tests/}" "$status"
        grep -v '^\[ *\(OK\|RUN\|==*\) *\]' "$log" | tail -n 120
    fi
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
