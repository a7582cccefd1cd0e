/** Real numbers through a field: cut into limbs that can be summed and masked.
 *
 *  A number is a fixed-point integer of 252 bits in units of 2^-126, in two's
 *  complement, cut into 12 limbs of 21 bits.  Sums of limbs over up to 1,000
 *  silos stay below p/2 of the narrow field, over 10^6 and more of the wide one,
 *  and from the summed limbs the sum comes back exactly: no rounding and no
 *  order, whatever the magnitudes, and nobody has to say a magnitude first.
 *
 *  Scope: local.
 */
#ifndef COVEY_PRIVACY_LIMBS_H
#define COVEY_PRIVACY_LIMBS_H

#include <stdint.h>

enum { CV_LIMBS = 12, CV_LIMB_BITS = 21 };

/** out[k] < 2^21. Bits of v below 2^-126 are rounded off.
 *  Returns 0; CV_ERR_NUMERIC if v is not finite or |v| >= 2^104, where a sum
 *  over 2^20 silos might not fit (out is then the zero of limbs). */
int cv_limbs_put(uint64_t out[CV_LIMBS], double v);

/** acc += x, acc -= x modulo 2^252; limbs below 2^21. With random limbs that other
 *  silos take away again, the limbs of a number are uniform, and their sums show
 *  nothing but the number's: without it the sum of top limbs counts the negative
 *  numbers, and low limbs show what only one silo has there. */
void cv_limbs_add(uint64_t acc[CV_LIMBS], const uint64_t x[CV_LIMBS]);
void cv_limbs_sub(uint64_t acc[CV_LIMBS], const uint64_t x[CV_LIMBS]);

/** The sum of the numbers whose limbs were summed into in[k] < 2^42, rounded once
 *  to the nearest double. */
double cv_limbs_get(const uint64_t in[CV_LIMBS]);

#endif
