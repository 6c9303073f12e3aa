#!/bin/sh
# What the harness makes of variants that crash, hang, exit, fail, lie, forget their output, ask for too much or
# decline: one row each, the right status and reason, and the sweep goes on; whether they are timed one by one or in
# turn.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
# an address sanitizer in the build would turn the signal into an exit status of its own
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}handle_segv=0"

complain() {
    echo "$program: $*"
    bad=1
}
expect() { # variant, status, part of the reason
    row=$(grep "^bench,faulty,$1," "$work/out.csv")
    [ "$(printf '%s\n' "$row" | wc -l)" = 1 ] || complain "$1: not one row: $row"
    case $row in
    *",$2,"*"$3"*) ;;
    *) complain "$1: not $2 '$3': $row" ;;
    esac
}

one_row_each() { # WHAT A VARIANT SAYS THAT DOES NOT SETTLE
    "$program" --size 2 --case-timeout 0.5 --time-cap 0.01 >"$work/out.csv" 2>"$work/log"
    [ $? = 1 ] || complain "exit status is not 1"
    expect first ok ""
    expect crash failed "signal 11"
    expect hang timeout "took longer than 0.5 s"
    expect leave failed "exited with 9"
    expect quit failed "exited with 0"
    expect fail failed '"said ""no"", twice"'
    expect lie wrong "error 1 is above the tolerance 0"
    expect forget wrong "error 1"
    expect hog skipped "GiB available"
    expect spread ok ""
    expect tell ok ""
    expect decline skipped "only size 1"
    expect remark ok "found 3; of 4"
    expect lend "ok,took some" "" # without a word of the cap, which the variant planned
    expect restless ok "$1"
    expect last ok ""
    [ "$(wc -l <"$work/out.csv")" = 17 ] || complain "not 17 lines"
}

# killed at any moment and resumed: every measurement once
killed_and_resumed() { # AFTER SECONDS...
    "$program" --size 1:300:+1 --variant first,last,decline --list >"$work/list"
    for delay in "$@"; do
        rm -rf "$work/run"
        "$program" --size 1:300:+1 --variant first,last,decline --time-cap 0.05 --out "$work/run" 2>/dev/null &
        victim=$!
        sleep "$delay"
        kill -9 "$victim" 2>/dev/null
        wait "$victim" 2>/dev/null
        mkdir -p "$work/run"
        "$program" --size 1:300:+1 --variant first,last,decline --time-cap 0.05 --resume "$work/run" 2>"$work/log" ||
            complain "resume after $delay s failed: $(tail -n 1 "$work/log")"
        rows=$(tail -n +2 "$work/run/faulty.csv" | grep -cE '^bench,faulty,')
        once=$(tail -n +2 "$work/run/faulty.csv" | cut -d, -f3,8 | sort -u | wc -l)
        [ "$rows" = "$(wc -l <"$work/list")" ] && [ "$once" = "$rows" ] ||
            complain "killed after $delay s: $rows rows, $once kinds"
    done
}

# How often another variant came to be called than before, when `tell` says it in the second case. One by one: first,
# tell, last, first, tell.
switches() {
    "$program" --variant first,tell,last --size 1,2 --iterations 20 2>/dev/null |
        awk -F, '$3 == "tell" && $8 == 2 { print $12 }'
}

program=$BUILD/bench/tests/program_faulty
one_row_each "stopped by the time cap"
killed_and_resumed 0.02 0.05 0.1 0.15 0.2 0.25 0.3
[ "$(switches)" = 5 ] || complain "$(switches) switches of variants"

program=$BUILD/bench/tests/program_faulty_in_turn
one_row_each "the first half of the samples left out as warm-up; stopped by the time cap"
killed_and_resumed 0.05 0.15 0.25
[ "$(switches)" -gt 5 ] || complain "$(switches) switches of variants"
exit $bad
