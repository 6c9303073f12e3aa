#!/bin/sh
# check_gpu.sh: everything that needs a device. For each program with device code: the smoke preset on the device, every
# row right; the same with --inject-fault, every row wrong; with --cache hot; and, where compute-sanitizer is, the first
# case of each variant made of our own kernels without a memory error; then the tests that are for devices alone,
# FOLDER/tests/test_*_device.sh. Says `N passed, N failed` last.
# Exit status: 0 all well, 1 not, 3 there is no device, or nothing was built for one.
# shellcheck disable=SC2046,SC2086 # options are lists of words
set -u
cd "$(dirname "$0")/.." || exit 1
. scripts/tests/expect.sh

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
    RANKS=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU ')
    [ "$RANKS" -ge 1 ] || RANKS=1
}

# run PROGRAM OPTION...: leaves status and the rows in $work/rows, what was said in $work/log
run() {
    timeout 600 $(starter "$1") --place device --preset smoke $2 >"$work/rows" 2>"$work/log" </dev/null
    status=$? wrong=""
}
count() { column status <"$work/rows" | grep -cx "$1"; }
# Every row's variant, status and reason, between tabs.
outcomes() {
    fields <"$work/rows" | awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        { print $at["variant"] "\t" $at["status"] "\t" $at["reason"] }'
}
# The first that is neither $1 nor skipped.
first_other() { outcomes | awk -F'\t' -v want="$1" '$2 != want && $2 != "skipped" { print $1 ": " $2 ": " $3; exit }'; }

measures() { # NAME PROGRAM OPTIONS
    run "$2" "$3"
    [ "$status" = 0 ] || wrong="exit status $status: $(tail -n 1 "$work/log")"
    [ "$(count ok)" -gt 0 ] || wrong="$wrong; no row is ok"
    [ -z "$(first_other ok)" ] || wrong="$wrong; $(first_other ok)"
    verdict "$1 ($(count ok) rows ok, $(count skipped) skipped)"
}
finds_faults() {
    run "$1" "--inject-fault --time-cap 0.01"
    [ "$status" = 1 ] || wrong="exit status $status, not 1: $(tail -n 1 "$work/log")"
    [ "$(count wrong)" -gt 0 ] || wrong="$wrong; no row is wrong"
    [ -z "$(first_other wrong)" ] || wrong="$wrong; $(first_other wrong)"
    verdict "$1: injected faults ($(count wrong) rows wrong, $(count skipped) skipped)"
}
# Each variant is ok in some row, or says in all of them why not (collectives on one device have no peer).
every_variant() {
    outcomes >"$work/outcomes"
    for variant in $(device_variants "$1"); do
        if grep -q "^$variant	ok	" "$work/outcomes"; then ok "$1: $variant"
        elif ! grep -q "^$variant	" "$work/outcomes"; then not_ok "$1: $variant" "no row"
        else skip "$1: $variant" "$(grep "^$variant	" "$work/outcomes" | head -n 1 | cut -f3)"; fi
    done
}

# With a tool that slows calls a hundredfold only the memory errors count, not what the rows say.
memory_errors() { # PROGRAM VARIANT
    timeout 300 "$sanitizer" --tool memcheck --target-processes all --log-file "$work/sanitizer.%p" \
        $(RANKS=1 starter "$1") $(first_case "$1" device "$2") --time-cap 0.001 >/dev/null 2>"$work/log" </dev/null
    status=$? wrong=""
    cat "$work"/sanitizer.* >"$work/memory" 2>/dev/null
    rm -f "$work"/sanitizer.*
    if ! grep -q "ERROR SUMMARY" "$work/memory"; then
        skip "$1: memcheck of $2" "compute-sanitizer gives no summary (exit status $status)"
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

everything() {
    for name in $with_device; do
        measures "$name: smoke" "$name" ""
        every_variant "$name"
        measures "$name: --cache hot" "$name" "--cache hot"
        finds_faults "$name"
        if [ -z "$sanitizer" ]; then
            skip "$name: memcheck" "no compute-sanitizer"
            continue
        fi
        for variant in $(device_variants "$name" cuda); do memory_errors "$name" "$variant"; done
    done
}

find_device
find_sanitizer
everything | tee "$work/verdicts"
set -- */tests/test_*_device.sh
if [ -e "$1" ]; then
    scripts/check.sh "$@" >"$work/check"
    sed '$d' "$work/check"
    tail -n 1 "$work/check" | awk '{ for (i = 0; i < $1; i++) print "ok device test"
        for (i = 0; i < $3; i++) print "not ok device test"; for (i = 0; i < $5; i++) print "skip device test" }' \
        >>"$work/verdicts"
fi
echo "$(grep -c '^ok ' "$work/verdicts") passed, $(grep -c '^not ok ' "$work/verdicts") failed," \
    "$(grep -c '^skip ' "$work/verdicts") skipped"
! grep -q '^not ok ' "$work/verdicts"
