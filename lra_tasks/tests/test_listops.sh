#!/bin/sh
# The program listops: a right run, injected faults, and what it declines. From the repository root, with $BUILD set.
set -u
program=${BUILD:-build}/bin/listops
[ -x "$program" ] || { echo "no $program"; exit 77; }
"$program" --describe >/dev/null 2>&1 || { echo "$program does not start"; exit 1; }
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
fail() { echo "FAILED: $*"; exit 1; }

"$program" --preset smoke >"$folder/right.csv" 2>"$folder/log"
status=$?
if grep -q 'built without OpenBLAS' "$folder/right.csv"; then echo "built without OpenBLAS"; exit 77; fi
[ $status -eq 0 ] || { cat "$folder/log"; fail "smoke ended with $status"; }
for metric in steps_rate token_rate flop_rate accuracy loss bound_largest_class bound_first_operator memory; do
    grep -q ",$metric,.*,ok," "$folder/right.csv" || fail "no row ok with $metric"
done

"$program" --preset smoke --inject-fault >"$folder/wrong.csv" 2>"$folder/log"
[ $? -eq 1 ] || fail "an injected fault did not end with 1"
grep -q ',wrong,' "$folder/wrong.csv" || fail "an injected fault made no row wrong"
! grep -q ',ok,' "$folder/wrong.csv" || fail "an injected fault left a row ok"

# the same losses and scores with other threads: fields metric, value
scores() { grep -oE '(accuracy|loss|bound_[a-z_]*),[0-9.]+' "$1"; }
"$program" --preset smoke --threads 1 >"$folder/one.csv" 2>"$folder/log" || fail "smoke with one thread"
[ -n "$(scores "$folder/right.csv")" ] && [ "$(scores "$folder/right.csv")" = "$(scores "$folder/one.csv")" ] ||
    fail "scores differ between thread counts"

"$program" --preset smoke --heads 3 >"$folder/heads.csv" 2>"$folder/log"
grep -q ',skipped,.*heads do not divide width' "$folder/heads.csv" || fail "three heads of width 64 were not skipped"
"$program" --preset smoke --steps 500000 >"$folder/long.csv" 2>"$folder/log"
grep -q ',skipped,.*would take' "$folder/long.csv" || fail "a training beyond the time limit was not skipped"
for bad in "--lengths medium" "--steps 0" "--batch 99999" "--attention linear" "--learning-rate x"; do
    # shellcheck disable=SC2086
    "$program" --preset smoke $bad >/dev/null 2>"$folder/log"
    [ $? -eq 2 ] || fail "$bad did not end with 2"
done
