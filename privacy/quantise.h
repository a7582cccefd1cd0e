/** Floats to integers on a power-of-two grid, and back.
 *
 *  Sums of integers have no rounding and no order: the global model is the same
 *  whatever the number of ranks or the algorithm that sums (DESIGN section 4).
 *
 *  A word is 32 bits (narrow) or 64 bits (wide), signed in two's complement;
 *  the grid is 2^exponent.  With n silos and |value| <= 2^top:
 *  n * 2^(top - exponent) must stay below 2^31 or 2^63 (head-room).
 */
#ifndef COVEY_PRIVACY_QUANTISE_H
#define COVEY_PRIVACY_QUANTISE_H

#include <stddef.h>
#include <stdint.h>

/** Silos up to which sums travel in 32-bit words: 2^31 / 64 leaves each silo
 *  25 bits and a sign, one more than float32 has. */
enum { CV_NARROW_MAX_SILOS = 64 };

/** Largest |v|; +infinity if any element is not finite. */
float cv_max_abs(const float *v, size_t n);

enum { CV_NO_EXPONENT = INT32_MIN };

/** The grid of a round.
 *
 *  The exponent follows the largest magnitude with hysteresis, so that it
 *  depends on nothing but the roster's updates and the last round, and a rank
 *  that hosts several silos can quantise before the maximum is known and is
 *  nearly always right.
 *
 *  In:  previous  exponent of the last round, or CV_NO_EXPONENT
 *       max_abs   largest |value| of this round, over the roster (finite)
 *       n_silos   silos of the job;  wide  0 or 1
 *  Returns: previous while n_silos * max_abs fits with it and uses all but the
 *       last few bits of the range, else the exponent that leaves head-room
 *       for growth by 4 (narrow) or 2^12 (wide)
 */
int cv_grid_exponent(int previous, double max_abs, int n_silos, int wide);
/** 1 if |value| <= max_abs for n_silos fits the word under this exponent. */
int cv_grid_fits(int exponent, double max_abs, int n_silos, int wide);

/** acc += round(v * factor / 2^exponent), to nearest even, modulo 2^32 or
 *  2^64; v * factor is rounded to double once. A finite value that is out of
 *  range saturates: the caller finds out from the maximum. */
void cv_quantise_add_u32(uint32_t *acc, const float *v, size_t n, double factor,
                         int exponent);
void cv_quantise_add_u64(uint64_t *acc, const float *v, size_t n, double factor,
                         int exponent);

/** out = acc (as signed) * (2^exponent / divisor), rounded to float. */
void cv_decode_u32(float *out, const uint32_t *acc, size_t n, int exponent,
                   double divisor);
void cv_decode_u64(float *out, const uint64_t *acc, size_t n, int exponent,
                   double divisor);

#endif
