/** Keccak-256 as Ethereum uses it: the submission's padding, not that of
 *  SHA-3.  The permutation is nettle's. */
#ifndef COVEY_CHAIN_KECCAK_H
#define COVEY_CHAIN_KECCAK_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t state[25];
    size_t at; /* bytes absorbed since the last permutation, below 136 */
} cv_keccak;

/** Start with {0}; add as often as needed; end once, which wipes the state. */
void cv_keccak_add(cv_keccak *k, const void *data, size_t n);
void cv_keccak_end(cv_keccak *k, uint8_t out[32]);

/** Digest of one buffer. */
void cv_keccak_of(uint8_t out[32], const void *data, size_t n);

#endif
