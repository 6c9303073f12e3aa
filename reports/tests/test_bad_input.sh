#!/bin/sh
# What is odd but clear is read right, what is not is one line with file and line and exit status 2: by report, table
# and history alike.
set -u
. reports/tests/complain.sh

# folder NAME: a result folder with a manifest; rows come from standard input
folder() {
    mkdir -p "$tmp/$1"
    printf '{"schema":1,"host":"h-%s","created":"2026-11-22T10:00:00Z","fingerprint":{"hardware":"x"}}\n' "$1" \
        >"$tmp/$1/manifest.json"
    cat >"$tmp/$1/gemm.csv"
}
programs="report table"
[ -x "$BIN/history" ] && programs="$programs history"
# start PROGRAM NAME: on that folder; the table as JSON lines
start() {
    case $1 in
    report) "$BIN/report" --published= --out "$tmp/page.html" --markdown "$tmp/page.md" "$tmp/$2" ;;
    table) "$BIN/table" export --format jsonl "$tmp/$2" ;;
    history) rm -f "$tmp/h.db" && "$BIN/history" import "$tmp/h.db" "$tmp/$2" ;;
    esac
}
# refuses NAME PATTERN: every program, in one line, with status 2
refuses() {
    for program in $programs; do
        start "$program" "$1" >"$tmp/out" 2>"$tmp/err"
        status=$?
        [ $status -eq 2 ] || complain "$program on '$1': status $status, not 2"
        [ "$(wc -l <"$tmp/err")" -eq 1 ] || complain "$program on '$1': $(cat "$tmp/err")"
        grep -q -- "$2" "$tmp/err" || complain "$program on '$1': not '$2' but $(cat "$tmp/err")"
        [ ! -s "$tmp/out" ] || complain "$program on '$1': wrote $(head -c 80 "$tmp/out")"
    done
}
accepts() {
    for program in $programs; do
        start "$program" "$1" >"$tmp/out" 2>"$tmp/err" || complain "$program on '$1': $(cat "$tmp/err")"
    done
    start table "$1" >"$tmp/out"
}
H=suite,program,variant,backend,device,dtype,ranks,size,mode,launch,metric,value,unit,better,status,reason
R=kernels,gemm,lib,c,D,fp32,1,64,loop,1,flop_rate,1.5,TFLOP/s,higher,ok,

printf '%s\n%s\n' "$H" "$R" | folder plain
accepts plain
cp "$tmp/out" "$tmp/plain.jsonl"

# the same rows in another form
printf '\357\273\277%s\r\n%s\r\n\r\n' "$H" "$R" | folder windows
printf '%s\n' status,value,metric,launch,mode,size,ranks,dtype,device,backend,variant,program,suite,unit,better,reason \
    ok,1.5,flop_rate,1,loop,64,1,fp32,D,c,lib,gemm,kernels,TFLOP/s,higher, | folder reordered
printf '%s,of_the_future\n%s,7\n' "$H" "$R" | folder unknown
printf '%s\n' "$H" | folder quoted
printf '"%s",' kernels gemm lib c D fp32 1 64 loop 1 flop_rate 1.5 TFLOP/s higher ok | sed 's/$/""/' \
    >>"$tmp/quoted/gemm.csv"
for form in windows reordered unknown quoted; do
    accepts $form
    cmp -s "$tmp/out" "$tmp/plain.jsonl" || complain "$form reads as $(cat "$tmp/out")"
done
printf 'program,variant,metric,value,status\ngemm,lib,flop_rate,1.5,ok\n' | folder few
accepts few
grep -q '"value":1.5,"unit":"TFLOP/s"' "$tmp/out" || complain "few columns read as $(cat "$tmp/out")"

# fields with everything in them
printf '%s\n%s\n' "$H" 'kernels,gemm,"l""i,b
2",c,D,fp32,1,64,loop,1,flop_rate,1.5,TFLOP/s,higher,ok,' | folder fields
accepts fields
grep -q '"variant":"l\\"i,b\\n2"' "$tmp/out" || complain "quotes and newlines read as $(cat "$tmp/out")"

# no figures: in no plot, and said
printf '%s\n%s\n%s\n%s\n' "$H" "$R" "kernels,gemm,n,c,D,fp32,1,64,loop,1,flop_rate,nan,TFLOP/s,higher,ok," \
    "kernels,gemm,i,c,D,fp32,1,64,loop,1,flop_rate,-inf,TFLOP/s,higher,ok," | folder infinite
accepts infinite
grep -q '2</td><td class="note">the value is not a finite number' "$tmp/page.html" ||
    complain "nan and inf pass unnoticed"
"$BIN/table" export -f prometheus "$tmp/infinite" | grep -c '^plumbline_flop_rate' | grep -qx 1 ||
    complain "nan became a sample"

# the locale changes nothing
for locale in de_DE.UTF-8 C.UTF-8 tr_TR.UTF-8; do
    LC_ALL=$locale start table plain >"$tmp/out" 2>"$tmp/err"
    cmp -s "$tmp/out" "$tmp/plain.jsonl" || complain "under $locale: $(cat "$tmp/out" "$tmp/err")"
done

printf '%s\n' 'program,variant,metric,status' 'gemm,lib,flop_rate,ok' | folder missing
refuses missing 'missing/gemm.csv:1: no column value'
printf '%s,size\n%s,64\n' "$H" "$R" | folder twice
refuses twice "twice/gemm.csv:1: the column 'size' stands there twice"
printf '%s\n%s\n%s\n' "$H" "$R" 'kernels,gemm,lib,c,D,fp32,1,128,loop,1,flop_rate,"1,5",TFLOP/s,higher,ok,' |
    folder comma
refuses comma "comma/gemm.csv:3: value: '1,5' is not a number"
printf '%s\n%s\n' "$H" 'kernels,gemm,lib,c,D,fp32,1,128,loop,1,flop_rate,1,5,TFLOP/s,higher,ok,' | folder comma_bare
refuses comma_bare 'comma_bare/gemm.csv:2: 17 fields where the header has 16'
printf '%s\n%s' "$H" 'kernels,gemm,lib,c,D' | folder cut
refuses cut 'cut/gemm.csv:2: 5 fields where'
printf '%s\n"%s\n' "$H" "$R" | folder quote
refuses quote 'quote/gemm.csv:2: '
printf '%s\n%s\n' "$H" 'kernels,gemm,lib,c,D,fp32,1,64,loop,1,flop_rate,1.5,TFLOP/s,higher,fine,' | folder status
refuses status "status/gemm.csv:2: status: 'fine' is none of ok, wrong"
printf '%s\n%s\n' "$H" 'kernels,gemm,lib,c,D,fp32,1,64,loop,1,flop_rate,1.5,TFLOP/s,up,ok,' | folder better
refuses better "better/gemm.csv:2: better: 'up' is none of higher, lower"
printf '%s\n%s\n' "$H" 'kernels,gemm,lib,c,D,fp32,1,64,loop,0,flop_rate,1.5,TFLOP/s,higher,ok,' | folder launch
refuses launch "launch/gemm.csv:2: launch: '0' is not a number from 1"
printf '%s\n%s\n' "$H" "$R" | folder newer
sed 's/"schema":1/"schema":2/' "$tmp/plain/manifest.json" >"$tmp/newer/manifest.json"
refuses newer 'newer/manifest.json:1: schema 2 is newer than 1'
printf '%s\n%s\n' "$H" "$R" | folder damaged
printf '{"schema":1,\n"host":' >"$tmp/damaged/manifest.json"
refuses damaged 'damaged/manifest.json:2: damaged JSON'
refuses nowhere 'nowhere'

# no program here prints HTML
PATH=/nonexistent "$BIN/report" --published= --out "$tmp/page.html" --pdf "$tmp/page.pdf" "$tmp/plain" 2>"$tmp/err"
[ $? -eq 3 ] || complain "--pdf without a browser: not status 3"
grep -q 'install one of chromium' "$tmp/err" || complain "--pdf without a browser: $(cat "$tmp/err")"
[ ! -e "$tmp/page.pdf" ] || complain "--pdf without a browser left a file"

# machines side by side stay apart
printf '%s\n%s\n' "$H" "$R" | folder other
"$BIN/report" --published= --out "$tmp/page.html" "$tmp/plain" "$tmp/other" 2>"$tmp/err" ||
    complain "$(cat "$tmp/err")"
for host in h-plain h-other; do
    grep -q "$host" "$tmp/page.html" || complain "two machines are not told apart"
done
"$BIN/table" merge "$tmp/plain" "$tmp/other" | grep -c ',h-[a-z]*,64,loop,1,' | grep -qx 2 ||
    complain "merged machines are not told apart"
[ "$failures" -eq 0 ]
