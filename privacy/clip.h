/** Clipping whole updates: privacy of a silo.
 *
 *  Adjacency: the update of one silo is replaced by null, which adds nothing to
 *  the sum (the zero vector).  Weights and clip norms are public.
 *
 *  All functions are local and deterministic: sums run in double in one fixed
 *  order on every CPU.
 */
#ifndef COVEY_PRIVACY_CLIP_H
#define COVEY_PRIVACY_CLIP_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/** Clip one update in L2 norm, in place.
 *
 *  Scope:    local
 *  Out:      norm      L2 norm before clipping (NULL: not wanted)
 *  In/Out:   delta     float[n_params], parameter units; borrowed. Afterwards
 *                      its exact norm is at most clip
 *  In:       n_params  count;  clip > 0, same unit as delta
 *  Returns:  0; CV_ERR_NUMERIC if not finite (delta unchanged, norm infinite)
 */
int cv_clip(double *norm, float *delta, size_t n_params, double clip,
            cv_err *err);

/** Clip several vectors as one, e.g. SCAFFOLD's delta y and delta c: the norm
 *  is that of all of them end to end.
 *  In/Out: vectors  n_vectors pointers to float[n_params] each */
int cv_clip_joint(double *norm, float *const *vectors, size_t n_vectors,
                  size_t n_params, double clip, cv_err *err);

/** L2 sensitivity of cv_f32_encode or cv_f61_encode of a clipped update with
 *  0 < factor <= 1, in grid units:
 *      (clip / 2^exponent)(1 + e) + sqrt(dimension) / 2.
 *  Of several vectors clipped jointly, dimension counts all coordinates; with
 *  weights, clip is the largest weight times the clip norm. Proof in clip.c. */
double cv_silo_sensitivity(double clip, size_t dimension, int exponent);

/* ---- a clip norm that follows a quantile of the norms ---- */

/** The geometric update of Andrew, Thakkar, McMahan and Ramaswamy 2021
 *  (Differentially private learning with adaptive clipping, section 2.1):
 *  silos report whether their norm was within the clip, the fraction b of
 *  those moves the clip towards the quantile. */

/** What a silo adds to the sum of bits, in units of half the scale: +1 if
 *  norm <= clip, else -1, also for NaN. Null is 0. */
int cv_clip_bit(double norm, double clip);

/** b from the noisy sum of bits: (1 + sum / n) / 2.
 *  In: sum  of +-1 and noise, in units of half the scale;  n  silos, public */
double cv_clip_fraction(double sum, double n);

/** clip exp(-rate (fraction - quantile)). The last bits of exp differ between
 *  machines: silos that must agree let one of them compute it. */
double cv_clip_next(double clip, double fraction, double quantile, double rate);

/** L2 sensitivity of the update and the bit as one vector, the bit being
 *  +-scale/2 grid units (scale/2 an integer): sqrt(delta^2 + (scale/2)^2). */
double cv_clip_joint_sensitivity(double delta, double scale);

#endif
