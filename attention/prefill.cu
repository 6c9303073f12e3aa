/* prefill.cu: the same on a device. */
#include "bench/cuda.h"
#include "attention/problem/problem.h"

/* Presets do not spend their time on more of the plain kernel. */
static const double plain_flops = 3e11;

static const struct problem_pass forward_pass = {false, false};

static const struct attention_operator *const device_methods[] = {&softmax_plain, &softmax_mma, &softmax_flash,
                                                                 &softmax_flash_token, &softmax_cudnn, NULL};

static const char *decline(const struct run *run) {
    return problem_decline_method(run, forward_pass, problem_method(run, device_methods));
}

static bool covers_plain(const struct run *run) {
    return problem_unmasked_flops(run) <= plain_flops;
}

static void setup(struct run *run) {
    problem_setup_device(run, problem_method(run, device_methods));
}

static void enqueue(struct run *run) {
    struct problem *state = (struct problem *)run->state;
    char reason[REASON_SIZE] = "";
    if (!state->method->forward(&state->problem, &state->plan, &state->device, run->stream, reason))
        bench_fail(run, "%s", reason);
}

const struct variant cuda_variants[] = {
    {PROBLEM_DEVICE_VARIANT("plain", "cuda"), .covers = covers_plain},
    {PROBLEM_DEVICE_VARIANT("mma", "cuda")},
    {PROBLEM_DEVICE_VARIANT("flash", "cuda"), .in_turn = true},
    {PROBLEM_DEVICE_VARIANT("flash_token", "cuda"), .in_turn = true},
    {PROBLEM_DEVICE_VARIANT("cudnn", "cudnn"), .in_turn = true},
    {},
};
