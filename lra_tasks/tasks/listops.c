/* listops.c: drawing trees, in parallel and yet in one order.

   Candidate c is a function of (seed, c): its draws are the counter-based generator's elements 0, 1, 2 .. of stream c.
   Threads draw slices of consecutive candidates; one thread then goes through the slices in order and drops duplicates.
   A tree that grows past the maximum is abandoned at that token, since nothing could make it short again. */
#include "lra_tasks/tasks/listops.h"

#include <stdlib.h>
#include <string.h>

#include "bench/random.h"

enum {
    DEPTH_MAXIMUM = 10,
    CHILDREN_MINIMUM = 2,
    CHILDREN_MAXIMUM = 10,
    LENGTH_LIMIT = 2000,
    SLICE_CANDIDATES = 1024, /* about a hundred examples: enough to make a slice worth a thread's while */
    SLICES = 64,
};
static const double OPERATOR_PROBABILITY = 0.25;
static const uint64_t SEED_STREAM = 0x6c6973746f7073; /* keeps candidate streams apart from other users of the seed */

static const struct {
    int64_t above, below;
} length_range[LISTOPS_LENGTHS_COUNT] = {[LISTOPS_SHORT] = {64, 256}, [LISTOPS_FULL] = {500, LENGTH_LIMIT}};

const char *const listops_lengths_names[LISTOPS_LENGTHS_COUNT + 1] = {"short", "full", NULL};

int64_t listops_length_maximum(enum listops_lengths lengths) { return length_range[lengths].below - 1; }

static void sort(int *value, int count) { /* by insertion: there are ten at most */
    for (int i = 1; i < count; i++) {
        int moved = value[i], place = i;
        for (; place > 0 && value[place - 1] > moved; place--) value[place] = value[place - 1];
        value[place] = moved;
    }
}

/* Values are not negative, so integer division is the integer part of the median. */
static int apply(enum listops_token operation, int *value, int count) {
    int sum = 0;
    for (int i = 0; i < count; i++) sum += value[i];
    sort(value, count);
    switch (operation) {
    case LISTOPS_MIN: return value[0];
    case LISTOPS_MAX: return value[count - 1];
    case LISTOPS_MED: return count % 2 ? value[count / 2] : (value[count / 2 - 1] + value[count / 2]) / 2;
    default: return sum % 10;
    }
}

struct tree {
    uint64_t seed, candidate, draws;
    int64_t length, limit;
    uint16_t token[LENGTH_LIMIT];
};

static double draw(struct tree *tree) { return random_uniform(tree->seed, tree->candidate, tree->draws++); }

static int draw_integer(struct tree *tree, int from, int to) {
    return from + (int)(draw(tree) * (double)(to - from + 1));
}

static bool append(struct tree *tree, int token) {
    if (tree->length + 1 >= tree->limit) return false;
    tree->token[tree->length++] = (uint16_t)token;
    return true;
}

/* The value of a subtree, or -1 where the tree grew too long. */
static int grow(struct tree *tree, int depth) {
    if (depth >= DEPTH_MAXIMUM || draw(tree) > OPERATOR_PROBABILITY) {
        int digit = draw_integer(tree, 0, 9);
        return append(tree, LISTOPS_DIGIT + digit) ? digit : -1;
    }
    int operation = draw_integer(tree, LISTOPS_MIN, LISTOPS_SM);
    int children = draw_integer(tree, CHILDREN_MINIMUM, CHILDREN_MAXIMUM);
    int value[CHILDREN_MAXIMUM];
    if (!append(tree, operation)) return -1;
    for (int i = 0; i < children; i++)
        if ((value[i] = grow(tree, depth + 1)) < 0) return -1;
    return append(tree, LISTOPS_CLOSE) ? apply((enum listops_token)operation, value, children) : -1;
}

/* The kept candidates of one slice, one after another. */
struct slice {
    int64_t count, token_count, capacity;
    uint16_t *token;
    int32_t length[SLICE_CANDIDATES], candidate[SLICE_CANDIDATES];
    uint8_t label[SLICE_CANDIDATES];
};

static bool slice_draw(struct slice *slice, uint64_t seed, int64_t first, enum listops_lengths lengths) {
    struct tree tree = {.seed = seed, .limit = length_range[lengths].below};
    slice->count = slice->token_count = 0;
    for (int c = 0; c < SLICE_CANDIDATES; c++) {
        tree.candidate = (uint64_t)(first + c);
        tree.draws = 0;
        tree.length = 0;
        int value = grow(&tree, 1);
        if (value < 0 || tree.length <= length_range[lengths].above) continue;
        if (slice->token_count + tree.length > slice->capacity) {
            int64_t capacity = 2 * slice->capacity + 64 * LENGTH_LIMIT;
            uint16_t *grown = realloc(slice->token, (size_t)capacity * sizeof *grown);
            if (!grown) return false;
            slice->token = grown;
            slice->capacity = capacity;
        }
        memcpy(slice->token + slice->token_count, tree.token, (size_t)tree.length * sizeof *tree.token);
        slice->length[slice->count] = (int32_t)tree.length;
        slice->candidate[slice->count] = c;
        slice->label[slice->count++] = (uint8_t)value;
        slice->token_count += tree.length;
    }
    return true;
}

/* Examples found so far: open addressing over their hashes, at most half full. */
struct seen {
    int64_t *example; /* -1: free */
    uint64_t mask;
};

static uint64_t hash_tokens(const uint16_t *token, int64_t length) { /* FNV-1a */
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int64_t i = 0; i < length; i++) hash = (hash ^ token[i]) * UINT64_C(0x100000001b3);
    return hash ^ (hash >> 32);
}

/* false: an equal example is there already. Otherwise `example` is entered as the owner of these tokens. */
static bool seen_enter(struct seen *seen, const struct listops_data *data, int64_t example, const uint16_t *token,
                       int64_t length) {
    uint64_t place = hash_tokens(token, length) & seen->mask;
    for (; seen->example[place] >= 0; place = (place + 1) & seen->mask) {
        int64_t other = seen->example[place], start = data->start[other];
        if (data->start[other + 1] - start == length &&
            memcmp(data->token + start, token, (size_t)length * sizeof *token) == 0)
            return false;
    }
    seen->example[place] = example;
    return true;
}

/* Appends a slice's examples, in order, until there are enough. data->count grows; false: out of memory. */
static bool slice_merge(const struct slice *slice, int64_t first, int64_t count, struct seen *seen,
                        struct listops_data *data, int64_t *capacity) {
    const uint16_t *token = slice->token;
    for (int64_t i = 0; i < slice->count && data->count < count; token += slice->length[i++]) {
        int64_t length = slice->length[i], end = data->start[data->count];
        if (end + length > *capacity) {
            *capacity += *capacity / 2 + length;
            uint16_t *grown = realloc(data->token, (size_t)*capacity * sizeof *grown);
            if (!grown) return false;
            data->token = grown;
        }
        if (!seen_enter(seen, data, data->count, token, length)) continue;
        memcpy(data->token + end, token, (size_t)length * sizeof *token);
        data->label[data->count++] = slice->label[i];
        data->start[data->count] = end + length;
        data->candidates = first + slice->candidate[i] + 1;
    }
    return true;
}

static bool generate_into(uint64_t seed, enum listops_lengths lengths, int64_t count, int threads, struct slice *slice,
                          struct seen *seen, struct listops_data *data) {
    int64_t capacity = 0;
    bool memory = true;
    for (int64_t first = 0; memory && data->count < count; first += SLICES * SLICE_CANDIDATES) {
#pragma omp parallel for num_threads(threads) schedule(dynamic) reduction(&& : memory)
        for (int s = 0; s < SLICES; s++)
            memory = slice_draw(&slice[s], seed, first + s * SLICE_CANDIDATES, lengths) && memory;
        for (int s = 0; memory && s < SLICES; s++)
            memory = slice_merge(&slice[s], first + s * SLICE_CANDIDATES, count, seen, data, &capacity);
    }
    data->bytes = (size_t)capacity * sizeof *data->token + (size_t)(count + 1) * sizeof *data->start + (size_t)count;
    return memory;
}

bool listops_generate(uint64_t seed, enum listops_lengths lengths, int64_t count, int threads,
                      struct listops_data *data) {
    *data = (struct listops_data){.start = calloc((size_t)count + 1, sizeof *data->start),
                                  .label = malloc((size_t)count)};
    uint64_t places = 2;
    while (places < 2 * (uint64_t)count) places *= 2;
    struct seen seen = {.example = malloc(places * sizeof *seen.example), .mask = places - 1};
    struct slice *slice = calloc(SLICES, sizeof *slice);
    bool done = data->start && data->label && seen.example && slice;
    if (done) {
        memset(seen.example, 0xff, places * sizeof *seen.example);
        done = generate_into(random_bits(seed, SEED_STREAM, 0), lengths, count, threads, slice, &seen, data);
    }
    for (int s = 0; slice && s < SLICES; s++) free(slice[s].token);
    free(slice);
    free(seen.example);
    if (!done) listops_release(data);
    return done;
}

void listops_release(struct listops_data *data) {
    free(data->token);
    free(data->start);
    free(data->label);
    *data = (struct listops_data){0};
}
