/* flash_kernel.h: the table entries of the forward flash kernels, which two files compile: softmax_flash.cu, and
   softmax_flash_clipped.cu those of a clipped softmax. */
#ifndef ATTENTION_FLASH_KERNEL_H
#define ATTENTION_FLASH_KERNEL_H

#include "flash_forward.h"

/* few >= 0: a kernel for plans with at most so many entries a line, or with many partial ones. */
enum { FLASH_ANY = -1 };
struct flash_kernel {
    int head_dim, queries, keys, threads, shared_bytes, few;
    enum flash_options options;
    bool sparse;
    const void *bf16, *fp16, *fp8, *fp8_token; /* NULL: none; fp8_token: of scales by token */
};

#define FLASH_KERNEL_SHAPE(element, head_dim, keys, warpgroups, stages, goes_on, options, sparse, few)                 \
    head_dim, (warpgroups) * WGMMA_M, keys, ((warpgroups) + 1) * WGMMA_THREADS,                                        \
        flash_tiles<element, head_dim, keys, warpgroups, stages, goes_on, options, sparse>::SHARED_BYTES, few,         \
        options, sparse
#define FLASH_KERNEL(head_dim, keys, warpgroups, stages, goes_on, options, sparse, few)                                \
    {FLASH_KERNEL_SHAPE(__half, head_dim, keys, warpgroups, stages, goes_on, options, sparse, few),                    \
     (const void *)flash_forward<__nv_bfloat16, head_dim, keys, warpgroups, stages, goes_on, options, sparse>,         \
     (const void *)flash_forward<__half, head_dim, keys, warpgroups, stages, goes_on, options, sparse>, NULL, NULL}
#define FLASH_KERNEL_FP8(head_dim, keys, warpgroups, stages, goes_on)                                                  \
    {FLASH_KERNEL_SHAPE(flash_e4m3_token, head_dim, keys, warpgroups, stages, goes_on, FLASH_NO_OPTIONS, false,        \
                        FLASH_ANY),                                                                                    \
     NULL, NULL,                                                                                                       \
     (const void *)flash_forward<flash_e4m3, head_dim, keys, warpgroups, stages, goes_on, FLASH_NO_OPTIONS, false>,    \
     (const void *)flash_forward<flash_e4m3_token, head_dim, keys, warpgroups, stages, goes_on, FLASH_NO_OPTIONS,      \
                                 false>}

/* The kernel of one walk of a clipped softmax, both with the same tiles; NULL: none of that head_dim. */
const struct flash_kernel *flash_clipped_kernel(int64_t head_dim, enum flash_options walk);

#endif
