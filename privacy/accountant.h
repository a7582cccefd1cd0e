/** What training has spent and may still spend: (epsilon, delta) over steps,
 *  rounds, restarts and runs.
 *
 *  An accountant is a list of segments: so many steps of the Poisson-subsampled
 *  Gaussian with one noise multiplier and one sampling rate. Unit: a record, or
 *  a silo (sampling 1); adjacency: it is replaced by null. A step is charged
 *  before it is taken, and again for every further attempt with fresh noise.
 *
 *  Noise on the integers. Masked sums carry sums of discrete Gaussian shares,
 *  so the bounds for the continuous Gaussian need these terms (PROTOCOL,
 *  Accounting; proofs in accountant.c):
 *    - RDP holds for the discrete Gaussian itself;
 *    - PLD is taken for a rounded Gaussian of variance sigma^2 - 1/12, and the
 *      total variation to it is charged; sigma >= 256 grid units or RDP is used;
 *    - the sum of shares differs from one draw by tau per coordinate;
 *    - a table sampler differs from the exact distribution.
 *  Total variation v costs (1 + exp(epsilon)) v of delta.
 *
 *  All functions are local and deterministic.
 */
#ifndef COVEY_PRIVACY_ACCOUNTANT_H
#define COVEY_PRIVACY_ACCOUNTANT_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

typedef enum { CV_ACCOUNT_RDP = 0, CV_ACCOUNT_PLD = 1 } cv_account_method;

/** How the noise of one step is drawn. All zero: continuous, one draw. */
typedef struct {
    double sensitivity; /* Delta_int: L2, in grid units; 0 = continuous */
    int64_t shares;     /* honest draws in the sum, n - t >= 1, equal sigma */
    int64_t dimension;  /* coordinates that get noise, >= 1 */
    double sampler;     /* total variation of one draw of one coordinate */
} cv_integer_noise;

typedef struct {
    /* Standard deviation of the honest noise in the sum / sensitivity, >= 0. */
    double noise_multiplier;
    double sampling; /* chance of a record to be in a step, in [0, 1] */
    int64_t steps;   /* >= 0 */
    cv_integer_noise integers;
} cv_segment;

/** Total variation between the noise that is drawn and the one that is
 *  accounted for, over all steps. */
typedef struct {
    double rounding; /* discrete Gaussian, rounded Gaussian */
    double shares;   /* sum of shares, one discrete Gaussian */
    double sampler;  /* table, exact */
    double total;
} cv_extra_delta;

typedef struct {
    double epsilon;           /* +infinity if there is no bound */
    cv_account_method method; /* the one that gave it: RDP may stand in */
    double order;             /* best RDP order (for CV_ACCOUNT_RDP) */
    cv_extra_delta extra;     /* charged to delta at (1 + exp(epsilon)) */
} cv_spent;

typedef struct cv_accountant cv_accountant;

void cv_accountant_create(cv_accountant **out);
void cv_accountant_destroy(cv_accountant **a);

/** Charge a segment. Equal ones are merged.
 *
 *  Returns:  0; CV_ERR_INPUT for numbers out of range (a unchanged);
 *            CV_ERR_PRIVACY if a share's sigma is below 1/2 grid unit, where
 *            nothing is known about sums
 */
int cv_accountant_add(cv_accountant *a, const cv_segment *s, cv_err *err);

/** What was charged, in order; owned by a. */
const cv_segment *cv_accountant_segments(const cv_accountant *a, size_t *n);

/** Epsilon at delta.
 *
 *  In:   method  CV_ACCOUNT_PLD: the smaller of PLD and RDP
 *        delta   in (0, 1); 0 or less gives +infinity unless nothing is spent
 */
void cv_accountant_epsilon(const cv_accountant *a, cv_spent *out,
                           cv_account_method method, double delta);

/** Delta at epsilon >= 0, at most 1. */
double cv_accountant_delta(const cv_accountant *a, cv_account_method method,
                           double epsilon);

/** Steps returned by cv_accountant_steps when nothing limits them. */
#define CV_MAX_STEPS ((int64_t)1 << 50)

/** How many more steps like `next` (its .steps is ignored) until epsilon at
 *  delta would exceed `epsilon`.
 *
 *  Out:      steps  0 if none, or if the budget is already exceeded
 *  Returns:  0, or as cv_accountant_add
 */
int cv_accountant_steps(const cv_accountant *a, int64_t *steps,
                        const cv_segment *next, cv_account_method method,
                        double epsilon, double delta, cv_err *err);

/** The smallest noise multiplier with which `next` (its noise_multiplier is
 *  ignored) can be added to a (NULL: nothing spent) and epsilon at delta stays
 *  within `epsilon`. Shares keep their number, so their sigma follows.
 *
 *  Out:      noise  meets epsilon as cv_accountant_epsilon computes it; within
 *                   2e-5 relative of the smallest that does
 *  Returns:  0; CV_ERR_INPUT; CV_ERR_PRIVACY if no noise is enough
 */
int cv_accountant_noise(const cv_accountant *a, double *noise,
                        const cv_segment *next, cv_account_method method,
                        double epsilon, double delta, cv_err *err);

#endif
