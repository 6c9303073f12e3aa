#!/bin/sh
# test_stream_device.sh: the same on a device: tiles and chunks that are full, cut short or alone; warm calls in graphs.
set -u
. scripts/tests/rows.sh
open_device stream
device="--place device --preset smoke --time-cap 0.01"

# a line; about a tile of 16 KiB, a chunk of 32 KiB and all tiles in flight; more than 4 GiB, where 32 bits end
measure $device --dtype all --bytes 64,16320,16384,16448,32768,32832,25952256,1000064
expect "all operations are right" all_right
for variant in vector persistent bulk; do
    for operation in copy scale add triad read fill; do
        expect "$variant $operation has rows" has variant,operation,status "$variant,$operation,(ok|skipped)"
    done
done
expect "memcpy has rows" has variant,operation,status memcpy,copy,ok
measure $device --dtype fp32 --bytes 4295032896
expect "arrays beyond 4 GiB are right" all_right
measure $device --cache hot --bytes 1m
expect "calls in a graph are right" all_right
measure $device --data zeros --bytes 1000064
expect "zeros are right" all_right

measure --place device --preset smoke --inject-fault
expect "corrupted results are wrong" all_wrong
measure $device --dtype all --bytes 64,1000064 --inject-fault
expect "corrupted small results are wrong" all_wrong

finish
