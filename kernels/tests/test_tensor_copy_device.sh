#!/bin/sh
# test_tensor_copy_device.sh: boxes of every rank by the copy engine, and the other copies, on a device.
set -u
. scripts/tests/rows.sh
open_device tensor_copy
device="--place device --preset smoke --time-cap 0.01"

measure $device --rank 1 --box 1k --bytes 1m,4m --blocks 1,2
[ "$(count variant,status 'tensor,skipped')" -gt 0 ] && { echo "no tensor copies here"; exit 77; }
for variant in tensor bulk async load; do
    expect "$variant has a rate" has variant,metric,status "$variant,bandwidth,ok"
    expect "$variant has a latency" has variant,metric,status "${variant}_latency,latency_clocks,ok"
done
measure $device --rank 1:5:+1 --box 512:32k:2 --bytes 4m --blocks 1
expect "boxes of all ranks and sizes are right" [ "$status" -eq 0 ]
for rank in 1 2 3 4 5; do
    expect "rank $rank has rows" has variant,rank,status "tensor,$rank,ok"
done
measure $device --rank 1 --box 4k --bytes 4m
expect "a box too wide is declined" has variant,status "tensor,skipped"
measure $device --rank 2 --box 768 --bytes 4m
expect "boxes are powers of two" all_skipped_for "powers of two"
measure $device --inject-fault
expect "corrupted sums are wrong" all_wrong

finish
