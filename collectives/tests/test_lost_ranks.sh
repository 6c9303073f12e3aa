#!/bin/sh
# test_lost_ranks.sh: a rank that is killed, stopped, started alone or never comes: within the time limit of a case the
# launch ends with a row that names rank and host, no process is left, and the rest of the sweep can go on.
set -u
. scripts/tests/rows.sh
. collectives/tests/lose.sh
open_ranks all_reduce
host=$(uname -n)
# two cases: the first takes as long as it is given
ranks=3 limit=5
long="--place host --variant mpi --placement packed --dtype fp32 --in-place out_of_place --operation sum
    --ranks max --bytes 32m,64 --iterations 1000000"

for rank in 1 0; do
    lose KILL $rank
    expect "rank $rank killed: a row names it" one_row failed "rank $rank on $host died in "
    expect "rank $rank killed: the launch ends at once" [ $seconds -lt $limit ]
    expect "rank $rank killed: nobody is left" none_left
    # the rest, as run_all.sh asks for it
    launch -np 3 "$program" $long --iterations 5 --resume "$results" --failed-in-flight
    cp "$results/all_reduce.csv" "$work/out"
    expect "rank $rank killed: the sweep goes on" [ $status -eq 0 -a "$(count bytes,status 64,ok)" -ge 3 ]
    expect "rank $rank killed: its case is not tried again" [ "$(count bytes,status 33554432,failed)" -eq 1 ]

    lose STOP $rank
    expect "rank $rank stopped: a row names it" one_row timeout "rank $rank on $host does not answer"
    expect "rank $rank stopped: the launch ends by the time limit" [ $seconds -le 15 ]
    expect "rank $rank stopped: nobody is left" none_left
done

limit=60 # a busy machine's mpirun may take seconds to see it
lose TERM 1
expect "told to end: no row" [ $status -ne 0 -a "$(rows)" -eq 0 ]
expect "told to end: nobody is left" none_left

# a launcher of another MPI: each of its ranks is alone
PMI_SIZE=2 PMI_RANK=0 "$program" --place host --preset smoke >"$work/out" 2>"$work/err"
status=$?
expect "alone: one row" one_row failed "the launcher started 2 ranks and this MPI sees one: rank 0 on $host is alone"
PMI_SIZE=2 PMI_RANK=1 "$program" --place host --preset smoke >"$work/out" 2>"$work/err"
status=$?
expect "alone: the others are silent" [ $status -eq 1 -a ! -s "$work/out" -a ! -s "$work/err" ]

# a rank that never gets as far as MPI_Init
launch -np 1 "$program" --place host --preset smoke --case-timeout 2 : -np 1 sleep 20
expect "never came: one row" one_row timeout "not all ranks came within 2 s: rank 0 on $host waited in MPI_Init"
expect "never came: nobody is left" none_left

finish
