#!/bin/sh
# --inject-fault makes every program say `wrong` in every row of its smoke preset on the host that is measured at all,
# and exit 1. (scripts/check_gpu.sh asks the same of device variants.)
set -u
. scripts/tests/expect.sh

for name in $(programs); do
    if ! "$BUILD/bin/$name" --help | grep -q ', host$'; then
        skip "$name" "no host variant"
        continue
    fi
    program "$name" --preset smoke --place host --time-cap 0.01 --inject-fault >"$work/rows" 2>"$work/log"
    status=$? wrong=""
    [ "$status" = 1 ] || wrong="exit status $status, not 1: $(tail -n 1 "$work/log")"
    column status <"$work/rows" | sort | uniq -c >"$work/kinds"
    grep -q ' wrong$' "$work/kinds" || wrong="$wrong; no row is wrong"
    grep -vqE ' (wrong|skipped)$' "$work/kinds" && wrong="$wrong; not every row is: $(tr '\n' ' ' <"$work/kinds")"
    fields <"$work/rows" | awk -F'\t' 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        $at["status"] == "wrong" && ($at["value"] != "" || $at["reason"] !~ /tolerance/) { bad = 1 }
        END { exit bad }' ||
        wrong="$wrong; a wrong row has a value, or its reason names no tolerance"
    verdict "$name ($(awk '$2 == "wrong" { print $1 }' "$work/kinds") rows wrong)"
done
finish
