#!/bin/sh
# test_wgmma_device.sh: every instruction of wgmma on a device that has them: every element of every accumulator exact.
set -u
. scripts/tests/rows.sh
open_device wgmma
device="--place device --preset smoke --time-cap 0.01"

measure $device --dtype fp16 --n 8
all_skipped && { echo "no wgmma here: $(column reason <"$work/out" | head -n 1)"; exit 77; }
measure $device --variant issue --dtype all --sums wide --n 8:256:2
expect "all instructions are right" all_right
for type in fp16 bf16 tf32 fp8_e4m3 fp8_e5m2 int8; do
    for source in shared registers; do
        expect "$type from $source has clocks" has dtype,a_from,n,metric,status "$type,$source,256,issue_clocks,ok"
    done
    expect "sparse $type is right" has dtype,n,sparsity,metric,status "$type,64,sparse,issue_clocks,ok"
done
measure $device --variant throughput,throughput_one --dtype all --sums wide --n 8,256
expect "all rates are right" all_right
for type in fp16 bf16 tf32 fp8_e4m3 fp8_e5m2 int8; do
    for source in shared registers; do
        expect "$type from $source has a rate" has dtype,a_from,n,metric,status "$type,$source,8,(fl)?op_rate,ok"
    done
done
expect "one multiprocessor has a rate" has variant,dtype,n,metric,status "throughput_one,bf16,256,flop_rate,ok"
measure $device --dtype bf16,fp8_e5m2 --n 256 --warpgroups 2
expect "two warpgroups are right" has variant,warpgroups,status "throughput,2,ok"
measure $device --dtype fp16,fp8_e4m3,fp8_e5m2 --sums fp16 --n 8:256:2
expect "fp16 sums are right" all_right
measure $device --dtype bf16,tf32,int8 --sums fp16 --n 8
expect "sums that do not exist are declined" all_skipped_for "fp16 sums exist for"
measure $device --n 24,96
expect "other shapes are declined" all_skipped_for "powers of two"
measure $device --dtype all --n 64 --data zeros
expect "zeros are right" all_right
measure $device --dtype fp16,int8 --n 32 --seed 7
expect "another seed is right" all_right

measure $device --dtype all --n 8,128 --inject-fault
expect "corrupted accumulators are wrong" all_wrong
measure $device --dtype fp16,fp8_e5m2 --sums fp16 --n 16 --inject-fault
expect "corrupted fp16 accumulators are wrong" all_wrong

finish
