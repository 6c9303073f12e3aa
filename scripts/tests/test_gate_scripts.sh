#!/bin/sh
# gate.sh, baseline.sh, gate_power.sh and run_all.sh --cases: what they refuse, and one gate from end to end on a small
# program that is really slower.
set -u
. scripts/tests/expect.sh
small=harness_cost
[ -x "$BUILD/bin/$small" ] && [ -x "$BUILD/bin/compare" ] || {
    echo "the programs are not built"
    exit 77
}

refuse "gate.sh: unknown option" 2 "--frobnicate --baseline --out" scripts/gate.sh --frobnicate
refuse "gate.sh: launches" 2 "--launches 'x'" scripts/gate.sh --launches x
refuse "gate.sh: option without its value" 2 "--preset value" scripts/gate.sh --preset
refuse "gate.sh: both kinds of baseline" 2 "--baseline --against" scripts/gate.sh --baseline a --against b
refuse "gate.sh: no limits" 2 "--limits 'nosuch'" scripts/gate.sh --limits nosuch
refuse "gate.sh: no such baseline" 3 "--baseline nosuch" scripts/gate.sh --baseline "$work/nosuch"
refuse "gate.sh: no such checkout" 3 "--against nosuch run_all.sh" scripts/gate.sh --against "$work/nosuch"
refuse "gate.sh: nothing is built" 3 "make bench" env BUILD="$work/none" scripts/gate.sh
refuse "baseline.sh: unknown option" 2 "--frobnicate --launches --where" scripts/baseline.sh --frobnicate
refuse "baseline.sh: four launches" 2 "--launches '4' 5" scripts/baseline.sh --launches 4
refuse "baseline.sh: no folder" 2 "nosuch manifest.json" scripts/baseline.sh --from "$work/nosuch"
refuse "gate_power.sh: unknown option" 2 "--frobnicate --place --csv" scripts/gate_power.sh --frobnicate 1
refuse "gate_power.sh: place" 2 "'moon' host device" scripts/gate_power.sh --place moon
refuse "gate_power.sh: minutes" 2 "--minutes 'x'" scripts/gate_power.sh --minutes x
refuse "gate_power.sh: empty pool" 3 "0 launches 10" scripts/gate_power.sh --pool "$work/pool" --minutes 0
refuse "run_all.sh: no cases" 2 "--cases 'nosuch'" ./run_all.sh --cases nosuch

# A pool of launches that are alike but for what is slowed: the chain by as much as it says, attention by nothing.
pool_rows() { # FOLDER PROGRAM AXIS VALUE SECONDS
    mkdir -p "$1"
    printf '{"schema":1,"host":"h","fingerprint":{"hardware":"x","software":"s"}}\n' >"$1/manifest.json"
    awk -v program="$2" -v axis="$3" -v value="$4" -v t="$5" 'BEGIN {
        printf "suite,program,variant,backend,dtype,ranks,%s,mode,launch,metric,value,unit,better,status,", axis
        print "time_us,time_min_us,time_p95_us"
        printf "s,%s,call,c,,1,%s,loop,1,call_time,%.6g,us,lower,ok,%.6g,%.6g,%.6g\n", program, value, t, t, t * 0.999,
            t * 1.002 }' >"$1/$2.csv"
}
for launch in 00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20 21 22 23; do
    at=$work/pool/00$launch noise=$((1$launch * 7 % 10))
    for level in 0 3 5; do
        pool_rows "$at/chain-$level" harness_cost adds 100000 "$((100 + level)).0$noise"
        pool_rows "$at/attention-$level" prefill seq 128 "200.0$noise"
    done
    pool_rows "$at/set" stream bytes 64 "50.0$noise"
done
wrong=""
timeout 120 scripts/gate_power.sh --pool "$work/pool" --minutes 0 --pairs 4 --trials 2 >"$work/out" 2>"$work/err" ||
    wrong="exit status $?: $(tail -n 3 "$work/err")"
for line in 'A/A pairs that alarm,4,0' 'A/A cases called unsure,12,0' 'caught: chain slowed by 3 %,2,2' \
    'caught: chain slowed by 5 %,2,2' 'caught: attention slowed by 5 %,2,0'; do
    grep -qF "host,$line," "$work/pool/gate_power.csv" || wrong="$wrong; not: $line"
done
grep -q 'missed at launch' "$work/err" || wrong="$wrong; it does not tell what was missed"
verdict "gate_power.sh: a pool whose figures are known"

# Launches of one program, as it is and three times slower in the timed region. So many that five are left on either side
# if the machine disturbs a few of them.
for launch in 1 2 3 4 5 6 7 8 9; do
    "$BUILD/bin/$small" --preset smoke --place host --adds 10000 --launch "$launch" --out "$work/plain" 2>/dev/null
    "$BUILD/bin/$small" --preset smoke --place host --adds 10000 --launch "$launch" --inject-slowdown 200 \
        --out "$work/slowed" 2>/dev/null
done
compared() { # NAME STATUS PATTERN OPTION...
    name=$1 wanted=$2 pattern=$3 wrong=""
    shift 3
    timeout 120 "$BUILD/bin/compare" "$@" >"$work/log" 2>&1 </dev/null
    status=$?
    [ "$status" = "$wanted" ] || wrong="exit status $status, not $wanted"
    grep -qE -- "$pattern" "$work/log" || wrong="$wrong; no line like '$pattern': $(tail -n 5 "$work/log")"
    verdict "$name"
}
reasons=$(column reason <"$work/slowed/$small.csv" | sort -u) wrong=""
[ "$reasons" = "slowed by 200 % on purpose (--inject-slowdown)" ] || wrong="reasons: $reasons"
verdict "rows that were slowed say so"
compared "launches that are three times slower" 1 '^slower .*call_time' "$work/plain" "$work/slowed"

# The second look measures the program as it is: it is not slower.
export TMPDIR="$work"
compared "the second look runs the program itself" 0 'not slower when measured again' --confirm="$PWD/run_all.sh" \
    "$work/plain" "$work/slowed"
wrong=""
[ -n "$(find "$work" -path '*plumbline-confirm*new-5/harness_cost.csv')" ] || wrong="no fifth launch in $work"
first=$(find "$work" -path '*plumbline-confirm*new-1/harness_cost.csv')
column adds <"${first:-/dev/null}" | grep -qvx 10000 && wrong="other cases"
verdict "five launches of that case alone"

printf '%s --adds 10\n\nnosuch --x 1\n%s --nosuch 1\n' "$small" "$small" >"$work/cases"
wrong=""
./run_all.sh --preset smoke --cases "$work/cases" --out "$work/cases.out" >"$work/log" 2>&1
grep -q 'nosuch: not built here' "$work/log" || wrong="nothing is said of a program that is not there"
column adds <"$work/cases.out/$small.csv" | grep -qx 10 ||
    wrong="$wrong; the case is not there: $(tail -n 3 "$work/log")"
verdict "run_all.sh --cases leaves out what is not there"

# A baseline needs five launches that agree.
refuse "baseline.sh: a run of one launch" 2 "1 --repeat" scripts/baseline.sh --from "$work/plain" --into "$work/kept"
printf 'preset=smoke\nonly=\ncases=\nrepeat=9\ncomplete=yes\n' >"$work/plain/run_all.options"
cp "$work/plain/run_all.options" "$work/slowed/"
refuse "baseline.sh: a run that was slowed" 2 "slowed purpose" scripts/baseline.sh --from "$work/slowed" \
    --into "$work/kept"
wrong=""
awk -F, -v OFS=, 'NR > 1 && $10 > 4 { $12 *= 3; $18 *= 3; $19 *= 3; $20 *= 3 } { print }' "$work/plain/$small.csv" \
    >"$work/changed.csv"
cp -r "$work/plain" "$work/changed" && cp "$work/changed.csv" "$work/changed/$small.csv"
head -n 1 "$work/plain/$small.csv" | cut -d, -f10,12,18-20 |
    grep -qx "launch,value,time_us,time_min_us,time_p95_us" || wrong="other columns than expected"
scripts/baseline.sh --from "$work/changed" --into "$work/kept" >"$work/log" 2>&1
[ $? = 1 ] && grep -q 'halves of the launches disagree' "$work/log" || wrong="$wrong; $(tail -n 1 "$work/log")"
[ ! -e "$work/kept" ] || [ -z "$(ls "$work/kept")" ] || wrong="$wrong; something was recorded"
verdict "baseline.sh records nothing of launches that disagree"
finish
