/* listops.h: the ListOps task of Long Range Arena: its generator, an independent evaluator, and two trivial scores.

   An example is a nested prefix expression over single digits, such as [MAX 2 9 [MIN 4 7] 0], and its value 0..9 is
   the class to predict. Operators: MIN, MAX, MED (integer part of the median), SM (sum modulo 10). The tree: a node at
   a depth below 10 (the root has depth 1) is with probability 1/4 an operator, drawn uniformly, with 2..10 children,
   drawn uniformly; otherwise it is a digit, drawn uniformly. Parentheses are dropped and the closing bracket is a token
   of its own, so the length is two for each operator (its opening and its bracket) and one for each digit. A tree is
   kept when its length is within the open interval of the task and the same expression was not seen before.

   Token ids are fixed: 0 pads, 1..10 are the digits 0..9, then the four operators, then the bracket. */
#ifndef LRA_TASKS_LISTOPS_H
#define LRA_TASKS_LISTOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LISTOPS_CLASSES = 10 };
enum listops_token {
    LISTOPS_PAD,
    LISTOPS_DIGIT,
    LISTOPS_MIN = LISTOPS_DIGIT + 10,
    LISTOPS_MAX,
    LISTOPS_MED,
    LISTOPS_SM,
    LISTOPS_CLOSE,
    LISTOPS_VOCABULARY
};

/* Short: 64 < length < 256. Full, the published task: 500 < length < 2000. */
enum listops_lengths { LISTOPS_SHORT, LISTOPS_FULL, LISTOPS_LENGTHS_COUNT };
extern const char *const listops_lengths_names[LISTOPS_LENGTHS_COUNT + 1]; /* ended by NULL */
int64_t listops_length_maximum(enum listops_lengths lengths);              /* of an example, inclusive */

/* Example i is token[start[i] .. start[i + 1] - 1] with the value label[i]. */
struct listops_data {
    int64_t count;
    int64_t candidates; /* trees drawn to find them: count / candidates is the acceptance */
    uint16_t *token;
    int64_t *start; /* count + 1 */
    uint8_t *label;
    size_t bytes; /* held by the three arrays */
};

/* The first `count` distinct examples that the seed gives. They depend on (seed, lengths) alone, so a longer list
   begins with the shorter one and the number of threads does not matter. false: out of memory, and data is empty. */
bool listops_generate(uint64_t seed, enum listops_lengths lengths, int64_t count, int threads,
                      struct listops_data *data);
void listops_release(struct listops_data *data);

/* The value of an expression by a stack machine that shares nothing with the generator; -1 if it is not well formed. */
int listops_value(const uint16_t *token, int64_t length);

/* Share of the examples from .. from + count - 1 that a rule gets right when it is fitted to the same examples: always
   answering the most frequent class; answering the most frequent class among those with the same first operator. */
double listops_largest_class(const struct listops_data *data, int64_t from, int64_t count);
double listops_first_operator(const struct listops_data *data, int64_t from, int64_t count);

#endif
