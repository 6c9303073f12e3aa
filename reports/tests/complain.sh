# complain.sh: read by test scripts beside it that end with [ "$failures" -eq 0 ]: where the programs are, a temporary
# folder, and how they tell what went wrong.
# shellcheck shell=sh

BIN=${BUILD:-build}/bin
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failures=0
complain() {
    echo "$1" >&2
    failures=$((failures + 1))
}
# expect STATUS PATTERN COMMAND...: the exit status, and a line of standard error (empty: any)
expect() {
    status=$1 pattern=$2
    shift 2
    "$@" >"$tmp/out" 2>"$tmp/err"
    got=$?
    if [ "$got" -ne "$status" ] || { [ -n "$pattern" ] && ! grep -q -- "$pattern" "$tmp/err"; }; then
        complain "status $got, wanted $status and '$pattern': $*: $(head -n 2 "$tmp/err")"
    fi
}
