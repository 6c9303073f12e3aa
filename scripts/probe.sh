# probe.sh: read by deps.sh and configure.sh. Is a dependency usable, and with which flags?
# What counts is that a small program compiles and links with the compiler and the search paths in force (CC,
# PKG_CONFIG_PATH, CPATH, LIBRARY_PATH), not what a package manager believes: so modules, Spack and unpacked prefixes
# work on every distribution. A probe returns 0 if usable and leaves its flags in probe_cflags and probe_libs.
# shellcheck shell=sh disable=SC2086,SC2034

CC=${CC:-gcc}
CXX_HOST=${CXX_HOST:-g++}
PKG_CONFIG=${PKG_CONFIG:-pkg-config}
probe_folder=$(mktemp -d "${TMPDIR:-/tmp}/plumbline-probe.XXXXXX")
trap 'rm -rf "$probe_folder"' EXIT
trap 'exit 130' INT TERM

has_command() { command -v "$1" >/dev/null 2>&1; }

# links SOURCE FLAGS: does the C program SOURCE compile and link?
links() {
    printf '%s\n' "$1" >"$probe_folder/probe.c"
    $CC "$probe_folder/probe.c" $2 -o "$probe_folder/probe" >/dev/null 2>&1
}

# probe_library MODULES LIBS SOURCE: by the first pkg-config module that works, else plainly by LIBS.
probe_library() {
    for probe_module in $1; do
        probe_cflags=$($PKG_CONFIG --cflags "$probe_module" 2>/dev/null) || continue
        probe_libs=$($PKG_CONFIG --libs "$probe_module" 2>/dev/null) || continue
        links "$3" "$probe_cflags $probe_libs" && return 0
    done
    probe_cflags="" probe_libs=$2
    links "$3" "$2"
}

probe_compiler() { links "int main(void) { return 0; }" ""; }
probe_make() { make --version 2>/dev/null | grep -q "GNU Make"; }
probe_pkgconfig() { has_command $PKG_CONFIG; }
probe_hwloc() {
    probe_library hwloc -lhwloc "#include <hwloc.h>
int main(void) { hwloc_topology_t topology; return hwloc_topology_init(&topology); }"
}
probe_cjson() {
    probe_library libcjson -lcjson "#include <cjson/cJSON.h>
int main(void) { return cJSON_CreateObject() == 0; }"
}
probe_csv() {
    probe_library "" -lcsv "#include <csv.h>
int main(void) { struct csv_parser parser; return csv_init(&parser, 0); }"
}
# Fedora's plain libopenblas runs on one thread; its threaded one is called openblasp. Debian has one name for both.
probe_openblas() {
    probe_source="#include <cblas.h>
char *openblas_get_config(void);
int main(void) { cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
                 return openblas_get_config() == 0; }"
    probe_cflags=$($PKG_CONFIG --cflags openblas 2>/dev/null || true) probe_libs=-lopenblasp
    links "$probe_source" "$probe_cflags $probe_libs" || probe_library openblas -lopenblas "$probe_source"
}
probe_papi() {
    probe_library "papi papi-7.0" -lpapi "#include <papi.h>
int main(void) { return PAPI_library_init(PAPI_VER_CURRENT); }"
}
probe_sqlite3() {
    probe_library sqlite3 -lsqlite3 "#include <sqlite3.h>
int main(void) { return sqlite3_libversion_number() < 3024000; }"
}
probe_cmocka() {
    probe_library cmocka -lcmocka "#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
int main(void) { return cmocka_run_group_tests_name(0, (const struct CMUnitTest *)0, 0, 0) != 0; }"
}
# Open MPI's wrapper says its flags apart; the others (MPICH and its kin) print one command line that serves as both.
probe_mpi() {
    has_command mpicc || return 1
    if probe_cflags=$(mpicc --showme:compile 2>/dev/null); then probe_libs=$(mpicc --showme:link)
    else
        probe_cflags=$(mpicc -show 2>/dev/null | cut -d' ' -f2-) || return 1
        probe_libs=$probe_cflags
    fi
    links "#include <mpi.h>
int main(int argc, char **argv) { return MPI_Init(&argc, &argv); }" "$probe_cflags $probe_libs"
}
probe_launcher() { has_command mpirun || has_command srun; }
probe_gnuplot() { has_command gnuplot; }
probe_lstopo() { has_command lstopo || has_command lstopo-no-graphics; }

probe_slurm() {
    (PATH=$PATH:/usr/sbin:/sbin && has_command slurmctld && has_command slurmd && has_command munged && has_command sbatch)
}

# Leaves the path of nvcc in nvcc: CUDA_HOME first, then the PATH, then the usual folder.
find_nvcc() {
    for nvcc in "${CUDA_HOME:-/nonexistent}/bin/nvcc" "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc; do
        [ -n "$nvcc" ] && [ -x "$nvcc" ] && return 0
    done
    nvcc=""
    return 1
}
# nvcc compiles the host half of a .cu with a C++ compiler; nobody else here needs one.
probe_cxx() {
    [ "${NO_CUDA:-0}" = 1 ] || ! find_nvcc && return 0
    printf 'int main() { return 0; }\n' >"$probe_folder/probe.cc"
    $CXX_HOST "$probe_folder/probe.cc" -o "$probe_folder/probe" >/dev/null 2>&1
}
