#!/bin/bash
# node_sweep.sh: the collectives on 1, 2, 4 .. nodes: a submission for each number of nodes, as a job array cannot vary
# it, and so that small jobs need not wait for the large one. Prints the result folders, for `report` and `compare`.
#   scripts/slurm/node_sweep.sh NODES [OPTION OF sbatch]... [-- OPTION OF run_all.sh...]
# NODES: the largest number, or a list as 1,3,8. With --wait among sbatch's options one job after the other.
# Exit status: 0, 2 bad usage, or that of the first submission that failed.
set -u

usage() { sed -n '2,/^# Exit/s/^# //p' "$0"; }
die() {
    echo "node_sweep.sh: $1" >&2
    exit 2
}

case ${1:-} in
--help) usage; exit 0 ;;
"") die "lacks the number of nodes; see --help" ;;
esac
[[ $1 =~ ^[1-9][0-9]{0,4}(,[1-9][0-9]{0,4})*$ ]] ||
    die "'$1' is no number of nodes from 1 to 99999, and no list of them"
command -v sbatch >/dev/null || { echo "node_sweep.sh: there is no sbatch on this machine" >&2; exit 3; }
counts=()
if [[ $1 == *,* ]]; then IFS=, read -ra counts <<<"$1"
else
    for ((nodes = 1; nodes < $1; nodes *= 2)); do counts+=("$nodes"); done
    counts+=("$1")
fi
shift
for_sbatch=()
while (($# > 0)) && [[ $1 != -- ]]; do for_sbatch+=("$1"); shift; done
(($# == 0)) || shift

worst=0
for nodes in "${counts[@]}"; do
    job=$(sbatch --parsable --nodes="$nodes" "${for_sbatch[@]}" "$(dirname "$0")/collectives.sbatch" "$@")
    status=$?
    ((worst != 0)) || worst=$status
    [[ -n $job ]] && echo "results/${job%%;*}-$nodes-nodes"
done
exit "$worst"
