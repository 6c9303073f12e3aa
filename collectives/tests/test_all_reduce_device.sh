#!/bin/sh
# test_all_reduce_device.sh: one rank a GPU under mpirun, NCCL on device memory: right in every number format,
# operation and placement, in captured graphs too, and wrong where corrupted.
set -u
. scripts/tests/rows.sh
open_ranks all_reduce
needs_device
devices=$(device_count)
device="--preset smoke --place device --ranks max --variant nccl,nccl_registered,nccl_symmetric,nccl_aggregated"

launch -np "$devices" "$program" $device
expect "smoke on $devices devices is exact" all_exact
expect "the algorithm is told" [ "$(grep -cE 'algorithm [A-Z]+, protocol [A-Z0-9]+|symmetric kernel' "$work/out")" -gt 0 ]
expect "the first call stands apart" has metric first_call

launch -np "$devices" "$program" $device --bytes 40k --operation sum,prod,min,max,avg --in-place all --iterations 3 \
    --dtype fp64,fp32,bf16,fp16,fp8_e4m3,fp8_e5m2,int8,int32,uint8
expect "every format and operation is right" all_ok # an average over 3 or 6 devices has a tolerance

launch -np "$devices" "$program" $device --bytes 8,1m --time-cap 0.02
expect "calls are enqueued before the first begins" [ $status -eq 0 -a "$(count mode held)" -eq "$(rows)" ]
launch -np "$devices" "$program" $device --bytes 8,1m --time-cap 0.02 --pacing back_to_back
expect "or run as the host launches them" [ $status -eq 0 -a "$(count mode plain)" -eq "$(rows)" ]
launch -np "$devices" "$program" $device --bytes 8,1m --cache hot --in-place all
expect "captured calls are exact" all_exact
launch -np "$devices" "$program" --preset smoke --place device --variant nccl_paired --bytes 8k,1m --ranks max -G 20
expect "captured calls are compared with nccl-tests' loop" all_exact
expect "by a ratio" has metric ratio
launch -np "$devices" "$program" --preset smoke --place device --variant mpi_device --bytes 8,8k --ranks max \
    --in-place all --time-cap 0.02
expect "MPI on device memory is exact, or said to be impossible" exact_or_skipped
launch -np "$devices" "$program" $device --bytes 8,1m --ranks powers
expect "part of the launch is exact" all_exact
launch -np "$devices" "$program" $device --bytes 8,1m --ranks 2 --placement all
expect "every placement is exact" [ $status -eq 0 ]
launch -np "$devices" "$program" $device --inject-fault --in-place all
expect "corrupted results are wrong" all_wrong
launch -np "$((devices + 1))" "$program" $device --variant nccl --bytes 8 --in-place out_of_place
expect "two ranks on one device are skipped" one_skipped_for "$((devices + 1)) ranks on $devices devices"

finish
