#!/bin/bash
# A real Slurm, a controller and two nodes on this machine, in a folder of its own: the job scripts are submitted as
# they are, run_all.sh starts ranks by srun on both nodes, and the results are read. The GPUs are stand-ins.
set -u
. scripts/tests/expect.sh

give_up() { # 77: skipped
    echo "$1"
    exit 77
}
for command in slurmctld slurmd munged sbatch srun sinfo scontrol mpirun; do
    PATH=$PATH:/usr/sbin:/sbin command -v $command >/dev/null ||
        give_up "no $command (packages: scripts/deps.sh --tests)"
done
[ "$(id -u)" = 0 ] || give_up "starting slurmd needs root"
grep -qx all_reduce "$BUILD/programs" || give_up "the collectives are not built (no MPI)"
PATH=$PATH:/usr/sbin:/sbin
checkout=$PWD
host=$(uname -n)
site=$work/site
case $BUILD in /*) export BUILD ;; *) export BUILD=$PWD/$BUILD ;; esac

# shellcheck disable=SC2317 # called by a trap
stop() {
    for pid_file in "$work"/n1/pid "$work"/n2/pid "$work"/controller.pid "$work"/munge/pid; do
        [ -s "$pid_file" ] && kill "$(cat "$pid_file")" 2>/dev/null
    done
    sleep 0.5
    for id in $(pgrep -f "^[^ ]*slurmstepd.*" 2>/dev/null); do
        grep -qz "^SLURM_CONF=$work/" "/proc/$id/environ" 2>/dev/null && kill -9 "$id" 2>/dev/null
    done
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM

first_port=$((20000 + $$ % 4000 * 3))
configure() {
    chmod 755 "$work"
    mkdir -p "$work"/{state,n1,n2,munge} "$site"
    chmod 755 "$work/munge"
    head -c 1024 /dev/urandom >"$work/key"
    chmod 600 "$work/key"
    cat >"$work/slurm.conf" <<CONF
ClusterName=plumbline
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$((first_port + 0))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/%n
SlurmctldPidFile=$work/controller.pid
SlurmdPidFile=$work/%n/pid
SlurmctldLogFile=$work/controller.log
SlurmdLogFile=$work/%n/log
TmpFS=$work/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((first_port + 1)) CPUs=4 RealMemory=1000 Gres=gpu:2
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((first_port + 2)) CPUs=4 RealMemory=1000 Gres=gpu:2
PartitionName=all Nodes=ALL Default=YES State=UP MaxTime=INFINITE
CONF
    printf 'Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n' >"$work/gres.conf"
    for part in run_all.sh scripts bench kernels collectives reports; do ln -s "$checkout/$part" "$site/$part"; done
}

# A processor for each node where there are two: ranks of both nodes would take the same core for their own.
start() {
    export SLURM_CONF=$work/slurm.conf
    export OMPI_MCA_btl=self,tcp OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_pml=ob1
    munged --force --key-file="$work/key" --socket="$work/munge/socket" --pid-file="$work/munge/pid" \
        --log-file="$work/munge/log" --seed-file="$work/munge/seed" >"$work/start.log" 2>&1 || return 1
    slurmctld >>"$work/start.log" 2>&1 || return 1
    local cpus=(0 0)
    (($(nproc) < 2)) || cpus=(0 1)
    taskset -c "${cpus[0]}" slurmd -N n1 >>"$work/start.log" 2>&1 || return 1
    taskset -c "${cpus[1]}" slurmd -N n2 >>"$work/start.log" 2>&1 || return 1
    for ((try = 0; try < 50; try++)); do
        [ "$(sinfo -h -N -t idle 2>/dev/null | wc -l)" = 2 ] && return 0
        sleep 0.2
    done
    return 1
}

configure
if ! start; then
    tail -n 3 "$work/start.log" "$work/controller.log" "$work/n1/log" 2>/dev/null
    not_ok "a controller and two nodes" "not idle within 10 s"
    finish
fi
ok "a controller and two nodes"
cd "$site" || exit 1
gpus=(--ntasks-per-node=1 --gpus-per-node=1)

# The sweep over nodes: a job of one node and one of two, each with a folder of its own.
folders=$(scripts/slurm/node_sweep.sh 2 --wait "${gpus[@]}" -- --preset smoke --only all_reduce,barrier,broadcast \
    2>"$work/err")
status=$? wrong=""
[ "$status" = 0 ] || wrong="exit status $status: $(tail -n 3 "$work/err" plumbline-*.log | tr '\n' ' ')"
[ "$(echo "$folders" | wc -l)" = 2 ] || wrong="$wrong; not two folders: $folders"
verdict "node_sweep.sh: a job for each number of nodes"
nodes=1
for folder in $folders; do
    wrong=""
    for program in all_reduce barrier broadcast; do
        [ -s "$folder/$program.csv" ] || { wrong="$wrong; no $program.csv"; continue; }
        column status <"$folder/$program.csv" | grep -vxE 'ok|skipped' >"$work/others" &&
            wrong="$wrong; $program: $(sort -u "$work/others")"
        column ranks <"$folder/$program.csv" | grep -qx $nodes || wrong="$wrong; $program: no rows of $nodes ranks"
    done
    grep -q "SLURM_JOB_ID" "$folder/manifest.json" 2>/dev/null || wrong="$wrong; the manifest names no job"
    grep -q '</html>' "$folder/report/index.html" 2>/dev/null || wrong="$wrong; no report"
    verdict "results of $nodes nodes"
    nodes=$((nodes + 1))
done

# The other scripts, through the same allocation: one node, the suite with its build and gate, the gate.
wrong=""
sbatch --wait "${gpus[@]}" scripts/slurm/one_node.sbatch --preset smoke --only stream,all_reduce >"$work/out" 2>&1 ||
    wrong="exit status $?: $(tail -n 3 "$work/out" plumbline-*.log | tr '\n' ' ')"
job=$(sed -n 's/Submitted batch job //p' "$work/out")
[ -s "results/$job/stream.csv" ] && [ -s "results/$job/all_reduce.csv" ] || wrong="$wrong; no rows in results/$job"
verdict "one_node.sbatch"

mkdir "$work/bin"
printf '#!/bin/sh\necho "make $*" >>%s/made\n' "$work" >"$work/bin/make" # built it is already
chmod +x "$work/bin/make"
BASELINE=results/$job PATH=$work/bin:$PATH sbatch --wait --nodes=2 "${gpus[@]}" scripts/slurm/suite.sbatch \
    --preset smoke --only harness_cost,broadcast >"$work/out" 2>&1
status=$? wrong=""
job=$(sed -n 's/Submitted batch job //p' "$work/out")
[ "$status" -le 1 ] || wrong="exit status $status: $(tail -n 3 "plumbline-$job.log" | tr '\n' ' ')"
grep -q 'bench' "$work/made" 2>/dev/null || wrong="$wrong; nothing was built first"
column ranks <"results/$job/broadcast.csv" | grep -qx 2 || wrong="$wrong; no rows of 2 ranks"
verdict "suite.sbatch on two nodes"

wrong=""
BASELINE=/nowhere sbatch --wait "${gpus[@]}" scripts/slurm/gate.sbatch --preset smoke --only broadcast >"$work/out" 2>&1
[ $? = 3 ] || wrong="a baseline that is not there: not status 3"
BASELINE=results/$job sbatch --wait "${gpus[@]}" scripts/slurm/gate.sbatch --preset smoke --only harness_cost \
    >"$work/out" 2>&1
status=$?
job=$(sed -n 's/Submitted batch job //p' "$work/out")
[ "$status" -le 1 ] || wrong="$wrong; exit status $status"
grep -qE 'pass|regression|missing|same' "plumbline-$job.log" || wrong="$wrong; no verdict"
verdict "gate.sbatch"

# A rank that dies on the other node: its row names the rank, and srun's job ends.
wrong=""
cat >kill.sh <<'JOB'
#!/bin/bash
srun --mpi=pmix --cpu-bind=none "$BUILD/bin/all_reduce" --place host --variant mpi --ranks max --bytes 32m \
    --iterations 1000000 --case-timeout 20 --out results/killed &
for ((try = 0; try < 100; try++)); do
    grep -q '^start' results/killed/all_reduce.journal 2>/dev/null && break
    sleep 0.1
done
sleep 1
for id in $(pgrep -f "^$BUILD/bin/all_reduce"); do
    grep -qz "^SLURM_JOB_ID=$SLURM_JOB_ID\$" "/proc/$id/environ" && grep -qz '^SLURM_PROCID=1$' "/proc/$id/environ" &&
        kill -9 "$id"
done
wait $!
JOB
timeout 60 sbatch --wait --nodes=2 "${gpus[@]}" --output=kill.log kill.sh >"$work/out" 2>&1 && wrong="exit status 0"
column status,reason <results/killed/all_reduce.csv >/dev/null 2>&1
column reason <results/killed/all_reduce.csv | grep -q "^rank 1 on $host died in " ||
    wrong="$wrong; no row names rank 1: $(column reason <results/killed/all_reduce.csv | head -n 2); $(
        tail -n 2 kill.log)"
pgrep -f "^$BUILD/bin/all_reduce" | while read -r id; do
    grep -qz "^SLURM_CONF=$work/" "/proc/$id/environ" 2>/dev/null && echo "$id"
done | grep -q . && wrong="$wrong; a rank is left"
verdict "a rank killed under srun"
finish
