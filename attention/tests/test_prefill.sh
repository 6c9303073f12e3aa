#!/bin/sh
# test_prefill.sh: every host variant is right under every mask, at shapes that fit no tile; corrupted results are
# wrong; what cannot be is declined or refused with a reason.
set -u
. "$(dirname "$0")/../../kernels/tests/rows.sh"
open_program prefill
host="--place host --preset smoke --time-cap 0.002"

measure $host --mask all --seq 1,131 --past 0,1500 --tokens 3 --hidden 192 --head-dim 48 --group 1,4
expect "odd shapes are right" all_right
for mask in full causal causal_sliding; do
    for variant in tiled openblas; do
        expect "$variant $mask has rows" has variant,mask,status "$variant,$mask,(ok|skipped)"
    done
done
expect "tiled has a sliding row" has variant,mask,status tiled,causal_sliding,ok
measure $host --mask causal --threads 1 --seq 100 --tokens 300 --data zeros
expect "zeros are right" all_right
measure $host --mask full --seed 12345 --seq 300
expect "another seed is right" all_right

measure --place host --preset smoke --inject-fault
expect "corrupted results are wrong" all_wrong
for variant in tiled openblas; do
    expect "corrupted $variant is wrong" has variant,status "$variant,(wrong|skipped)"
done
measure $host --seq 130 --mask causal --inject-fault
expect "corrupted small results are wrong" all_wrong

measure $host --seq 64 --hidden 100 --head-dim 64
expect "a hidden size of no whole heads is declined" all_skipped_for "does not divide"
measure $host --seq 64 --hidden 128 --head-dim 64 --group 3
expect "a group of no whole heads is declined" all_skipped_for "does not divide"
measure $host --mask full --seq 64 --dtype bf16,fp16
expect "16-bit formats on the host are declined" all_skipped_for "fp32"
measure $host --variant tiled --mask full --seq 16m --tokens 1g --hidden 1m
expect "more than the memory is skipped" all_skipped_for "GiB available"
measure $host --variant tiled --mask full --seq 1 --past 16m --tokens 1g --hidden 1m
expect "more than can be counted is skipped" all_skipped_for "any memory"
for bad in "--mask diagonal" "--dtype int8" "--seq 0" "--past -1" "--head-dim 1025" "--group 0"; do
    measure $host $bad
    expect "$bad is refused" refused "${bad#* }"
done

[ $failures -eq 0 ]
