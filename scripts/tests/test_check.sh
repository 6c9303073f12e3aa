#!/bin/sh
# check.sh counts what tests say, and calls a test that dies, hangs or says nothing a failure.
# shellcheck disable=SC2016 # the scripts expand when they run
set -u
. scripts/tests/expect.sh

script() {
    printf '#!/bin/sh\n%s\n' "$2" >"$work/$1"
    chmod +x "$work/$1"
}
# counts NAME 'SUMMARY' STATUS TEST...
counts() {
    name=$1 summary=$2 expected=$3
    shift 3
    BUILD=$work/build TEST_TIMEOUT=2 scripts/check.sh "$@" >"$work/out" 2>&1
    status=$? wrong=""
    [ "$status" = "$expected" ] || wrong="exit status $status, not $expected"
    [ "$(tail -n 1 "$work/out")" = "$summary" ] || wrong="$wrong; '$(tail -n 1 "$work/out")', not '$summary'"
    verdict "$name"
}
script plain.sh 'exit 0'
script lines.sh 'echo "ok a"; echo "ok b"; echo "skip c: no d"'
script bad.sh 'echo "ok a"; echo "not ok b: c"; exit 1'
script lies.sh 'echo "ok a"; exit 1'
script skip.sh 'echo "no device"; exit 77'
script dies.sh 'kill -SEGV $$'
script hangs.sh 'sleep 60'
script cmocka 'echo "[  PASSED  ] 3 test(s)." >&2; echo "[  SKIPPED ] 1 test(s), listed below:" >&2'
script cmocka_bad 'echo "[  PASSED  ] 3 test(s)."; echo "[  FAILED  ] 2 test(s), listed below:"; exit 2'
script silent 'exit 0'
counts "a script without lines" "1 passed, 0 failed, 0 skipped" 0 "$work/plain.sh"
counts "a script's lines" "2 passed, 0 failed, 1 skipped" 0 "$work/lines.sh"
counts "a script's failure" "1 passed, 1 failed, 0 skipped" 1 "$work/bad.sh"
counts "a status without its line" "1 passed, 1 failed, 0 skipped" 1 "$work/lies.sh"
counts "a skip" "0 passed, 0 failed, 1 skipped" 0 "$work/skip.sh"
counts "a death" "0 passed, 1 failed, 0 skipped" 1 "$work/dies.sh"
counts "a hang" "0 passed, 1 failed, 0 skipped" 1 "$work/hangs.sh"
counts "cmocka" "3 passed, 0 failed, 1 skipped" 0 "$work/cmocka"
counts "cmocka's failures" "3 passed, 2 failed, 0 skipped" 1 "$work/cmocka_bad"
counts "a program that tests nothing" "0 passed, 1 failed, 0 skipped" 1 "$work/silent"
counts "no such test" "0 passed, 1 failed, 0 skipped" 1 "$work/absent"
counts "together" "6 passed, 2 failed, 2 skipped" 1 "$work/lines.sh" "$work/bad.sh" "$work/cmocka" "$work/dies.sh"
# told to end, by its group: nobody is left
script nested.sh "timeout 60 sleep 61.$$; echo after"
BUILD=$work/build setsid scripts/check.sh "$work/nested.sh" >"$work/out" 2>&1 &
for _ in 1 2 3 4 5 6 7 8 9 10; do
    pgrep -f "^sleep 61.$$" >/dev/null && break
    sleep 0.1
done
kill -TERM "-$!"
wait $!
status=$? wrong=""
[ $status = 143 ] || wrong="exit status $status, not 143"
! pgrep -f "sleep 61.$$" >/dev/null || wrong="$wrong; somebody is left"
verdict "told to end"
refuse "no tests" 2 "usage" scripts/check.sh
finish
