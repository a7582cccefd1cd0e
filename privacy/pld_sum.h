/** The sum of many privacy losses, tilted, as a curve delta(epsilon). Used by
 *  pld.c. */
#ifndef COVEY_PRIVACY_PLD_SUM_H
#define COVEY_PRIVACY_PLD_SUM_H

#include <stddef.h>
#include <stdint.h>

#include "privacy/pld.h"
#include "privacy/pld_step.h"

/** How to compute it. Any plan gives a valid bound; a good one a tight one. */
typedef struct {
    double lambda; /* >= 0: masses are multiplied by exp(lambda loss) */
    double h;      /* grid */
    int64_t first; /* the window is first .. first + n - 1, in h */
    size_t n;      /* power of two */
    double reach;  /* as in cv_loss_grid_create */
    double mu;     /* > 0: exponent that bounds the mass above the window */
} cv_loss_plan;

/** {0} is empty: no bound. */
typedef struct {
    double *tail;  /* (n) delta at the grid points, divided by exp(scale) */
    double lambda; /* scale at loss l = log_moment - lambda l */
    double log_moment;
    double h, fixed; /* fixed: delta that counts at every epsilon */
    int64_t first;
    size_t n;
} cv_loss_sum;

void cv_loss_sum_create(cv_loss_sum *s, cv_direction dir,
                        const cv_pld_part *parts, size_t n,
                        const cv_loss_plan *plan);
void cv_loss_sum_free(cv_loss_sum *s);

/** The lowest epsilon that the window covers. */
double cv_loss_sum_low(const cv_loss_sum *s);
/** Delta at epsilon; 1 below the window. */
double cv_loss_sum_delta(const cv_loss_sum *s, double epsilon);
/** Smallest epsilon >= 0 in the window with delta(epsilon) <= delta. */
double cv_loss_sum_epsilon(const cv_loss_sum *s, double delta);
/** -d ln delta / d epsilon there, 0 outside the window. */
double cv_loss_sum_slope(const cv_loss_sum *s, double epsilon);

#endif
