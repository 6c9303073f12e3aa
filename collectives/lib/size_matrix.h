/* size_matrix.h: who sends how much to whom, read from a file: a line a sender, a number a receiver, between spaces,
   tabs or commas; lines that are empty or begin with # count for nothing. The numbers are shares: a case scales them so
   that the sender with the most sends the case's S (with S of just that many elements they are counts of elements). */
#ifndef COLLECTIVES_SIZE_MATRIX_H
#define COLLECTIVES_SIZE_MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MATRIX_RANKS_MAX = 4096 };
struct size_matrix {
    int ranks;        /* 0: none was read */
    int64_t *weight;  /* by sender * ranks + receiver */
    int64_t largest;  /* sum of the sender that sends most */
    uint64_t digest;  /* of all of it: ranks that read different files must find out */
};

/* false with one line that names file and line in reason (REASON_SIZE bytes): a word that is no whole number from 0 on,
   a line with more or fewer numbers than the first, as many lines as numbers not being there, nothing but zeros. */
bool size_matrix_read(const char *path, struct size_matrix *matrix, char *reason);
/* Of S = `count` elements, how many `from` sends to `to`. */
size_t size_matrix_elements(const struct size_matrix *matrix, size_t count, int from, int to);
void size_matrix_release(struct size_matrix *matrix);

#endif
