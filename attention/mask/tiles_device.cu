/* tiles_device.cu: plans of tiles on a device. */
#include <cuda_runtime.h>
#include <stdio.h>

#include "bench/device.h"
#include "tiles.h"

extern "C" struct mask_tiles *mask_tiles_to_device(const struct mask_tiles *tiles, char *reason) {
    void *copy = NULL;
    cudaError_t status = cudaMalloc(&copy, tiles->bytes);
    if (status == cudaSuccess) status = cudaMemcpy(copy, tiles, tiles->bytes, cudaMemcpyHostToDevice);
    if (status == cudaSuccess) return (struct mask_tiles *)copy;
    snprintf(reason, REASON_SIZE, "%.1f MiB for the plan of the mask: %s", (double)tiles->bytes / (double)MIB,
             cudaGetErrorString(status));
    cudaFree(copy);
    return NULL;
}

extern "C" void mask_tiles_device_free(struct mask_tiles *tiles) {
    cudaFree(tiles);
}
