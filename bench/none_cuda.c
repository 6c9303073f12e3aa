/* none_cuda.c: what a program without a .cu gets from the archive: no device and no device variants. */
#include "bench.h"
#include "device.h"

const struct variant cuda_variants[1];
const struct device_backend *const device_backend = NULL;
