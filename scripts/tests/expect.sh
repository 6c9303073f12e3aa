# expect.sh: for test scripts, which run from the repository root and read this file. A line `ok NAME`, `not ok NAME:
# WHY` or `skip NAME: WHY` a test, which scripts/check.sh counts; finish says by the exit status whether all was well.
# For tests that ask about the rows of one program after another, rows.sh stands on it.
# shellcheck shell=sh

BUILD=${BUILD:-build}
work=$(mktemp -d "${TMPDIR:-/tmp}/plumbline-test.XXXXXX") || exit 1
failures=0
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

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

# What an exit status says, for a program that may have said nothing itself.
ending() {
    if [ "$1" = 124 ]; then echo "exit status 124 (out of time)"
    elif [ "$1" -gt 128 ] && [ "$1" -le 192 ]; then echo "exit status $1 (signal $(($1 - 128)))"
    else echo "exit status $1"; fi
}

# refuse NAME STATUS 'WORD...' COMMAND...: the command must end with this status, print nothing on standard output and
# one line on standard error that holds each of the words.
refuse() {
    refuse_name=$1 refuse_status=$2 refuse_words=$3
    shift 3
    timeout 20 "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$? wrong=""
    [ "$status" = "$refuse_status" ] || wrong="$(ending $status), not $refuse_status"
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
# column NAME,.. <CSV: those fields of every row, commas between, a line each.
fields() {
    LC_ALL=C awk 'BEGIN { state = "start" }
    state == "start" && !/["\r]/ { gsub(/,/, "\t"); print; next } # most lines: no need to look at every character
    {
        text = $0 "\n"
        n = length(text)
        for (i = 1; i <= n; i++) {
            c = substr(text, i, 1)
            if (state == "quoted") {
                if (c == "\"") state = "closing"; else record = record (c == "\n" || c == "\t" ? " " : c)
            } else if (state == "closing" && c == "\"") { record = record c; state = "quoted" }
            else if (c == ",") { record = record "\t"; state = "start" }
            else if (c == "\n") { print record; record = ""; state = "start" }
            else if (state == "closing" && c != "\r") exit bad("text after a quote")
            else if (c == "\"" && state == "bare") exit bad("a bare quote")
            else if (c == "\"") state = "quoted"
            else if (c != "\r") { record = record c; state = "bare" }
        }
    }
    function bad(what) { print "line " NR ": " what >"/dev/stderr"; failed = 1; return 1 }
    END { if (state == "quoted" && !failed) exit bad("an open quote at the end") }'
}
column() {
    fields | awk -F'\t' -v names="$1" '
        NR == 1 { n = split(names, name, ","); for (i = 1; i <= NF; i++) at[$i] = i; next }
        {
            for (k = 1; k <= n; k++)
                printf "%s%s", name[k] in at ? $at[name[k]] : "no column " name[k], k < n ? "," : "\n"
        }'
}

programs() { cat "$BUILD/programs"; }
has_launcher() { command -v mpirun >/dev/null 2>&1; }
uses_ranks() { # PROGRAM
    described=$("$BUILD/bin/$1" --describe) || echo "$1 --describe: $(ending $?)" >&2
    [ "$(printf '%s\n' "$described" | cut -f3)" = 1 ]
}
# Devices of this machine, one if they cannot be counted.
device_count() {
    devices_seen=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU ')
    echo $((devices_seen > 0 ? devices_seen : 1))
}
# What starts a program, as words: $RANKS ranks (two; 0 for no launcher) if it uses ranks and there is a launcher.
starter() {
    if [ "${RANKS:-2}" -gt 0 ] && uses_ranks "$1" && has_launcher; then
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
first_case() { # PROGRAM PLACE VARIANT [PRESET]
    program "$1" --preset "${4:-smoke}" --place "$2" ${3:+--variant "$3"} --list 2>/dev/null | head -n 1 | tr ' ' '\n' |
        awk -F= -v place="$2" -v preset="${4:-smoke}" '
            NR == 1 { printf "--preset %s --place %s --variant %s", preset, place, $1; next }
            $1 != "mode" && $1 != "launch" { gsub("_", "-", $1); printf " --%s %s", $1, $2 } END { if (NR) print "" }'
}
