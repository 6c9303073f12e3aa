#!/bin/bash
# run_all.sh: runs every benchmark program into one result folder and makes the report. See --help, scripts/README.md.
# Works in a checkout after `make bench` (BUILD names another build folder) and where `make install` put it.
set -u

usage() {
    cat <<'END'
usage: run_all.sh [OPTION]...

  --preset NAME       smoke (seconds a program), quick (default) or full (the grids of the papers)
  --only WORD,...     only these suites or programs (see --list)
  --out FOLDER        the result folder (default: results/<UTC time>-<host>)
  --resume FOLDER     go on with a run that was stopped; its own options hold
  --cases FILE        instead of whole programs, only what its lines PROGRAM OPTION... ask for; no report
  --repeat NUMBER     launch every program that often (default 1), so that two runs compare launch by launch
  --launcher NAME     how programs that use ranks are started: auto (default), mpirun or srun
  --gate BASELINE     compare with an earlier result folder at the end; its verdict is the exit status
  --list              print suite, program and question, and stop
  --dry-run           print the commands, and stop
  --help              print this

Ranks: as many as GPUs where there are two or more, else as many as cores, eight at most; under Slurm, the job's tasks.
Exit status: 0 measured, 1 a result was wrong or a case failed, 2 bad usage or input, 3 nothing could be measured here,
128 + n stopped by signal n; with --gate also 1 regression, 3 baseline missing or of other hardware.
END
}

say() { printf '%s\n' "$*" >&2; }
die() {
    say "run_all.sh: ${*:2}"
    exit "$1"
}
has_command() { command -v "$1" >/dev/null 2>&1; }

# 1. What there is to run

find_programs() {
    local here name described suite ranks question
    here=$(dirname "$(readlink -f "$0")")
    if [[ -d $here/bench ]]; then # a checkout
        build=${BUILD:-build}
        [[ $build == /* ]] || build=$here/$build
        bin=$build/bin/ list_file=$build/programs
    else # PREFIX/share/plumbline
        bin=$(readlink -f "$here/../../bin")/plumbline- list_file=$here/programs
    fi
    [[ -r $list_file ]] || die 3 "no programs are built here ($list_file): run 'make bench' first"
    while read -r name; do
        described=$("$bin$name" --describe 2>&1) ||
            die 3 "$bin$name cannot be run here (status $?): $(grep -m 1 . <<<"$described"); 'make bench' builds it"
        IFS=$'\t' read -r suite _ ranks question < <(grep $'\t' <<<"$described") ||
            die 3 "$bin$name --describe says nothing of use: '$described'"
        programs+=("$name")
        suite_of[$name]=$suite ranks_of[$name]=$ranks question_of[$name]=$question
    done <"$list_file"
    ((${#programs[@]} > 0)) || die 3 "no programs are built here ($list_file is empty)"
}

# Keeps of programs what --only names, in the order they are built in.
select_programs() {
    local word name kept=()
    [[ -n $only ]] || return 0
    local -A known=() wanted=()
    for name in "${programs[@]}"; do known[$name]=1 known[${suite_of[$name]}]=1; done
    while read -r -d, word; do
        [[ -n $word && -n ${known[$word]:-} ]] ||
            die 2 "--only: '$word' is none of $(printf '%s\n' "${!known[@]}" | sort | paste -sd' ')"
        wanted[$word]=1
    done <<<"$only,"
    for name in "${programs[@]}"; do
        [[ -n ${wanted[$name]:-}${wanted[${suite_of[$name]}]:-} ]] && kept+=("$name")
    done
    programs=("${kept[@]}")
}

list_programs() {
    local name
    for name in "${programs[@]}"; do
        printf '%-12s %-20s %s\n' "${suite_of[$name]}" "$name" "${question_of[$name]}"
    done
}

# 2. Options

one_of() { # one_of OPTION WORD VALID...
    local valid
    for valid in "${@:3}"; do [[ $2 == "$valid" ]] && return; done
    die 2 "$1: '$2' is none of ${*:3}"
}
check_repeat() {
    [[ $repeat =~ ^[1-9][0-9]{0,3}$ ]] || die 2 "--repeat: '$repeat' is not a whole number from 1 to 9999"
}

parse_options() {
    local option value fresh=""
    while (($# > 0)); do
        option=$1
        shift
        case $option in
        --help) usage; exit 0 ;;
        --list) action=list; continue ;;
        --dry-run) action=dry_run; continue ;;
        --*=*) value=${option#*=} option=${option%%=*} ;;
        --preset | --only | --cases | --out | --resume | --repeat | --launcher | --gate)
            (($# > 0)) || die 2 "$option: lacks its value; see --help"
            value=$1
            shift
            ;;
        esac
        case $option in
        --preset) one_of --preset "$value" smoke quick full; preset=$value fresh=$option ;;
        --only) [[ -n $value ]] || die 2 "--only: lacks its value; see --list"; only=$value fresh=$option ;;
        --cases) [[ -r $value ]] || die 2 "--cases: '$value' cannot be read"; cases=$value fresh=$option ;;
        --out) [[ -n $value ]] || die 2 "--out: lacks its value; see --help"; out=$value fresh=$option ;;
        --resume) [[ -n $value ]] || die 2 "--resume: lacks its value; see --help"; resume=$value ;;
        --repeat) repeat=$value fresh=$option; check_repeat ;;
        --launcher) one_of --launcher "$value" auto mpirun srun; launcher=$value ;;
        --gate) gate=$value ;;
        *) die 2 "'$option' is no option; valid: --preset --only --cases --out --resume --repeat --launcher --gate" \
            "--list --dry-run --help" ;;
        esac
    done
    [[ -z $resume || -z $fresh ]] ||
        die 2 "$fresh: the run to resume has its own; valid beside --resume: --launcher --gate"
}

# 3. The result folder

# A run is resumed with the options it was begun with.
recall_options() {
    local line file=$resume/run_all.options
    [[ -d $resume ]] || die 2 "--resume: '$resume' is no folder"
    [[ -r $file ]] || die 2 "--resume: '$resume' holds no run of run_all.sh (no $file)"
    while IFS= read -r line || [[ -n $line ]]; do
        case $line in
        preset=smoke | preset=quick | preset=full) preset=${line#*=} ;;
        only=*) only=${line#*=} ;;
        cases=*) cases=${line#*=} ;;
        repeat=*) repeat=${line#*=}; check_repeat ;;
        complete=yes) complete=yes ;;
        *) die 2 "$file: damaged: '$line'" ;;
        esac
    done <"$file"
    [[ -n $complete ]] || die 2 "$file: damaged: its end is missing"
    out=$resume
}

prepare_folder() {
    local error
    if [[ -z $resume ]]; then
        [[ -n $out ]] || out=results/$(date -u +%Y%m%dT%H%M%SZ)-$(uname -n | cut -d. -f1)
        if [[ -e $out/run_all.options ]] || compgen -G "$out/*.journal" >/dev/null; then
            die 2 "--out: '$out' holds a run already; go on with it by --resume $out"
        fi
        error=$(mkdir -p -- "$out" 2>&1) || die 2 "--out: '$out': ${error##*: }"
        error=$({
            printf 'preset=%s\nonly=%s\ncases=%s\nrepeat=%s\ncomplete=yes\n' "$preset" "$only" "$cases" "$repeat" \
                >"$out/run_all.options.new" && mv -- "$out/run_all.options.new" "$out/run_all.options"
        } 2>&1) || die 2 "--out: '$out': ${error##*: }"
    fi
    { : >>"$out/run_all.options"; } 2>/dev/null || die 2 "--out: '$out' is not writable"
    # Programs inherit the lock: a run killed alone still holds it until its program has ended.
    if has_command flock; then
        exec 9<"$out/run_all.options"
        flock -w 15 9 || die 2 "--resume: '$out': another run is writing here"
    fi
}

# 4. Ranks

rank_count() {
    local gpus cores
    if [[ -n ${SLURM_NTASKS:-} ]] || [[ $launcher == srun ]]; then
        echo "${SLURM_NTASKS:-1}"
        return
    fi
    if [[ -n ${CUDA_VISIBLE_DEVICES+set} ]]; then gpus=$(tr ',' '\n' <<<"$CUDA_VISIBLE_DEVICES" | grep -c '[^-]')
    else gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU '); fi
    cores=$(lscpu -p=CORE,SOCKET 2>/dev/null | grep -v '^#' | sort -u | wc -l)
    ((cores >= 1 && cores <= $(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc))) ||
        cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
    if ((gpus >= 2)); then echo "$gpus"; else echo $((cores < 8 ? cores : 8)); fi
}

choose_launcher() {
    if [[ $launcher == auto ]]; then
        if [[ -n ${SLURM_JOB_ID:-} ]] && has_command srun; then launcher=srun
        elif has_command mpirun; then launcher=mpirun
        else launcher=none; fi
    fi
    case $launcher in
    none) return ;;
    *) has_command "$launcher" || die 3 "--launcher: '$launcher' is not on this machine" ;;
    esac
    local count
    count=$(rank_count)
    if [[ $launcher == srun ]]; then
        [[ -n ${SLURM_JOB_ID:-} ]] || die 3 "--launcher: 'srun' needs a Slurm allocation (salloc or sbatch)"
        launch=(srun --ntasks="$count" --cpu-bind=none)
        srun --mpi=list 2>&1 | grep -qw pmix && launch+=(--mpi=pmix)
    elif mpirun --version 2>/dev/null | grep -q "Open MPI"; then
        launch=(mpirun -np "$count" --bind-to none --map-by slot:OVERSUBSCRIBE)
        if ((EUID == 0)); then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
    else
        launch=(mpirun -np "$count")
    fi
}

# 5. Running

# The first signal lets the program end by itself, the second does not.
# shellcheck disable=SC2317 # called by traps
forward() {
    local signal=$1
    [[ -z $interrupted ]] || signal=KILL
    interrupted=$1
    if ((child > 0)); then kill -s "$signal" -- "-$child" 2>/dev/null
    else stop_here "$(signal_status)"; fi
}
signal_status() { case $interrupted in INT) echo 130 ;; HUP) echo 129 ;; *) echo 143 ;; esac; }

# run_logged LOG COMMAND...: leaves the exit status in status. The program has a process group of its own, so that it
# gets each signal once, from us; it dies with us even when we are killed without a chance to tell it.
run_logged() {
    local log=$1 command=("${@:2}")
    if setpriv --pdeathsig TERM true 2>/dev/null; then command=(setpriv --pdeathsig TERM "${command[@]}"); fi
    if [[ -t 2 ]]; then "${command[@]}" </dev/null >/dev/null 2> >(exec tee -ai -- "$log" >&2 9<&-) &
    else "${command[@]}" </dev/null >/dev/null 2>>"$log" & fi
    child=$!
    while wait "$child" 2>/dev/null; status=$?; kill -0 "$child" 2>/dev/null; do :; done
    child=0
    [[ -z $interrupted ]] || stop_here "$(signal_status)"
}

last_line() { grep -v '^[[:space:]]*$' "$1" 2>/dev/null | tail -n 1; }
finished_cases() { cat -- "$1" 2>/dev/null | grep -c '^done '; }

stop_here() {
    say "stopped; every finished row is kept. To go on: $0 --resume $out"
    exit "$1"
}

# One launch of one program. When it dies the case under way becomes a row, and it is launched again for the rest: as
# long as each launch finishes a case, so that it ends.
run_program() { # NAME LAUNCH OPTION...
    local name=$1 number=$2 command journal=$out/$1.journal log=$out/$1.log before after began=$SECONDS
    command=("$bin$name" --resume "$out" --preset "$preset" --launch "$number" "${@:3}")
    ((ranks_of[$name] == 0)) || command=("${launch[@]}" "${command[@]}")
    if [[ $action == dry_run ]]; then
        echo "${command[*]@Q}"
        return
    fi
    before=-1
    while :; do
        run_logged "$log" "${command[@]}"
        case $status in
        0 | 1 | 3) break ;;
        2)
            say "run_all.sh: $(last_line "$log")"
            [[ -z $cases ]] || return # a case of another version of the program
            stop_here 2
            ;;
        130 | 143) stop_here "$status" ;;
        esac
        died[$name]=1
        after=$(finished_cases "$journal")
        if ((after == before)); then
            say "  $name died with status $status and again without finishing a case; left as it is (see $log)"
            return
        fi
        say "  $name died with status $status; going on after the case under way"
        before=$after
        [[ ${command[-1]} == --failed-in-flight ]] || command+=(--failed-in-flight)
    done
    say "  $(if [[ -t 2 ]]; then echo "$name:"; else echo "$(last_line "$log"),"; fi) $((SECONDS - began)) s"
}

# The journal knows what came of each case, in whichever launch or resumed part of the run.
became() { grep -qE "^done [0-9]+ [0-9]+ ($2) " "$out/$1.journal" 2>/dev/null; }

run_programs() {
    local number index name
    for ((number = 1; number <= repeat; number++)); do
        for ((index = 0; index < ${#programs[@]}; index++)); do
            name=${programs[index]}
            [[ $action == dry_run ]] || say "$( ((repeat > 1)) && echo "launch $number/$repeat, ")program $((index +
                1))/${#programs[@]} $name (${question_of[$name]})"
            run_program "$name" "$number"
        done
    done
}

run_cases() {
    local number words
    for ((number = 1; number <= repeat; number++)); do
        while read -r -a words; do
            [[ -n ${words[0]:-} ]] || continue
            if [[ -z ${suite_of[${words[0]}]:-} ]]; then say "  ${words[0]}: not built here, left out"
            else run_program "${words[0]}" "$number" "${words[@]:1}"; fi
        done < <(cat -- "$cases")
    done
}

write_manifest() {
    [[ -x ${bin}machine ]] || return 0
    run_logged "$out/machine.log" "${bin}machine" --out "$out"
    if ((status != 0)); then
        say "run_all.sh: $(last_line "$out/machine.log")"
        stop_here 2
    fi
    [[ -s $out/machine.log ]] || rm -f -- "$out/machine.log"
}

# Latency, bandwidth and break points of the collectives' curves; 3: there are none.
write_fits() {
    [[ -x ${bin}fit ]] || return 0
    "${bin}fit" "$out" 2>"$out/fit.log"
    case $? in
    0) say "  $(last_line "$out/fit.log")" ;;
    3) rm -f -- "$out/fit.log" ;;
    *) say "run_all.sh: $(last_line "$out/fit.log")" ;;
    esac
}

write_report() {
    if [[ ! -x ${bin}report ]]; then
        say "no report: ${bin}report is not built"
        return
    fi
    local message
    if message=$("${bin}report" "$out" 2>&1 >/dev/null); then echo "$out/report/index.html"
    else
        say "$message"
        say "run_all.sh: the report failed; the rows are in $out"
        report_failed=1
    fi
}

# The summary's last line, and the exit status.
conclude() {
    local name wrong=0 here=0 verdict=0
    for name in "${programs[@]}"; do
        if [[ -n ${died[$name]:-} ]] || became "$name" "wrong|failed|timeout"; then
            wrong=$((wrong + 1))
            say "wrong or failed: $name (see $out/$name.csv, $out/$name.log)"
        elif became "$name" ok; then here=$((here + 1)); fi
    done
    say "programs: $here measured, $wrong wrong or failed, $((${#programs[@]} - here - wrong)) not possible here;" \
        "$((SECONDS / 60)) min $((SECONDS % 60)) s"
    if ((wrong > 0 || report_failed)); then status=1
    elif ((here > 0)); then status=0
    else status=3; fi
    if [[ -n $gate ]]; then
        "${bin}compare" "$gate" "$out"
        verdict=$?
        ((verdict == 0)) || status=$verdict
    fi
    exit "$status"
}

declare -a programs=() launch=()
declare -A suite_of=() ranks_of=() question_of=() died=()
preset=quick only="" cases="" out="" resume="" repeat=1 launcher=auto gate="" action=run complete=""
child=0 status=0 interrupted="" report_failed=0

parse_options "$@"
[[ -z $resume ]] || recall_options
find_programs
select_programs
if [[ $action == list ]]; then
    list_programs
    exit 0
fi
[[ -z $gate || -d $gate ]] || die 3 "--gate: '$gate' is no folder"
[[ -z $gate || -x ${bin}compare ]] || die 3 "--gate: ${bin}compare is not built"
choose_launcher
if [[ $action == dry_run ]]; then
    [[ -n $out ]] || out=results/TIME-HOST
    run_programs
    exit 0
fi
prepare_folder
set -m
trap 'forward INT' INT
trap 'forward TERM' TERM
trap 'forward HUP' HUP
say "preset $preset into $out: ${programs[*]}"
write_manifest
if [[ -n $cases ]]; then run_cases
else
    run_programs
    write_fits
    write_report
fi
conclude
