/* softmax_flash_clipped.cu: a clipped softmax (arXiv 2306.12929) in the flash kernel: one launch for each of two walks
   over the same plan, since what is stretched and clipped is a finished probability. The first walk has query key^T
   alone and leaves the log-sum-exp; the second has probabilities at once, exp2(score - log_sum_exp), and neither a
   maximum nor a sum. All else, and who prepares and launches, is softmax_flash.cu's.

   Floor: three products for two, and two exponentials a pair for one.

   NOTES, on an H200, bf16, 16k tokens, hidden 2048, clip_low -4 / length:
   - share of the rate of the same kernel with a sink, 8k tokens, full: 0.63 at head_dim 128, 0.69 at 256, 0.60 at 64.
   - the first walk takes nearly as long as the second: 1.23 and 1.39 ms at head_dim 128, 8k, full. Without its
     exponentials it would take 1.07, without its products 0.91: they overlap no better than in softmax_flash.cu.
   - sums behind the wait for the next scores instead of beside the exponentials: -3 % of the first walk's time at
     head_dim 128, +4 % at 64. Three stages of keys instead of four: within 1 %.
   - a query tile ended while the first products of the next one run (ENDS_LATE): within 1 %.
   - the next key tile found before the wait for the scores at hand: the assembler serializes the products (C7520).
   - head_dim 64: three warpgroups and key tiles of 80 or 64: within 2 %; two and tiles of 96: -10 %. */
#include "flash_kernel.h"
#include "flash_clip.h"

#define WALKS(head_dim, keys, sum_stages, stages, goes_on)                                                             \
    FLASH_KERNEL(head_dim, keys, 2, sum_stages, false, FLASH_LOG_SUM_EXP, false, FLASH_ANY),                           \
        FLASH_KERNEL(head_dim, keys, 2, stages, goes_on, FLASH_CLIP, false, FLASH_ANY)
static const struct flash_kernel kernels[] = {
    WALKS(64, 128, 4, 4, false), WALKS(96, 128, 4, 2, true), WALKS(128, 128, 4, 2, true),
    WALKS(192, 96, 3, 2, true),  WALKS(256, 80, 2, 2, true),
};

const struct flash_kernel *flash_clipped_kernel(int64_t head_dim, enum flash_options walk) {
    for (size_t i = 0; i < ARRAY_LENGTH(kernels); i++)
        if (kernels[i].head_dim == head_dim && kernels[i].options == walk) return &kernels[i];
    return NULL;
}
