#!/bin/sh
# test_collectives.sh: every collective but all_reduce, which has a test of its own, under mpirun on host memory: exact
# with 2 ranks and with parts of 4, in every placement, with every root, in sizes that ranks do not divide; a corrupted
# result is wrong and fails the launch; cases that cannot be are answered as they should.
set -u
. scripts/tests/rows.sh
open_ranks all_gather

# Axes of a program beyond ranks, bytes and dtype.
axes_of() {
    case $1 in
    all_gather | all_to_all) echo "--in-place all" ;;
    reduce_scatter) echo "--in-place all --operation sum,max" ;;
    broadcast) echo "--in-place in_place --root 0,2" ;;
    reduce) echo "--in-place all --root 0,2 --operation sum,max" ;;
    gather | scatter) echo "--in-place all --root 0,2" ;;
    all_to_all_v) echo "--skew 0,37,100" ;;
    send_recv) echo "--pattern all" ;;
    esac
}

# Every row right, but those of cases that one of these reasons declines.
exact_but_for() {
    [ $status -eq 0 ] && has status ok && [ "$(count status,error ok,0)" -eq "$(count status ok)" ] &&
        [ $(($(count status ok) + $(grep -c "$1" "$work/out"))) -eq "$(rows)" ]
}

for collective in all_gather reduce_scatter broadcast reduce gather scatter all_to_all all_to_all_v send_recv; do
    program=$BUILD/bin/$collective
    launch -np 2 "$program" --preset smoke --place host
    expect "$collective: smoke is exact" all_exact
    expect "$collective: smoke reports bus bandwidth" has metric bus_bandwidth

    # 300004 bytes are 75001 elements, which 2, 3 and 4 do not divide
    launch -np 4 "$program" --preset smoke --place host --time-cap 0.01 --ranks 1:5:+1 --bytes 4,300004 \
        $(axes_of $collective)
    expect "$collective: parts of a launch, roots and placements are exact" exact_but_for \
        "more ranks than were\|the root is not among\|fewer elements than ranks\|an odd number of ranks"
    expect "$collective: 5 ranks of 4 are skipped" has ranks,status 5,skipped
    expect "$collective: all 4 are measured" has ranks,status 4,ok

    launch -np 2 "$program" --preset smoke --place host --time-cap 0.01 --inject-fault
    expect "$collective: corrupted results are wrong" all_wrong
done

for collective in broadcast gather send_recv all_to_all_v; do
    program=$BUILD/bin/$collective
    launch -np 3 "$program" --preset smoke --place host --time-cap 0.01 --bytes 24k --dtype bf16,fp8_e4m3,int8,fp64 \
        --pacing back_to_back
    expect "$collective: formats that MPI does not calculate with are moved" exact_but_for "an odd number of ranks"
done

# 2 of 5 ranks are 0 and 1, 0 and 2; 4 are the first four however they are strided
for collective in all_reduce gather all_to_all_v; do
    program=$BUILD/bin/$collective
    launch -np 5 "$program" --preset smoke --place host --variant mpi --time-cap 0.01 --ranks 2,4 --placement all \
        --bytes 64,24k
    expect "$collective: every placement is exact" all_exact
    expect "$collective: packed, strided and spread" \
        [ "$(column placement <"$work/out" | sort -u | tr '\n' ' ')" = "packed spread strided " ]
done

program=$BUILD/bin/gather
launch -np 2 "$program" --preset smoke --place host --bytes 1m --root 2
expect "gather: a root outside is skipped" one_skipped_for "the root is not among the ranks"
launch -np 2 "$program" --preset smoke --place host --bytes 1m --root -1
expect "gather: a negative root is bad usage" [ $status -eq 2 ]
launch -np 2 "$program" --preset smoke --place host --bytes 1k --root max
expect "gather: max is the last rank" has root,status 1,ok

program=$BUILD/bin/barrier
launch -np 4 "$program" --preset smoke --place host --ranks 2:5:+1
expect "barrier: nobody leaves before all have come" exact_but_for "more ranks than were launched"
expect "barrier: states its skew" has metric skew
launch -np 2 "$program" --preset smoke --place host --inject-fault
expect "barrier: a corrupted answer is wrong" all_wrong

program=$BUILD/bin/pairs
launch -np 4 "$program" --preset smoke --place host --time-cap 0.04
expect "pairs: every link is exact" all_exact
expect "pairs: 12 one way, 6 both ways, 6 round trips" \
    [ "$(count metric bandwidth),$(count metric latency),$(count metric slowness)" = "18,6,24" ]
launch -np 2 "$program" --preset smoke --place host --inject-fault
expect "pairs: corrupted results are wrong" all_wrong
launch -np 1 "$program" --preset smoke --place host --bytes 8 --pattern round_trip
expect "pairs: one rank is skipped" one_skipped_for "one rank has no pair"
launch -np 2 "$program" --preset smoke --place host --bytes 8 --first 1 --second 1 --pattern one_way
expect "pairs: a rank with itself is skipped" one_skipped_for "a rank and itself are no pair"

finish
