/** Keyed random streams: AES-256-CTR under a key made from names.
 *
 *  Public randomness (initialisation, draws of silos, partitions, batches) is
 *  keyed by (seed, purpose, a, b), so that a run can be repeated exactly and no
 *  stream depends on how much another one was read.  Secret randomness never
 *  comes from the seed: privacy/ opens streams with a key of its own.
 *
 *  All numbers are made from whole 64-bit words in a fixed way, so a stream
 *  gives the same values on every machine.
 */
#ifndef COVEY_CORE_RAND_H
#define COVEY_CORE_RAND_H

#include <stddef.h>
#include <stdint.h>

#define CV_STREAM_BUF 512

typedef struct {
    void *cipher;   /* EVP_CIPHER_CTX, owned */
    uint64_t spare; /* half of a 64-bit word for cv_stream_u32 */
    int has_spare;
    size_t at;                               /* next unread byte of buf */
    _Alignas(16) uint8_t buf[CV_STREAM_BUF]; /* key stream */
} cv_stream;

/** Open a public stream; key = SHA-256("covey stream", seed, purpose, a, b).
 *
 *  Scope:  local; every rank that opens the same names reads the same numbers
 *  In:     purpose  short constant word, e.g. "batches"
 *          a, b     e.g. silo number and round
 *  Close with cv_stream_close.
 */
void cv_stream_open(cv_stream *s, uint64_t seed, const char *purpose,
                    uint64_t a, uint64_t b);

/** Open a stream under a 32-byte key (secret or not). */
void cv_stream_open_key(cv_stream *s, const uint8_t key[32]);

/** Wipe and release. NULL-safe on a zeroed stream. */
void cv_stream_close(cv_stream *s);

void cv_stream_bytes(cv_stream *s, void *out, size_t n);
uint64_t cv_stream_u64(cv_stream *s);
uint32_t cv_stream_u32(cv_stream *s);

/** Uniform integer in [0, n), n >= 1, without bias (Lemire 2019). */
uint64_t cv_stream_below(cv_stream *s, uint64_t n);

/** Uniform in [0, 1), 53 bits. */
double cv_stream_uniform(cv_stream *s);

/** Standard normal (Marsaglia's polar method). */
double cv_stream_normal(cv_stream *s);

/** Gamma(shape, 1), shape > 0 (Marsaglia and Tsang 2000). */
double cv_stream_gamma(cv_stream *s, double shape);

/** Fisher-Yates shuffle of n indices, in place. */
void cv_stream_shuffle(cv_stream *s, uint32_t *idx, size_t n);

#endif
