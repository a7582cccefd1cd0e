/** Discrete Gaussian noise on words of a field. */
#ifndef COVEY_PRIVACY_NOISE_H
#define COVEY_PRIVACY_NOISE_H

#include <stddef.h>
#include <stdint.h>

#include "privacy/discrete_gaussian.h"

/** words (n) += one sample each, modulo p.
 *
 *  Scope:   local
 *  In/Out:  words  canonical; uint32_t, or uint64_t if wide
 *  In:      key    32 secret bytes, for this vector only
 *  The narrow form needs cv_dgauss_max(d) < p.
 */
void cv_noise_add_words(const cv_dgauss *d, int wide, void *words, size_t n,
                        const uint8_t key[32]);

#endif
