/* flash_backward_turns.h: in which order the key tiles of a deterministic backward pass add to the gradients of
   queries, made on the host for the backward flash kernel. */
#ifndef ATTENTION_FLASH_BACKWARD_TURNS_H
#define ATTENTION_FLASH_BACKWARD_TURNS_H

#include "flash_backward_plan.h"

#define TILE_COST 2.0 /* what a key tile takes besides its entries, in entries */
#define SUMS_COST 1.0 /* and what the addition of its sums takes */

/* Gives each of `blocks` blocks its part of the work that is listed, and each entry its turn: those that they would
   have if blocks took the work from the list and added when they come to it. plan->work becomes what backward_plan_new
   describes; it stays long enough for the list. Returns when the last block would end, in entries; < 0: out of memory,
   or too much to count, and the plan is still one for backward_plan_free. */
double backward_plan_turns(struct backward_plan *plan, const struct attention_problem *problem, int64_t query_tiles,
                           int tile_keys, int blocks);

#endif
