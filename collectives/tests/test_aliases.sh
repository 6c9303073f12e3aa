#!/bin/sh
# test_aliases.sh: the flags of nccl-tests say the same as the options they stand for, in every program of this folder
# that uses ranks; bad words get one line and status 2.
set -u
. scripts/tests/rows.sh
open_ranks all_reduce

same_plan() { # NAME PROGRAM "FLAGS" "OPTIONS"
    by_flags=$("$BUILD/bin/$2" $3 --preset smoke --place host --list 2>/dev/null)
    by_options=$("$BUILD/bin/$2" $4 --preset smoke --place host --list 2>/dev/null)
    expect "$1" [ -n "$by_flags" -a "$by_flags" = "$by_options" ]
}
same_plan "sizes by a factor" all_reduce "-b 8 -e 1K -f 4" "--bytes 8:1k:4"
same_plan "sizes by the default factor" all_gather "-b 8 -e 1M" "--bytes 8:1m:2"
same_plan "sizes by a step" all_to_all "-b 4k -e 16k -i 4k" "--bytes 4k:16k:+4k"
same_plan "one size" all_to_all_v "-b 64M" "--bytes 64m"
same_plan "types and operations" all_reduce "-d float,half,bf16 -o sum,avg" "--dtype fp32,fp16,bf16 --operation sum,avg"
same_plan "fp8" reduce_scatter "-d f8e4m3,fp8_e5m2" "--dtype fp8_e4m3,fp8_e5m2"
same_plan "a root" gather "-r 0 -b 8" "--root 0 --bytes 8"
same_plan "all types" send_recv "-d all" "--dtype all"

# every program takes every flag; one that means nothing there is said to
for name in all_reduce all_gather reduce_scatter broadcast reduce gather scatter all_to_all all_to_all_v send_recv \
    barrier pairs; do
    "$BUILD/bin/$name" -b 8 -e 64 -f 8 -n 5 -w 2 -d float -o sum -r 0 -G 20 --place host --list \
        >"$work/out" 2>"$work/err"
    status=$?
    expect "$name takes them all" [ $status -eq 0 -a -s "$work/out" ]
done
expect "a flag without meaning is said to have none" grep -q "^pairs: -r means nothing here" "$work/err"

launch -np 2 "$program" -b 8 -e 64 -f 8 -n 7 -w 2 -d float,double -o max --preset smoke --place host --variant mpi
expect "flags are measured" all_exact
expect "exactly 7 iterations" [ "$(count samples 7)" -ge 4 ]
expect "two sizes, two types" [ "$(count metric call_time)" -eq 4 ]
launch -np 2 "$program" -r -1 -b 8 --preset smoke --place host --variant mpi
expect "without a root -r means nothing" grep -q "^all_reduce: -r means nothing here" "$work/err"
launch -np 3 "$BUILD/bin/broadcast" -r -1 -b 8 -n 5 --preset smoke --place host
expect "-r -1 is every root" [ "$(column root <"$work/out" | sort -u | tr '\n' ' ')" = "0 1 2 " ]

bad_flags() { # NAME "WORDS OF THE LINE" FLAGS...
    bad_name=$1 words=$2
    shift 2
    measure "$@"
    expect "$bad_name" refused "$words"
}
bad_flags "a bad size" "-b: '8x' is not a whole number" -b 8x
bad_flags "an end without a beginning" "-e: '8' needs -b" -e 8
bad_flags "a factor of one" "factor of 2 or more" -b 8 -e 64 -f 1
bad_flags "sizes said twice" "-b: '8' goes not with --bytes" -b 8 --bytes 16
bad_flags "factor and step" "-i: '8' goes not with -f" -b 8 -e 64 -f 2 -i 8
bad_flags "an unknown type" "-d: 'flot' is none of fp64" -d flot
bad_flags "an unknown operation" "-o: 'add' is none of sum" -o add
bad_flags "no iterations" "'0' is not a whole number" -n 0
bad_flags "a graph of -1" "'-1' is not a whole number" -G -1
bad_flags "an unknown flag" "'-q' is no option" -q

finish
