#!/bin/sh
# test_row_gather_device.sh: every byte of every row, on a device.
set -u
. scripts/tests/rows.sh
open_device row_gather
device="--place device --preset smoke --time-cap 0.01"

measure $device --bytes 6m --row 16:16k:4,48 --memory all
expect "results are right" [ "$status" -eq 0 ]
expect "there are results" has status ok
measure $device --data zeros
expect "zeros are right" all_right
measure $device --row 24
expect "what does not exist is declined" all_skipped_for "multiples of 16"
measure $device --inject-fault
expect "corrupted results are wrong" all_wrong

finish
