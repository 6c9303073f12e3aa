#!/bin/sh
# deps.sh: sees to it that what Plumbline is built from is there. Silent when nothing is missing.
# As root, or with sudo that asks no password, on a machine with apt, it says what it installs and installs it.
# Otherwise it prints one command each for apt, dnf and Spack. The CUDA toolkit is never installed.
# --tests: also what only tests want, a Slurm to run on this machine.
# Environment: DEPS=off never installs; CC, PKG_CONFIG_PATH, CPATH and LIBRARY_PATH are honoured (see probe.sh).
# Exit status: 0 all that is required is there, 2 bad usage, 3 something required is missing.
# shellcheck disable=SC2086 # lists of package names are meant to be split
set -eu
here=$(dirname "$0")

tests=no
if [ $# -gt 0 ]; then
    case $1 in
    --help) sed -n '2,/^# Exit/s/^# //p' "$0"; exit 0 ;;
    --tests) tests=yes ;;
    *) echo "deps.sh: '$1' is no option; valid: --help --tests" >&2; exit 2 ;;
    esac
fi
case ${DEPS:-auto} in
auto | off) ;;
*) echo "deps.sh: DEPS: '$DEPS' is none of auto, off" >&2; exit 2 ;;
esac
# shellcheck source=scripts/probe.sh
. "$here/probe.sh"

# probe | apt | dnf | Spack | what is lost without it; "required" there: nothing can be built
dependencies() {
    cat <<END
compiler|gcc libc6-dev|gcc|gcc|required
make|make|make|gmake|required
pkgconfig|pkg-config|pkgconf-pkg-config|pkgconf|required
hwloc|libhwloc-dev|hwloc-devel|hwloc|required
cjson|libcjson-dev|cjson-devel|cjson|required
csv|libcsv-dev|libcsv-devel||required
cxx|g++|gcc-c++|gcc|no C++ compiler for nvcc: the GPU parts are left out
openblas|libopenblas-dev|openblas-devel|openblas|no OpenBLAS: no rows for it, and training on the CPU is slow
mpi|libopenmpi-dev|openmpi-devel|openmpi|no MPI: the collectives are left out
launcher|openmpi-bin|openmpi|openmpi|no mpirun: every program runs with one rank
papi|libpapi-dev|papi-devel|papi|no PAPI: counters through perf_event_open, if at all
gnuplot|gnuplot-nox|gnuplot|gnuplot|no gnuplot: the report has tables but no plots
lstopo|hwloc|hwloc-gui|hwloc|no lstopo: the report has no picture of the machine
sqlite3|libsqlite3-dev|sqlite-devel|sqlite|no SQLite: the program history is left out
cmocka|libcmocka-dev|libcmocka-devel|cmocka|no cmocka: make check leaves out the tests in C
END
    [ "$tests" = no ] || cat <<END
slurm|slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge|slurm-slurmctld slurm-slurmd munge|slurm|no Slurm: its test is skipped
END
}

# Fills required (names of probes) and apt_required, apt_optional, dnf, spack (packages), and losses (lines).
look() {
    required="" apt_required="" apt_optional="" dnf="" spack="" losses=""
    while IFS='|' read -r name apt_packages dnf_packages spack_packages loss; do
        "probe_$name" && continue
        dnf="$dnf $dnf_packages" spack="$spack $spack_packages"
        if [ "$loss" = required ]; then
            required="$required $name" apt_required="$apt_required $apt_packages"
        else
            apt_optional="$apt_optional $apt_packages"
            losses="$losses$loss
"
        fi
    done <<END
$(dependencies)
END
}

squeeze() { echo "$@" | tr ' ' '\n' | awk 'NF && !seen[$0]++' | tr '\n' ' ' | sed 's/ $//'; }

say() { echo "deps.sh: $*" >&2; }

# No way to install: required ones stop us with the three commands, optional ones cost a line each.
explain() {
    if [ -n "$required" ]; then
        say "missing:$required. Any one of these commands gets them (and the optional ones missing too):"
        echo "  apt:   sudo apt-get update && sudo apt-get install --no-install-recommends" \
            "$(squeeze $apt_required $apt_optional)" >&2
        echo "  dnf:   sudo dnf install $(squeeze $dnf)" >&2
        packages=$(squeeze $spack)
        echo "  Spack: ${packages:+spack install $packages && spack load $packages}" \
            "$(case $required in *csv*) echo "# libcsv is not in Spack: https://github.com/rgamble/libcsv" ;; esac)" >&2
        exit 3
    fi
    printf '%s' "$losses" | sed 's/^/deps.sh: /' >&2
    exit 0
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then env DEBIAN_FRONTEND=noninteractive "$@"
    else sudo -n env DEBIAN_FRONTEND=noninteractive "$@"; fi
}
may_install() {
    [ "${DEPS:-auto}" = auto ] && has_command apt-get && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }
}
# A machine that has just booted may still be updating itself: wait for its lock instead of failing.
apt_install() {
    as_root apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2 \
        -o Acquire::http::Timeout=20 "$@" >>"$log" 2>&1 </dev/null
}

# The line of the log that says most: a server that cannot be reached comes before what follows from it.
unreachable() {
    grep -m 1 -oE "(Temporary failure|Could not|Unable to) (resolv|connect)[^[(:]*|[Cc]onnection timed out" "$log"
}
reason() { unreachable || grep -m 1 '^E: ' "$log" | sed 's/^E: //' | grep . || echo "see the log"; }

# All at once first; if that fails, what is required alone, then the optional ones one by one, as far as they come.
install() {
    log=$(mktemp "${TMPDIR:-/tmp}/plumbline-deps.XXXXXX")
    say "installing $(squeeze $apt_required $apt_optional) by apt-get (DEPS=off never installs)"
    as_root apt-get update -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2 -o Acquire::http::Timeout=20 \
        >"$log" 2>&1 </dev/null || true
    if apt_install $apt_required $apt_optional; then
        rm -f "$log"
    elif [ -n "$apt_required" ] && ! apt_install $apt_required; then
        say "apt-get could not install $(squeeze $apt_required): $(reason) (log: $log)"
        exit 3
    elif unreachable >/dev/null; then
        say "apt-get could not install what is optional: $(reason) (log: $log)"
    else
        for package in $apt_optional; do
            apt_install "$package" || say "apt-get could not install $package: see $log"
        done
    fi
}

look
[ -n "$required$losses" ] || exit 0
if [ "$CC" != gcc ] && [ "$CC" != cc ] && ! probe_compiler; then
    say "CC: '$CC' cannot compile and link a C program; valid: gcc, clang, or a path to one"
    exit 3
fi
may_install || explain
install
look
explain
