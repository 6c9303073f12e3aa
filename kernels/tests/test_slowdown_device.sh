#!/bin/sh
# test_slowdown_device.sh: --inject-slowdown on a device: calls wait, in events and in graphs, and rows say so; calls too
# short to wait for that share, and variants that take their own time, are declined.
# alone: it compares times
set -u
. scripts/tests/rows.sh
open_device stream
device="--place device --preset smoke --time-cap 0.05 --variant vector --operation triad --dtype fp32"

# the median time of the one row, in whole nanoseconds
median() { column time_us <"$work/out" | awk '{ printf "%d", $1 * 1000 }'; }
for cache in cold hot; do
    measure $device --bytes 256m --cache $cache
    expect "$cache: as it is" all_right
    plain=$(median)
    measure $device --bytes 256m --cache $cache --inject-slowdown 100
    expect "$cache: slowed rows are right" all_right
    expect "$cache: and say so" has status,reason 'ok,.*slowed by 100 % on purpose.*'
    slowed=$(median)
    # twice as long: far from what two runs of a copy differ by
    expect "$cache: it took longer ($plain, then $slowed ns)" [ "$slowed" -gt $((plain * 3 / 2)) ]
done
measure $device --bytes 4096 --inject-slowdown 0.1
expect "too short a call is declined" has status,reason 'skipped,.*less than the.*'
finish
