#!/bin/sh
# test_strided_access_device.sh: the sum of what was read, on a device.
set -u
. scripts/tests/rows.sh
open_device strided_access
device="--place device --preset smoke --time-cap 0.01"

measure $device --bytes 16m --width 1:16:2 --stride 1:64:2
expect "results are right" [ "$status" -eq 0 ]
expect "there are results" has status ok
measure $device --data zeros
expect "zeros are right" all_right
measure $device --width 3
expect "what does not exist is declined" all_skipped_for "elements are of"
measure $device --inject-fault
expect "corrupted results are wrong" all_wrong

finish
