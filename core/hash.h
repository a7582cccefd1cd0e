/** SHA-256 (FIPS 180-4), from libcrypto. */
#ifndef COVEY_CORE_HASH_H
#define COVEY_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct cv_sha256 cv_sha256;

cv_sha256 *cv_sha256_create(void);
void cv_sha256_add(cv_sha256 *h, const void *data, size_t n);
/** Digest of all that was added; h is then spent until destroyed. */
void cv_sha256_end(cv_sha256 *h, uint8_t out[32]);
void cv_sha256_destroy(cv_sha256 **h);

/** Digest of one buffer. */
void cv_sha256_of(uint8_t out[32], const void *data, size_t n);

/** A fast 64-bit checksum (not cryptographic), 10 GB/s and more: do two copies
 *  of a vector agree? */
uint64_t cv_checksum64(const void *data, size_t n);

#endif
