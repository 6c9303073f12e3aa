/* verdict_write.h: the outcome of a gate for programs: JSON and JUnit's XML. */
#ifndef REPORTS_VERDICT_WRITE_H
#define REPORTS_VERDICT_WRITE_H

#include "comparison.h"
#include "limit_rules.h"
#include "verdict_table.h"

/* All that a gate found. */
struct gate_outcome {
    const struct comparison *comparison;
    const struct limit_rules *rules;
    const struct limit_judgement *limits; /* one a rule */
};
bool gate_passes(const struct gate_outcome *outcome);

/* Adds one JSON object: pass, both sides' folders and fingerprints, counts by verdict, cases (slowdown, its interval
   and tolerance as ratios minus one, positive is worse), limits. What is not known is null. */
void gate_json(const struct gate_outcome *outcome, struct text *out);
/* Adds a JUnit report: a testcase a case, of its program's class; verdicts that fail are failures, unsure ones are
   skipped. */
void gate_junit(const struct gate_outcome *outcome, struct text *out);
/* Adds a line or, in Markdown, a table row for each limit rule. */
void gate_limits(const struct gate_outcome *outcome, enum table_form form, struct text *out);
#endif
