/* ranks.c: what can be said over ranks with nothing but the table in ranks.h. It defines no rank_backend: that comes
   from ranks_mpi.c or, in programs without MPI, from ranks_none.c. */
#include "ranks.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

enum { EXCERPT = 160 };

/* The text of rank 0, malloc, on every rank. */
static char *text_of_first(const char *own) {
    uint64_t length = strlen(own);
    rank_backend->broadcast(&length, sizeof length);
    char *text = calloc(length + 1, 1);
    if (text == NULL) rank_backend->abort(1);
    memcpy(text, own, strlen(own) < length ? strlen(own) : length);
    rank_backend->broadcast(text, length + 1);
    text[length] = '\0';
    return text;
}

/* Where the word begins in which the two texts differ first; SIZE_MAX if they do not. */
static size_t differing_word(const char *a, const char *b) {
    size_t i = 0;
    while (a[i] == b[i]) {
        if (a[i] == '\0') return SIZE_MAX;
        i++;
    }
    while (i > 0 && !isspace((unsigned char)a[i - 1])) i--;
    return i;
}

/* Brings an excerpt from the one rank that `speaks` to all. The table has no send from any rank, but a maximum over
   characters as numbers, to which the silent ranks add zeros, carries a line just as well. */
static void tell_all(bool speaks, const char *text, char excerpt[EXCERPT]) {
    double characters[EXCERPT] = {0};
    size_t length = speaks ? strnlen(text, EXCERPT - 1) : 0;
    for (size_t i = 0; i < length; i++) characters[i] = (unsigned char)text[i];
    rank_backend->maximum(characters, EXCERPT);
    for (size_t i = 0; i < EXCERPT; i++) excerpt[i] = (char)(unsigned char)characters[i];
}

bool ranks_agree(const char *text, char *reason) {
    reason[0] = '\0';
    if (rank_backend == NULL || rank_backend->size() == 1) return true;
    int rank = rank_backend->rank(), size = rank_backend->size();
    char *first = text_of_first(text);
    size_t word = differing_word(text, first);

    double earliest = word == SIZE_MAX ? 0 : size - rank; /* largest for the lowest rank that differs */
    rank_backend->maximum(&earliest, 1);
    if (earliest == 0) {
        free(first);
        return true;
    }
    bool speaks = rank == size - (int)earliest;
    char ours[EXCERPT], theirs[EXCERPT];
    tell_all(speaks, speaks ? first + word : "", ours);
    tell_all(speaks, speaks ? text + word : "", theirs);
    snprintf(reason, REASON_SIZE, "the ranks were started with different options: rank 0 has '%s', rank %d has '%s'",
             ours, size - (int)earliest, theirs);
    free(first);
    return false;
}
