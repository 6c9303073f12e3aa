#!/bin/sh
# test_lost_ranks_device.sh: a rank killed or stopped while NCCL's kernels wait for it: as test_lost_ranks.sh, and the
# devices are left free.
# alone: it counts the processes on the devices
set -u
. scripts/tests/rows.sh
. collectives/tests/lose.sh
open_ranks all_reduce
needs_device
ranks=$(device_count)
[ "$ranks" -ge 2 ] || { echo "one device: no peers to lose"; exit 77; }
host=$(uname -n)
long="--place device --variant nccl --placement packed --dtype fp32 --in-place out_of_place --operation sum --ranks max
    --bytes 256m,64 --iterations 1000000"
limit=20
on_devices() { nvidia-smi --query-compute-apps=pid --format=csv,noheader 2>/dev/null | grep -c '[0-9]'; }
before=$(on_devices)

for signal in KILL STOP; do
    lose $signal 1
    if [ $signal = KILL ]; then expect "killed: a row names it" one_row failed "rank 1 on $host died in "
    else expect "stopped: a row names it" one_row timeout "rank 1 on $host does not answer"; fi
    expect "$signal: nobody is left" none_left
    sleep 1
    expect "$signal: nothing is left on the devices" [ "$(on_devices)" -le "$before" ]
    launch -np "$ranks" "$program" $long --iterations 5 --resume "$results" --failed-in-flight
    cp "$results/all_reduce.csv" "$work/out"
    expect "$signal: the sweep goes on" [ $status -eq 0 -a "$(count bytes,status 64,ok)" -ge 3 ]
done

finish
