#!/bin/sh
# The questions in plots.def are the programs' own.
set -u
BIN=${BUILD:-build}/bin
failures=0 seen=0
for program in $(sed -nE 's/^(PLOT|HEAT_MAP|ROOFLINE|SCATTER)\(([a-z_0-9]+),.*/\2/p' reports/plots.def | uniq); do
    [ -x "$BIN/$program" ] || continue
    question=$("$BIN/$program" --describe | cut -f 4)
    seen=$((seen + 1))
    if ! grep -E -A 1 "^(PLOT|HEAT_MAP|ROOFLINE|SCATTER)\($program," reports/plots.def | head -n 2 | tr -s '\n ' ' ' |
        grep -qF "($program, \"$question\""; then
        echo "plots.def has another question than $program: $question" >&2
        failures=$((failures + 1))
    fi
done
if [ "$seen" -eq 0 ]; then
    echo "no program is built"
    exit 77
fi
[ "$failures" -eq 0 ]
