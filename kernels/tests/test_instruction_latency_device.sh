#!/bin/sh
# test_instruction_latency_device.sh: every instruction on a device, step by step.
set -u
. scripts/tests/rows.sh
open_device instruction_latency
device="--place device --preset smoke --time-cap 0.01"

measure $device --instruction all
expect "all instructions are right" all_right
for operation in int32_add fp32_fma fp64_fma fp16x2_fma convert_fp32_fp16 ex2 tanh shuffle vote; do
    expect "$operation has a latency" has instruction,metric,status "$operation,latency_clocks,ok"
    expect "$operation has a rate" has instruction,metric,status "$operation,lanes_per_clock,ok"
done
measure $device --instruction all --data zeros
expect "zeros are right" all_right
measure $device --instruction all --seed 7
expect "another seed is right" all_right
measure $device --instruction all --inject-fault
expect "corrupted ends are wrong" all_wrong

finish
