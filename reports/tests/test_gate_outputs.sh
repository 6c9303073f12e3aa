#!/bin/sh
# The gate around its verdicts: JSON, JUnit, limits, the second look, halves, several folders; and what they refuse.
set -u
. scripts/tests/expect.sh
compare=$BUILD/bin/compare

# folder NAME VALUE LAUNCHES [HARDWARE]: two cases, of which size=128 has this value in every launch, nearly
folder() {
    mkdir -p "$work/$1"
    printf '{"schema":1,"host":"h","fingerprint":{"hardware":"%s","software":"s"}}\n' "${4:-one}" \
        >"$work/$1/manifest.json"
    awk -v value="$2" -v launches="$3" 'BEGIN {
        printf "suite,program,variant,backend,device,dtype,ranks,size,mode,launch,metric,value,unit,better,status,"
        printf "time_us,time_min_us,time_p95_us,limit,limit_share\r\n"
        for (launch = 1; launch <= launches; launch++) for (size = 64; size <= 128; size *= 2) {
            x = (size == 128 ? value : 2) * (1 + 0.001 * (launch * 7 % 5 - 2))
            printf "kernels,gemm,plain,openmp,CPU,fp32,1,%d,loop,%d,flop_rate,%.6g,TFLOP/s,higher,ok,%.6g,%.6g,%.6g," \
                "4,%.4g\r\n", size, launch, x, 10 / x, 9.9 / x, 10.2 / x, x / 4 } }' >"$work/$1/gemm.csv"
}
# holds NAME STATUS PATTERN COMMAND...: the exit status, and a line of what was said
holds() {
    name=$1 wanted=$2 pattern=$3 wrong=""
    shift 3
    timeout 60 "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    [ "$status" = "$wanted" ] || wrong="exit status $status, not $wanted: $(head -c 300 "$work/err")"
    grep -qE -- "$pattern" "$work/out" "$work/err" ||
        wrong="$wrong; no line like '$pattern': $(head -c 400 "$work/err")"
    verdict "$name"
}
folder old 2 5
folder same 2.01 5
folder slow 1.8 5
folder slow_one 1.8 1
for i in 1 2 3 4 5; do folder "part$i" 1.8 1; done
folder other 2 5 two

holds "five launches decide on the host" 1 '^slower .*size=128' "$compare" "$work/old" "$work/slow"
holds "and find nothing where there is nothing" 0 '2 same: pass' "$compare" "$work/old" "$work/same"
holds "one launch does not" 0 '^unsure .*size=128' "$compare" "$work/old" "$work/slow_one"
holds "launches in folders of their own" 1 '^slower .*size=128' "$compare" "$work/old" "$work/part1" "$work/part2" \
    "$work/part3" "$work/part4" "$work/part5"
holds "several folders of a baseline" 0 '^faster .*size=128' "$compare" -b "$work/part1" -b "$work/part2" \
    -b "$work/part3" -b "$work/part4" -b "$work/part5" "$work/old"
refuse "mixed machines on a side" 2 "other hardware 'two'" "$compare" "$work/old" "$work/same" "$work/other"
holds "a folder twice" 2 "old' is given twice" "$compare" -b "$work/old" -b "$work/old" "$work/same"

# JSON and JUnit, read by somebody else's parser where there is one
holds "JSON and JUnit are written" 1 FAIL "$compare" --json "$work/gate.json" --junit "$work/gate.xml" \
    "$work/old" "$work/slow"
if command -v python3 >/dev/null 2>&1; then
    holds "JSON" 0 "slower 5 True cases 2" python3 -c '
import json, sys
gate = json.load(open(sys.argv[1]))
case = [c for c in gate["cases"] if c["axes"]["size"] == "128"][0]
good = not gate["pass"] and 0.10 < case["slowdown"] < 0.12 and case["p"] < 0.008
good = good and gate["baseline"]["hardware"] == "one"
print(case["verdict"], case["new_launches"], good, "cases", len(gate["cases"]))' "$work/gate.json"
    holds "JUnit" 0 "2 1 1 slower" python3 -c '
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot().find("testsuite")
failures = suite.findall("testcase/failure")
print(suite.get("tests"), suite.get("failures"), len(failures), failures[0].get("message"))' "$work/gate.xml"
    mkdir -p "$work/hostile" && cp "$work/slow/manifest.json" "$work/hostile/"
    sed "s/plain/\"<b \& 'x'>, \"\"q\"\"$(printf '\001\377')\"/" "$work/slow/gemm.csv" >"$work/hostile/gemm.csv"
    holds "hostile names make no broken JSON or XML" 0 "read" sh -c "\"$compare\" --json \"$work/h.json\" \
        --junit \"$work/h.xml\" --markdown \"$work/h.md\" \"$work/hostile\" \"$work/old\" 2>/dev/null; python3 -c '
import json, sys, xml.etree.ElementTree as tree
json.load(open(sys.argv[1])); tree.parse(sys.argv[2]); print(\"read\")' \"$work/h.json\" \"$work/h.xml\""
else
    skip "JSON and JUnit" "no python3"
fi
holds "JSON into nowhere" 2 'nowhere/x.json: No such file' "$compare" --json "$work/nowhere/x.json" \
    "$work/old" "$work/same"

# Limits need no baseline
rules() { printf 'program,variant,dtype,axes,metric,least_share,why\n%s\n' "$1" >"$work/rules.csv"; }
rules 'gemm,,,,flop_rate,0.49,"half of the peak, by anything"'
holds "a limit that is met" 0 'limit gemm flop_rate: met: 50.0 %' "$compare" --limits "$work/rules.csv" "$work/old"
rules 'gemm,plain,fp32,size=128,flop_rate,0.49,'
holds "a limit that is not" 1 'below: 45.0 % of the limit, at least 49.0 %' "$compare" --limits "$work/rules.csv" \
    --junit "$work/limits.xml" --markdown "$work/limits.md" "$work/slow"
holds "a limit that is not, in the files" 0 '<failure message="below' cat "$work/limits.xml"
rules 'gemm,plain,fp32,size=1k,flop_rate,0.49,'
holds "a limit of nothing measured" 1 'missing' "$compare" --limits "$work/rules.csv" "$work/slow"
rules 'gemm,plain,fp32,size=128,flop_rate,0.2,'
holds "limits beside a baseline" 1 '^slower' "$compare" --limits "$work/rules.csv" "$work/old" "$work/slow"
for bad in 'gemm,,,,flop_rate,x,|least_share' 'gemm,,,,flop_rate,0,|least_share' 'gemm,,,,flop_rate,nan,|least_share' \
    'gemm,,,,flop_rate,"0,5",|0,5' 'gemm,,,,speed,0.5,|speed' ',,,,flop_rate,0.5,|program' \
    'gemm,,,size,flop_rate,0.5,|axes' 'gemm,,|fields'; do
    rules "${bad%|*}"
    refuse "limits: ${bad%|*}" 2 "rules.csv:2: ${bad#*|}" "$compare" --limits "$work/rules.csv" "$work/old"
done
printf 'program,metric\ngemm,flop_rate\n' >"$work/rules.csv"
refuse "limits without their column" 2 "rules.csv:1: least_share" "$compare" --limits "$work/rules.csv" "$work/old"
printf 'program,metric,metric,least_share\ngemm,flop_rate,x,1\n' >"$work/rules.csv"
refuse "limits with a column twice" 2 "rules.csv:1: metric twice" "$compare" --limits "$work/rules.csv" "$work/old"
: >"$work/rules.csv"
refuse "empty limits" 2 "rules.csv: no rules" "$compare" --limits "$work/rules.csv" "$work/old"
refuse "no limits" 2 "nosuch" "$compare" --limits "$work/nosuch" "$work/old"

# A runner that measures nothing but hands out a folder: the second look finds the case as the folder has it
cat >"$work/runner" <<'END'
#!/bin/sh
while [ $# -gt 0 ]; do case $1 in --cases) cases=$2 ;; --out) out=$2 ;; esac; shift; done
cat "$cases" >>"$SEEN"
case $out in
*/baseline-*) cp -r "${AGAIN_OLD:-$AGAIN}" "$out" ;;
*) cp -r "$AGAIN" "$out" ;;
esac
END
chmod +x "$work/runner"
folder again_slow 1.79 1
folder again_same 2 1
export SEEN="$work/seen" TMPDIR="$work" AGAIN
AGAIN=$work/again_slow
: >"$SEEN"
holds "confirmed" 1 '^slower .*confirmed' "$compare" --confirm="$work/runner" "$work/old" "$work/slow"
wrong=""
[ "$(sort -u "$SEEN")" = "gemm --variant plain --dtype fp32 --size 128" ] || wrong="asked for: $(sort -u "$SEEN")"
[ "$(wc -l <"$SEEN")" = 8 ] || wrong="$wrong; $(wc -l <"$SEEN") launches"
verdict "only the suspect is measured again, as often as its test needs"
AGAIN=$work/again_same
holds "not confirmed" 0 'not slower when measured again' "$compare" --confirm="$work/runner" "$work/old" "$work/slow"
: >"$SEEN"
holds "nothing suspect, nothing measured" 0 'pass' "$compare" --confirm="$work/runner" "$work/old" "$work/same"
wrong=""
[ ! -s "$SEEN" ] || wrong="the runner ran"
verdict "the runner is not called without a suspect"
holds "both sides in turn" 0 'not slower when measured again' "$compare" --confirm="$work/runner" \
    --confirm-baseline="$work/runner" "$work/old" "$work/slow"
# One launch of the baseline was slow by chance: five against five cannot tell, a second look can.
cp -r "$work/old" "$work/one_off"
awk -F, -v OFS=, '$10 == 2 { if ($8 == 128) { $12 *= 0.8; $16 /= 0.8; $17 /= 0.8; $18 /= 0.8 } } { print }' \
    "$work/old/gemm.csv" >"$work/one_off/gemm.csv"
holds "launches that overlap decide nothing" 0 '^unsure .*launches overlap' "$compare" "$work/one_off" "$work/slow"
AGAIN=$work/again_slow
AGAIN_OLD=$work/again_same
export AGAIN_OLD
holds "until they are measured again" 1 '^slower .*undecided at first' "$compare" --confirm="$work/runner" \
    --confirm-baseline="$work/runner" "$work/one_off" "$work/slow"
# Of the second look's launches each fourth of the baseline is slow too: it takes more of them.
cat >"$work/uneven" <<'END'
#!/bin/sh
while [ $# -gt 0 ]; do case $1 in --out) out=$2 ;; esac; shift; done
launch=${out##*-}
case $out in
*/baseline-*) if [ $((launch % 4)) = 0 ]; then from=$AGAIN; else from=$AGAIN_OLD; fi ;;
*) from=$AGAIN ;;
esac
cp -r "$from" "$out"
echo "$launch" >>"$SEEN"
END
chmod +x "$work/uneven"
: >"$SEEN"
holds "as often as they need" 1 '^slower .*undecided at first' "$compare" --confirm="$work/uneven" \
    --confirm-baseline="$work/uneven" "$work/one_off" "$work/slow"
wrong=""
[ "$(tail -n 1 "$SEEN")" -gt 10 ] || wrong="decided after $(tail -n 1 "$SEEN") launches"
verdict "with more launches where they overlap"
AGAIN=$work/again_same
holds "or stay undecided" 0 '^unsure .*launches overlap' "$compare" --confirm="$work/runner" \
    --confirm-baseline="$work/runner" "$work/one_off" "$work/slow"
unset AGAIN_OLD
sed 's/,ok,/,failed,/' "$work/old/gemm.csv" |
    awk -F, -v OFS=, 'NR > 1 { $11 = $12 = $13 = $14 = "" } { print }' >"$work/failing.csv"
cp -r "$work/old" "$work/failing" && cp "$work/failing.csv" "$work/failing/gemm.csv"
holds "a failure that passes when run again" 0 'measured when run again' "$compare" --confirm="$work/runner" \
    "$work/old" "$work/failing"
printf '#!/bin/sh\nexit 2\n' >"$work/broken" && chmod +x "$work/broken"
holds "a runner that cannot run" 2 'broken: ended with 2' "$compare" --confirm="$work/broken" "$work/old" "$work/slow"
refuse "no runner" 2 "nosuch" "$compare" --confirm="$work/nosuch" "$work/old" "$work/slow"

holds "halves that agree" 0 'the halves agree' "$compare" --halves "$work/old"
holds "halves that disagree" 1 'the halves disagree' "$compare" --halves "$work/part1" "$work/part2" "$work/old" 
holds "one launch has no halves" 2 'one launch has no halves' "$compare" --halves "$work/slow_one"
finish
