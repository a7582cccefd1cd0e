/** Exact sums of numbers of any size through a field.
 *
 *  A number becomes an integer q of 126 bits, two's complement, in units of
 *  2^exponent, cut into CV_LIMBS limbs of 21 bits: the lower ones in [0, 2^21),
 *  the highest in [-2^20, 2^20).  Limbs are added as field words, each on its
 *  own, and put together after the sum:
 *      sum of q = sum_k 2^(21 k) centred(sum of limb k),
 *  which holds while no sum of limbs reaches p/2: up to 1,024 silos in the narrow
 *  field (covey uses it up to 64) and 2^39 in the wide one.
 *
 *  For weights, counts and metrics that ride in a masked vector (PROTOCOL, "What
 *  else leaves a silo"): one grid serves losses of 1e-12 and row counts of 1e12.
 *
 *  Scope: local.
 */
#ifndef COVEY_PRIVACY_LIMBS_H
#define COVEY_PRIVACY_LIMBS_H

#include <stdint.h>

enum { CV_LIMBS = 6, CV_LIMB_BITS = 21 };

/** The unit that serves most: |v| < 2^65, steps of 2^-60. */
enum { CV_LIMBS_EXPONENT = -60 };

/** q = v / 2^exponent, rounded to nearest even.
 *
 *  Out:      out  canonical field words, lowest limb first
 *  In:       exponent  in [-900, 800]
 *  Returns:  0; CV_ERR_NUMERIC if v is not finite or |q| >= 2^125 (out is
 *            zero)
 */
int cv_limbs_put32(uint32_t out[CV_LIMBS], double v, int exponent);
int cv_limbs_put64(uint64_t out[CV_LIMBS], double v, int exponent);

/** The sum, times 2^exponent: exact in integers, rounded to double once.
 *  In: in  canonical field words: sums of what put gave */
double cv_limbs_get32(const uint32_t in[CV_LIMBS], int exponent);
double cv_limbs_get64(const uint64_t in[CV_LIMBS], int exponent);

#endif
