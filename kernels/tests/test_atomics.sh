#!/bin/sh
# test_atomics.sh: every word at the end, on the host.
set -u
. scripts/tests/rows.sh
open_program atomics
host="--place host --preset smoke --time-cap 0.01"

measure $host --operation all --dtype int32,int64 --targets 1,8,4k
expect "results are right" all_right
measure $host --data zeros
expect "zeros are right" all_right
measure $host --seed 7 --threads 1
expect "one thread and another seed are right" all_right
measure $host --dtype fp32
expect "what does not exist is declined" all_skipped_for "host has no atomic"
measure $host --inject-fault
expect "corrupted results are wrong" all_wrong
measure $host --bogus 1
expect "an unknown option is refused" refused bogus

finish
