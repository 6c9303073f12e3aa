# rows.sh: for the tests of this folder: run a program, ask about the rows it wrote. Sourced, not run. Each `expect`
# prints one line that scripts/check.sh counts.

open_program() { # NAME
    program=${BUILD:-build}/bin/$1
    failures=0
    folder=$(mktemp -d) || exit 1
    trap 'rm -rf "$folder"' EXIT
}

# Arguments of the program. Leaves the rows in $folder/out and the exit status in $status.
measure() {
    timeout 120 "$program" "$@" >"$folder/out" 2>"$folder/err"
    status=$?
}

expect() { # NAME CONDITION...
    name=$1
    shift
    if "$@"; then
        echo "ok $name"
    else
        echo "not ok $name"
        echo "exit status $status"
        column variant,status | sort | uniq -c
        tail -n 20 "$folder/err"
        failures=$((failures + 1))
    fi
}

# columns NAME,.. of every row, one a line, commas between; what stands before the column reason is never quoted
column() {
    awk -F, -v names="$1" 'NR == 1 { n = split(names, name, ","); for (i = 1; i <= NF; i++) at[$i] = i; next }
        { for (k = 1; k <= n; k++) printf "%s%s", $at[name[k]], k < n ? "," : "\n" }' "$folder/out"
}
count() { column "$1" | grep -c -x -E -- "$2"; } # COLUMNS PATTERN
rows() { tail -n +2 "$folder/out" | wc -l; }

# Conditions. What a variant declines is skipped and has no result that could be right or wrong.
has() { [ "$(count "$1" "$2")" -gt 0 ]; }
all_right() { [ "$status" -eq 0 ] && has status ok && [ "$(count status 'ok|skipped')" -eq "$(rows)" ]; }
all_wrong() { [ "$status" -eq 1 ] && has status wrong && [ "$(count status 'wrong|skipped')" -eq "$(rows)" ]; }
all_skipped_for() { # REASON
    [ "$status" -eq 0 ] && [ "$(rows)" -gt 0 ] && [ "$(count status skipped)" -eq "$(rows)" ] &&
        [ "$(grep -c "$1" "$folder/out")" -eq "$(rows)" ]
}
refused() { # WORD: one line that names it, and no row
    [ "$status" -eq 2 ] && [ ! -s "$folder/out" ] && [ "$(wc -l <"$folder/err")" -eq 1 ] &&
        grep -q -- "$1" "$folder/err"
}
