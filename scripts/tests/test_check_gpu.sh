#!/bin/bash
# check_gpu.sh over small scripts in the place of programs, launcher, sanitizer and devices: what it asks of them, what
# it makes of their answers, what runs beside what, and that nothing is left when it is told to end.
# shellcheck disable=SC2016 # the scripts of stand-ins expand when they run
set -u
. scripts/tests/expect.sh

checkout=$work/checkout
mkdir -p "$checkout/kernels/tests" "$checkout/build/bin" "$work/path"
cp -r scripts "$checkout/"
script() { # FILE TEXT
    printf '#!/bin/bash\n%s\n' "$2" >"$1"
    chmod +x "$1"
}
# events: who begins and who ends, in order; appending a line is whole
during='happens() { echo "$1 $2" >>"'$work/events'"; }'

# stand_in NAME RANKS: a program with the variants own and twin, of our kernels, and library; what it answers to measuring is in
# $work/NAME.rows where that is there
stand_in() {
    script "$checkout/build/bin/$1" "$during"'
case " $* " in
*" --help "*) printf "  %-24s cuda, device\n" own twin; printf "  library                  cublas, device\n"; exit ;;
*" --describe "*) printf "kernels\t'"$1\t$2"'\tWhat of it?\n"; exit ;;
*" --preset quick "*" --variant twin --list "*) [ ! -e "'"$work/$1"'.full" ] || exit 0 ;;
esac
case " $* " in
*" --list "*) echo "own size=1 mode=cold launch=1"; exit ;;
esac
echo "'"$1"' $*" >>"'"$work"'/calls"
echo "'"$1"' on ${CUDA_VISIBLE_DEVICES-all}" >>"'"$work"'/seen"
happens begin "'"$1"' $2"
sleep "${SLOW:-0.05}"
happens end "'"$1"' $2"
status=ok result=0
case " $* " in *" --inject-fault "*) status=wrong result=1 ;; esac
echo variant,status,reason
case " $* " in
*" --preset quick "*) asked="'"$work/$1"'.quick" ;;
*" --preset full "*) asked="'"$work/$1"'.full" ;;
*) asked="" ;;
esac
if [ -e "$asked" ]; then cat "$asked"
elif [ -e "'"$work/$1"'.rows" ]; then cat "'"$work/$1"'.rows"; else printf "%s,$status,\n" own twin library; fi
exit $result'
    grep -qx "$1" "$checkout/build/programs" 2>/dev/null || echo "$1" >>"$checkout/build/programs"
}
for name in one two three; do stand_in $name 0; done
stand_in ring 1
stand_in chain 1
script "$work/path/nvidia-smi" 'case $* in -L) cat "'"$work"'/devices" ;; *) echo Default ;; esac'
script "$work/path/compute-sanitizer" 'while [ $# -gt 0 ]; do
case $1 in --log-file) log=${2/\%p/$$}; shift 2 ;; --tool | --target-processes) shift 2 ;; *) break ;; esac; done
"$@" >/dev/null
echo "========= ERROR SUMMARY: $(cat "'"$work"'/memory" 2>/dev/null || echo 0) errors" >"$log"'
script "$work/path/mpirun" 'while [[ $1 == -* ]]; do case $1 in -np | --bind-to) shift 2 ;; *) shift ;; esac; done
exec "$@"'
script "$checkout/kernels/tests/test_small_device.sh" "$during"'
happens begin small; sleep 0.1; happens end small; echo "ok a"; echo "skip b: no c"'
script "$checkout/kernels/tests/test_large_device.sh" "# alone: it needs everything
$during"'
happens begin large; sleep 0.2; happens end large; echo "ok a"'

check() { # OPTION...: leaves status, $work/out, $work/err
    : >"$work/events"
    : >"$work/calls"
    : >"$work/seen"
    (cd "$checkout" && PATH=$work/path:$PATH BUILD=build timeout 60 scripts/check_gpu.sh "$@") >"$work/out" 2>"$work/err"
    status=$?
}
# ends NAME STATUS 'LAST LINE' [WORDS THAT A LINE HOLDS]...
ends() {
    wrong=""
    [ "$status" = "$2" ] || wrong="exit status $status, not $2: $(tail -n 2 "$work/err")"
    [ "$(tail -n 1 "$work/out")" = "$3" ] || wrong="$wrong; '$(tail -n 1 "$work/out")', not '$3'"
    for words in "${@:4}"; do grep -qF -- "$words" "$work/out" || wrong="$wrong; '$words' is not told"; done
    verdict "$1"
}
# The most that ran at a time, of those that match.
at_once() {
    awk -v who="$1" '$0 ~ who { n += $1 == "begin" ? 1 : -1; if (n > most) most = n } END { print most + 0 }' \
        "$work/events"
}
is() { if test "$2" "$3" "$4"; then ok "$1"; else not_ok "$1" "$2 is not $3 $4"; fi; }

echo 'GPU 0: made up' >"$work/devices"
check -j 1
ends "all is well" 0 "37 passed, 0 failed, 1 skipped" "ok two: --cache hot (3 rows ok, 0 skipped)" \
    "ok three: injected faults (3 rows wrong" "ok chain: memcheck of own,twin" "ok ring: library"
is "one at a time" "$(at_once .)" = 1
sed 's/  [0-9]* s$//' "$work/out" >"$work/one"
check -j 4
sed 's/  [0-9]* s$//' "$work/out" >"$work/four"
wrong=$(diff "$work/four" "$work/one" | head -n 3)
verdict "four at a time say the same in the same order"
is "several at a time" "$(at_once .)" -gt 1
is "four at the most" "$(at_once .)" -le 4
is "ranks on one device are as the others" "$(grep -c 'ring --place device' "$work/calls")" = 3
is "the lonely one is last" "$(tail -n 1 "$work/events")" = "end large"
is "and alone" "$(tail -n 2 "$work/events" | head -n 1)" = "begin large"
is "progress is told" "$(grep -c 'to go$' "$work/err")" = 12
is "rows are kept" "$(find "$checkout/build/check-gpu" -name '*.csv' | wc -l)" = 15

printf 'GPU %d: made up\n' 0 1 >"$work/devices"
check -j 6
ends "two devices" 0 "37 passed, 0 failed, 1 skipped"
is "those of all devices one after another" "$(at_once '(ring|chain) device')" = 1
is "the others spread over the devices" "$(grep -E '^(one|two|three) ' "$work/seen" | cut -d' ' -f3 | sort -u | xargs)" = "0 1"
is "ranks see all devices" "$(grep -c '^ring on all$' "$work/seen")" = 3

printf 'own,ok,\nlibrary,ok,\n' >"$work/two.rows"
printf 'twin,ok,\n' >"$work/two.quick"
check -j 4
is "what smoke leaves out is asked of quick" "$(grep -cx 'ok two: twin' "$work/out")" = 1
mv "$work/two.quick" "$work/two.full"
check -j 4
is "and of full where quick has no case of it" "$(grep -cx 'ok two: twin' "$work/out")" = 1
rm "$work/two.full"
check -j 4
is "and missed where neither has a right row" "$(grep -cx 'not ok two: twin: no row is ok' "$work/out")" = 1

printf 'own,ok,\ntwin,ok,\nlibrary,wrong,error 7\n' >"$work/two.rows"
echo 3 >"$work/memory"
check -j 4
ends "what is wrong is told" 1 "28 passed, 9 failed, 1 skipped" "not ok two: smoke" "library: wrong: error 7" \
    "not ok two: library" \
    "not ok two: injected faults" "own: ok" "not ok one: memcheck of own,twin"
rm "$work/memory"
printf 'own,skipped,no such thing\ntwin,ok,\nlibrary,ok,\n' >"$work/two.rows"
check -j 4
ends "what is skipped says why" 1 "35 passed, 1 failed, 2 skipped" "skip two: own: no such thing"
rm "$work/two.rows"

refuse "no number" 2 "-j 'x'" scripts/check_gpu.sh -j x
refuse "an option" 2 "'--fast' -j" scripts/check_gpu.sh --fast

# told to end in the middle, alone or with its group: nobody is left, and no folder
export SLOW=30 TMPDIR=$work/temporary
mkdir "$TMPDIR"
for whom in "" -; do
    : >"$work/events"
    PATH=$work/path:$PATH BUILD=$checkout/build setsid "$checkout/scripts/check_gpu.sh" -j 4 >"$work/out" 2>"$work/err" &
    for _ in {1..100}; do
        [ "$(grep -c begin "$work/events")" -ge 4 ] && break
        sleep 0.1
    done
    kill -TERM -- "$whom$!"
    wait $!
    is "told to end$whom: the exit status" $? = 143
    is "told to end$whom: nobody is left" "$(pgrep -cf "$checkout/build/bin/")" = 0
    is "told to end$whom: no folder is left" "$(find "$TMPDIR" -mindepth 1 | wc -l)" = 0
done
finish
