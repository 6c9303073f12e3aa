#!/bin/sh
# test_occupancy_device.sh: every number of warps and loads reads the whole array, on a device.
set -u
. scripts/tests/rows.sh
open_device occupancy
device="--place device --preset smoke --time-cap 0.01"

measure $device --bytes 32m --warps 1:64:2 --loads 1:8:2
expect "all sums are right" all_right
expect "64 warps have a rate" has warps,loads,metric,status "64,8,bandwidth,ok"
measure $device --warps 3
expect "odd numbers of warps are declined" all_skipped_for "powers of two"
measure $device --inject-fault
expect "corrupted sums are wrong" all_wrong

finish
