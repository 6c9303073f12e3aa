#!/bin/sh
# test_all_reduce.sh: ranks under mpirun on host memory. Every result is exact; a corrupted one is called wrong and
# fails the launch; part of the launch, options that differ, and cases that cannot be are answered as they should.
set -u
. scripts/tests/rows.sh
open_ranks all_reduce
host="--preset smoke --place host"

launch -np 2 "$program" $host
expect "smoke is exact" all_exact
expect "smoke is of all ranks" [ "$(count ranks 2)" -eq "$(rows)" ]
expect "smoke reports bus bandwidth" has metric bus_bandwidth
expect "smoke compares with the hand-timed loop" has variant,metric mpi_paired,ratio

for dtype in fp64 int8 int32 uint8; do
    launch -np 2 "$program" $host --variant mpi --bytes 8,40k --dtype $dtype --operation sum,prod,min,max \
        --in-place all --time-cap 0.01
    expect "$dtype is exact" all_exact
    expect "$dtype has every operation and placement" [ "$(count metric call_time)" -eq 16 ]
done

launch -np 2 "$program" $host --pacing back_to_back --variant mpi --bytes 4k
expect "back-to-back calls are exact" all_exact

launch -np 2 "$program" $host --inject-fault --in-place all
expect "corrupted results are wrong" all_wrong
expect "in place too" has variant,in_place,status mpi,in_place,wrong
expect "and what measures itself" has variant,status mpi_paired,wrong

launch -np 3 "$program" $host --variant mpi --ranks powers --bytes 4k
expect "a part of the launch is exact" all_exact
expect "1, 2 and 3 of 3 ranks" [ "$(column ranks <"$work/out" | sort -u | tr '\n' ' ')" = "1 2 3 " ]

launch -np 2 "$program" $host --variant mpi --ranks 4 --bytes 4k
expect "more ranks than launched are skipped" one_skipped_for "more ranks than were launched"
launch -np 2 "$program" $host --variant mpi --bytes 8k --dtype bf16
expect "bf16 is skipped" one_skipped_for "MPI does not calculate with this number format"
launch -np 2 "$program" $host --variant mpi --bytes 8k --operation avg
expect "an average is skipped" one_skipped_for "MPI has no operation for an average"
launch -np 2 "$program" $host --variant mpi --bytes 7
expect "part of an element is skipped" one_skipped_for "not a whole number of elements"
# a quarter of the memory for each of two buffers on each of two ranks: one rank would fit, two do not
quarter=$(awk '/^MemTotal:/ { printf "%d", $2 / 4 }' /proc/meminfo)
launch -np 2 "$program" $host --variant mpi --bytes "${quarter}k" --dtype fp64
expect "more than the memory is skipped" one_skipped_for "on one node\|more elements than MPI can count"

launch -np 1 "$program" $host --bytes 8 : -np 1 "$program" $host --bytes 64
expect "different options are bad usage" [ $status -eq 2 ]
expect "the difference is shown" grep -q "rank 0 has '8', rank 1 has '64'" "$work/err"
expect "and nothing is measured" [ "$(rows)" -eq 0 ]

finish
