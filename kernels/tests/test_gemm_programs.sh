#!/bin/sh
# The programs about matrix products beside gemm, on the host: right results measured, faults found, bad words refused.
set -u
. scripts/tests/rows.sh
quick="--place host --preset smoke --time-cap 0.01"

for each in gemm_shapes gemm_waves gemm_skinny gemm_peak; do
    open_program $each
    [ -x "$program" ] || { echo "$each was not built"; exit 77; }
    measure $quick
    if all_skipped; then echo "no OpenBLAS"; exit 77; fi
    expect "$each: right" all_right
    measure $quick --dtype bf16
    expect "$each: formats that the host has not" all_skipped_for "on the host: fp64 and fp32 alone"
    for seed in 1 2 3; do
        measure $quick --seed $seed --inject-fault
        expect "$each: faults are found, seed $seed" all_wrong
    done
    measure $quick --dtype fp7
    expect "$each: an unknown format is refused" refused fp7
done

open_program gemm_shapes
measure $quick --m 3,50 --n 7 --k 130 --layout all --dtype all
expect "any size, any layout" has m,layout,dtype,status "3,tt,fp64,ok"
expect "8-bit formats have one layout" has layout,dtype,status "nn,int8,skipped"
measure $quick --layout nx
expect "an unknown layout is refused" refused nx

open_program gemm_waves
measure $quick --dimension all --size 33,40 --others 24 --dtype fp64
expect "every dimension" has dimension,size,status "k,33,ok"
measure $quick --dimension p
expect "an unknown dimension is refused" refused "'p'"

open_program gemm_peak
measure $quick --largest 100
expect "a search below one step is refused" refused 100
measure $quick --largest 128 --dtype fp64
expect "a search of one shape" has largest,metric,status "128,flop_rate,ok"

finish
