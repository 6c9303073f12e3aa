#!/bin/sh
# test_row_gather.sh: every byte of every row, on the host.
set -u
. scripts/tests/rows.sh
open_program row_gather
host="--place host --preset smoke --time-cap 0.01"

measure $host --bytes 6m --row 16:16k:4,48
expect "results are right" all_right
measure $host --data zeros
expect "zeros are right" all_right
measure $host --seed 7 --threads 1
expect "one thread and another seed are right" all_right
measure $host --memory device
expect "what does not exist is declined" all_skipped_for "own memory"
measure $host --inject-fault
expect "corrupted results are wrong" all_wrong
measure $host --bogus 1
expect "an unknown option is refused" refused bogus

finish
