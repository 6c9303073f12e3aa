#!/bin/bash
# gate_power.sh: what the gate is worth on this machine: how often compare cries wolf, and what slow-down it sees.
# See --help; reports/README.md tells how to read the figures.
set -u

usage() {
    cat <<'END'
usage: gate_power.sh [OPTION]...

  --place host|device  what to measure (default host)
  --only NAME          of the cases that are slowed only this one: chain or attention, on a device gemm or attention
  --pool FOLDER        where the launches are kept; a second call goes on with them (default results/gate_power-PLACE)
  --minutes NUMBER     time for gathering launches in this call (default 12; 0 judges what the pool holds)
  --most NUMBER        launches after which gathering ends in any case (default 400)
  --launches NUMBER    launches a side of a comparison (default 5)
  --pairs NUMBER       A/A pairs: both sides are the same program (default 200)
  --trials NUMBER      comparisons for each slow-down: the new side is really slower (default 100)
  --csv FILE           the figures (default FOLDER/gate_power.csv)
  --help               print this

A launch runs a set of programs at smoke size, and two quiet cases in turn: as they are, and slowed by
--inject-slowdown. A pair is drawn from twice --launches neighbouring launches: of each two neighbours a coin (fixed
seed) gives one to the old side and one to the new, so that sides alternate in time as in a gate that interleaves them.
What compare --confirm would measure again is handed out from the launches behind those, round the pool's end.
Pairs overlap where the pool is short; how many there are without an overlap is printed, and they are counted apart.
Exit status: 0 the figures meet the aims, 1 they do not, 2 bad usage, 3 nothing to measure here.
END
}
. "$(dirname "$(readlink -f "$0")")/options.sh"

# What a launch runs, a program a line; and the cases that are slowed: name, percents each with the share of trials that
# must be caught (-: told, not asked for), how compare's table names the case, and its command.
describe_work() {
    if [[ $place == host ]]; then
        common=(--preset smoke --place host)
        set_lines=("gemm --size 256" "stream" "prefill --seq 256" "fma_peak" "cache_bandwidth" "memory_latency"
            "harness_cost" "all_reduce")
        # a chain of additions in registers, which hardly anything disturbs, and attention on one core
        quiet="--preset quick --time-cap 0.2 --threads 1"
        targets=("chain|3:80 5:95|harness_cost .*adds=100000|harness_cost $quiet --variant call --adds 100000"
            "attention|3:- 5:-|prefill .*seq=128|prefill $quiet --variant tiled --mask full --seq 128 --tokens 128$(
                ) --hidden 64 --group 1")
    else
        common=(--preset quick --place device --time-cap 0.2)
        set_lines=() # nothing but the two: a process takes far longer to begin than to measure
        targets=("gemm|1.5:95|gemm .*size=4096|gemm --variant cublaslt --shape square --size 4k --dtype bf16"
            "attention|1.5:95|prefill .*seq=8192|prefill --variant cudnn --mask causal --seq 8k --head-dim 128$(
                ) --group 1 --kept 50")
    fi
    [[ -z $only ]] || choose_target
}
choose_target() {
    local target names=()
    for target in "${targets[@]}"; do
        if [[ ${target%%|*} == "$only" ]]; then targets=("$target"); return; fi
        names+=("${target%%|*}")
    done
    die 2 "--only: '$only' is none of ${names[*]}"
}

# measure FOLDER PROGRAM OPTION...
measure() {
    local folder=$1 program=$2 log command
    shift 2
    command=("$bin/$program")
    [[ -n ${ranks[$program]:-} ]] || ranks[$program]=$("${command[@]}" --describe | cut -f3)
    if [[ ${ranks[$program]} == 1 ]]; then
        command -v mpirun >/dev/null || return 0
        command=(mpirun -np 2 --bind-to none --oversubscribe "${command[@]}")
    fi
    log=$("${command[@]}" "${common[@]}" "$@" --out "$folder" 2>&1 >/dev/null </dev/null)
    (($? <= 1)) || die 3 "$program: $(tail -n 1 <<<"$log")"
}

# FOLDER: whole or not there, so that a stopped call leaves nothing half done. Every other launch takes the levels of
# a case the other way round, so that none of them always finds the machine warmer.
launch() {
    local folder=$1 line target name percents command level levels options
    rm -rf "$folder.part"
    for line in "${set_lines[@]}"; do
        read -r -a words <<<"$line"
        measure "$folder.part/set" "${words[@]}"
    done
    for target in "${targets[@]}"; do
        IFS='|' read -r name percents _ command <<<"$target"
        read -r -a words <<<"$command"
        levels=0
        for level in $percents; do
            if ((have % 2 == 0)); then levels+=" ${level%:*}"; else levels="${level%:*} $levels"; fi
        done
        for level in $levels; do
            options=()
            [[ $level == 0 ]] || options=(--inject-slowdown "$level")
            measure "$folder.part/$name-$level" "${words[@]}" "${options[@]}"
        done
    done
    rm -f "$folder.part"/*/*.journal "$folder.part"/*/topology.xml
    mv "$folder.part" "$folder"
}

gather() {
    local began=$SECONDS
    for ((have = 0; have < most; have++)); do
        [[ -d $pool/$(printf %04d "$have") ]] && continue
        ((SECONDS - began < minutes * 60)) || break
        launch "$pool/$(printf %04d "$have")"
        say "launch $((have + 1)), $((SECONDS - began)) of $((minutes * 60)) s"
    done
}

# draw START: fills old and new with the launches of a window, of each two neighbours one by a coin.
draw() {
    local i at
    old=() new=()
    for ((i = 0; i < launches; i++)); do
        at=$(($1 + 2 * i))
        if ((RANDOM % 2)); then old+=("$at") new+=("$((at + 1))"); else old+=("$((at + 1))") new+=("$at"); fi
    done
}

# arrange LAUNCH SLOWED PERCENT: sets folder to one with all rows of a launch, as if one run had made them; of the case
# SLOWED those that are slowed. Made once, by whoever of several is first.
arrange() {
    local from target level part
    printf -v from '%s/%04d' "$pool" "$1"
    folder=$pool/arranged/${from##*/}-$2-$3
    [[ ! -d $folder ]] || return 0
    part=$folder.$BASHPID.part
    mkdir -p "$part" || exit 2
    [[ ! -d $from/set ]] || add_rows "$from/set" "$part"
    for target in "$from"/*-0; do
        level=0
        [[ $target != "$from/$2-0" ]] || level=$3
        add_rows "${target%-0}-$level" "$part"
    done
    mv -T "$part" "$folder" 2>/dev/null || rm -rf "$part"
}
add_rows() { # FOLDER TO: a program may be in the set and a target too
    local file name
    cp -n "$1/manifest.json" "$2" || exit 2
    for file in "$1"/*.csv; do
        name=$2/${file##*/}
        if [[ -e $name ]]; then tail -n +2 "$file" >>"$name"; else cp "$file" "$name"; fi
    done
}

# judge SLOWED PERCENT: compares the drawn launches, of which the new side's case SLOWED is slowed; fills table, status.
judge() {
    local words=() launch folder
    for launch in "${old[@]}"; do arrange "$launch" none 0; words+=(-b "$folder"); done
    for launch in "${new[@]}"; do arrange "$launch" "$1" "$2"; words+=("$folder"); done
    HAND_OUT_SLOWED=$1 HAND_OUT_PERCENT=$2 HAND_OUT_FROM=$((start + 2 * launches)) HAND_OUT_OF=$have \
        HAND_OUT_POOL=$pool HAND_OUT_SEED=$RANDOM TMPDIR=$scratch \
        "$bin/compare" --all --confirm="$script" --confirm-baseline="$script" --markdown "$scratch/table.md" \
        "${words[@]}" 2>"$scratch/compare.log"
    status=$?
    ((status <= 1)) || die 2 "compare: $(tail -n 1 "$scratch/compare.log")"
    table=$(<"$scratch/table.md")
    table=${table//&#95;/_}
    if grep -q 'measuring them again' "$scratch/compare.log"; then ((second += 1)); fi
    ((again += $(awk '/them again, [0-9]+ launches|[0-9]+ launches more$/ { sub(/ launches.*/, ""); n += $NF }
        END { print n + 0 }' "$scratch/compare.log")))
    rm -rf "${scratch:?}"/*
}

# What compare calls for a second look: it hands out a launch of the pool instead of measuring. Of each two neighbours
# behind those of the first look a coin gives one to either side.
hand_out() {
    local out="" pair i coin folder
    while (($# > 0)); do
        [[ $1 != --out ]] || out=$2
        shift
    done
    pair=$((${out##*-} - 1))
    RANDOM=$HAND_OUT_SEED
    for ((i = 0; i <= pair; i++)); do coin=$((RANDOM % 2)); done
    pool=$HAND_OUT_POOL
    i=$(((HAND_OUT_FROM + 2 * pair) % HAND_OUT_OF))
    if [[ $out == */new-* ]]; then arrange $(((i + 1 - coin) % HAND_OUT_OF)) "$HAND_OUT_SLOWED" "$HAND_OUT_PERCENT"
    else arrange $(((i + coin) % HAND_OUT_OF)) none 0; fi
    ln -s "$folder" "$out" || exit 2
}
count() { tail -n +2 <<<"$table" | grep -cE "^\| ($1) \|"; } # not the head
share() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", (b > 0 ? 100 * a / b : 0) }'; }

# figure WHAT FOUND OF AIM LEAST|MOST
figure() {
    local met=yes percent
    percent=$(share "$2" "$3")
    if [[ $5 == most ]]; then awk -v x="$percent" -v y="$4" 'BEGIN { exit !(x <= y) }' || met=no
    else awk -v x="$percent" -v y="$4" 'BEGIN { exit !(x >= y) }' || met=no; fi
    [[ $4 != - ]] || met=""
    printf '%s,' "$place" "$1" "$3" "$2" "$percent" "${4/-/}" "$met" "$launches" >>"$csv"
    echo "$have" >>"$csv"
    printf '%-42s %5d of %6d = %6s %%   %s\n' "$1" "$2" "$3" "$percent" \
        "$([[ $4 == - ]] || echo "aim: at $5 $4 %$([[ $met == no ]] && echo ", MISSED")")"
}

window() { # NUMBER OF: where the window of this one of so many pairs begins
    echo $(($1 * (have - 2 * launches + 1) / $2))
}

judge_pairs() {
    local pair second=0 again=0 alarms=0 apart=0 apart_alarms=0 cases=0 slower=0 faster=0 unsure=0 start next=0
    for ((pair = 0; pair < pairs; pair++)); do
        start=$(window "$pair" "$pairs")
        draw "$start"
        judge none 0
        ((alarms += status, cases += $(count '[a-z]+'), slower += $(count 'slower|worse|missing|failed|wrong')))
        ((faster += $(count 'faster|improved'), unsure += $(count unsure)))
        ((status == 0)) || say "pair at launch $start:" "$(grep -E '^\| (slower|worse|missing)' <<<"$table")"
        ((start >= next)) || continue
        ((next = start + 2 * launches, apart += 1, apart_alarms += status))
    done
    figure "A/A pairs that alarm" "$alarms" "$pairs" 1 most
    figure "A/A pairs that needed a second look" "$second" "$pairs" - most
    echo "which took $((second > 0 ? again / second : 0)) launches a side on average"
    figure "A/A pairs without overlap that alarm" "$apart_alarms" "$apart" - most
    figure "A/A cases called slower" "$slower" "$cases" 1 most
    figure "A/A cases called faster" "$faster" "$cases" - most
    figure "A/A cases called unsure" "$unsure" "$cases" - most
}

judge_slowdowns() {
    local target name percents pattern level trial caught start line second=0 again=0
    for target in "${targets[@]}"; do
        IFS='|' read -r name percents pattern _ <<<"$target"
        for level in $percents; do
            caught=0
            for ((trial = 0; trial < trials; trial++)); do
                start=$(window "$trial" "$trials")
                draw "$start"
                judge "$name" "${level%:*}"
                line=$(grep -E "$pattern.* \| (flop_rate|call_time) \|" <<<"$table")
                if [[ $line == '| slower '* ]]; then ((caught += 1))
                else say "missed at launch $start: $line"; fi
            done
            figure "caught: $name slowed by ${level%:*} %" "$caught" "$trials" "${level#*:}" least
        done
    done
}

if [[ -n ${HAND_OUT_POOL:-} ]]; then
    hand_out "$@"
    exit
fi
place=host only="" pool="" minutes=12 most=400 launches=5 pairs=200 trials=100 csv="" have=0 workers=()
declare -A ranks=() # does this program use them?
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
read_options "place only pool minutes most launches pairs trials csv" "" "$@"
[[ $place == host || $place == device ]] || die 2 "--place: '$place' is none of host device"
check_whole minutes 0 999999
for option in most launches pairs trials; do check_whole $option 1 999999; done
[[ -n $pool ]] || pool=results/gate_power-$place
[[ -n $csv ]] || csv=$pool/gate_power.csv
script=$(readlink -f "$0")
enter_checkout pool csv
bin=$(readlink -f "$bin")
describe_work
mkdir -p "$pool" || exit 2
rm -rf "$pool/arranged" "$pool/scratch"
gather
((have >= 2 * launches)) || die 3 "$pool holds $have launches, $((2 * launches)) are needed"
echo "place,what,trials,found,percent,aim_percent,met,launches_a_side,pool_launches" >"$csv"
echo "$have launches in $pool, $launches a side"
# Two at a time, each with its own part of the figures.
for part in pairs slowdowns; do
    (
        scratch=$pool/scratch/$part csv=$pool/scratch/$part.csv RANDOM=1
        mkdir -p "$scratch" && "judge_$part" >"$pool/scratch/$part.out"
    ) &
    workers+=($!)
done
for worker in "${workers[@]}"; do wait "$worker" || exit 2; done
cat "$pool"/scratch/{pairs,slowdowns}.csv >>"$csv"
cat "$pool"/scratch/{pairs,slowdowns}.out
rm -rf "$pool/scratch" "$pool/arranged"
! grep -q ',no,' "$csv"
