# lose.sh: for the tests of ranks that get lost, on top of scripts/tests/rows.sh. Sourced, not run.
# shellcheck shell=sh
results=$work/results
export PLUMBLINE_TEST="$work" # tells our ranks from others'

process_of_rank() { # NUMBER: of the program itself, not of its launcher
    for id in $(pgrep -f "^$program"); do
        tr '\0' '\n' <"/proc/$id/environ" 2>/dev/null | grep -q "^OMPI_COMM_WORLD_RANK=$1\$" &&
            tr '\0' '\n' <"/proc/$id/environ" | grep -q "^PLUMBLINE_TEST=$work\$" && echo "$id"
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
        --out "$results" >"$work/stdout" 2>"$work/err" &
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
    cp "$results/all_reduce.csv" "$work/out"
}
one_row() { # STATUS WORDS OF THE REASON
    [ $status -ne 0 ] && [ "$(rows)" -eq 1 ] && has status "$1" && grep -q "$2" "$work/out"
}
