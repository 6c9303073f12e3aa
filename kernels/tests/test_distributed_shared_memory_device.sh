#!/bin/sh
# test_distributed_shared_memory_device.sh: words of other blocks' shared memory, read and written, on a device.
set -u
. scripts/tests/rows.sh
open_device distributed_shared_memory
device="--place device --preset smoke --time-cap 0.01"

measure $device
all_skipped && { echo "no clusters here: $(column reason <"$work/out" | head -n 1)"; exit 77; }
expect "walks and patterns are right" all_right
measure $device --cluster 1:8:2 --pattern all --rank 0 --target 0
expect "clusters up to 8 are right" has variant,pattern,status "read,broadcast,ok"
expect "and nothing is wrong" all_right
measure $device --cluster 4 --pattern one --rank 0:3:+1 --target 0:3:+1
expect "all pairs of ranks are right" has variant,rank,target,status "latency,3,1,ok"
measure $device --cluster 3
expect "odd clusters are declined" all_skipped_for "clusters are of"
measure $device --cluster 2 --pattern one --rank 2
expect "ranks that the cluster has not are declined" all_skipped_for "no such rank"
measure $device --cluster 2 --pattern all --rank 0 --target 0 --inject-fault
expect "corrupted sums are wrong" all_wrong

finish
