#!/bin/sh
# test_memory_latency.sh: the walk ends where it must, at any stride; a corrupted end is wrong; odd sizes are declined.
set -u
. scripts/tests/rows.sh
open_program memory_latency
host="--place host --preset smoke --time-cap 0.01"

measure $host --bytes 128,192,4k,100032,3m --stride 64
expect "walks end right" all_right
expect "small pages have rows" has pages,metric,status "4k,latency,ok"
expect "latency in clocks has rows" has pages,metric,status "4k,latency_clocks,ok"
measure $host --pages 4k --bytes 96k --stride 8,64,128,4k
expect "strides are right" all_right

measure --place host --preset smoke --inject-fault
expect "corrupted ends are wrong" all_wrong

measure $host --bytes 64 --stride 64
expect "one node is no tour" all_skipped_for "multiple of the stride"
measure $host --bytes 1000 --stride 64
expect "part of a node is skipped" all_skipped_for "multiple of the stride"
measure $host --bytes 8k --stride 12
expect "a stride that splits addresses is skipped" all_skipped_for "8 bytes"
measure $host --variant chase --bytes 256t
expect "more than the memory is skipped" all_skipped_for "GiB available"
for bad in "--pages 3k" "--bytes 1e6" "--stride 0"; do
    measure $host $bad
    expect "$bad is refused" refused "${bad#* }"
done

finish
