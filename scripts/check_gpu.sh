#!/bin/bash
# check_gpu.sh [-j NUMBER]: everything that needs a device. For each program with device code: the smoke preset on the
# device, every row right; the same with --inject-fault, every row wrong; with --cache hot; and, where compute-sanitizer
# is, the first case of each variant made of our own kernels without a memory error; then the tests for devices alone,
# FOLDER/tests/test_*_device.sh. Says `N passed, N failed` last.
# Nothing is timed, so NUMBER parts run at once (a half of the cores, at most six and four more for each further device;
# one where the device takes one process alone), spread over the devices, but not two that use them all, and beside a
# test with a line `# alone: WHY` nothing else.
# Rows and messages stay in $BUILD/check-gpu, those of the tests in $BUILD/check.
# Exit status: 0 all well, 1 not, 2 bad usage, 3 there is no device, or nothing was built for one.
# shellcheck disable=SC2046,SC2086,SC2031 # options are lists of words; each part has a $work of its own
set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/tests/expect.sh
. scripts/pool.sh

device_variants() { "$BUILD/bin/$1" --help | sed -n 's/^  \([a-z0-9_]*\) *'"${2:-[a-z]*}"', device$/\1/p'; }

find_device() {
    with_device=""
    for name in $(programs); do
        [ -z "$(device_variants "$name")" ] || with_device="$with_device $name"
    done
    if [ -z "$with_device" ]; then
        echo "check_gpu.sh: no program was built with device code (no CUDA toolkit)" >&2
        exit 3
    fi
    for name in $with_device; do # the first one that needs no launcher speaks for all
        "$BUILD/bin/$name" --describe | cut -f3 | grep -qx 0 || continue
        reason=$("$BUILD/bin/$name" --place device --preset smoke --list 2>&1 >/dev/null) && break
        echo "check_gpu.sh: no device: ${reason#*: }" >&2
        exit 3
    done
    RANKS=$(device_count)
}

# run PROGRAM PART OPTIONS, for no longer than a check needs: leaves status; the rows in $rows, what was said in $log
run() {
    rows=$logs/$1.$2.csv log=$logs/$1.$2.log
    timeout 600 $(starter "$1") --place device --preset smoke --time-cap 0.01 $3 >"$rows" 2>"$log" </dev/null
    status=$? wrong=""
}
count() { column status <"$rows" | grep -cx "$1"; }
# Every row's variant, status and reason, between tabs.
outcomes() {
    fields <"$rows" | awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        { print $at["variant"] "\t" $at["status"] "\t" $at["reason"] }'
}
# The first that is neither $1 nor skipped.
first_other() { outcomes | awk -F'\t' -v want="$1" '$2 != want && $2 != "skipped" { print $1 ": " $2 ": " $3; exit }'; }
# expect_rows STATUS OF THE PROGRAM, OF ITS ROWS: leaves what is wrong in wrong
expect_rows() {
    [ "$status" = "$1" ] || wrong="$(ending $status), not $1: $(tail -n 1 "$log")"
    [ "$(count "$2")" -gt 0 ] || wrong="$wrong; no row is $2"
    [ -z "$(first_other "$2")" ] || wrong="$wrong; $(first_other "$2")"
}

measures() { # PROGRAM PART OPTIONS
    run "$1" "$2" "$3"
    expect_rows 0 ok
    verdict "$1: ${3:-smoke} ($(count ok) rows ok, $(count skipped) skipped)"
}
finds_faults() { # PROGRAM
    run "$1" faults --inject-fault
    expect_rows 1 wrong
    verdict "$1: injected faults ($(count wrong) rows wrong, $(count skipped) skipped)"
}
# Each variant is ok in some row of the smoke preset, or says why it is skipped (one device has no peer). What that
# preset leaves out is asked for its first case of quick, or else of full.
every_variant() { # PROGRAM
    for variant in $(device_variants "$1"); do
        rows=$logs/$1.smoke.csv
        outcomes >"$work/outcomes"
        for larger in quick full; do
            ! grep -q "^$variant	" "$work/outcomes" || break
            options=$(first_case "$1" device "$variant" $larger)
            [ -n "$options" ] || continue
            run "$1" "$larger.$variant" "$options"
            outcomes >"$work/outcomes"
        done
        if grep -q "^$variant	ok	" "$work/outcomes"; then ok "$1: $variant"
        elif grep "^$variant	skipped	" "$work/outcomes" >"$work/reasons"; then
            skip "$1: $variant" "$(head -n 1 "$work/reasons" | cut -f3)"
        else not_ok "$1: $variant" "no row is ok"; fi
    done
}

# With a tool that slows calls a hundredfold only the memory errors count, not what the rows say.
memory_errors() { # PROGRAM VARIANT,... OPTIONS
    log=$logs/$1.memcheck.${2%%,*}.log wrong=""
    timeout 600 "$sanitizer" --tool memcheck --target-processes all --log-file "$work/sanitizer.%p" \
        $(RANKS=1 starter "$1") $3 --variant "$2" --time-cap 0.001 >"$log" 2>&1 </dev/null
    status=$?
    cat "$work"/sanitizer.* >"$work/memory" 2>/dev/null
    rm -f "$work"/sanitizer.*
    cat "$work/memory" >>"$log"
    if ! grep -q "ERROR SUMMARY" "$work/memory"; then
        skip "$1: memcheck of $2" "compute-sanitizer gives no summary ($(ending $status))"
        return
    fi
    [ "$(grep "ERROR SUMMARY" "$work/memory" | grep -cv ": 0 errors")" = 0 ] ||
        wrong=$(grep -m 1 "Invalid\|error" "$work/memory")
    verdict "$1: memcheck of $2"
}

find_sanitizer() {
    for sanitizer in compute-sanitizer "${CUDA_HOME:-/nonexistent}/bin/compute-sanitizer" \
        /usr/local/cuda/bin/compute-sanitizer; do
        command -v "$sanitizer" >/dev/null 2>&1 && return
    done
    sanitizer=""
}

# Each part leaves how many passed, failed and were skipped in $work/counts.
counted() { # FUNCTION PROGRAM
    "$@" | tee "$work/lines"
    awk '/^ok /{ p++ } /^not ok /{ f++ } /^skip /{ s++ } END { print p + 0, f + 0, s + 0 }' "$work/lines" \
        >"$work/counts"
}
rows_of() { # PROGRAM
    measures "$1" smoke ""
    every_variant "$1"
    measures "$1" hot "--cache hot"
    finds_faults "$1"
}
# Variants that have the same first case share a start, which takes longer under the sanitizer than the cases.
memory_of() { # PROGRAM
    local options cases=()
    local -A variants=()
    if [ -z "$sanitizer" ]; then
        skip "$1: memcheck" "no compute-sanitizer"
        return
    fi
    for variant in $(device_variants "$1" cuda); do
        options=$(first_case "$1" device "$variant")
        [ -n "$options" ] || options=$(first_case "$1" device "$variant" quick)
        options=$(echo "$options" | sed 's/ --variant [^ ]*//')
        if [ -z "$options" ]; then
            not_ok "$1: memcheck of $variant" "--list lists no case of it"
            continue
        fi
        [ -n "${variants[$options]-}" ] || cases+=("$options")
        variants[$options]+=${variants[$options]:+,}$variant
    done
    for options in "${cases[@]}"; do memory_errors "$1" "${variants[$options]}" "$options"; done
}
# Beside others a test takes several times as long as alone.
device_test() { # SCRIPT
    PROGRAM_TIMEOUT=480 TEST_TIMEOUT=${TEST_TIMEOUT:-1200} scripts/check.sh "$1" >"$work/check"
    sed '$d' "$work/check"
    tail -n 1 "$work/check" | awk '{ print $1, $3, $5 }' >"$work/counts"
}

# COMMAND...: with one of the devices, which those beside one another share evenly.
on_own_device() {
    [ "$RANKS" -le 1 ] || export CUDA_VISIBLE_DEVICES="${CUDA_VISIBLE_DEVICES-$((POOL_SLOT % RANKS))}"
    "$@"
}

add_parts() {
    local lane own
    for name in $with_device; do
        lane=any
        own=on_own_device
        [ "$RANKS" -gt 1 ] && uses_ranks "$name" && lane=ranks own=""
        pool_add $lane "$name: rows" $own counted rows_of "$name"
        pool_add any "$name: memory errors" on_own_device counted memory_of "$name"
    done
    for test in */tests/test_*_device.sh; do
        [ -e "$test" ] || continue
        lane=any
        own=on_own_device
        [ "$RANKS" -gt 1 ] && grep -qE '^(open_ranks|launch) ' "$test" && lane=ranks own=""
        grep -q '^# alone: ' "$test" && lane=alone
        pool_add $lane "$test" $own device_test "$test"
    done
}
# A part that has left no counts did not get to its end.
summary() {
    for part in "${!pool_names[@]}"; do cat "$work/$part/counts" 2>/dev/null || echo 0 1 0; done |
        awk '{ p += $1; f += $2; s += $3 } END { print p " passed, " f " failed, " s " skipped"; exit f > 0 }'
}

usage() {
    echo "check_gpu.sh: $*; valid: -j NUMBER" >&2
    exit 2
}
at_once=$(($(pool_cores | wc -l) / 2)) most=$((2 + 4 * $(device_count)))
[ $at_once -le $most ] || at_once=$most
nvidia-smi --query-gpu=compute_mode --format=csv,noheader 2>/dev/null | grep -qv '^Default' && at_once=1
[ $at_once -ge 1 ] || at_once=1
if [ $# -gt 0 ]; then
    [ "$1" = -j ] || usage "'$1' is no option"
    [ $# -le 2 ] || usage "'$3' is unexpected"
    echo "${2-}" | grep -qxE '[1-9][0-9]{0,2}' || usage "-j: '${2-}' is no number from 1 to 999"
    at_once=$2
fi

find_device
find_sanitizer
logs=$BUILD/check-gpu
rm -rf "$logs"
mkdir -p "$logs" || exit 2
add_parts
pool_say "${#pool_names[@]} parts, $at_once at a time; devices: $RANKS"
pool_run $at_once
summary
