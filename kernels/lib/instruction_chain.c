/* instruction_chain.c: the comparison of instruction_chain.h. */
#include <math.h>

#include "kernels/lib/instruction_chain.h"

double instruction_chain_error(const struct instruction_state *state, int which,
                               double (*error_of)(int which, uint64_t x, uint64_t y, uint64_t a, uint64_t b,
                                                  uint64_t result)) {
    double worst = 0;
    for (size_t lane = 0; lane < CHAIN_LANES; lane++) {
        uint64_t x = state->start[lane], y = state->start[CHAIN_LANES + lane];
        for (size_t step = 0; step < CHAIN_STEPS; step++) {
            uint64_t next = state->record[step * CHAIN_LANES + lane];
            double error = error_of(which, x, y, state->a, state->b, next);
            worst = fmax(worst, isnan(error) ? INFINITY : error);
            y = x;
            x = next;
        }
    }
    for (size_t i = 0; i < state->out_count; i++)
        if (state->out[i] != state->record[(CHAIN_STEPS - 1) * CHAIN_LANES + i % CHAIN_LANES]) worst = INFINITY;
    return worst;
}
