#!/bin/sh
# The versions that the manifest names are those of the libraries that are loaded, against made-up ones: the same as the
# headers', another one, an old way of counting, one that is not there.
set -u
. scripts/tests/expect.sh
compiler=${CC:-cc}
command -v "$compiler" >/dev/null || { echo "no C compiler to make the libraries with"; exit 77; }

mkdir "$work/include" "$work/libraries"
cat >"$work/include/cudnn_version.h" <<'END'
#define CUDNN_MAJOR 9
#define CUDNN_MINOR 19
#define CUDNN_PATCHLEVEL 2
END
cat >"$work/include/cublas_api.h" <<'END'
#define CUBLAS_VER_MAJOR 13
#define CUBLAS_VER_MINOR 1
#define CUBLAS_VER_PATCH 0
END
cat >"$work/include/nccl.h" <<'END'
#define NCCL_MAJOR 2
#define NCCL_MINOR 28
#define NCCL_PATCH 9
END
cat >"$work/reader.c" <<'END'
#include <cjson/cJSON.h>
#include <stdio.h>
#include "bench/blas.h"
#include "bench/libraries.h"
const char *blas_missing(void) { return "not asked here"; }
const char *blas_version(void) { return ""; }
int main(void) {
    cJSON *object = cJSON_CreateObject();
    libraries_describe(object);
    puts(cJSON_Print(object));
}
END
$compiler -std=gnu11 -I"$work/include" -I. $(pkg-config --cflags libcjson) -DHAVE_CUDNN=1 -DHAVE_CUBLASLT=1 \
    -DHAVE_NCCL=1 -o "$work/reader" "$work/reader.c" bench/libraries.c $(pkg-config --libs libcjson) -ldl || exit 1

library() { # FILE CODE
    echo "#include <stddef.h>
$2" | $compiler -shared -fPIC -x c -o "$work/libraries/$1" - || exit 1
}
names() { # NAME LIBRARY TEXT
    LD_LIBRARY_PATH=$work/libraries "$work/reader" >"$work/out" 2>&1
    if grep -qF "\"$2\":	\"$3\"" "$work/out"; then ok "$1"; else not_ok "$1" "$(grep "$2" "$work/out")"; fi
}
library libcudnn.so.9 'size_t cudnnGetVersion(void) { return 91902; }'
library libcublasLt.so.13 'size_t cublasLtGetVersion(void) { return 130203; }'
library libnccl.so.2 'int ncclGetVersion(int *version) { *version = 22809; return 0; }'
names "the version of the headers" cudnn 9.19.2
names "another one" cublas "13.2.3, built with 13.1.0"
names "one told through a pointer" nccl 2.28.9
library libcudnn.so.9 'size_t cudnnGetVersion(void) { return 8907; }'
names "an old way of counting" cudnn "8.9.7, built with 9.19.2"
library libnccl.so.2 'int ncclGetVersion(int *version) { return 1; }'
names "one that cannot say" nccl "none here, built with 2.28.9"
library libnccl.so.2 ''
names "one without the function" nccl "none here, built with 2.28.9"
finish
