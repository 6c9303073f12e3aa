#!/bin/sh
# test_strided_access.sh: the sum of what was read, on the host.
set -u
. scripts/tests/rows.sh
open_program strided_access
host="--place host --preset smoke --time-cap 0.01"

measure $host --bytes 1m --width 1:16:2 --stride 1:64:2
expect "results are right" all_right
measure $host --data zeros
expect "zeros are right" all_right
measure $host --seed 7 --threads 1
expect "one thread and another seed are right" all_right
measure $host --bytes 100 --width 16
expect "what does not exist is declined" all_skipped_for "not a multiple"
measure $host --inject-fault
expect "corrupted results are wrong" all_wrong
measure $host --bogus 1
expect "an unknown option is refused" refused bogus

finish
