/* test_ranks_agree.c: ranks that were given different options, played by one process that takes the part of each rank
   in turn: a table of its own stands in for MPI's and knows what the others would contribute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/device.h"
#include "bench/ranks.h"

enum { RANKS = 3, EXCERPT = 160 };

static const char *const *texts; /* by rank */
static int playing;
static int lowest_different; /* RANKS: none */
static size_t different_word;
static int excerpts; /* told so far */

static int rank(void) { return playing; }
static int size(void) { return RANKS; }

static void broadcast(void *bytes, size_t count) {
    uint64_t length = strlen(texts[0]);
    if (count == sizeof length) memcpy(bytes, &length, sizeof length);
    else memcpy(bytes, texts[0], count);
}

/* One number is the question who differs; a row of them is an excerpt, of rank 0's text first. */
static void maximum(double *values, size_t count) {
    if (count == 1) {
        double expected = lowest_different < RANKS ? RANKS - lowest_different : 0;
        if (playing == lowest_different) assert_true(values[0] == expected);
        values[0] = expected;
        return;
    }
    assert_int_equal(count, EXCERPT);
    const char *told = texts[excerpts++ == 0 ? 0 : lowest_different] + different_word;
    for (size_t i = 0; i + 1 < count && i <= strlen(told); i++) {
        double character = (unsigned char)told[i];
        assert_true(values[i] == 0 || values[i] == character);
        if (playing == lowest_different) assert_true(values[i] == character);
        values[i] = character;
    }
}

static const struct rank_backend played = {.name = "played", .rank = rank, .size = size, .maximum = maximum,
                                           .broadcast = broadcast};
const struct rank_backend *const rank_backend = &played;

static void the_same_options_agree(void **state) {
    (void)state;
    static const char *const same[RANKS] = {"--bytes 8 --seed 1", "--bytes 8 --seed 1", "--bytes 8 --seed 1"};
    texts = same;
    lowest_different = RANKS;
    for (playing = 0; playing < RANKS; playing++) {
        char reason[REASON_SIZE] = "before";
        assert_true(ranks_agree(texts[playing], reason));
        assert_string_equal(reason, "");
    }
}

static void play_difference(const char *const list[RANKS], int lowest, size_t word, const char *expected) {
    texts = list;
    lowest_different = lowest;
    different_word = word;
    for (playing = 0; playing < RANKS; playing++) {
        char reason[REASON_SIZE];
        excerpts = 0;
        assert_false(ranks_agree(texts[playing], reason));
        assert_non_null(strstr(reason, expected));
    }
}

static void every_rank_learns_the_first_differing_word(void **state) {
    (void)state;
    static const char *const last[RANKS] = {"--bytes 8 --seed 1", "--bytes 8 --seed 1", "--bytes 8 --seed 12"};
    play_difference(last, 2, strlen("--bytes 8 --seed "), "rank 0 has '1', rank 2 has '12'");
    static const char *const two[RANKS] = {"--bytes 8", "--bytes 16 -x", "--seed 3"};
    play_difference(two, 1, strlen("--bytes "), "rank 0 has '8', rank 1 has '16 -x'");
}

static void no_options_against_some(void **state) {
    (void)state;
    static const char *const none[RANKS] = {"", "--bytes 16", ""};
    play_difference(none, 1, 0, "rank 0 has '', rank 1 has '--bytes 16'");
}

static void long_options_are_cut(void **state) {
    (void)state;
    static char first[2000], second[2000];
    memset(first, 'a', sizeof first - 1);
    memset(second, 'b', sizeof second - 1);
    const char *const list[RANKS] = {first, second, first};
    texts = list;
    lowest_different = 1;
    different_word = 0;
    playing = 1;
    excerpts = 0;
    char reason[REASON_SIZE];
    assert_false(ranks_agree(second, reason));
    assert_true(strlen(reason) < REASON_SIZE && strlen(reason) > EXCERPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_options_agree),
        cmocka_unit_test(every_rank_learns_the_first_differing_word),
        cmocka_unit_test(no_options_against_some),
        cmocka_unit_test(long_options_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
