#!/bin/sh
# test_fma_peak_device.sh: the same on a device.
set -u
. scripts/tests/rows.sh
open_device fma_peak
device="--place device --preset smoke --time-cap 0.05"

measure $device
expect "all formats are right" all_right
for dtype in fp64 fp32 fp16 int32; do
    expect "$dtype has rows" has dtype,status "$dtype,ok"
done
measure $device --data zeros
expect "walks from zero are right" all_right
measure --place device --preset smoke --inject-fault
expect "corrupted accumulators are wrong" all_wrong
measure $device --dtype bf16,int8
expect "formats of the tensor cores are skipped" all_skipped_for "the CUDA cores are measured in"

finish
