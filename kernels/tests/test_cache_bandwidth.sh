#!/bin/sh
# test_cache_bandwidth.sh: every access is right, from a chunk to past the second level, alone and with a team;
# corrupted results are wrong; odd footprints are skipped.
set -u
. scripts/tests/rows.sh
open_program cache_bandwidth
host="--place host --preset smoke --time-cap 0.002"

measure $host --bytes 32k,96k,8m --team powers
expect "all accesses are right" all_right
for access in read write copy; do
    for metric in bandwidth bytes_per_clock; do
        expect "$access has rows of $metric" has access,metric,status "$access,$metric,ok"
    done
done
measure $host --access read,write --bytes 16k,48k
expect "odd numbers of chunks are right" all_right
measure $host --data zeros --bytes 64k
expect "zeros are right" all_right
measure $host --seed 12345 --bytes 64k
expect "another seed is right" all_right

measure --place host --preset smoke --inject-fault
expect "corrupted results are wrong" all_wrong
for access in read write copy; do
    expect "corrupted $access is wrong" has access,status "$access,wrong"
done

measure $host --bytes 40000
expect "part of a chunk is skipped" all_skipped_for "a multiple of 16 KiB"
measure $host --access copy --bytes 48k
expect "half a chunk is skipped" all_skipped_for "each half"
for bad in "--access sort" "--bytes 8k" "--team 0"; do
    measure $host $bad
    expect "$bad is refused" refused "${bad#* }"
done

finish
