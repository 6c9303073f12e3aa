#!/bin/sh
# compare and report as programs: exit statuses, one-line errors, files whole or not there.
set -u
. reports/tests/complain.sh

# folder NAME HARDWARE SECOND: two cases, the second of which has this value
folder() {
    mkdir -p "$tmp/$1"
    printf '{"schema":1,"host":"h","fingerprint":{"hardware":"%s","software":"s"}}\n' "$2" >"$tmp/$1/manifest.json"
    {
        printf 'suite,program,variant,backend,device,dtype,ranks,size,mode,launch,metric,value,unit,better,status\r\n'
        printf 'kernels,gemm,openblas,openblas,CPU,fp32,1,64,loop,1,flop_rate,1.5,TFLOP/s,higher,ok\r\n'
        printf 'kernels,gemm,openblas,openblas,CPU,fp32,1,128,loop,1,flop_rate,%s,TFLOP/s,higher,ok\r\n' "$3"
    } >"$tmp/$1/gemm.csv"
}
folder base one 2.0
folder same one 2.02
folder slow one 1.2
folder crawl one 0.5
folder other two 2.0
folder damaged one 2.0
printf 'kernels,gemm,op' >>"$tmp/damaged/gemm.csv"
folder number one '"1,5"'
folder newer one 2.0
sed 's/"schema":1/"schema":7/' "$tmp/base/manifest.json" >"$tmp/newer/manifest.json"
mkdir "$tmp/empty"

expect 0 '2 same: pass' "$BIN/compare" "$tmp/base" "$tmp/same"
expect 0 '^unsure .*size=128' "$BIN/compare" "$tmp/base" "$tmp/slow"
expect 0 'with --repeat 5' "$BIN/compare" "$tmp/base" "$tmp/slow"
expect 1 '^slower .*size=128' "$BIN/compare" --tolerance 20 "$tmp/base" "$tmp/slow"
expect 0 'pass' "$BIN/compare" --tolerance 80 "$tmp/base" "$tmp/slow"
expect 0 '^faster' "$BIN/compare" --tolerance 20 "$tmp/slow" "$tmp/base"
expect 1 '^slower .*size=128' "$BIN/compare" "$tmp/base" "$tmp/crawl"
expect 3 "other hardware: 'two'" "$BIN/compare" "$tmp/base" "$tmp/other"
expect 0 'note: .*other hardware' "$BIN/compare" --allow-other-hardware "$tmp/base" "$tmp/other"
expect 3 'no baseline' "$BIN/compare" "$tmp/none" "$tmp/base"
expect 3 'no baseline' "$BIN/compare" "$tmp/empty" "$tmp/base"
expect 2 'No such file' "$BIN/compare" "$tmp/base" "$tmp/none"
expect 1 '^missing' "$BIN/compare" --allow-other-hardware "$tmp/base" "$tmp/empty"
expect 2 'gemm.csv:4: 3 fields where the header has 15' "$BIN/compare" "$tmp/base" "$tmp/damaged"
expect 2 "gemm.csv:3: value: '1,5' is not a number" "$BIN/compare" "$tmp/base" "$tmp/number"
expect 2 'manifest.json:1: schema 7 is newer' "$BIN/compare" "$tmp/base" "$tmp/newer"
expect 2 "'x' is not a percentage" "$BIN/compare" --tolerance x "$tmp/base" "$tmp/same"
expect 2 'two result folders' "$BIN/compare" "$tmp/base"
expect 2 'unrecognized option' "$BIN/compare" --fast "$tmp/base" "$tmp/same"
expect 1 'FAIL' "$BIN/compare" --markdown "$tmp/table.md" "$tmp/base" "$tmp/crawl"
grep -q '^| slower | gemm |' "$tmp/table.md" || complain "no Markdown table"
expect 2 'nowhere/table.md' "$BIN/compare" --markdown "$tmp/nowhere/table.md" "$tmp/base" "$tmp/same"

expect 0 'base/report/index.html' "$BIN/report" "$tmp/base"
[ -s "$tmp/base/report/index.html" ] || complain "no page"
expect 0 '' "$BIN/report" --out - --published '' "$tmp/base" "$tmp/slow"
grep -q '2 runs side by side' "$tmp/out" || complain "no page of two runs"
expect 2 '--out is needed' "$BIN/report" "$tmp/base" "$tmp/slow"
expect 2 'gemm.csv:4: 3 fields' "$BIN/report" "$tmp/damaged"
[ ! -e "$tmp/damaged/report/index.html" ] || complain "a page of damaged input"
expect 2 'No such file' "$BIN/report" "$tmp/none"
expect 2 'nowhere/page.html' "$BIN/report" --out "$tmp/nowhere/page.html" "$tmp/base"
expect 2 'none.csv' "$BIN/report" --published "$tmp/none.csv" "$tmp/base"
expect 2 'no result folder' "$BIN/report"
if [ -e /dev/full ]; then
    expect 2 'standard output: No space' sh -c "\"$BIN/report\" --out - \"$tmp/base\" >/dev/full"
fi

# without gnuplot and hwloc's tools the page still comes and says so
mkdir "$tmp/path"
expect 0 '' env PATH="$tmp/path" "$BIN/report" --out "$tmp/plain.html" "$tmp/base"
grep -q 'gnuplot is not on this machine' "$tmp/plain.html" || complain "gnuplot's absence is not told"
grep -q '<table>' "$tmp/plain.html" || complain "no table without gnuplot"

# the same page whatever the locale
expect 0 '' env LC_ALL=C "$BIN/report" --out "$tmp/c.html" "$tmp/base"
expect 0 '' env LC_ALL=de_DE.UTF-8 "$BIN/report" --out "$tmp/de.html" "$tmp/base"
cmp -s "$tmp/c.html" "$tmp/de.html" || complain "the locale changes the page"
[ "$failures" -eq 0 ]
