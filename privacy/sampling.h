/** Poisson samples: every row by a coin of its own, from a secret key.
 *
 *  This is the sampling that accountants mean: the rows of a batch are
 *  independent, and so its size is random and, under DP, secret.
 */
#ifndef COVEY_PRIVACY_SAMPLING_H
#define COVEY_PRIVACY_SAMPLING_H

#include <stddef.h>
#include <stdint.h>

/** Row numbers of one sample.
 *
 *  Scope:    local
 *  Out:      idx     uint32_t[n_rows]; ascending row numbers. Each row is kept
 *                    independently with probability floor(q 2^64) / 2^64 <= q
 *                    (1 for q = 1), given uniform bits from the key
 *  In:       n_rows  0 <= n_rows < 2^32;  0 <= q <= 1
 *            key     32 secret bytes, for this sample only
 *  Returns:  how many
 *
 *  Whether row i is kept depends on (key, q, i) and on nothing else; what is
 *  read of the key's stream does not depend on data.
 */
int64_t cv_poisson_sample(uint32_t *idx, int64_t n_rows, double q,
                          const uint8_t key[32]);

#endif
