/** Where to look for a sum of privacy losses, and how closely. Used by pld.c.
 *
 *  Nothing here is relied upon: every plan gives a valid bound.
 */
#ifndef COVEY_PRIVACY_PLD_PLAN_H
#define COVEY_PRIVACY_PLD_PLAN_H

#include <stddef.h>

#include "privacy/pld.h"
#include "privacy/pld_step.h"
#include "privacy/pld_sum.h"

/** The sum of the losses of all parts. */
typedef struct {
    const cv_pld_part *part;
    size_t n;
    cv_direction dir;
    double limit; /* of lambda */
    double reach; /* losses beyond are left out; INFINITY for bounds */
} cv_loss_parts;

/** Its cumulant; ctx is a cv_loss_parts. */
double cv_loss_cumulant(void *ctx, double lambda);

/** Sigmas beyond which noise is as rare as 1e-9 delta over all steps. */
double cv_loss_reach(const cv_loss_parts *parts, double delta);

/** A point on or above the curve delta(epsilon). */
typedef struct {
    double epsilon, delta;
    double saddle; /* lambda of the Chernoff bound there, within reach */
    double slope;  /* of -ln delta there, > 0 */
} cv_loss_point;

/** Tilt, window and spacing for the neighbourhood of a point.
 *
 *  In:       fine  0: to find the point, 1: for the result
 *  Returns:  0, or -1 if the numbers are out of range
 */
int cv_loss_plan_make(cv_loss_plan *w, const cv_loss_parts *parts,
                      const cv_loss_point *at, int fine);

#endif
