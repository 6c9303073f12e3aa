#!/bin/sh
# deps.sh with a compiler that cannot find some headers, and an apt-get, sudo and id that only pretend: what it
# installs, what it prints where it may not, and that DEPS=off never installs. (That the packages are the right ones
# only a fresh machine can show.)
# shellcheck disable=SC2016 # the scripts of stand-ins expand when they run
set -u
. scripts/tests/expect.sh
unset DEPS # of a make that was told not to install

real=$(command -v gcc) || { echo "no gcc"; exit 77; }
mkdir "$work/bin" "$work/absent"
tool() { printf '#!/bin/sh\n%s\n' "$2" >"$work/bin/$1" && chmod +x "$work/bin/$1"; }
# Headers named in $work/absent (its files' names) are not found.
tool gcc "for header in \$(ls '$work/absent'); do
    for word; do case \$word in *.c) grep -q \"\$header.h>\" \"\$word\" && exit 1 ;; esac; done
done
exec $real \"\$@\""
tool id "echo \$(cat '$work/uid')"
tool sudo "[ -e '$work/sudo' ] || exit 1; shift; exec \"\$@\""
# install PACKAGE...: only where there is a network; papi's package is not there at all
tool apt-get "echo \"apt-get \$*\" >>'$work/calls'
case \"\$1\" in
update) [ -e '$work/offline' ] && echo \"W: Temporary failure resolving 'deb.example.org'\"; exit 0 ;;
esac
[ ! -e '$work/offline' ] || { echo 'E: Unable to fetch some archives'; exit 100; }
case \" \$* \" in *libpapi-dev*)
    [ -e '$work/absent/papi' ] && { echo 'E: Unable to locate package libpapi-dev'; exit 100; } ;;
esac
case \" \$* \" in *libcsv-dev*) rm -f '$work/absent/csv' ;; esac
case \" \$* \" in *libcmocka-dev*) rm -f '$work/absent/cmocka' ;; esac"

# run NAME UID ABSENT-HEADERS [VARIABLE=VALUE]...
run() {
    rm -f "$work"/absent/* "$work/calls"
    : >"$work/calls"
    name=$1
    echo "$2" >"$work/uid"
    for header in $3; do : >"$work/absent/$header"; done
    shift 3
    env PATH="$work/bin:$PATH" CC=gcc NO_CUDA=1 TMPDIR="$work" "$@" scripts/deps.sh >"$work/out" 2>"$work/err"
    status=$? wrong=""
    [ ! -s "$work/out" ] || wrong="something on standard output"
}
expect_status() { [ "$status" = "$1" ] || wrong="$wrong; exit status $status, not $1"; }
told() { grep -qF -- "$1" "$work/err" || wrong="$wrong; '$1' is not told"; }
installed() { grep -q "^apt-get install.* $1\( \|\$\)" "$work/calls" || wrong="$wrong; $1 is not installed"; }
untouched() { [ ! -s "$work/calls" ] || wrong="$wrong; apt-get was called"; }
report() { [ -z "$wrong" ] || wrong="$wrong: $(tr '\n' '|' <"$work/err" | head -c 600)"; verdict "$name"; }

if ! DEPS=off scripts/deps.sh >/dev/null 2>"$work/err" || [ -s "$work/err" ]; then
    skip "deps.sh" "packages are missing here: $(head -n 1 "$work/err")"
    exit 77
fi
run "nothing missing" 0 ""
expect_status 0
untouched
[ ! -s "$work/err" ] || wrong="$wrong; it is not silent"
report

run "root: installs" 0 "csv"
expect_status 0
told "installing libcsv-dev"
installed libcsv-dev
report

run "root: DEPS=off" 0 "csv cmocka" DEPS=off
expect_status 3
untouched
told "apt-get install --no-install-recommends libcsv-dev libcmocka-dev"
told "dnf install libcsv-devel libcmocka-devel"
told "spack install cmocka"
told "libcsv is not in Spack"
[ "$(wc -l <"$work/err")" = 4 ] || wrong="$wrong; not four lines"
report

run "no rights" 1000 "csv"
expect_status 3
untouched
told "dnf install libcsv-devel"
report

: >"$work/sudo"
run "sudo without a password" 1000 "csv"
expect_status 0
installed libcsv-dev
report
rm "$work/sudo"

run "DEPS=off, only optional ones missing" 0 "cmocka" DEPS=off
expect_status 0
untouched
told "no cmocka"
[ "$(wc -l <"$work/err")" = 1 ] || wrong="$wrong; not one line"
report

run "an optional package is not to be had" 0 "csv cmocka papi"
expect_status 0
installed libcsv-dev
installed libcmocka-dev
told "could not install libpapi-dev"
told "no PAPI"
report

: >"$work/offline"
run "no network" 0 "csv"
expect_status 3
told "could not install libcsv-dev: Temporary failure resolving 'deb.example.org'"
[ "$(wc -l <"$work/err")" = 2 ] || wrong="$wrong; not two lines"
report

run "no network, only optional ones missing" 0 "cmocka"
expect_status 0
told "could not install what is optional: Temporary failure"
[ "$(grep -c install "$work/calls")" = 1 ] || wrong="$wrong; it tries more than once"
report

run "CC cannot compile" 0 "" CC=/nonexistent/cc
expect_status 3
untouched
told "'/nonexistent/cc'"
report

refuse "DEPS: unknown word" 2 "'perhaps' auto off" env DEPS=perhaps scripts/deps.sh
refuse "unknown option" 2 "--frobnicate --help" scripts/deps.sh --frobnicate

# A private prefix, found by the compiler's own variables.
mkdir -p "$work/prefix/include" "$work/prefix/lib"
echo 'int csv_private(void);' >"$work/prefix/include/csv_private.h"
echo 'int csv_private(void) { return 0; }' >"$work/private.c"
wrong=""
(
    . scripts/probe.sh
    gcc -shared -fPIC -o "$work/prefix/lib/libcsv_private.so" "$work/private.c"
    export CPATH="$work/prefix/include" LIBRARY_PATH="$work/prefix/lib"
    probe_library "" -lcsv_private '#include <csv_private.h>
int main(void) { return csv_private(); }'
) || wrong="CPATH and LIBRARY_PATH are not honoured"
verdict "a private prefix"
finish
