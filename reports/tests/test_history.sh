#!/bin/sh
# history as a program: jobs that import at once, what the commands print, errors in one line with status 2.
set -u
. reports/tests/complain.sh
if [ ! -x "$BIN/history" ]; then
    echo "skipped: history is not built (no SQLite)"
    exit 77
fi

# Twelve days; from the eighth on the machine is slower, under another driver.
for day in 01 02 03 04 05 06 07 08 09 10 11 12; do
    driver=570 value=100.$day
    [ "$day" -ge 8 ] && driver=580 value=90.$day
    mkdir "$tmp/$day"
    printf '{"schema":1,"host":"n1","created":"2026-10-%sT00:00:00Z","driver":{"version":"%s"},%s}\n' \
        $day $driver '"fingerprint":{"hardware":"x"}' >"$tmp/$day/manifest.json"
    printf 'suite,program,variant,size,metric,value,unit,status\nkernels,gemm,"a,b",64,flop_rate,%s,TFLOP/s,ok\n' \
        $value >"$tmp/$day/gemm.csv"
done

# All at once, into a file that none of them has made yet.
for day in 01 02 03 04 05 06 07 08 09 10 11 12; do
    "$BIN/history" import "$tmp/h.db" "$tmp/$day" 2>"$tmp/import.$day" ||
        echo "$day: $(cat "$tmp/import.$day")" >>"$tmp/lost" &
done
wait
[ ! -e "$tmp/lost" ] || complain "imports at once: $(cat "$tmp/lost")"
expect 0 '' "$BIN/history" runs "$tmp/h.db"
[ "$(wc -l <"$tmp/out")" -eq 13 ] || complain "runs: $(cat "$tmp/out")"
expect 0 'known already' "$BIN/history" import "$tmp/h.db" "$tmp/03"
expect 0 '' "$BIN/history" runs "$tmp/h.db" driver=580 until=2026-10-10
[ "$(wc -l <"$tmp/out")" -eq 4 ] || complain "filtered runs: $(cat "$tmp/out")"
expect 0 '^worse .*-9.9 %  gemm . a,b . size 64, flop_rate: 100 -> 90.1 TFLOP/s; .*2026-10-08, driver 570 -> 580' \
    "$BIN/history" trend "$tmp/h.db" --html "$tmp/h.html"
[ "$(grep -c '^"gemm . a,b . size 64",flop_rate,TFLOP/s,x,' "$tmp/out")" -eq 12 ] || complain "trend: $(cat "$tmp/out")"
grep -q 'driver 570 -&gt; 580' "$tmp/h.html" || complain "the page lacks the change"
expect 0 'no case was measured on 4 hosts' "$BIN/history" outliers "$tmp/h.db"
expect 0 ' 0 changes' "$BIN/history" trend "$tmp/h.db" --least 20
run=$("$BIN/history" runs "$tmp/h.db" until=2026-10-01 | sed -n '2s/,.*//p')
expect 0 '' "$BIN/history" forget "$tmp/h.db" "$run"
expect 2 "no run $run" "$BIN/history" forget "$tmp/h.db" "$run"

expect 2 "'grow' is no command; valid: import, runs" "$BIN/history" grow "$tmp/h.db"
expect 2 'no database given' "$BIN/history" runs
expect 2 'No such file' "$BIN/history" runs "$tmp/none.db"
expect 2 'not a database' "$BIN/history" runs "$tmp/03/gemm.csv"
expect 2 'colour: no such column or axis; valid: suite' "$BIN/history" trend "$tmp/h.db" colour=red
expect 2 'a filter is name=value' "$BIN/history" trend "$tmp/h.db" gemm
expect 2 "level: 'x' is not a number from" "$BIN/history" trend "$tmp/h.db" --level x
expect 2 'no result folder given' "$BIN/history" import "$tmp/h.db"
[ "$failures" -eq 0 ]
