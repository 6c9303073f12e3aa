#!/bin/bash
# A run killed with SIGKILL at any moment, and resumed, holds every case exactly once: a program alone, ranks under a
# launcher, and the whole of run_all.sh.
# shellcheck disable=SC2086 # options are lists of words
set -u
. scripts/tests/expect.sh

# exactly_once PROGRAM LIST: the CSV in $work/run has the cases of LIST, each once, and no metric of one twice
exactly_once() {
    local csv=$work/run/$1.csv
    fields <"$csv" >"$work/fields" || wrong="$wrong; not RFC 4180"
    # what comes before the metric names the measurement, but for the backend and the device
    awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "metric") last = i; next }
        { key = ""; for (i = 1; i < last; i++) key = key $i " "; print key $last > "/dev/stderr"; print key }' \
        "$work/fields" 2>"$work/metrics" | sort -u >"$work/cases"
    [ -z "$(sort "$work/metrics" | uniq -d)" ] || wrong="$wrong; twice: $(sort "$work/metrics" | uniq -d | head -n 1)"
    [ "$(wc -l <"$work/cases")" = "$(wc -l <"$2")" ] ||
        wrong="$wrong; $(wc -l <"$work/cases") cases, not $(wc -l <"$2")"
    sed -n 's/^done [0-9]* [0-9]* [a-z]* //p' "$work/run/$1.journal" | sort | cmp -s - "$2" ||
        wrong="$wrong; the journal does not name every case once"
}

moment() { shuf -i "$1" -n 1 | awk '{ print $1 / 1000 }'; }
# resume PROGRAM OPTIONS: to its end. What was orphaned by a kill may live a moment longer and hold the folder's lock.
resume() {
    for _ in {1..100}; do
        program "$1" $2 --resume "$work/run" >/dev/null 2>"$work/log" && return
        grep -q "another run is writing" "$work/log" || break
        sleep 0.1
    done
    wrong="$wrong; resume fails: $(tail -n 1 "$work/log")"
}

program_killed() {
    local options="--preset smoke --place host --time-cap 0.02 --operation all --bytes 256k" trial
    "$BUILD/bin/stream" $options --list | sort >"$work/list"
    for trial in 1 2 3; do
        rm -rf "$work/run" && mkdir "$work/run"
        wrong=""
        for _ in 1 2 3; do
            "$BUILD/bin/stream" $options --resume "$work/run" >/dev/null 2>&1 &
            sleep "$(moment 20-700)"
            kill -KILL $! 2>/dev/null
            wait $! 2>/dev/null
        done
        resume stream "$options"
        exactly_once stream "$work/list"
        verdict "a program killed three times, trial $trial"
    done
}

ranks_killed() {
    local options="--preset smoke --place host --time-cap 0.02 --variant mpi --bytes 8:64k:8 --dtype fp32,fp64" trial
    if [ ! -x "$BUILD/bin/all_reduce" ] || ! command -v mpirun >/dev/null; then
        skip "ranks killed" "no MPI"
        return
    fi
    program all_reduce $options --list 2>/dev/null | sort >"$work/list"
    for trial in 1 2; do
        rm -rf "$work/run" && mkdir "$work/run"
        wrong=""
        $(starter all_reduce) $options --resume "$work/run" >/dev/null 2>&1 &
        sleep "$(moment 300-2500)"
        kill -KILL $! 2>/dev/null # the launcher; its ranks end when they miss it
        wait $! 2>/dev/null
        resume all_reduce "$options"
        exactly_once all_reduce "$work/list"
        verdict "ranks killed with their launcher, trial $trial"
    done
}

# As a person would: begin anew what was killed before it had a folder.
go_on() {
    if [ -d "$work/run" ]; then ./run_all.sh --resume "$work/run"
    else ./run_all.sh --preset smoke --only harness_cost,stream --out "$work/run"; fi
}

suite_killed() {
    rm -rf "$work/run"
    wrong=""
    "$BUILD/bin/harness_cost" --preset smoke --list | sort >"$work/list_cost"
    "$BUILD/bin/stream" --preset smoke --list | sort >"$work/list_stream"
    ./run_all.sh --preset smoke --only harness_cost,stream --out "$work/run" >/dev/null 2>&1 &
    sleep "$(moment 300-2500)"
    kill -KILL $!
    wait $! 2>/dev/null
    for _ in 1 2; do # killed again, unless it is done before
        go_on >/dev/null 2>&1 &
        sleep "$(moment 500-2500)"
        kill -KILL $! 2>/dev/null
        wait $! 2>/dev/null
    done
    go_on >"$work/out" 2>"$work/log" || wrong="resume fails: $(tail -n 1 "$work/log")"
    exactly_once harness_cost "$work/list_cost"
    exactly_once stream "$work/list_stream"
    [ ! -x "$BUILD/bin/report" ] || [ -s "$work/run/report/index.html" ] || wrong="$wrong; no report"
    verdict "run_all.sh killed"
}

program_killed
ranks_killed
suite_killed
finish
