/** SHA-256 of many messages of one length at once.
 *
 *  One SHA-256 is a chain of dependent steps; 16 side by side in the lanes of
 *  AVX-512 registers take twice the bytes a second that libcrypto takes with the
 *  SHA instructions, and eight times those without.  On other processors, and
 *  for a few messages, libcrypto does it: the digests are the same.
 */
#ifndef COVEY_CORE_SHA256_ROWS_H
#define COVEY_CORE_SHA256_ROWS_H

#include <stddef.h>
#include <stdint.h>

enum { CV_SHA256_HEAD_MAX = 55 };

/** out[r] = SHA-256(head[r] || data[r]), FIPS 180-4.
 *
 *  Scope:  local
 *  Out:    out   (rows, 32)
 *  In:     head  (rows, n_head), n_head <= CV_SHA256_HEAD_MAX
 *          data  (rows, n)
 *  Reads every byte; does nothing that depends on their values.
 */
void cv_sha256_rows(uint8_t *out, const uint8_t *head, size_t n_head,
                    const uint8_t *data, size_t n, size_t rows);

/** Rows that go at the same speed as one more: hand over multiples of this. */
enum { CV_SHA256_LANES = 16 };

#endif
