#!/bin/sh
# configure.sh OUTPUT: finds compilers and libraries and writes them as a makefile. What is missing and required is
# installed by deps.sh, where that is allowed. The makefile says
#   HAVE              words that ` * needs:` of a source may name: hwloc cjson csv openblas papi cmocka sqlite3 mpi
#                     cuda cublasLt nccl cudnn
#   CONFIG_CFLAGS     search paths and -DHAVE_<WORD>=1 for C;  CONFIG_NVCCFLAGS  the same for nvcc
#   LIBS, LIBS_<word> what every program links with, and what those link with that need the word
#   NVCC              the compiler's path, empty without CUDA
# Environment: DEPS (auto|off), CC, CXX_HOST, CUDA_HOME, NO_CUDA=1, ARCH (the first is tried), PKG_CONFIG.
# shellcheck disable=SC2086 # lists of flags are meant to be split
set -eu
if [ $# -ne 1 ]; then
    echo "usage: configure.sh OUTPUT" >&2
    exit 2
fi
out=$1
here=$(dirname "$0")
"$here/deps.sh"
# shellcheck source=scripts/probe.sh
. "$here/probe.sh"

have="" cflags="" libs=""

# use WORD: its probe has just passed
use() {
    have="$have $1"
    cflags="$cflags $probe_cflags -DHAVE_$(echo "$1" | tr '[:lower:]' '[:upper:]')=1"
    libs="$libs $probe_libs"
}
for word in hwloc cjson csv openblas papi; do
    if "probe_$word"; then use $word; fi
done
if probe_cmocka; then have="$have cmocka"; fi
libs_sqlite3=""
if probe_sqlite3; then have="$have sqlite3" cflags="$cflags $probe_cflags" libs_sqlite3=$probe_libs; fi

libs_mpi="" mpi_paths=""
if probe_mpi; then
    have="$have mpi" cflags="$cflags $probe_cflags" libs_mpi=$probe_libs
    for word in $probe_cflags; do # nvcc takes search paths and macros, but none of gcc's own flags
        case $word in -I* | -D*) mpi_paths="$mpi_paths $word" ;; esac
    done
fi

# A program finds the library it was linked with, also in a prefix of one's own (never the toolkit's link-only ones).
run_paths=""
for folder in $(printf '%s\n' $libs $libs_mpi | sed -n 's/^-L//p') $(echo "${LIBRARY_PATH:-}" | tr ':' ' '); do
    case $folder in */stubs | /usr/lib* | /lib*) ;; *) run_paths="$run_paths -Wl,-rpath,$folder" ;; esac
done

tidy() { if [ -d "$1" ]; then (cd "$1" && pwd); fi; } # a/bin/../b is a/b; nothing, if there is no such folder
# Where nvcc looks itself, so that every layout of the toolkit works (a folder of its own, Debian's, the HPC SDK's).
cuda_folders() {
    layout=$("$nvcc" -dryrun -x cu -c /dev/null -o /dev/null 2>&1 || true)
    cuda_include=$(printf '%s\n' "$layout" | sed -n 's/^#\$ INCLUDES="-I\([^"]*\)".*/\1/p')
    cuda_lib=$(printf '%s\n' "$layout" | sed -n 's/^#\$ LIBRARIES=//p' | tr ' ' '\n' | tr -d '"' |
        sed -n '/stubs$/d; s/^-L//p' | head -n 1)
    cuda_include=$(tidy "$cuda_include") cuda_lib=$(tidy "$cuda_lib")
    cuda_paths="${cuda_include:+-isystem $cuda_include}"
    libs_cuda="${cuda_lib:+-L$cuda_lib -L$cuda_lib/stubs -Wl,-rpath,$cuda_lib} -lcudart -lstdc++"
}
# Why the GPU parts cannot be built, or nothing.
cuda_obstacle() {
    if ! find_nvcc; then echo "no CUDA toolkit (CUDA_HOME, nvcc on the PATH, /usr/local/cuda)"; return; fi
    if ! probe_cxx; then echo "nvcc has no host compiler ($CXX_HOST)"; return; fi
    arch=${ARCH:-90a}
    arch=${arch%% *}
    echo "__global__ void probe(void) {}" >"$probe_folder/probe.cu"
    "$nvcc" -std=c++20 -gencode "arch=compute_$arch,code=sm_$arch" -ccbin "$CXX_HOST" -c "$probe_folder/probe.cu" \
        -o "$probe_folder/probe.o" >"$probe_folder/log" 2>&1 ||
        echo "$nvcc cannot compile for sm_$arch: $(grep -m 1 . "$probe_folder/log" || true)"
}
# probe_cuda WORD LIBS SOURCE: a library beside the toolkit
probe_cuda() {
    if links "$3" "$cuda_paths $libs_cuda $2"; then
        have="$have $1" cflags="$cflags -DHAVE_$(echo "$1" | tr '[:lower:]' '[:upper:]')=1"
        eval "libs_$1=\$2"
    else
        absent="$absent $1"
    fi
}
absent="" nvcc="" cuda_paths="" libs_cuda="" libs_cublasLt="" libs_nccl="" libs_cudnn=""
if [ "${NO_CUDA:-0}" != 1 ]; then
    obstacle=$(cuda_obstacle)
    if [ -n "$obstacle" ]; then
        echo "$obstacle: the GPU parts are left out" >&2
    else
        find_nvcc
        cuda_folders
        have="$have cuda"
        probe_cuda cublasLt -lcublasLt "#include <cublasLt.h>
int main(void) { return cublasLtGetVersion() == 0; }"
        probe_cuda nccl -lnccl "#include <nccl.h>
int main(void) { int version; return ncclGetVersion(&version); }"
        probe_cuda cudnn -lcudnn "#include <cudnn.h>
int main(void) { return cudnnGetVersion() == 0; }"
    fi
fi
if [ -n "$absent" ]; then echo "not found beside the CUDA toolkit:$absent (no rows for it)" >&2; fi

macros=$(printf '%s\n' $cflags | grep -e '^-DHAVE_' | tr '\n' ' ')
cat >"$out.tmp" <<END
HAVE := $have
CONFIG_CFLAGS := $cflags $cuda_paths
LIBS := $libs $run_paths -lm -ldl -lpthread
LIBS_mpi := $libs_mpi
NVCC := $nvcc
CONFIG_NVCCFLAGS := $macros $mpi_paths
LIBS_sqlite3 := $libs_sqlite3
LIBS_cuda := $libs_cuda
LIBS_cublasLt := $libs_cublasLt
LIBS_nccl := $libs_nccl
LIBS_cudnn := $libs_cudnn
END
mv "$out.tmp" "$out"
