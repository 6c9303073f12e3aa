/* adamw.c: Adam with decoupled weight decay; the two bias corrections are folded into the step and into epsilon's root
   as the paper's Algorithm 2 has them: m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon). */
#include "lra_tasks/engine/layers.h"

void adamw_update(real *restrict parameter, real *restrict first, real *restrict second, const real *restrict gradient,
                  int64_t count, const struct adamw *adamw, int64_t step) {
    const real beta1 = (real)adamw->beta1, beta2 = (real)adamw->beta2, epsilon = (real)adamw->epsilon;
    const real rate = (real)(adamw->rate / (1 - pow(adamw->beta1, (double)step)));
    const real correction = (real)(1 / (1 - pow(adamw->beta2, (double)step)));
    const real keep = (real)(1 - adamw->rate * adamw->decay);
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
        first[i] = beta1 * first[i] + (1 - beta1) * gradient[i];
        second[i] = beta2 * second[i] + (1 - beta2) * gradient[i] * gradient[i];
        parameter[i] = keep * parameter[i] - rate * first[i] / (engine_sqrt(second[i] * correction) + epsilon);
    }
}
