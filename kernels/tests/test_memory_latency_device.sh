#!/bin/sh
# test_memory_latency_device.sh: the same on a device.
set -u
. scripts/tests/rows.sh
open_device memory_latency
device="--place device --preset smoke --time-cap 0.05"

measure $device --bytes 256,4k,100096,1m,3m,5g --stride 128
expect "walks end right" all_right
measure $device --bytes 96k --stride 8,32,64,4k
expect "strides are right" all_right
measure $device --variant shared --bytes 4k,96k --stride 16,128
expect "shared memory is right" has variant,metric,status "shared,latency_clocks,ok"
measure $device --variant near_hit,far_hit,near_miss,far_miss --bytes 16m --stride 128
expect "single accesses have clocks" all_right
measure $device --variant shared --bytes 1m
expect "more than shared memory is declined" all_skipped_for "block's shared memory"
measure --place device --preset smoke --inject-fault
expect "corrupted ends are wrong" all_wrong

finish
