#!/bin/sh
# test_cache_bandwidth_device.sh: the same on a device: footprints smaller than a chunk a multiprocessor, of no power of
# two, and larger than each cache.
set -u
. scripts/tests/rows.sh
open_device cache_bandwidth
device="--place device --preset smoke --time-cap 0.01"

measure $device --variant shared --bytes 32k,96k,192k
expect "shared memory is right" all_right
measure $device --variant l1 --access read --bytes 16k,48k,192k,1m
expect "L1 is right" all_right
measure $device --variant l2 --bytes 32k,992k,24m,192m
expect "L2 is right" all_right
for access in read write copy; do
    expect "L2 $access has rows" has variant,access,metric,status "l2,$access,bandwidth,ok"
done
measure $device --data zeros --bytes 64k
expect "zeros are right" all_right
measure $device --seed 12345 --bytes 64k
expect "another seed is right" all_right

measure --place device --preset smoke --inject-fault
expect "corrupted results are wrong" all_wrong
measure $device --variant shared --bytes 1m
expect "more than shared memory is skipped" all_skipped_for "more than a block's shared memory"
measure $device --variant l1 --access write
expect "stores to L1 are skipped" all_skipped_for "L1 passes stores on"

finish
