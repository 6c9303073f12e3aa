#!/bin/sh
# The programs about matrix products on a device, and our own kernel at sizes that are no multiple of anything of its
# own, in all four layouts; what it cannot do is declined.
set -u
. scripts/tests/rows.sh
open_device gemm_shapes
quick="--place device --preset smoke --time-cap 0.01"

measure $quick --variant wgmma --m 64 --n 64 --k 64 --layout nn
all_skipped && { echo "no wgmma here: $(column reason <"$work/out" | head -n 1)"; exit 77; }
# each tile that the kernel has is the best for one of these
measure $quick --variant wgmma --m 8,200,1000,2056 --n 8,72,1032,3072 --k 8,520,1000 --layout all
expect "wgmma is right at ragged sizes" all_right
measure $quick --variant wgmma --m 1,3,129,777 --n 264 --k 72,4104 --layout nn,nt
expect "wgmma is right at any m" all_right
measure $quick --variant wgmma --m 3072 --n 3072 --k 1024 --layout all --data zeros
expect "wgmma is right with zeros" all_right
measure $quick --variant wgmma --m 1000 --n 1032 --k 520 --layout all --inject-fault
expect "wgmma: faults are found" all_wrong
measure $quick --variant wgmma --m 64 --n 60 --k 64 --layout nn
expect "wgmma declines rows of odd lengths" all_skipped_for "multiples of 16 bytes"
measure $quick --variant wgmma --m 60 --n 64 --k 64 --layout tn
expect "wgmma declines a transposed A of odd length" all_skipped_for "multiples of 16 bytes"
measure $quick --variant wgmma --m 64 --n 64 --k 64 --layout nn --dtype fp16
expect "wgmma declines other formats" all_skipped_for "bf16 alone"

open_program gemm
measure $quick --shape square --size 640 --dtype bf16,fp8_e4m3
expect "variants in turn are right" all_right
for variant in cublaslt cublaslt_best cublaslt_search wgmma; do
    expect "$variant has a row" has variant,dtype,metric,status "$variant,bf16,flop_rate,ok"
done
measure $quick --shape square --size 640 --dtype bf16,fp8_e4m3 --inject-fault
expect "variants in turn: faults are found" all_wrong

open_program gemm_scales
measure $quick --shape square --size 512 --scales all
expect "scales are right" all_right
for scales in tensor row 1x128 128x128; do
    expect "$scales is measured or declined" has scales,status "$scales,(ok|skipped)"
done
measure $quick --shape mlp_up --size 640 --tokens 48 --scales all
expect "scales of ragged counts are right" all_right
measure $quick --shape square --size 1024 --scales tensor --inject-fault
expect "scales: faults are found" all_wrong

open_program gemm_peak
measure $quick --largest 2k --dtype bf16
expect "the shape found is right" all_right
measure $quick --largest 2k --dtype bf16 --inject-fault
expect "the shape found: faults are found" all_wrong

finish
