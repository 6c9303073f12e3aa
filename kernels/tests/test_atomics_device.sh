#!/bin/sh
# test_atomics_device.sh: every word at the end, on a device.
set -u
. scripts/tests/rows.sh
open_device atomics
device="--place device --preset smoke --time-cap 0.01"

measure $device --operation all --dtype all --targets 1,32,4k,1m --result all
expect "results are right" [ "$status" -eq 0 ]
expect "there are results" has status ok
measure $device --data zeros
expect "zeros are right" all_right
measure $device --targets 3
expect "what does not exist is declined" all_skipped_for "powers of two"
measure $device --inject-fault
expect "corrupted results are wrong" all_wrong

finish
