/** Inside of the node client: answers as JSON, read strictly. For chain/node*.c
 *  and for what tests and fuzzers want to reach without a network.
 *
 *  Members that Covey does not need are not looked at: OP nodes write some of
 *  them as JSON integers.
 */
#ifndef COVEY_CHAIN_NODE_PARTS_H
#define COVEY_CHAIN_NODE_PARTS_H

#include "chain/node.h"

/** A quantity: "0x0", "0x1f". Returns 0 or -1 (out unchanged). */
int cv_json_u256(cv_u256 *out, const struct json_t *v);
int cv_json_u64(uint64_t *out, const struct json_t *v);
/** "0x" and exactly n bytes. Returns 0 or -1. */
int cv_json_fixed(uint8_t *out, size_t n, const struct json_t *v);
/** "0x" and whole bytes, appended to out. Returns 0 or -1 (out unchanged). */
int cv_json_bytes(cv_buf *out, const struct json_t *v);

/** An answer of eth_getBlockBy..; pending: it may have no hash yet (zeros).
 *  Returns 0 or CV_ERR_VERIFY with the member that is wrong. */
int cv_node_read_block(cv_block *out, int pending, const struct json_t *v,
                       cv_err *err);

/** An answer of eth_getTransactionReceipt for the transaction `hash`; null is
 *  found = 0. Free with cv_receipt_free, on error too.
 *  Returns 0 or CV_ERR_VERIFY with the member that is wrong. */
int cv_node_read_receipt(cv_receipt *out, const uint8_t hash[32],
                         const struct json_t *v, cv_err *err);

#endif
