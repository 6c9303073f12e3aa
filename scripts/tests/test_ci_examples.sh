#!/bin/sh
# The CI examples do what they say: their files are read as the services read them, and their script lines run, in a
# copy of the checkout's scripts, on one small program. What a machine without those services cannot do is stood in for:
# make (the programs are built), git (the base is a copy), the services' variables.
set -u
. scripts/tests/expect.sh
bin=$(readlink -f "$BUILD")
top=$PWD

python3 -c 'import yaml' 2>/dev/null && reads_yaml=yes || reads_yaml=""

# copy NAME: a checkout without its sources
copy() {
    mkdir -p "$work/$1/bench" "$work/$1/reports"
    cp -r "$top/run_all.sh" "$top/scripts" "$work/$1/"
}
stand_ins() {
    mkdir -p "$work/path"
    printf '#!/bin/sh\ncase $1 in --version | -v) echo "GNU Make 4" ;; *) echo "make $*" >>"%s/called" ;; esac\n' \
        "$work" >"$work/path/make"
    printf '#!/bin/sh\necho "git $*" >>"%s/called"\ncase $1 in worktree) cp -r . "$3" ;; esac\n' "$work" \
        >"$work/path/git"
    printf '#!/bin/sh\necho "apt-get $*" >>"%s/called"\n' "$work" >"$work/path/apt-get"
    chmod +x "$work/path"/*
}
# in_copy NAME COMMAND...: there, with what stands in
in_copy() {
    name=$1
    shift
    (cd "$work/$name" && PATH="$work/path:$PATH" BUILD="$bin" BASELINE_BUILD="$bin" DEPS=off TMPDIR="$work" "$@") \
        >"$work/log" 2>&1 </dev/null
}
# lines FILE EXPRESSION: the script lines of a YAML file, as one shell script that stops at the first that fails
lines() {
    python3 -c '
import sys, yaml
file = yaml.safe_load(open(sys.argv[1]))
print("set -e\n" + "\n".join(eval(sys.argv[2])))' "$1" "$2" |
        sed 's/--only kernels,attention/--only harness_cost/; s/--out gate$/--out gate || [ $? = 1 ]/'
}
# Which way the verdict falls is the machine's to say; that there is one, and the files with it, is asked here.
gate_left() { # NAME FOLDER
    wrong=""
    grep -qE ': (pass|FAIL)$' "$work/$2/gate/gate.md" 2>/dev/null || wrong="no table: $(tail -n 3 "$work/log")"
    grep -q '<testsuite name="plumbline"' "$work/$2/gate/gate.xml" 2>/dev/null || wrong="$wrong; no JUnit"
    grep -q '"new_launches":.*5' "$work/$2/gate/gate.json" 2>/dev/null || wrong="$wrong; not five launches in the JSON"
    [ "$(find "$work/$2/gate" -maxdepth 1 -name 'old-*' | wc -l)" = 5 ] || wrong="$wrong; not five launches of the base"
    verdict "$1"
}

[ -x "$bin/bin/harness_cost" ] && [ -x "$bin/bin/compare" ] || {
    echo "the programs are not built"
    exit 77
}
stand_ins
if [ -n "$reads_yaml" ]; then
    copy github/checkout
    lines scripts/ci/github_actions.yml \
        '[s["run"] for s in file["jobs"]["gate"]["steps"] if "run" in s]' >"$work/github.sh"
    GITHUB_BASE_REF=main GITHUB_STEP_SUMMARY="$work/summary" in_copy github/checkout bash "$work/github.sh"
    gate_left "GitHub Actions: its steps run" github/checkout
    wrong=""
    grep -qE ': (pass|FAIL)$' "$work/summary" 2>/dev/null || wrong="no summary"
    grep -q 'git worktree add ../base origin/main' "$work/called" || wrong="$wrong; git was not asked for the base"
    [ "$(grep -c '^make .*bench' "$work/called")" = 2 ] || wrong="$wrong; make was not asked for both sides"
    verdict "GitHub Actions: the summary, the base, both builds"

    copy gitlab/checkout
    : >"$work/called"
    lines scripts/ci/gitlab_ci.yml 'file["plumbline"]["before_script"] + file["plumbline"]["script"]' >"$work/gitlab.sh"
    CI_MERGE_REQUEST_TARGET_BRANCH_NAME=main in_copy gitlab/checkout bash "$work/gitlab.sh"
    gate_left "GitLab CI: its script runs" gitlab/checkout
    wrong=""
    grep -q '^git fetch origin main' "$work/called" || wrong="git was not asked for the target branch"
    verdict "GitLab CI: the target branch"
else
    skip "GitHub Actions and GitLab CI" "no python3 with yaml to read them"
fi

# Slurm: the job as the batch system runs it, against a record made here
copy slurm
in_copy slurm scripts/baseline.sh --preset smoke --only harness_cost
status=$? wrong=""
if [ "$status" = 1 ] && grep -q 'halves' "$work/log"; then
    skip "Slurm cron" "this machine's launches do not agree among themselves now"
    finish
fi
[ "$status" = 0 ] || wrong="exit status $status: $(tail -n 3 "$work/log")"
[ "$(find "$work/slurm/reports/baselines" -name harness_cost.csv | wc -l)" = 1 ] || wrong="$wrong; no record"
verdict "a baseline of this machine is recorded"
in_copy slurm scripts/baseline.sh --preset smoke --only harness_cost
status=$? wrong=""
grep -q 'there is a baseline already' "$work/log" || wrong="$(tail -n 1 "$work/log")"
[ "$status" = 2 ] || wrong="$wrong; exit status $status"
verdict "and not taken the place of without being asked"
SLURM_SUBMIT_DIR="$work/slurm" SLURM_JOB_ID=7 in_copy slurm bash scripts/ci/slurm_cron.sbatch
status=$? wrong=""
case $status in
0 | 1) ;; # 1: a program of nanoseconds may really run slower on a busy machine
*) wrong="exit status $status: $(tail -n 3 "$work/log")" ;;
esac
grep -q '"baseline_launches":.*5' "$work/slurm/results/gate-7/gate.json" 2>/dev/null ||
    wrong="$wrong; no five launches of a baseline"
verdict "Slurm cron: the job compares with the record"
finish
