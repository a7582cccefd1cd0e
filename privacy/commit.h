/** Commitment to a masked vector: a SHA-256 tree over 64 KiB leaves, so that it
 *  can be hashed piece by piece while masking, and opened leaf by leaf.
 *
 *  leaf_k = SHA-256(0x00, k, bytes), root = SHA-256(0x01, length, leaf_0, ...),
 *  numbers as 8 bytes little-endian, words as they lie in memory (little-endian).
 */
#ifndef COVEY_PRIVACY_COMMIT_H
#define COVEY_PRIVACY_COMMIT_H

#include <stddef.h>
#include <stdint.h>

enum { CV_LEAF_BYTES = 65536, CV_COMMIT_PIECE = 16 * CV_LEAF_BYTES };

typedef struct cv_commit cv_commit;

cv_commit *cv_commit_create(void);
/** Append n bytes; pieces of whole leaves are hashed where they lie, and twice as
 *  fast when they are a multiple of CV_COMMIT_PIECE. */
void cv_commit_add(cv_commit *c, const void *data, size_t n);
/** The root of all that was added. */
void cv_commit_root(cv_commit *c, uint8_t root[32]);
void cv_commit_destroy(cv_commit **c);

#endif
