/** Privacy loss distributions: (epsilon, delta) of a sequence of
 *  Poisson-subsampled Gaussian steps, by Fourier transforms.
 *
 *  Every approximation errs upwards: the loss of one step is replaced by one
 *  that dominates it, mass outside the window or out of reach counts as a loss
 *  of +infinity, what wraps around only adds, and a bound on the rounding of
 *  the transforms is added to every bucket. The distribution is tilted by
 *  exp(lambda loss) first (Esscher), so that errors are relative to delta, not
 *  to 1: there is no floor on delta. A Chernoff bound (RDP at real orders)
 *  caps the result, and stands alone where the transform is not worth it.
 *
 *  Closeness: epsilon is within about 3e-6 relative (and 2e-5) of the exact one
 *  up to some 10^6 steps. Beyond, and for deltas below 1e-12 with very rare
 *  records, the largest transform (2^21 points, some 150 MB for the time of a
 *  call) is too coarse: the bound holds, but grows looser.
 *
 *  Adjacency as in privacy/rdp.h: both removing and adding the record, each for
 *  all steps; the larger counts.
 */
#ifndef COVEY_PRIVACY_PLD_H
#define COVEY_PRIVACY_PLD_H

#include <stddef.h>

typedef struct {
    double noise;    /* sigma / sensitivity, > 0 */
    double sampling; /* q in [0, 1] */
    double steps;    /* whole number >= 0 */
} cv_pld_part;

typedef struct cv_pld cv_pld;

/** Compose.
 *
 *  Scope:   local
 *  In:      parts, n  in any order; equal ones are merged
 *           delta     in (0, 1): where the result is wanted. Other deltas are
 *                     valid too, but looser the further away they are
 *  Out:     out       destroy with cv_pld_destroy; the parts are copied
 */
void cv_pld_create(cv_pld **out, const cv_pld_part *parts, size_t n,
                   double delta);
/** The same, for the neighbourhood of an epsilon >= 0. */
void cv_pld_create_at(cv_pld **out, const cv_pld_part *parts, size_t n,
                      double epsilon);
void cv_pld_destroy(cv_pld **p);

/** Epsilon >= 0 at delta; an upper bound. +infinity if there is none. */
double cv_pld_epsilon(cv_pld *p, double delta);

/** Delta at epsilon >= 0; an upper bound. */
double cv_pld_delta(cv_pld *p, double epsilon);

#endif
