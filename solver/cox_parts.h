/** What the files of solver/cox share.
 *
 *  Scope: local.
 */
#ifndef COVEY_SOLVER_COX_PARTS_H
#define COVEY_SOLVER_COX_PARTS_H

#include "solver/cox.h"

/** Rows from the last time to the first, those of one time together, events
 *  before censorings. */
struct cv_cox {
    int64_t n, n_groups;
    int p, bad; /* bad: something was not finite; then n is 0 */
    cv_ties ties;
    double *x;                       /* (n, p) */
    double *centre, *zero;           /* (p) what x is taken relative to; 0 */
    double *time, *weights, *offset; /* (n) */
    int64_t *start;                  /* (n_groups + 1) first row of each time */
    int64_t *deaths;                 /* (n_groups) events at each time */
};

/** eta (n) at b, of x, or of x less centre. Rows alike come out alike, to the
 *  bit. */
void cv_cox_eta(const cv_cox *c, const double *b, int centred, double *eta);

/** The denominators of one time, or bin: of its d events number j = 0 .. d-1
 *  has s0 - f d0 where f is j/d after Efron, 0 after Breslow; s0 sums the risks
 *  of all rows at risk, d0 those of the events.  With e = s0/(s0 - f d0), and
 *  means S = s1/s0, D = d1/s0, the j-th mean of x is e (S - f D).  Events have
 *  their average weight. */
typedef struct {
    double log;    /* sum of weight log(denominator) */
    double s, d;   /* sum of the means: s S - d D */
    double square; /* sum of their outer products: */
    double at;     /*     square (S - at D)(S - at D)' */
    double spread; /*     + spread D D' */
} cv_cox_terms;

/** others: risks of the rows without an event now; weight: of all events.
 *  deaths >= 1. Cost: deaths logarithms. */
cv_cox_terms cv_cox_tied(cv_ties ties, double others, double d0, int64_t deaths,
                         double weight);

/** Rows whose outer products are added to info in batches: a rank-1 update
 *  would wait for memory. */
typedef struct {
    int p, used;
    double sign;
    double *rows; /* (CV_COX_BATCH, p) */
    double *info; /* (p, p) upper triangle */
} cv_cox_stack;

enum { CV_COX_BATCH = 256 };

cv_cox_stack cv_cox_stack_open(int p, double sign, double *info);
/** Room for one more row (p). */
double *cv_cox_stack_row(cv_cox_stack *s);
/** Add what is there. */
void cv_cox_stack_flush(cv_cox_stack *s);
/** The same, and free. */
void cv_cox_stack_close(cv_cox_stack *s);
/** The two rows of one time's outer products. */
void cv_cox_stack_means(cv_cox_stack *s, const cv_cox_terms *t, double s0,
                        const double *s1, const double *d1);

/** Zeroes in info of columns whose variance within risk sets, info's
 *  diagonal, cannot be told from rounding in second moments (p) less squared
 *  means: a column that is constant there must not look like a small one. */
void cv_cox_constant(int p, const double *squares, double *info);

/** bad and nothing else if a number is not finite. */
void cv_cox_judge(int p, cv_cox_sums *sums, double *score, double *info);

#endif
