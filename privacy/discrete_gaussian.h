/** Integer noise: the discrete Gaussian N_Z(0, sigma^2).
 *
 *  P(x) = exp(-x^2 / (2 sigma^2)) / sum_j exp(-j^2 / (2 sigma^2)), x integer.
 *  Two samplers: cv_dgauss_exact follows the distribution exactly and is the
 *  reference; cv_dgauss draws whole vectors from tables, an order of magnitude
 *  and more faster, and says how far from the distribution it is.
 *
 *  Time.  Nothing here sees the values that the noise protects: a vector of
 *  noise is a function of its key alone, and is meant to be drawn before they
 *  are there.  Time and memory accesses do depend on the random bits, that is
 *  on the noise: whoever can time single samples or watch the cache of the
 *  process learns about the noise. Do not report the time one vector took.
 *
 *  Source: Canonne, Kamath and Steinke 2020 (distribution, exact sampler);
 *  the tables and their error bounds are argued in the .c files.
 */
#ifndef COVEY_PRIVACY_DISCRETE_GAUSSIAN_H
#define COVEY_PRIVACY_DISCRETE_GAUSSIAN_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/rand.h"

/** sigma^2 = num / den, in squared grid units; num, den in [1, 2^62). */
typedef struct {
    uint64_t num, den;
} cv_variance;

/** The smallest representable variance that is not below sigma^2, and above it
 *  by a relative 2^-52 at most: never less noise than was asked for.
 *  In: sigma  1/4 <= sigma < 2^30 (anything else is a bug of the caller) */
cv_variance cv_variance_at_least(double sigma);

/** v / parts for one of `parts` >= 1 equal shares: exact while the denominator
 *  fits, else rounded up; the shares' variances add up to v or more. */
cv_variance cv_variance_share(cv_variance v, uint64_t parts);

/** One exact sample: only integer arithmetic on the bits of s.
 *  In: v  with 1/16 <= v < 2^60 */
int64_t cv_dgauss_exact(cv_variance v, cv_stream *s);

/* ---- whole vectors, from tables ---- */

/** A sampler for one sigma: immutable, may be shared between threads. */
typedef struct cv_dgauss cv_dgauss;

enum {
    CV_DGAUSS_BLOCK = 8192, /* vectors may be split at multiples of this */
    CV_DGAUSS_LEVELS = 3
};

/** Build the tables (some milliseconds, up to 3 MB).
 *
 *  In:       v       1/16 <= v < 2^60
 *            levels  0: the fastest for this sigma. 1 to 3: that many table
 *                    draws per sample (tests); the noise of a key differs
 *  Returns:  0; CV_ERR_INPUT if v is out of range or does not go with levels
 */
int cv_dgauss_create(cv_variance v, int levels, cv_dgauss **out, cv_err *err);
void cv_dgauss_destroy(cv_dgauss **d);

/** Add n samples to an array, wrapping modulo 2^32 or 2^64.
 *
 *  Scope:   local
 *  In/Out:  inout  int[n], grid units
 *  In:      key    32 secret bytes, for this vector only
 *           first  index of inout[0] in the key's vector, a multiple of
 *                  CV_DGAUSS_BLOCK
 *
 *  Sample i depends on (v, levels, key, i) and nothing else: not on n, on how
 *  the vector is split, or on the machine.  The 32-bit form needs
 *  cv_dgauss_max(d) <= INT32_MAX, which holds for sigma up to 2^26.
 */
void cv_dgauss_add_i32(const cv_dgauss *d, int32_t *inout, size_t n,
                       const uint8_t key[32], uint64_t first);
void cv_dgauss_add_i64(const cv_dgauss *d, int64_t *inout, size_t n,
                       const uint8_t key[32], uint64_t first);

/** Upper bound on the statistical (total variation) distance between one
 *  sample and N_Z(0, v), given uniform key stream bits: below 2^-111 for every
 *  sigma. If a mechanism with exact noise is (eps, delta), the same mechanism
 *  with n such samples, over all silos and steps, is
 *  (eps, delta + (1 + e^eps) n distance). */
double cv_dgauss_distance(const cv_dgauss *d);

/** Largest magnitude a sample can have, for head-room: about 13 sigma times at
 *  most sqrt(levels). */
int64_t cv_dgauss_max(const cv_dgauss *d);

/* ---- what an auditor looks at: the tables themselves ---- */

typedef struct {
    cv_variance table;               /* sigma^2 of the table */
    uint32_t top;                    /* its largest magnitude */
    int levels;                      /* sample = sum_l mult[l] * draw_l */
    uint32_t mult[CV_DGAUSS_LEVELS]; /* mult[0] = 1 */
    double smooth[CV_DGAUSS_LEVELS]; /* smoothing t of level l >= 1 */
    double smooth_distance[CV_DGAUSS_LEVELS];
    double table_distance; /* of one draw, with tail_mass in it */
    double tail_mass;      /* at most this much lies beyond top */
    double unresolved;     /* share of draws that need all their bits */
} cv_dgauss_info;
cv_dgauss_info cv_dgauss_inspect(const cv_dgauss *d);

/** 2^128 P(draw = x) of the table, an integer, as (hi, lo). It is the same for
 *  x and -x, and these integers add up to 2^128. */
void cv_dgauss_mass(const cv_dgauss *d, int64_t x, uint64_t *hi, uint64_t *lo);

/** The table draw that belongs to 128 uniform bits: word holds the sign (bit
 *  0) and the 15 leading bits of the magnitude's 127, more its 112 others
 *  (little-endian; its 16 topmost bits are not used). */
int32_t cv_dgauss_draw(const cv_dgauss *d, uint16_t word,
                       const uint8_t more[16]);

#endif
