#!/bin/sh
# What the harness makes of variants that crash, hang, exit, fail, lie, forget their output, ask for too much or decline:
# one row each, the right status and reason, and the sweep goes on.
set -u
program=$BUILD/bench/tests/program_faulty
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
# an address sanitizer in the build would turn the signal into an exit status of its own
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}handle_segv=0"

"$program" --size 2 --case-timeout 0.5 --time-cap 0.01 >"$work/out.csv" 2>"$work/log"
[ $? = 1 ] || { echo "exit status is not 1"; bad=1; }
expect() { # variant, status, part of the reason
    row=$(grep "^bench,faulty,$1," "$work/out.csv")
    [ "$(printf '%s\n' "$row" | wc -l)" = 1 ] || { echo "$1: not one row: $row"; bad=1; }
    case $row in
    *",$2,"*"$3"*) ;;
    *) echo "$1: not $2 '$3': $row"; bad=1 ;;
    esac
}
expect first ok ""
expect crash failed "signal 11"
expect hang timeout "took longer than 0.5 s"
expect leave failed "exited with 9"
expect quit failed "exited with 0"
expect fail failed '"said ""no"", twice"'
expect lie wrong "error 1 is above the tolerance 0"
expect forget wrong "error 1"
expect hog skipped "GiB available"
expect decline skipped "only size 1"
expect remark ok "found 3; of 4"
expect lend "ok,took some" "" # without a word of the cap, which the variant planned
expect last ok ""
[ "$(wc -l <"$work/out.csv")" = 14 ] || { echo "not 14 lines"; bad=1; }

# killed at any moment and resumed: every measurement once
"$program" --size 1:300:+1 --variant first,last,decline --list >"$work/list"
for delay in 0.02 0.05 0.1 0.15 0.2 0.25 0.3; do
    rm -rf "$work/run"
    "$program" --size 1:300:+1 --variant first,last,decline --time-cap 0.05 --out "$work/run" 2>/dev/null &
    victim=$!
    sleep "$delay"
    kill -9 "$victim" 2>/dev/null
    wait "$victim" 2>/dev/null
    mkdir -p "$work/run"
    "$program" --size 1:300:+1 --variant first,last,decline --time-cap 0.05 --resume "$work/run" 2>"$work/log" ||
        { echo "resume after $delay s failed: $(tail -n 1 "$work/log")"; bad=1; }
    rows=$(tail -n +2 "$work/run/faulty.csv" | grep -cE '^bench,faulty,')
    once=$(tail -n +2 "$work/run/faulty.csv" | cut -d, -f3,8 | sort -u | wc -l)
    [ "$rows" = "$(wc -l <"$work/list")" ] && [ "$once" = "$rows" ] ||
        { echo "killed after $delay s: $rows rows, $once kinds"; bad=1; }
done
exit $bad
