#!/bin/sh
# test_synchronization_device.sh: nobody passes a barrier before all have come, on a device.
set -u
. scripts/tests/rows.sh
open_device synchronization
device="--place device --preset smoke --time-cap 0.01"

measure --place device --preset quick --time-cap 0.01
expect "all barriers hold" all_right
for variant in warp block mbarrier cluster grid cluster_launch; do
    expect "$variant has rows" has variant,status "$variant,(ok|skipped)"
done
measure $device --block-threads 48 --blocks 1
expect "threads that are no whole warps are declined" all_skipped_for "warp"
measure $device --block-threads 64 --blocks 3
expect "odd clusters are declined" has variant,status "cluster,skipped"
measure $device --inject-fault
expect "corrupted counts are wrong" all_wrong

finish
