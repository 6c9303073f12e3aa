#!/bin/sh
# gemm from end to end on the host: right results measured, injected faults found in every row, bad words refused.
set -u
. scripts/tests/rows.sh
open_program gemm
host="--place host --preset smoke --time-cap 0.01"

measure $host --shape all --size 64 --tokens 32
if all_skipped; then echo "no OpenBLAS"; exit 77; fi
expect "results are right" all_right
for shape in square qkv attention_output mlp_up mlp_down logits; do
    expect "$shape has rows" has shape,status "$shape,ok"
done
measure $host --inject-fault
expect "corrupted results are wrong" all_wrong
for bad in "--shape octagonal" "--dtype fp7" "--size 0" "--tokens -1" "--size 1e" "--size 99999999999999999999"; do
    measure $bad
    expect "$bad is refused" refused "${bad#* }"
done
finish
