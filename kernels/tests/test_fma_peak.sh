#!/bin/sh
# test_fma_peak.sh: every instruction set of this processor is right alone and with a team, and gives a share of its
# limit; corrupted accumulators are wrong; what a variant has no instruction for is skipped.
set -u
. scripts/tests/rows.sh
open_program fma_peak
host="--place host --preset smoke --time-cap 0.01"

measure $host --team powers
expect "all formats are right" all_right
for dtype in fp64 fp32; do
    expect "$dtype has rows" has dtype,metric,status "$dtype,flop_rate,ok"
done
expect "rows have limits" has limit_source,status ".*measured clock,ok"
measure $host --data zeros
expect "walks from zero are right" all_right
measure $host --seed 12345
expect "another seed is right" all_right

measure --place host --preset smoke --inject-fault
expect "corrupted accumulators are wrong" all_wrong

measure $host --dtype int32
expect "a format without instructions is skipped" all_skipped_for "no multiply-add of this format"
for bad in "--dtype fp7" "--team 0"; do
    measure $host $bad
    expect "$bad is refused" refused "${bad#* }"
done

finish
