# rows.sh: for tests of one program after another: run it, ask about the rows it wrote. Read by the test scripts, which
# run from the repository root. Each `expect` prints one line that scripts/check.sh counts.
# shellcheck shell=sh
. scripts/tests/expect.sh

open_program() { program=$BUILD/bin/$1; } # NAME
# These skip the whole test: a program that cannot be launched, or has no device.
open_ranks() { # NAME
    open_program "$1"
    has_launcher || { echo "no mpirun"; exit 77; }
    [ -x "$program" ] || { echo "$1 was not built (no MPI)"; exit 77; }
}
needs_device() {
    [ -x "$program" ] || { echo "$program was not built"; exit 77; }
    "$program" --place device --list >"$work/out" 2>"$work/err"
    status=$?
    [ $status -eq 3 ] && { echo "no device: $(sed 's/.*not here: //' "$work/err")"; exit 77; }
    [ $status -eq 0 ] || { not_ok "a device" "$(ending $status): $(tail -n 1 "$work/err")"; finish; }
}
open_device() { # NAME
    open_program "$1"
    needs_device
}

# Arguments of the program, or of mpirun. Leave the rows in $work/out and the exit status in $status. PROGRAM_TIMEOUT is
# for who runs tests side by side.
measure() {
    timeout "${PROGRAM_TIMEOUT:-120}" "$program" "$@" >"$work/out" 2>"$work/err"
    status=$?
}
launch() {
    timeout "${PROGRAM_TIMEOUT:-120}" mpirun --oversubscribe --bind-to none "$@" >"$work/out" 2>"$work/err"
    status=$?
}

expect() { # NAME CONDITION...
    name=$1
    shift
    if "$@"; then
        ok "$name"
    else
        not_ok "$name" "$(ending "$status"), $(rows) rows"
        column variant,status,metric <"$work/out" | sort | uniq -c
        tail -n 20 "$work/err"
    fi
}

count() { column "$1" <"$work/out" | grep -c -x -E -- "$2"; } # COLUMNS PATTERN
rows() { tail -n +2 "$work/out" | wc -l; }

# Conditions. What a variant declines is skipped and has no result that could be right or wrong.
has() { [ "$(count "$1" "$2")" -gt 0 ]; }
all_ok() { [ "$status" -eq 0 ] && has status ok && [ "$(count status ok)" -eq "$(rows)" ]; }
all_exact() { all_ok && [ "$(count error,tolerance 0,0)" -eq "$(rows)" ]; }
all_right() { [ "$status" -eq 0 ] && has status ok && [ "$(count status 'ok|skipped')" -eq "$(rows)" ]; }
exact_or_skipped() { # at least one row
    [ "$status" -eq 0 ] && has status 'ok|skipped' && [ "$(count status,error 'ok,0|skipped,')" -eq "$(rows)" ]
}
all_wrong() { [ "$status" -eq 1 ] && has status wrong && [ "$(count status 'wrong|skipped')" -eq "$(rows)" ]; }
all_skipped() { [ "$status" -eq 0 ] && has status skipped && [ "$(count status skipped)" -eq "$(rows)" ]; }
all_skipped_for() { all_skipped && [ "$(grep -c "$1" "$work/out")" -eq "$(rows)" ]; } # REASON
one_skipped_for() { all_skipped_for "$1" && [ "$(rows)" -eq 1 ]; }
refused() { # WORD: one line that names it, and no row
    [ "$status" -eq 2 ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ] && grep -q -- "$1" "$work/err"
}
