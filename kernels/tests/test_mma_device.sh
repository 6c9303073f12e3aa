#!/bin/sh
# test_mma_device.sh: every instruction of mma on a device: every element of every accumulator exact.
set -u
. scripts/tests/rows.sh
open_device mma
device="--place device --preset smoke --time-cap 0.01"

measure --place device --preset quick --time-cap 0.01
expect "all instructions are right" all_right
for type in fp64 fp16 bf16 tf32 fp8_e4m3 fp8_e5m2 int8; do
    expect "$type has rows" has dtype,variant,status "$type,(latency|throughput),(ok|skipped)"
done
expect "fp16 has clocks" has dtype,sums,shape,metric,status fp16,wide,m16n8k16,latency_clocks,ok
expect "sparse bf16 has an issue interval" has dtype,sparsity,shape,metric,status bf16,sparse,m16n8k32,issue_clocks,ok
expect "fp64 has its widest shape" has dtype,shape,metric,status fp64,m16n8k16,flop_rate,ok
expect "one multiprocessor has a rate" has variant,dtype,shape,metric,status throughput_one,tf32,m16n8k8,flop_rate,ok
expect "int8 has a rate" has dtype,sums,shape,metric,status int8,wide,m16n8k32,op_rate,ok
measure $device --dtype fp16 --shape m8n8k4,m8n8k16
expect "shapes that do not exist are declined" all_skipped_for "instruction of this shape"
measure $device --dtype bf16 --sums fp16 --shape m16n8k16
expect "sums that do not exist are declined" all_skipped_for "fp16 sums are measured"
measure $device --data zeros
expect "zeros are right" all_right
measure $device --seed 7
expect "another seed is right" all_right

measure --place device --preset quick --time-cap 0.01 --inject-fault
expect "corrupted accumulators are wrong" all_wrong

finish
