/** Recursive length prefix: how Ethereum writes transactions.
 *
 *  Source: Yellow Paper, appendix B.  Writing appends to a cv_buf.  Reading is
 *  strict: only the shortest form of every length, integer and single byte is
 *  taken, so that one value has one text; nothing is copied, and no more depth
 *  is used than the caller asks for.
 */
#ifndef COVEY_CHAIN_RLP_H
#define COVEY_CHAIN_RLP_H

#include "chain/u256.h"
#include "core/bytes.h"

void cv_rlp_put_bytes(cv_buf *out, const void *data, size_t n);
void cv_rlp_put_u64(cv_buf *out, uint64_t v);
void cv_rlp_put_u256(cv_buf *out, const cv_u256 *v);
/** A list of what items holds, already encoded. */
void cv_rlp_put_list(cv_buf *out, const cv_buf *items);

typedef struct {
    int is_list;
    const uint8_t *data; /* payload, within the input */
    size_t n;
} cv_rlp_item;

/** The next item of [*at, end); moves *at behind it.
 *  Returns 0; CV_ERR_VERIFY for bytes that are not canonical RLP, or none (*at
 *  and out unchanged). */
int cv_rlp_next(cv_rlp_item *out, const uint8_t **at, const uint8_t *end,
                cv_err *err);
/** An item as an integer: no leading zeros, no list, at most 32 (8) bytes. */
int cv_rlp_to_u256(cv_u256 *out, const cv_rlp_item *item, cv_err *err);
int cv_rlp_to_u64(uint64_t *out, const cv_rlp_item *item, cv_err *err);

#endif
