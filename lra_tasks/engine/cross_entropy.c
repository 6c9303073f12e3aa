/* cross_entropy.c: softmax and negative log likelihood of the label, with the largest logit taken out first. */
#include "lra_tasks/engine/layers.h"

static real log_sum(const real *logits, int64_t classes) {
    real largest = logits[0], sum = 0;
    for (int64_t c = 1; c < classes; c++) largest = logits[c] > largest ? logits[c] : largest;
    for (int64_t c = 0; c < classes; c++) sum += engine_exp(logits[c] - largest);
    return largest + engine_log(sum);
}

void cross_entropy_forward(real *restrict loss, const real *restrict logits, const uint8_t *label, int64_t rows,
                           int64_t classes) {
    for (int64_t row = 0; row < rows; row++)
        loss[row] = log_sum(logits + row * classes, classes) - logits[row * classes + label[row]];
}

void cross_entropy_backward(real *restrict d_logits, const real *restrict logits, const uint8_t *label, int64_t rows,
                            int64_t classes, real weight) {
    for (int64_t row = 0; row < rows; row++) {
        const real total = log_sum(logits + row * classes, classes);
        for (int64_t c = 0; c < classes; c++) {
            real probability = engine_exp(logits[row * classes + c] - total);
            d_logits[row * classes + c] = weight * (probability - (c == label[row] ? 1 : 0));
        }
    }
}
