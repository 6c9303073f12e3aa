#!/bin/sh
# test_dpx_device.sh: every intrinsic on a device: each step as plain arithmetic has it, and every chain ends there.
set -u
. scripts/tests/rows.sh
open_device dpx
device="--place device --preset smoke --time-cap 0.01"

measure $device --instruction all
expect "all intrinsics are right" all_right
for intrinsic in viaddmax_s32 viaddmin_u16x2 vimax3_s16x2_relu vibmax_u32 vimin_s32_relu; do
    expect "$intrinsic has a latency" has instruction,metric,status "$intrinsic,latency_clocks,ok"
    expect "$intrinsic has a rate" has instruction,metric,status "$intrinsic,lanes_per_clock,ok"
done
measure $device --instruction all --data zeros
expect "zeros are right" all_right
measure $device --instruction viaddmax_s16x2,vibmin_s16x2 --seed 7
expect "another seed is right" all_right
measure $device --instruction all --inject-fault
expect "corrupted ends are wrong" all_wrong

finish
