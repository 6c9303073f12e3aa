/* reference.h: the model again, slow and obvious: one example, double precision, no BLAS, nothing packed or blocked.
   It shares with the engine only where parameters lie (parameters.def) and which values dropout drops. */
#ifndef LRA_TASKS_REFERENCE_H
#define LRA_TASKS_REFERENCE_H

#include "lra_tasks/engine/model.h"

/* The loss of one example; logits [classes] if not NULL. identity is its index in the batch, which with seed and step
   selects the dropout where training is set. NaN: out of memory. */
struct reference_pass {
    const struct model_shape *shape;
    const struct example *example;
    int64_t identity;
    bool training;
    uint64_t seed, step;
};
double reference_loss(const struct reference_pass *pass, const double *parameters, double *logits);

#endif
