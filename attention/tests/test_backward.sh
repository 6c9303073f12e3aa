#!/bin/sh
# test_backward.sh: gradients on the host are right under masks and at shapes that fit no tile; corrupted ones are wrong;
# what cannot be is declined or refused with a reason.
set -u
. scripts/tests/rows.sh
open_program backward
host="--place host --preset smoke --time-cap 0.002"

measure $host --seq 1,131 --past 0,1500 --tokens 3 --hidden 192 --head-dim 48 --group 1,4
expect "odd shapes are right" all_right
for mask in full causal causal_sliding; do
    expect "tiled $mask has rows" has variant,mask,status "tiled,$mask,ok"
done
measure $host --mask causal --threads 1 --seq 100 --tokens 300 --data zeros
expect "zeros are right" all_right
measure $host --mask full --seed 12345 --seq 300 --deterministic 0,1
expect "another seed is right" all_right
expect "both are measured" has deterministic,status "0,ok"

measure $host --inject-fault
expect "corrupted results are wrong" all_wrong
measure $host --seq 130 --mask causal --inject-fault
expect "corrupted small results are wrong" all_wrong

measure $host --seq 64 --hidden 100 --head-dim 64
expect "a hidden size of no whole heads is declined" all_skipped_for "does not divide"
measure $host --mask full --seq 64 --dtype bf16,fp16
expect "16-bit formats on the host are declined" all_skipped_for "fp32"
measure $host --mask full --seq 16m --tokens 1g --hidden 1m
expect "more than the memory is skipped" all_skipped_for "GiB available"
for bad in "--mask diagonal" "--dtype int8" "--seq 0" "--head-dim 1025" "--deterministic 2" "--deterministic yes"; do
    measure $host $bad
    expect "$bad is refused" refused "${bad#* }"
done

finish
