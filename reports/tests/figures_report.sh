#!/bin/sh
# How long does a report of 100,000 rows take, how large is it, and how long does a browser take to open it?
# usage: reports/tests/figures_report.sh [ROWS]; the rows are made up, a curve for each of many cases of twelve
# programs.
set -u
BIN=${BUILD:-build}/bin
rows=${1:-100000}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
for program in stream memory_latency cache_bandwidth transfer gemm wgmma prefill all_reduce all_gather all_to_all \
    pairs other; do
    mkdir -p "$tmp/run"
    awk -v program=$program -v rows=$((rows / 12)) 'BEGIN {
        metric = "bandwidth"; unit = "GB/s"; suite = "kernels"
        if (program ~ /latency/) { metric = "latency"; unit = "ns" }
        if (program ~ /gemm|wgmma|prefill/) { metric = "flop_rate"; unit = "TFLOP/s" }
        if (program ~ /^all/) { metric = "bus_bandwidth"; suite = "collectives" }
        if (program == "pairs") suite = "collectives"
        if (program == "prefill") suite = "attention"
        print "suite,program,variant,backend,device,dtype,ranks,first,second,bytes,seq,size,operation,direction,mask," \
              "head_dim,mode,launch,metric,value,unit,better,status,reason,samples,time_us,time_min_us,time_p95_us," \
              "ci_low_us,ci_high_us,noise,bytes_moved,flops,limit,limit_source,limit_share,error,tolerance," \
              "memory_mib,clock_mhz,power_w,throttled"
        for (i = 0; i < rows; i++) {
            step = i % 16; rest = int(i / 16); variant = rest % 6; rest = int(rest / 6); format = rest % 4
            rest = int(rest / 4); operation = rest % 5; launch = int(rest / 5)
            n = 8 * 4 ^ step; t = 5 + n / (1000 + 300 * variant + 10 * format) * (1 + 0.01 * (i * 7919 % 13))
            printf "%s,%s,v%d,c,device %d,f%d,%d,", suite, program, variant, variant % 2, format, 2 ^ (operation % 4)
            printf "%d,%d,%d,%d,%d,op%d,d%d,m%d,64,cold,%d,", step, operation, n, n, n, operation, operation, \
                operation, launch + 1
            printf "%s,%.6g,%s,,ok,,30,%.6g,%.6g,%.6g,%.6g,%.6g,0.01,", metric, n / t / 1e3, unit, t, t * 0.98, \
                t * 1.05, t * 0.99, t * 1.01
            limit = 2 + variant % 2
            printf "%d,%.6g,%g,made up,%.4g,0,0,1,1980,600,0\n", n, n * 50.0, limit, n / t / 1e3 / limit
        }
    }' >"$tmp/run/$program.csv"
done
made=$(($(cat "$tmp"/run/*.csv | wc -l) - 12))
begin=$(date +%s%N)
"$BIN/report" --out "$tmp/page.html" "$tmp/run" 2>/dev/null || exit 1
end=$(date +%s%N)
echo "$made rows: report $(((end - begin) / 1000000)) ms, page $(($(wc -c <"$tmp/page.html") / 1000)) kB"
for browser in chromium chromium-browser google-chrome; do
    command -v "$browser" >/dev/null || continue
    # Loaded, its script run and all laid out; the policy would not let the clock's own script run.
    sed 's|<meta http-equiv="Content-Security-Policy"[^>]*>||; s|</body>|<script src="clock.js"></script></body>|' \
        "$tmp/page.html" >"$tmp/timed.html"
    echo 'addEventListener("load", function () { document.title = "LOADED " + document.body.offsetHeight +
        " pixels in " + Math.round(performance.now()) + " ms"; });' >"$tmp/clock.js"
    title=$(timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$tmp/profile" \
        --window-size=1300,900 --dump-dom "file://$tmp/timed.html" 2>/dev/null |
        sed -n 's/.*<title>\(LOADED [^<]*\)<.*/\1/p')
    # Painted as well: what a picture of the page takes more than one of an empty page.
    for page in "about:blank" "file://$tmp/page.html"; do
        begin=$(date +%s%N)
        timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$tmp/profile" \
            --window-size=1300,900 --screenshot="$tmp/page.png" "$page" 2>/dev/null
        end=$(date +%s%N)
        painted="${painted:-} $(((end - begin) / 1000000))"
    done
    # shellcheck disable=SC2086
    set -- $painted
    echo "$browser: ${title:-did not load}; painted: $2 ms, of which $1 ms for an empty page"
    break
done
