# launch.sh: for the tests of this folder: launches of a program under mpirun and questions about the rows it wrote.
# Sourced, not run. Each `expect` prints one line that scripts/check.sh counts.

open_program() { # NAME; skips the test where the program cannot be launched
    program=${BUILD:-build}/bin/$1
    command -v mpirun >/dev/null 2>&1 || { echo "no mpirun"; exit 77; }
    [ -x "$program" ] || { echo "$program was not built (no MPI)"; exit 77; }
    if [ "$(id -u)" = 0 ]; then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
    failures=0
    folder=$(mktemp -d) || exit 1
    trap 'rm -rf "$folder"' EXIT
    # For sanitized builds: what Open MPI itself never frees. Its plug-ins are unloaded by then, so only whole stacks,
    # which the fast unwinder does not give, show whose it is.
    printf 'leak:%s\n' libmpi.so libopen-rte.so libopen-pal.so libpmix.so libevent >"$folder/leaks"
    export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}fast_unwind_on_malloc=0"
    export LSAN_OPTIONS="suppressions=$folder/leaks:print_suppressions=0"
}

# Arguments of mpirun. Leaves the rows in $folder/out and the exit status in $status.
launch() {
    timeout 120 mpirun --oversubscribe --bind-to none "$@" >"$folder/out" 2>"$folder/err"
    status=$?
}

expect() { # NAME CONDITION...
    name=$1
    shift
    if "$@"; then
        echo "ok $name"
    else
        echo "not ok $name"
        echo "exit status $status, rows: $(rows)"
        column variant,status,metric | sort | uniq -c
        tail -n 20 "$folder/err"
        failures=$((failures + 1))
    fi
}

# columns NAME,.. of every row, one a line, commas between; what stands before the column reason is never quoted
column() {
    awk -F, -v names="$1" 'NR == 1 { n = split(names, name, ","); for (i = 1; i <= NF; i++) at[$i] = i; next }
        { for (k = 1; k <= n; k++) printf "%s%s", $at[name[k]], k < n ? "," : "\n" }' "$folder/out"
}
count() { column "$1" | grep -c -x -- "$2"; } # COLUMNS VALUES
rows() { tail -n +2 "$folder/out" | wc -l; }

# Conditions.
all_ok() { [ $status -eq 0 ] && [ "$(rows)" -gt 0 ] && [ "$(count status ok)" -eq "$(rows)" ]; }
all_exact() { all_ok && [ "$(count error,tolerance 0,0)" -eq "$(rows)" ]; }
has() { [ "$(count "$1" "$2")" -gt 0 ]; }
# what a variant declines has no result to corrupt; everything else must be wrong, and something must
all_wrong() {
    [ $status -eq 1 ] && has status wrong && [ $(($(count status wrong) + $(count status skipped))) -eq "$(rows)" ]
}
skipped_for() { [ $status -eq 0 ] && [ "$(rows)" -eq 1 ] && has status skipped && grep -q "$1" "$folder/out"; }
