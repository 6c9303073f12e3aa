#!/bin/sh
# test_launch_overhead_device.sh: every way of launching runs every kernel; a corrupted count is wrong; what makes no
# sense is skipped.
set -u
. scripts/tests/rows.sh
open_device launch_overhead
device="--place device --preset smoke --time-cap 0.01"

measure $device --variant stream,graph,submit --kernels 1,2,7,100,1000
expect "every kernel runs" all_right
for variant in stream graph submit; do
    expect "$variant has rows" has variant,kernels,metric,status "$variant,1000,call_time,ok"
done
measure $device --variant stream,graph --kernels 3000
expect "more than the queue holds runs" all_right
measure $device --variant synchronize --kernels 1
expect "a wait has a row" all_right

measure --place device --preset smoke --inject-fault
expect "corrupted counts are wrong" all_wrong

measure $device --variant synchronize --kernels 10
expect "a wait for kernels is skipped" all_skipped_for "a wait for no kernel"
measure $device --variant submit --kernels 3000
expect "a full queue is skipped" all_skipped_for "the driver's queue"
for bad in "--kernels 0" "--kernels many"; do
    measure $device $bad
    expect "$bad is refused" refused "${bad#* }"
done

finish
