#!/bin/sh
# fit on a folder of rows made for it: the right figures in rows that compare and report read, one line for bad input.
set -u
. scripts/tests/expect.sh

fit=$BUILD/bin/fit
folder=$work/results
mkdir "$folder"
# 2 ranks: 5 us + S / 10 GB/s, from 64 KiB on 20 us + S / 100 GB/s; bus bandwidth is half of the algorithm bandwidth, 80
awk 'BEGIN {
    print "suite,program,variant,backend,device,dtype,ranks,bytes,operation,mode,launch,metric,value,unit,better," \
        "status,reason,samples,noise,limit,limit_source"
    for (s = 8; s <= 67108864; s *= 2) {
        t = s < 65536 ? 5 + s / 1e4 : 20 + s / 1e5
        case = "collectives,all_reduce,nccl,nccl,H200,fp32,2," s ",sum,plain,1,"
        printf "%scall_time,%.9g,us,lower,ok,,20,0.01,,\n", case, t
        printf "%sbus_bandwidth,%.9g,GB/s,higher,ok,,20,0.01,80,NVLink\n", case, s / t / 2e3
    }
    print "collectives,all_reduce,nccl,nccl,H200,fp32,2,128m,sum,plain,1,,,,,failed,\"no, not this one\",,,,"
    print "collectives,gather,nccl,nccl,H200,fp32,2,64,sum,plain,1,call_time,7,us,lower,ok,,20,0.01,,"
}' >"$folder/all_reduce.csv"

wrong=""
"$fit" "$folder" 2>"$work/err" || wrong="exit status $?: $(cat "$work/err")"
grep -q "^fit: of 1 curves, 1 have 90 % of their points predicted within 10 %; 1 have too few sizes" "$work/err" ||
    wrong="$wrong; $(tail -n 1 "$work/err")"
figure() { # METRIC COLUMN
    fields <"$folder/fit.csv" | awk -F'\t' -v metric="$1" -v name="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        $at["metric"] == metric { print $at[name] }'
}
near() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a > 0.999 * b && a < 1.001 * b) }' || wrong="$wrong; $3: $1, not $2"; }
near "$(figure fit_latency value)" 5 latency
near "$(figure fit_bandwidth value)" 100 bandwidth
near "$(figure half_power_size value)" 2000000 "half-power size"
near "$(figure bus_bandwidth value)" 50 "bus bandwidth"
near "$(figure bus_bandwidth limit_share)" 0.625 "share of the limit"
near "$(figure fit_within value)" 1 "share within 10 %"
[ "$(figure break_points value),$(figure break_points reason)" = "1,64 KiB" ] || wrong="$wrong; not one break at 64 KiB"
[ "$(figure r_squared of),$(figure r_squared curve)" = "all_reduce,operation=sum" ] || wrong="$wrong; the curve"
[ "$(wc -l <"$folder/fit.pieces.csv")" = 3 ] || wrong="$wrong; not two pieces"
verdict "latency, bandwidth, break and share of the limit are those of the curve"

wrong=""
"$fit" "$folder" 2>"$work/err" || wrong="a second time: exit status $?"
"$BUILD/bin/report" --published "" "$folder" >"$work/out" 2>&1 || wrong="$wrong; report: $(cat "$work/out")"
"$BUILD/bin/compare" --allow-other-hardware "$folder" "$folder" >"$work/out" 2>&1
[ $? -le 1 ] || wrong="$wrong; compare: $(tail -n 1 "$work/out")"
verdict "report and compare read what it writes"

refuse "no folder" 2 "fit" "$fit" "$work/nowhere"
mkdir "$work/empty"
refuse "nothing to fit" 3 "eight sizes" "$fit" "$work/empty"
mkdir "$work/bad"
printf 'program,variant,metric,value,status\nall_reduce,mpi,call_time,1;5,ok\n' >"$work/bad/all_reduce.csv"
refuse "damaged rows" 2 "all_reduce.csv:2 1;5" "$fit" "$work/bad"
finish
