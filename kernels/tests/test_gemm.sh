#!/bin/sh
# gemm from end to end on the host: right results measured, injected faults found in every row, bad words refused.
set -eu
gemm=$BUILD/bin/gemm
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { echo "$1" >&2; exit 1; }
# value of a column in the CSV $2, a line for each row; no field here holds a comma before `status`
column() {
    awk -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i; next } { print $at }' "$2"
}

set +e
"$gemm" --place host --shape all --size 64 --tokens 32 --preset smoke --time-cap 0.01 \
    >"$folder/right.csv" 2>"$folder/log"
status=$?
set -e
[ "$status" -eq 0 ] || fail "a run without faults ended with status $status: $(tail -1 "$folder/log")"
column status "$folder/right.csv" | sort -u >"$folder/statuses"
grep -qx ok "$folder/statuses" || fail "no row is ok"
grep -qxE 'wrong|failed|timeout' "$folder/statuses" && fail "a run without faults has bad rows"
for shape in square qkv attention_output mlp_up mlp_down logits; do
    column shape "$folder/right.csv" | grep -qx "$shape" || fail "no row of shape $shape"
done

set +e
"$gemm" --place host --preset smoke --time-cap 0.01 --inject-fault >"$folder/wrong.csv" 2>"$folder/log"
status=$?
set -e
[ "$status" -eq 1 ] || fail "--inject-fault ended with status $status, not 1"
column status "$folder/wrong.csv" | sort -u >"$folder/statuses"
grep -qx wrong "$folder/statuses" || fail "--inject-fault: no row says wrong"
grep -qxE 'ok|failed|timeout' "$folder/statuses" && fail "--inject-fault: not every row says wrong"

for words in "--shape octagonal" "--dtype fp7" "--size 0" "--tokens -1" "--size 1e" "--size 99999999999999999999"; do
    set +e
    # shellcheck disable=SC2086
    "$gemm" $words >"$folder/bad.csv" 2>"$folder/log"
    status=$?
    set -e
    [ "$status" -eq 2 ] || fail "$words ended with status $status, not 2"
    [ "$(wc -l <"$folder/log")" -eq 1 ] || fail "$words: not one line of error"
    [ ! -s "$folder/bad.csv" ] || fail "$words wrote rows"
done
