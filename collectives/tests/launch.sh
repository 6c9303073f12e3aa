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
    results=$folder/results
    export PLUMBLINE_TEST=$folder # tells our ranks from others'
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

process_of_rank() { # NUMBER: of the program itself, not of its launcher
    for id in $(pgrep -f "^$program"); do
        tr '\0' '\n' <"/proc/$id/environ" 2>/dev/null | grep -q "^OMPI_COMM_WORLD_RANK=$1\$" &&
            tr '\0' '\n' <"/proc/$id/environ" | grep -q "^PLUMBLINE_TEST=$folder\$" && echo "$id"
    done
}
any_left() { for number in 0 1 2; do process_of_rank $number; done; }
none_left() { # the kernel may need a moment for the dead
    for try in 1 2 3 4 5 6 7 8 9 10; do
        [ -z "$(any_left)" ] && return 0
        sleep 0.3
    done
    return 1
}
# For ranks that get lost: launches $ranks of $program with the options $long and a time limit of $limit seconds, into
# the folder $results, waits until the first case is under way, sends a signal to a rank, waits for the end.
lose() { # SIGNAL RANK
    rm -rf "$results"
    timeout 90 mpirun -np "$ranks" --oversubscribe --bind-to none "$program" $long --case-timeout $limit \
        --out "$results" >"$folder/stdout" 2>"$folder/err" &
    launched=$!
    for try in $(seq 100); do
        grep -q '^start ' "$results/all_reduce.journal" 2>/dev/null && [ -n "$(process_of_rank "$2")" ] && break
        sleep 0.1
    done
    sleep 0.5
    kill -"$1" $(process_of_rank "$2")
    begun=$(date +%s)
    wait $launched
    status=$?
    seconds=$(($(date +%s) - begun))
    cp "$results/all_reduce.csv" "$folder/out"
}
one_row() { # STATUS WORDS OF THE REASON
    [ $status -ne 0 ] && [ "$(rows)" -eq 1 ] && has status "$1" && grep -q "$2" "$folder/out"
}
