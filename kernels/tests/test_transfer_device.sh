#!/bin/sh
# test_transfer_device.sh: every word arrives, in each direction and from either memory; corrupted words are wrong; what
# makes no sense is skipped, what is no word is refused.
set -u
. scripts/tests/rows.sh
open_device transfer
device="--place device --preset smoke --time-cap 0.01"

measure $device --bytes 8,4088,1000000,64m
expect "all words arrive" all_right
for direction in host_to_device device_to_host both_ways device_to_device; do
    expect "$direction has rows" has direction,memory,status "$direction,pinned,ok"
done
for direction in host_to_device device_to_host; do
    expect "$direction of pageable memory has rows" has direction,memory,status "$direction,pageable,ok"
done
measure $device --memory pinned --bytes 4296015872
expect "more than 4 GiB arrives" all_right
measure $device --data zeros --bytes 1m
expect "zeros are right" all_right
measure $device --seed 12345 --bytes 1m
expect "another seed is right" all_right

measure --place device --preset smoke --inject-fault
expect "corrupted words are wrong" all_wrong

measure $device --direction both_ways --memory pageable
expect "both ways of pageable memory are skipped" all_skipped_for "cannot go at once"
measure $device --direction host_to_device --memory pinned --bytes 100
expect "part of a word is skipped" all_skipped_for "multiple of eight"
measure $device --direction host_to_device --bytes 256t
expect "more than the memory is skipped" all_skipped_for "GiB available"
for bad in "--direction sideways" "--memory tape" "--bytes 4"; do
    measure $device $bad
    expect "$bad is refused" refused "${bad#* }"
done

finish
