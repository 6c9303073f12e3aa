#!/bin/bash
# gate.sh: measures several launches and compares them with a baseline: what `make gate` calls. See --help.
set -u

usage() {
    cat <<'END'
usage: gate.sh [OPTION]...

  --baseline FOLDER    launches recorded earlier (default: reports/baselines/ of this machine, see baseline.sh)
  --against CHECKOUT   instead of a record another checkout or installation of the suite, built: both are measured
                       here and now, in turn. Its build folder is CHECKOUT/build, or BASELINE_BUILD
  --limits FILE        shares of physical limits that must be reached; alone it needs no baseline
  --preset NAME        smoke, quick or full (default: the baseline's, else smoke)
  --only WORD,...      suites or programs (default: the baseline's)
  --launches NUMBER    launches a side (default 5; fewer than 5 decide little)
  --out FOLDER         results and verdicts: gate.md, gate.xml (JUnit), gate.json (default results/gate-<UTC time>)
  --no-confirm         do not measure again what is suspect
  --help               print this

Exit status: 0 pass, 1 regression, 2 bad usage or input, 3 baseline missing or of other hardware.
END
}
. "$(dirname "$(readlink -f "$0")")/options.sh"

# What the baseline was made with holds for the new run too, or cases would be missing.
recall() { sed -n "s/^$1=//p" "$baseline/run_all.options" 2>/dev/null; }

find_baseline() {
    [[ -z $against ]] || return 0
    if [[ -z $baseline ]]; then
        baseline=$(scripts/baseline.sh --where) || die 3 "no baseline of this machine: make baseline records one"
        if [[ ! -d $baseline ]]; then
            [[ -n $limits ]] || die 3 "no baseline of this machine ($baseline): make baseline records one"
            baseline=""
            return 0
        fi
    fi
    [[ -d $baseline ]] || die 3 "--baseline: '$baseline' is no folder"
    [[ -n $preset ]] || preset=$(recall preset)
    [[ -n $only ]] || only=$(recall only)
}

# run CHECKOUT BUILD OPTION...: one run of its run_all.sh; statuses 1 and 3 are for compare to judge
run() {
    local checkout=$1 build=$2
    shift 2
    set -- --preset "${preset:-smoke}" "${select[@]}" "$@"
    if [[ -n $build ]]; then BUILD=$build "$checkout/run_all.sh" "$@" >/dev/null
    else env -u BUILD "$checkout/run_all.sh" "$@" >/dev/null; fi
    (($? != 2 && $? < 128)) || die 2 "$checkout/run_all.sh could not measure into ${*: -1}"
}

# Both sides in turn, and each first every other time, so that a machine that slows down meanwhile favours neither.
measure_in_turn() {
    local launch
    for ((launch = 1; launch <= launches; launch++)); do
        ((launch % 2 == 0)) || run "$against" "${BASELINE_BUILD:-}" --out "$out/old-$launch"
        run . "${BUILD:-}" --out "$out/new-$launch"
        ((launch % 2 == 1)) || run "$against" "${BASELINE_BUILD:-}" --out "$out/old-$launch"
        words+=(-b "$out/old-$launch" "$out/new-$launch")
    done
    [[ -n $no_confirm ]] || words+=(--confirm="$PWD/run_all.sh" --confirm-baseline="$against/run_all.sh")
}

measure_new() {
    run . "${BUILD:-}" --repeat "$launches" --out "$out/new"
    [[ -z $baseline ]] || words+=(-b "$baseline")
    words+=("$out/new")
    [[ -n $no_confirm || -z $baseline ]] || words+=(--confirm="$PWD/run_all.sh")
}

baseline="" against="" limits="" preset="" only="" launches=5 out="" no_confirm="" words=() select=()
read_options "baseline against limits preset only launches out" no-confirm "$@"
[[ -z $baseline || -z $against ]] || die 2 "--baseline and --against: one of them"
check_whole launches 1 999
[[ -z $limits || -r $limits ]] || die 2 "--limits: '$limits' cannot be read"
enter_checkout baseline against limits out
[[ -z $against || -x $against/run_all.sh ]] || die 3 "--against: '$against' has no run_all.sh"
find_baseline
[[ -n $out ]] || out=$PWD/results/gate-$(date -u +%Y%m%dT%H%M%SZ)
[[ ! -e $out/new && ! -e $out/new-1 ]] || die 2 "--out: '$out' holds a gate already"
mkdir -p "$out" || exit 2
[[ -z $only ]] || select=(--only "$only")
[[ -z $limits ]] || words+=(--limits "$limits")
if [[ -n $against ]]; then measure_in_turn
else measure_new; fi
"$bin/compare" "${words[@]}" --markdown "$out/gate.md" --junit "$out/gate.xml" --json "$out/gate.json"
status=$?
say "verdicts: $out/gate.md, gate.xml, gate.json"
exit "$status"
