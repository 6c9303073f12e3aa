/* backward.cu: the same on a device. */
#include "bench/cuda.h"
#include "attention/backward.h"

/* Presets do not spend their time on more of the plain kernels. */
static const double plain_flops = 3e11;

static const struct attention_operator *const device_methods[] = {&softmax_plain, &softmax_flash, &softmax_cudnn, NULL};

static const char *decline(const struct run *run) {
    return problem_decline_method(run, backward_pass(run), problem_method(run, device_methods));
}

/* The plain kernels are deterministic in any case. */
static bool covers_plain(const struct run *run) {
    return run->value[AXIS_DETERMINISTIC] && 2.5 * problem_unmasked_flops(run) <= plain_flops;
}

static void setup(struct run *run) {
    problem_setup_device(run, problem_method(run, device_methods));
}

static void enqueue(struct run *run) {
    struct problem *state = (struct problem *)run->state;
    char reason[REASON_SIZE] = "";
    if (!state->method->backward(&state->problem, &state->plan, &state->device, &state->device_gradients, run->stream,
                                 reason))
        bench_fail(run, "%s", reason);
}

const struct variant cuda_variants[] = {
    {PROBLEM_DEVICE_VARIANT("plain", "cuda"), .covers = covers_plain},
    {PROBLEM_DEVICE_VARIANT("flash", "cuda"), .in_turn = true},
    {PROBLEM_DEVICE_VARIANT("cudnn", "cudnn"), .in_turn = true},
    {},
};
