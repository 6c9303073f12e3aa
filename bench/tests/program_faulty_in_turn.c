/* program_faulty_in_turn: the variants of program_faulty.c, timed in turn. */
#define IN_TURN true
#include "program_faulty.c"
