/** Pairwise masks: streams of uniform field elements that cancel in the sum.
 *
 *  y_i = q_i + sum_{j > i} m_ij - sum_{j < i} m_ij (mod p), where m_ij comes from
 *  a key that only silos i and j can derive (PROTOCOL, "One attempt", step 3).
 *
 *  m_ij is the AES-256-CTR key stream of that key, cut into words.  A word >= p
 *  (5 in 2^32) is redrawn from a second stream, addressed by (index, try), so
 *  masks are exactly uniform and every word can be computed on its own.
 *
 *  Scope: local. Keys are used once, for one attempt and step, and wiped.
 */
#ifndef COVEY_PRIVACY_MASK_H
#define COVEY_PRIVACY_MASK_H

#include <stddef.h>
#include <stdint.h>

typedef struct cv_masker cv_masker;

typedef struct {
    uint8_t key[32];    /* of the word stream */
    uint8_t redraw[32]; /* of the second stream */
    int sign;           /* +1: add (the peer stands later in the roster), -1 */
} cv_mask_peer;

/** Streams to all peers; peers are copied into cipher contexts, and the caller
 *  wipes its own copy. Free with cv_masker_destroy. */
cv_masker *cv_masker_create(const cv_mask_peer *peers, int n_peers);
/** Wipes. NULL-safe. */
void cv_masker_destroy(cv_masker **m);

/** y (n) += masks of words [first, first + n); words must be asked for in
 *  order, from 0, each once. */
void cv_masker_add_u32(cv_masker *m, uint32_t *y, uint64_t first, size_t n);
void cv_masker_add_u64(cv_masker *m, uint64_t *y, uint64_t first, size_t n);

/** One peer's words < limit, for tests: with a small limit the redraw branch is
 *  taken often. */
void cv_mask_words_u32(const cv_mask_peer *peer, uint32_t *out, size_t n,
                       uint32_t limit);
void cv_mask_words_u64(const cv_mask_peer *peer, uint64_t *out, size_t n,
                       uint64_t limit);

#endif
