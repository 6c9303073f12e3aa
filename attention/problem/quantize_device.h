/* quantize_device.h: fp8 operands made on a device. See quantize.h. */
#ifndef ATTENTION_QUANTIZE_DEVICE_H
#define ATTENTION_QUANTIZE_DEVICE_H

#include "attention/op/attention.h"

/* Enqueues on run->stream: [heads][tokens][head_dim] e4m3, packed, of the elements of a stream (problem.h), and their
   scales. heads: of all batch items. */
struct quantize_operand {
    void *data;
    float *scale; /* [heads][tokens] if by_token, else [heads][blocks of ATTENTION_SCALE_BLOCK tokens] */
    int64_t heads, tokens, head_dim;
    uint64_t stream;
    bool rotated, by_token;
};
void quantize_fill(struct run *run, const struct quantize_operand *operand);

#endif
