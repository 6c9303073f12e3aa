/* libraries.c: see libraries.h. A header says what a program was compiled against. CUDA's libraries are exchanged under
   compiled programs (a container, a module, LD_LIBRARY_PATH), so these are asked: opened as the programs that link them
   would, whether or not this one does. */
#include "libraries.h"

#include <cjson/cJSON.h>
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <hwloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "blas.h"

#if __has_include(<cuda_runtime_api.h>)
#include <cuda_runtime_api.h>
#endif
#if HAVE_CUBLASLT
#include <cublas_api.h>
#endif
#if HAVE_CUDNN
#include <cudnn_version.h>
#endif
#if HAVE_NCCL
#include <nccl.h>
#endif
#if __has_include(<mpi.h>)
#include <mpi.h>
#endif
#if HAVE_PAPI
#include <papi.h>
#endif

enum { VERSION_SIZE = 256 };

/* Some are not used where their headers are missing. */
static void add_numbers(cJSON *object, const char *name, const char *maker, int major, int minor, int patch)
    __attribute__((unused));
static void add_numbers(cJSON *object, const char *name, const char *maker, int major, int minor, int patch) {
    char text[VERSION_SIZE];
    snprintf(text, sizeof text, "%s%d.%d.%d", maker, major, minor, patch);
    cJSON_AddStringToObject(object, name, text);
}

/* The number that a library gives of itself, by its return value or through a pointer; 0: it is not on this machine. */
enum answer { RETURNED, WRITTEN };
static long ask(const char *file, const char *function, enum answer answer) {
    long version = 0;
    int written = 0;
    void *library = dlopen(file, RTLD_LAZY | RTLD_LOCAL);
    if (library == NULL)
        return 0;
    void *address = dlsym(library, function);
    if (address != NULL && answer == RETURNED)
        version = (long)((size_t (*)(void))address)();
    else if (address != NULL && ((int (*)(int *))address)(&written) == 0)
        version = written;
    dlclose(library);
    return version;
}

/* All three count major * 10000 + minor * 100 + patch; before version 9 cuDNN counted 1000. */
static void add_loaded(cJSON *object, const char *name, int major, int minor, int patch, long loaded)
    __attribute__((unused));
static void add_loaded(cJSON *object, const char *name, int major, int minor, int patch, long loaded) {
    char built[64], text[VERSION_SIZE];
    long unit = loaded < 10000 ? 1000 : 10000;
    snprintf(built, sizeof built, "%d.%d.%d", major, minor, patch);
    snprintf(text, sizeof text, "%ld.%ld.%ld", loaded / unit, loaded % unit / 100, loaded % 100);
    if (loaded == 0)
        snprintf(text, sizeof text, "none here, built with %s", built);
    else if (strcmp(text, built) != 0)
        snprintf(&text[strlen(text)], sizeof text - strlen(text), ", built with %s", built);
    cJSON_AddStringToObject(object, name, text);
}

static void add_cuda(cJSON *object) {
    char file[64] = "";
    (void)object, (void)file, (void)ask;
#if defined CUDART_VERSION
    char text[VERSION_SIZE];
    snprintf(text, sizeof text, "%d.%d", CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    cJSON_AddStringToObject(object, "cuda", text);
#endif
#if HAVE_CUBLASLT
    snprintf(file, sizeof file, "libcublasLt.so.%d", CUBLAS_VER_MAJOR);
    add_loaded(object, "cublas", CUBLAS_VER_MAJOR, CUBLAS_VER_MINOR, CUBLAS_VER_PATCH,
               ask(file, "cublasLtGetVersion", RETURNED));
#endif
#if HAVE_CUDNN
    snprintf(file, sizeof file, "libcudnn.so.%d", CUDNN_MAJOR);
    add_loaded(object, "cudnn", CUDNN_MAJOR, CUDNN_MINOR, CUDNN_PATCHLEVEL, ask(file, "cudnnGetVersion", RETURNED));
#endif
#if HAVE_NCCL
    add_loaded(object, "nccl", NCCL_MAJOR, NCCL_MINOR, NCCL_PATCH, ask("libnccl.so.2", "ncclGetVersion", WRITTEN));
#endif
}

void libraries_describe(cJSON *object) {
    cJSON_AddStringToObject(object, "hwloc", HWLOC_VERSION);
    if (blas_missing() == NULL)
        cJSON_AddStringToObject(object, "openblas", blas_version());
#if defined OMPI_MAJOR_VERSION
    add_numbers(object, "mpi", "Open MPI ", OMPI_MAJOR_VERSION, OMPI_MINOR_VERSION, OMPI_RELEASE_VERSION);
#elif defined MPICH_VERSION
    cJSON_AddStringToObject(object, "mpi", "MPICH " MPICH_VERSION);
#endif
#if HAVE_PAPI
    add_numbers(object, "papi", "", PAPI_VERSION_MAJOR(PAPI_VERSION), PAPI_VERSION_MINOR(PAPI_VERSION),
                PAPI_VERSION_REVISION(PAPI_VERSION));
#endif
    add_cuda(object);
    cJSON_AddStringToObject(object, "cjson", cJSON_Version());
    cJSON_AddStringToObject(object, "glibc", gnu_get_libc_version());
}
