/* listops_score.c: what an expression is worth, and what two trivial rules score. */
#include "lra_tasks/tasks/listops.h"

#include <string.h>

enum { NESTING_MAXIMUM = 64, OPERATORS = LISTOPS_CLOSE - LISTOPS_MIN };

/* An open operator: how often each digit occurred among its arguments, which is all that any of the four needs. */
struct open_operator {
    int token, arguments, count[10];
};

static int argument_at(const struct open_operator *open, int rank) { /* the rank-th smallest, from 0 */
    int digit = 0;
    for (int below = open->count[0]; below <= rank; below += open->count[digit]) digit++;
    return digit;
}

static int close_operator(const struct open_operator *open) {
    int sum = 0, last = open->arguments - 1;
    for (int digit = 0; digit < 10; digit++) sum += digit * open->count[digit];
    switch (open->token) {
    case LISTOPS_MIN: return argument_at(open, 0);
    case LISTOPS_MAX: return argument_at(open, last);
    case LISTOPS_MED: return (argument_at(open, last / 2) + argument_at(open, (last + 1) / 2)) / 2;
    default: return sum % 10;
    }
}

int listops_value(const uint16_t *token, int64_t length) {
    struct open_operator stack[NESTING_MAXIMUM];
    int depth = 0;
    for (int64_t i = 0; i < length; i++) {
        int value = token[i] - LISTOPS_DIGIT;
        if (token[i] >= LISTOPS_MIN && token[i] <= LISTOPS_SM) {
            if (depth == NESTING_MAXIMUM) return -1;
            stack[depth++] = (struct open_operator){.token = token[i]};
            continue;
        }
        if (token[i] == LISTOPS_CLOSE) {
            if (depth == 0 || stack[depth - 1].arguments == 0) return -1;
            value = close_operator(&stack[--depth]);
        } else if (value < 0 || value > 9) {
            return -1;
        }
        if (depth == 0) return i == length - 1 ? value : -1;
        stack[depth - 1].arguments++;
        stack[depth - 1].count[value]++;
    }
    return -1;
}

static int64_t largest(const int64_t count[LISTOPS_CLASSES]) {
    int64_t most = 0;
    for (int class = 0; class < LISTOPS_CLASSES; class++)
        if (count[class] > most) most = count[class];
    return most;
}

double listops_largest_class(const struct listops_data *data, int64_t from, int64_t count) {
    int64_t seen[LISTOPS_CLASSES] = {0};
    for (int64_t i = from; i < from + count; i++) seen[data->label[i]]++;
    return (double)largest(seen) / (double)count;
}

double listops_first_operator(const struct listops_data *data, int64_t from, int64_t count) {
    int64_t seen[OPERATORS][LISTOPS_CLASSES], right = 0;
    memset(seen, 0, sizeof seen);
    for (int64_t i = from; i < from + count; i++)
        seen[data->token[data->start[i]] - LISTOPS_MIN][data->label[i]]++;
    for (int operator = 0; operator < OPERATORS; operator++) right += largest(seen[operator]);
    return (double)right / (double)count;
}
