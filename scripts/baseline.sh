#!/bin/bash
# baseline.sh: records what this machine gives today, as launches to compare later runs with: what `make baseline`
# calls. A record is never taken back or replaced by itself: a gate that moved its own mark would see no slow decline.
set -u

usage() {
    cat <<'END'
usage: baseline.sh [OPTION]...

  --launches NUMBER   launches to measure, at least 5 (default 5)
  --preset NAME       smoke, quick (default) or full
  --only WORD,...     suites or programs
  --from FOLDER       record this result folder (of run_all.sh --repeat 5 or more) instead of measuring
  --into FOLDER       where baselines are kept (default reports/baselines); a folder a machine is made there
  --replace           take the place of the record that is there
  --where             print this machine's folder, and stop
  --help              print this

The launches must agree among themselves (compare --halves), or nothing is recorded.
Exit status: 0 recorded, 1 the halves disagree or a result was wrong, 2 bad usage or input, 3 nothing is built here.
END
}
. "$(dirname "$(readlink -f "$0")")/options.sh"

# A name for the hardware fingerprint of a manifest: its words, and a checksum since they are cut.
name_of() {
    local hardware words
    hardware=$(sed -n 's/^[[:space:]]*"hardware":[[:space:]]*"\(.*\)".*/\1/p' "$1" | head -n 1)
    [[ -n $hardware ]] || die 2 "$1: no hardware fingerprint in it"
    words=$(tr '[:upper:]' '[:lower:]' <<<"$hardware" | tr -cs 'a-z0-9' '-' | cut -c1-60 | sed 's/^-//; s/-$//')
    echo "$words-$(cksum <<<"$hardware" | cut -d' ' -f1)"
}

launches=5 preset=quick only="" from="" into="" replace="" where=""
read_options "launches preset only from into" "replace where" "$@"
check_whole launches 5 999
enter_checkout from into
[[ -n $into ]] || into=reports/baselines

work=$(mktemp -d "${TMPDIR:-/tmp}/plumbline-baseline.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
if [[ -n $where ]]; then
    "$bin/machine" --out "$work" >/dev/null 2>"$work/log" || die 2 "$(tail -n 1 "$work/log")"
    echo "$into/$(name_of "$work/manifest.json")"
    exit 0
fi
run=$from
if [[ -z $run ]]; then
    run=$work/run
    ./run_all.sh --preset "$preset" ${only:+--only "$only"} --repeat "$launches" --out "$run" >/dev/null ||
        die $? "the run did not end well: nothing is recorded"
fi
[[ -r $run/manifest.json ]] || die 2 "$run: no result folder: no manifest.json"
repeated=$(sed -n 's/^repeat=//p' "$run/run_all.options" 2>/dev/null)
((${repeated:-1} >= 5)) || die 2 "$run: ${repeated:-1} launches are no baseline: run_all.sh --repeat 5"
! grep -ql 'on purpose (--inject-slowdown)' "$run"/*.csv || die 2 "$run: slowed on purpose: no baseline"
place=$into/$(name_of "$run/manifest.json")
[[ ! -e $place || -n $replace ]] || die 2 "$place: there is a baseline already; --replace takes its place"
"$bin/compare" --halves "$run"
status=$?
((status != 1)) || die 1 "the halves of the launches disagree: nothing is recorded; measure again on a quiet machine"
((status == 0)) || exit "$status"
mkdir -p "$place.new" && cp "$run"/*.csv "$run/manifest.json" "$place.new/" || exit 2
for file in topology.xml run_all.options; do [[ ! -r $run/$file ]] || cp "$run/$file" "$place.new/"; done
rm -rf "$place" && mv "$place.new" "$place" || exit 2
echo "$place"
