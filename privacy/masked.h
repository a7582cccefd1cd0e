/** From an update to its masked words and their commitment, in one pass.
 *
 *  Steps 3 and 4 of PROTOCOL, "One attempt", for a vector: quantise, add noise,
 *  mask, hash.  A block goes through all of them while it is in the cache, and
 *  the noise needs no vector of its own.
 *
 *  The words are those of cv_f32_encode, cv_dgauss_add_i32 and
 *  cv_masker_add_u32 (or their 64-bit forms) one after the other; the roots are
 *  those of cv_commit over the whole vectors.
 *
 *  Scope: local. The caller has proved the head-room (privacy/field.h).
 */
#ifndef COVEY_PRIVACY_MASKED_H
#define COVEY_PRIVACY_MASKED_H

#include <stddef.h>
#include <stdint.h>

#include "privacy/commit.h"
#include "privacy/discrete_gaussian.h"
#include "privacy/mask.h"

/** What happens to the words; every part may be NULL. Borrowed. */
typedef struct {
    double factor; /* q = round(v * factor / 2^exponent) */
    int exponent;
    const cv_dgauss *noise;   /* drawn on the way, */
    const uint8_t *noise_key; /* under 32 secret bytes, for this vector only */
    cv_masker *masker;        /* one that nothing has asked for words yet */
    cv_commit *noised;        /* takes the words before they are masked */
    cv_commit *masked;        /* and after */
    uint64_t done;            /* words of the vector so far: start with 0 */
} cv_masking;

/** The next n words of the vector.
 *
 *  In/Out:  m      m->done grows by n
 *  Out:     y      (n) canonical masked words
 *  In:      v      (n) finite floats; or NULL: y holds the words of q already,
 *                  canonical, and is worked on in place
 *           drawn  (n) noise drawn ahead, or NULL. Not with m->noise
 *
 *  A vector may come in parts: parameters, then what rides along.  With
 *  m->noise a part must begin at a multiple of CV_DGAUSS_BLOCK words; put the
 *  largest part first, for speed (privacy/commit.h).
 */
void cv_masked_u32(cv_masking *m, uint32_t *y, const float *v,
                   const int32_t *drawn, size_t n);
void cv_masked_u64(cv_masking *m, uint64_t *y, const float *v,
                   const int64_t *drawn, size_t n);

#endif
