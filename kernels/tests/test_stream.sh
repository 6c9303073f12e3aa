#!/bin/sh
# test_stream.sh: every operation of every host variant is right at sizes with and without full blocks and at every
# team; corrupted results are wrong.
set -u
. scripts/tests/rows.sh
open_program stream
host="--place host --preset smoke --time-cap 0.002"

# a line, odd numbers of lines, less than a line for each thread, a block of the sum and one line more
measure $host --dtype all --team powers --bytes 64,192,4160,32768,32832,1000064
expect "all operations are right" all_right
for operation in copy scale add triad read fill; do
    for dtype in fp64 fp32; do
        expect "openmp $operation $dtype has rows" has variant,dtype,operation,status "openmp,$dtype,$operation,ok"
    done
done
for operation in copy scale add triad; do
    expect "STREAM's $operation is compared" has variant,operation,metric,status "stream_loop,$operation,ratio,ok"
done

measure $host --data zeros --bytes 4160
expect "zeros are right" all_right
measure $host --seed 12345 --bytes 4160
expect "another seed is right" all_right

measure --place host --preset smoke --inject-fault
expect "corrupted results are wrong" all_wrong
measure $host --dtype all --bytes 64,4160,1000064 --inject-fault
expect "corrupted small results are wrong" all_wrong
for operation in copy scale add triad read fill; do
    expect "corrupted $operation is wrong" has operation,status "$operation,wrong"
done

measure $host --operation copy --variant openmp --bytes 100,1000
expect "part of a line is skipped" all_skipped_for "multiple of 64 bytes"
measure $host --operation copy --variant openmp --bytes 256t
expect "more than the memory is skipped" all_skipped_for "GiB available"
for bad in "--operation sort" "--dtype int8" "--bytes 0" "--bytes -8m" "--team 0"; do
    measure $host $bad
    expect "$bad is refused" refused "${bad#* }"
done

finish
