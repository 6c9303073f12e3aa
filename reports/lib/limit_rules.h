/* limit_rules.h: a gate for machines without a history: what share of its physical limit a figure must reach. */
#ifndef REPORTS_LIMIT_RULES_H
#define REPORTS_LIMIT_RULES_H

#include "comparison.h"
#include "peers.h"

/* One line of a file: header program,device,variant,dtype,axes,metric,least_share, in any order; other columns are
   notes. Empty fields but those of program, metric and least_share match anything. */
struct limit_rule {
    struct peer selector;
    double least_share; /* above 0, up to 2 */
    size_t line;
};
struct limit_rules {
    const char *path;
    struct limit_rule *list;
    size_t count, capacity;
    struct pool pool;
};

/* Start from {0}. false: problem names file and line; release in either case. */
bool limit_rules_read(const char *path, struct limit_rules *rules, struct problem *problem);
void limit_rules_release(struct limit_rules *rules);

/* What became of a rule: the best share of the cases it selects, each by the median over its launches. A rule asks what
   the machine can do, so the best case answers for all; one that selects nothing measured is not met. */
enum limit_verdict { LIMIT_MET, LIMIT_BELOW, LIMIT_MISSING, LIMIT_VERDICTS };
extern const char *const limit_verdict_names[LIMIT_VERDICTS];
struct limit_judgement {
    const struct limit_rule *rule;
    enum limit_verdict verdict;
    const struct row *row; /* of the best case; NULL: missing */
    double share;
};
void limit_rules_judge(const struct limit_rules *rules, const struct match *match, struct limit_judgement *judgements);
#endif
