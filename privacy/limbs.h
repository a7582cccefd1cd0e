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

/** The sum of the numbers whose limbs were summed into in[k] < 2^42, rounded once
 *  to the nearest double. */
double cv_limbs_get(const uint64_t in[CV_LIMBS]);

#endif
