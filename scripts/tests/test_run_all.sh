#!/bin/bash
# run_all.sh itself, over small scripts in the place of programs: options, launches, what each exit status leads to,
# relaunching after a death, signals, resuming, the gate.
# shellcheck disable=SC2016 # the scripts of stand-ins expand when they run
set -u
. scripts/tests/expect.sh

real_build=$BUILD
export BUILD=$work/build
mkdir -p "$BUILD/bin"

# stand_in NAME RANKS SCRIPT: a program of suite "suite_RANKS" that appends its options to $work/calls and runs SCRIPT
stand_in() {
    cat >"$BUILD/bin/$1" <<END
#!/bin/bash
if [[ \$1 == --describe ]]; then printf 'suite_%s\t%s\t%s\tWhat of %s?\n' $2 $1 $2 $1; exit; fi
echo "$1 \$*" >>"$work/calls"
while ((\$# > 0)); do [[ \$1 == --resume ]] && out=\$2; [[ \$1 == --failed-in-flight ]] && failed=1; shift; done
row() { echo "done 1 1 \$1 case" >>"\$out/$1.journal"; }
$3
END
    chmod +x "$BUILD/bin/$1"
    grep -qx "$1" "$BUILD/programs" 2>/dev/null || echo "$1" >>"$BUILD/programs"
}
run() { # leaves status, $work/out, $work/err
    : >"$work/calls"
    timeout 60 ./run_all.sh "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}
# expect NAME STATUS [WORD IN STDERR]...
expect() {
    wrong=""
    [ "$status" = "$2" ] || wrong="exit status $status, not $2"
    for word in "${@:3}"; do grep -qF -- "$word" "$work/err" || wrong="$wrong; '$word' is not told"; done
    [ -z "$wrong" ] || wrong="$wrong: $(tail -n 3 "$work/err" | tr '\n' '|')"
    verdict "$1"
}
calls() { grep -c "^$1 " "$work/calls"; }
check() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "$2, not $3"; fi; }

refuse "nothing built" 3 "make bench" ./run_all.sh
echo broken >"$BUILD/programs"
refuse "a program that is not there" 3 "bin/broken 127 make bench" ./run_all.sh --list
printf '#!/bin/sh\necho "libfoo.so: no such library" >&2\nexit 127\n' >"$BUILD/bin/broken"
chmod +x "$BUILD/bin/broken"
refuse "a program that cannot start" 3 "bin/broken 127 libfoo.so" ./run_all.sh --list
printf '#!/bin/sh\n' >"$BUILD/bin/broken"
refuse "a program that says nothing" 3 "bin/broken --describe" ./run_all.sh --list
rm "$BUILD/programs" "$BUILD/bin/broken"
stand_in good 0 'row ok; echo "good: 1 ok" >&2'
stand_in other 0 'row ok'

refuse "unknown option" 2 "--frobnicate --preset --gate" ./run_all.sh --frobnicate
refuse "stray word" 2 "frobnicate" ./run_all.sh frobnicate
refuse "preset" 2 "'huge' smoke quick full" ./run_all.sh --preset huge
refuse "preset lacks its value" 2 "--preset" ./run_all.sh --preset
refuse "launcher" 2 "'ssh' auto mpirun srun" ./run_all.sh --launcher ssh
refuse "only" 2 "'nosuch' good other suite_0" ./run_all.sh --only good,nosuch
refuse "only: empty" 2 "--only" ./run_all.sh --only ""
for word in 0 -1 x 1.5 99999 ""; do refuse "repeat '$word'" 2 "--repeat '$word'" ./run_all.sh --repeat "$word"; done
refuse "srun without a job" 3 "srun" env -u SLURM_JOB_ID ./run_all.sh --launcher srun
refuse "gate: no folder" 3 "$work/absent" ./run_all.sh --gate "$work/absent"
refuse "resume and preset" 2 "--preset" ./run_all.sh --resume "$work" --preset smoke
refuse "resume: no folder" 2 "$work/absent" ./run_all.sh --resume "$work/absent"
refuse "resume: no run" 2 "run_all.options" ./run_all.sh --resume "$work"
echo x >"$work/file"
refuse "out: a file" 2 "$work/file" ./run_all.sh --out "$work/file"
refuse "out: below a file" 2 "$work/file/x" ./run_all.sh --out "$work/file/x"
refuse "out: /proc" 2 "/proc/x" ./run_all.sh --out /proc/x
check "nothing ran" "$(cat "$work/calls" 2>/dev/null)" ""

run --list
check "list" "$(awk '{ print $1 "/" $2 }' "$work/out" | paste -sd' ')" "suite_0/good suite_0/other"
run --dry-run --out "$work/dry" --preset full
check "dry run prints" "$(grep -c "'--preset' 'full'" "$work/out")" 2
check "dry run runs nothing" "$(calls good)$([ -e "$work/dry" ] && echo made)" 0
run --help
check "help" "$(grep -cE '^  --(preset|only|out|resume|repeat|launcher|gate|list|dry-run|help)' "$work/out")" 10

run --preset smoke --out "$work/a"
expect "all good" 0 "programs: 2 measured, 0 wrong" "program 1/2 good (What of good?)" "good: 1 ok"
check "the program's options" "$(head -n 1 "$work/calls")" "good --resume $work/a --preset smoke --launch 1"
check "the program's log" "$(cat "$work/a/good.log")" "good: 1 ok"
refuse "out: holds a run" 2 "--resume" ./run_all.sh --out "$work/a"
run --out "$work/b" --repeat 3 --only other
check "repeat" "$(sed 's/.*--launch //' "$work/calls" | paste -sd' ')" "1 2 3"
run --resume "$work/b"
check "resume remembers" "$(cut -d' ' -f1,4- "$work/calls" | paste -sd' ')" \
    "other --preset quick --launch 1 other --preset quick --launch 2 other --preset quick --launch 3"
for damage in 's/preset=.*/preset=huge/' '/complete/d' 's/repeat=.*/repeat=0/' 's/only/lonely/'; do
    cp -r "$work/b" "$work/damaged"
    sed -i "$damage" "$work/damaged/run_all.options"
    refuse "resume: damaged options ($damage)" 2 "" ./run_all.sh --resume "$work/damaged"
    rm -r "$work/damaged"
done

stand_in bad 0 'row wrong; exit 1'
run --out "$work/c"
expect "a wrong result" 1 "wrong or failed: bad" "programs: 2 measured, 1 wrong or failed, 0 not possible"
stand_in bad 0 'exit 0'
run --resume "$work/c"
expect "a wrong result is remembered when resumed" 1 "wrong or failed: bad"
stand_in bad 0 'exit 3'
run --out "$work/d"
expect "not possible here" 0 "2 measured, 0 wrong or failed, 1 not possible"
run --out "$work/e" --only bad
expect "nothing possible" 3 "0 measured"
stand_in bad 0 'echo "bad: disk full" >&2; exit 2'
stand_in zlast 0 'row ok'
run --out "$work/f"
expect "bad input stops at once" 2 "bad: disk full" "--resume $work/f"
check "nothing runs after it" "$(calls zlast)" 0
sed -i '/zlast/d' "$BUILD/programs"

stand_in bad 0 'n=$(grep -c . "$out/bad.journal" 2>/dev/null); row "$([[ -n $failed ]] && echo failed || echo ok)"
    ((n >= 3)) || kill -SEGV $$'
run --out "$work/g"
expect "dies, and is launched again for the rest" 1 "bad died with status 139" "wrong or failed: bad"
check "launched until it ended" "$(calls bad)" 4
check "not without --failed-in-flight" "$(grep -c -- '^bad .*--failed-in-flight$' "$work/calls")" 3
stand_in bad 0 'kill -KILL $$'
run --out "$work/h"
expect "dies without finishing a case" 1 "again without finishing a case"
check "launched twice" "$(calls bad)" 2

stand_in bad 0 'trap "row ok; exit 0" INT; row ok; for i in {1..300}; do sleep 0.1; done'
for signal in INT TERM; do
    set -m # so that SIGINT is not ignored in what runs in the background
    ./run_all.sh --out "$work/signal_$signal" >"$work/out" 2>"$work/err" </dev/null &
    set +m
    for _ in {1..100}; do [ -s "$work/signal_$signal/bad.journal" ] && break; sleep 0.1; done
    kill -s "$signal" $!
    wait $! 2>/dev/null
    status=$?
    expect "stopped by SIG$signal" "$([ $signal = INT ] && echo 130 || echo 143)" "--resume $work/signal_$signal"
done

stand_in bad 0 'row ok'
stand_in many 1 'row ok; echo "${OMPI_COMM_WORLD_SIZE:-1}" >>"$out/size"'
if command -v mpirun >/dev/null; then
    run --out "$work/i" --launcher mpirun
    expect "ranks" 0 "programs: 4 measured"
    size=$(head -n 1 "$work/i/size")
    check "as many ranks as run" "$(wc -l <"$work/i/size")" "$size"
else skip "ranks" "no mpirun"; fi
printf '#!/bin/sh\necho "srun $*" >>"%s"\n[ "$1" = --mpi=list ] && echo pmix\nexit 0\n' "$work/calls" >"$work/srun"
chmod +x "$work/srun"
PATH=$work:$PATH SLURM_JOB_ID=7 SLURM_NTASKS=12 run --out "$work/j" --only many
check "srun" "$(grep -o 'srun --ntasks.*bin/many' "$work/calls")" \
    "srun --ntasks=12 --cpu-bind=none --mpi=pmix $BUILD/bin/many"

for name in report compare; do printf '#!/bin/sh\necho "%s $*" >>"%s"\n' $name "$work/calls" >"$BUILD/bin/$name"; done
chmod +x "$BUILD/bin/report" "$BUILD/bin/compare"
run --out "$work/k" --only good --gate "$work/a"
expect "gate passes" 0
check "report and compare" "$(tail -n 2 "$work/calls" | paste -sd' ')" "report $work/k compare $work/a $work/k"
check "the report's path" "$(cat "$work/out")" "$work/k/report/index.html"
echo 'exit 1' >>"$BUILD/bin/compare"
run --out "$work/l" --only good --gate "$work/a"
expect "gate fails" 1
sed -i 's/exit 1/exit 3/' "$BUILD/bin/compare"
run --out "$work/m" --only good --gate "$work/a"
expect "gate of other hardware" 3

# Another machine's run, with the real program that knows.
if [ -x "$real_build/bin/machine" ]; then
    cp "$real_build/bin/machine" "$BUILD/bin/"
    run --out "$work/n" --only good
    sed -i 's/"hardware":.*/"hardware": "Abacus; 1 core; no GPU",/' "$work/n/manifest.json"
    run --resume "$work/n"
    expect "resume: another machine" 2 "Abacus"
    check "another machine: nothing ran" "$(calls good)" 0
fi
finish
