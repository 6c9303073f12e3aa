#!/bin/bash
# check.sh TEST...: runs test programs and scripts, a line each, and says `N passed, N failed, N skipped` last.
# A cmocka program (any other executable) counts as many tests as its summaries say. A script (*.sh) counts its lines
# `ok NAME`, `not ok NAME` and `skip NAME: REASON`, or as one test where it prints none; exit 77 is a skip, and its last
# line the reason. A test that dies, prints no summary or takes longer than TEST_TIMEOUT seconds (300) is a failure.
# What tests print goes to $BUILD/check/NAME.log; of failures its end is shown. Exit status: 1 if any failed.
set -u
BUILD=${BUILD:-build}
export BUILD CMOCKA_MESSAGE_OUTPUT=STDOUT
limit=${TEST_TIMEOUT:-300}
# For sanitized builds. Open MPI's leaks, in programs that scripts start, are told by whole stacks, which the fast
# unwinder does not give; in C it is left alone, since a test there takes the memory away that whole stacks need.
script_options="${ASAN_OPTIONS:+$ASAN_OPTIONS:}fast_unwind_on_malloc=0"
leaks=$(readlink -f "$(dirname "$0")/tests/leaks")
export LSAN_OPTIONS="suppressions=$leaks:print_suppressions=0"
passed=0 failed=0 skipped=0

count() { grep -cE -- "$1" "$log"; }
# The numbers that cmocka's summaries ("[  PASSED  ] 3 test(s).") give after this word, added up.
summed() {
    awk -v word="$1" '$1 == "[" && $2 == word && $3 == "]" && $5 ~ /^test/ { n += $4 } END { print n + 0 }' "$log"
}

# Leaves what the test counts for in ok, bad and left_out.
judge() {
    local script=$1 status=$2
    if [[ $script == *.sh ]]; then
        ok=$(count '^ok ') bad=$(count '^not ok ') left_out=$(count '^skip ')
        if ((status == 77)); then left_out=$((left_out + 1))
        elif ((status == 0 && ok + bad + left_out == 0)); then ok=1; fi
    else
        ok=$(summed PASSED) bad=$(summed FAILED) left_out=$(summed SKIPPED)
        if ((status == 0 && ok + left_out == 0)); then bad=1; fi
    fi
    if ((status != 0 && status != 77 && bad == 0)); then bad=1; fi
}

run() {
    local test=$1 name status began=$SECONDS note options=${ASAN_OPTIONS-}
    [[ $test == *.sh ]] && options=$script_options
    name=${test#"$BUILD"/}
    log=$BUILD/check/$(tr '/' '.' <<<"$name").log
    # Apart, so that buffered lines of the one do not break lines of the other.
    ASAN_OPTIONS=$options timeout --kill-after=10 "$limit" "$([[ $test == */* ]] || echo ./)$test" \
        >"$log" 2>"$log.errors" </dev/null &
    child=$!
    wait "$child" 2>/dev/null
    status=$?
    cat "$log.errors" >>"$log"
    rm -f "$log.errors"
    judge "$test" "$status"
    note="exit status $status"
    ((status == 77)) && note=$(tail -n 1 "$log")
    ((SECONDS - began >= limit)) && note="longer than $limit s"
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + left_out))
    if ((bad > 0)); then
        printf 'FAIL  %-48s %3d passed, %d failed, %s: %s\n' "$name" "$ok" "$bad" "$note" "$log"
        tail -n 20 "$log" | sed 's/^/      | /'
    elif ((status == 77)); then printf 'skip  %-48s %s\n' "$name" "$note"
    else
        printf 'ok    %-48s %3d passed%s  %d s\n' "$name" "$ok" \
            "$( ((left_out > 0)) && echo ", $left_out skipped")" $((SECONDS - began))
        grep '^skip ' "$log" | sed 's/^/      /'
    fi
}

# A test that is stopped leaves nothing behind. What timeout starts, here and inside tests, has a group of its own,
# which no signal from the terminal reaches.
stop() { # EXIT STATUS
    trap '' INT TERM HUP
    # shellcheck disable=SC2046
    ((child == 0)) || kill -TERM $(pool_family "$child") 2>/dev/null
    wait
    echo "check.sh: stopped in ${test:-}" >&2
    exit "$1"
}

if (($# == 0)); then
    echo "check.sh: no tests to run; usage: check.sh TEST..." >&2
    exit 2
fi
mkdir -p "$BUILD/check" || exit 2
. "$(dirname "$0")/pool.sh"
child=0
set -m # or tests could not be sent SIGINT
trap 'stop 130' INT
trap 'stop 143' TERM
trap 'stop 129' HUP
for test; do run "$test"; done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
