#!/bin/sh
# test_collectives_device.sh: one rank a GPU under mpirun, device memory: every collective but all_reduce, which has a
# test of its own, in every number format and placement, in captured graphs too, and wrong where corrupted; links
# between devices and to the host.
set -u
. scripts/tests/rows.sh
open_ranks all_gather
needs_device
devices=$(device_count)
device="--preset smoke --place device --time-cap 0.02"

for collective in all_gather reduce_scatter broadcast reduce gather scatter all_to_all all_to_all_v send_recv; do
    program=$BUILD/bin/$collective
    case $collective in
    all_gather | reduce_scatter | broadcast | reduce | gather | scatter) placements="--in-place all" ;;
    all_to_all_v) placements="--skew 0,37,100" ;;
    *) placements= ;;
    esac
    [ $collective = send_recv ] && placements="--pattern ring"
    launch -np "$devices" "$program" $device $placements --backend nccl --bytes 96,24000000 \
        --dtype fp64,fp32,bf16,fp16,fp8_e4m3,fp8_e5m2,int8,int32,uint8
    expect "$collective: every format on $devices devices is exact" all_exact
    launch -np "$devices" "$program" $device $placements --backend nccl --bytes 96,1m --cache hot
    expect "$collective: captured calls are exact" all_exact
    launch -np "$devices" "$program" $device $placements --backend nccl --bytes 96,1m --inject-fault
    expect "$collective: corrupted results are wrong" all_wrong
    [ $collective = all_to_all_v ] && continue # has no variant of MPI on device memory
    launch -np "$devices" "$program" $device $placements --variant mpi_device --bytes 64,1m
    expect "$collective: MPI on device memory is exact, or said to be impossible" exact_or_skipped
done

for other in barrier pairs host_device; do
    program=$BUILD/bin/$other
    [ $other = pairs ] && [ "$devices" -lt 2 ] && continue
    launch -np "$devices" "$program" $device
    expect "$other: smoke on $devices devices is exact" all_exact
    launch -np "$devices" "$program" $device --cache hot
    expect "$other: captured or back to back it is exact" all_exact
    launch -np "$devices" "$program" $device --inject-fault
    expect "$other: corrupted results are wrong" all_wrong
done
launch -np "$devices" "$program" $device --memory pageable --bytes 4,16m
expect "host_device: pageable memory is exact" all_exact

finish
