# expect.sh: read by the test scripts beside it. A line `ok NAME`, `not ok NAME: WHY` or `skip NAME: WHY` a test, which
# scripts/check.sh counts; finish says by the exit status whether all was well.
# shellcheck shell=sh

BUILD=${BUILD:-build}
work=$(mktemp -d "${TMPDIR:-/tmp}/plumbline-test.XXXXXX") || exit 1
failures=0
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# For sanitized builds: what Open MPI itself never frees. Its plug-ins are unloaded by then, so only whole stacks, which
# the fast unwinder does not give, show whose it is.
printf 'leak:%s\n' libmpi.so libopen-rte.so libopen-pal.so libpmix.so libevent >"$work/leaks"
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}fast_unwind_on_malloc=0"
export LSAN_OPTIONS="suppressions=$work/leaks:print_suppressions=0"

ok() { echo "ok $1"; }
not_ok() {
    echo "not ok $1: $2"
    failures=$((failures + 1))
}
skip() { echo "skip $1: $2"; }
finish() {
    [ "$failures" = 0 ]
    exit
}
# verdict NAME: the test passes if nothing was found wrong with it, that is if $wrong is empty
verdict() { if [ -z "$wrong" ]; then ok "$1"; else not_ok "$1" "$wrong"; fi; }

# refuse NAME STATUS 'WORD...' COMMAND...: the command must end with this status, print nothing on standard output and
# one line on standard error that holds each of the words.
refuse() {
    refuse_name=$1 refuse_status=$2 refuse_words=$3
    shift 3
    timeout 20 "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$? wrong=""
    [ "$status" = "$refuse_status" ] || wrong="exit status $status, not $refuse_status"
    [ ! -s "$work/out" ] || wrong="$wrong; something on standard output"
    [ "$(wc -l <"$work/err")" = 1 ] || wrong="$wrong; not one line"
    for word in $refuse_words; do
        grep -qF -- "$word" "$work/err" || wrong="$wrong; '$word' is not named"
    done
    [ -z "$wrong" ] || wrong="$wrong: $(head -c 300 "$work/err")"
    verdict "$refuse_name"
}

# fields <CSV: every record's fields joined by tabs, with quotes resolved; what is not RFC 4180 (a quote inside a bare
# field, text after a closing quote, an unclosed one) is an error.
# column NAME <CSV: that field of every row, a line each.
fields() {
    LC_ALL=C awk '{ text = text $0 "\n" } END {
        n = length(text); state = "start"; record = ""; line = 1
        for (i = 1; i <= n; i++) {
            c = substr(text, i, 1)
            if (c == "\n") line++
            if (state == "quoted") {
                if (c == "\"") state = "closing"; else record = record (c == "\n" || c == "\t" ? " " : c)
            } else if (state == "closing" && c == "\"") { record = record c; state = "quoted" }
            else if (c == ",") { record = record "\t"; state = "start" }
            else if (c == "\n") { print record; record = ""; state = "start" }
            else if (state == "closing") { print "line " line ": text after a quote" >"/dev/stderr"; exit 1 }
            else if (c == "\"" && state == "bare") { print "line " line ": a bare quote" >"/dev/stderr"; exit 1 }
            else if (c == "\"") state = "quoted"
            else if (c != "\r") { record = record c; state = "bare" }
        }
        if (state == "quoted") { print "an open quote at the end" >"/dev/stderr"; exit 1 }
    }'
}
column() {
    fields | awk -F'\t' -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i; next }
        { print at ? $at : "no column " name }'
}

programs() { cat "$BUILD/programs"; }
# What starts a program, as words: $RANKS ranks (two; 0 for no launcher) if it uses ranks and there is a launcher.
starter() {
    if [ "${RANKS:-2}" -gt 0 ] && "$BUILD/bin/$1" --describe | cut -f3 | grep -qx 1 &&
        command -v mpirun >/dev/null 2>&1; then
        echo mpirun -np "${RANKS:-2}" --bind-to none --oversubscribe "$BUILD/bin/$1"
    else
        echo "$BUILD/bin/$1"
    fi
}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# program NAME OPTION...
program() {
    program_name=$1
    shift
    $(starter "$program_name") "$@"
}
# The options that make a program measure only the case that --list says first, of this variant or (empty) of any.
first_case() { # PROGRAM PLACE VARIANT
    program "$1" --preset smoke --place "$2" ${3:+--variant "$3"} --list 2>/dev/null | head -n 1 | tr ' ' '\n' |
        awk -F= -v place="$2" 'NR == 1 { printf "--preset smoke --place %s --variant %s", place, $1; next }
            $1 != "mode" && $1 != "launch" { gsub("_", "-", $1); printf " --%s %s", $1, $2 } END { if (NR) print "" }'
}
