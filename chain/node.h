/** What Covey asks a node, typed, and everything in the answers checked.
 *
 *  A node may lie within what its chain could be; it cannot pass another chain,
 *  a malformed receipt, or a log of another contract.  All functions return 0
 *  or CV_ERR_ENV (no answer) / CV_ERR_VERIFY (an answer that cannot be), and
 *  fault where there is one (may be NULL).
 */
#ifndef COVEY_CHAIN_NODE_H
#define COVEY_CHAIN_NODE_H

#include "chain/pubkey.h"
#include "chain/rpc.h"
#include "chain/u256.h"

typedef enum {
    CV_BLOCK_LATEST,
    CV_BLOCK_SAFE,
    CV_BLOCK_FINALIZED,
    CV_BLOCK_PENDING
} cv_block_tag;

typedef struct {
    uint64_t number, time;
    uint8_t hash[32];
    cv_u256 base_fee;
} cv_block;

typedef struct {
    cv_address contract;
    uint8_t topic[4][32];
    int n_topics;
    uint8_t *data; /* (n_data), owned */
    size_t n_data;
} cv_log_entry;

typedef struct {
    int found;  /* 0: the node has none (not mined, dropped, or re-organised) */
    int status; /* 1: succeeded; 0: reverted */
    uint64_t block_number, gas_used;
    uint8_t block_hash[32], tx_hash[32];
    cv_u256 gas_price, l1_fee; /* effective; l1_fee 0 if not told */
    int made_contract;
    cv_address contract;
    cv_log_entry *log; /* (n_logs), owned */
    size_t n_logs;
} cv_receipt;

/** The node's chain id must be this one. CV_ERR_INPUT names both if not. From
 *  now on answers of other URLs count only if they are on this chain, too. */
int cv_node_check_chain(cv_rpc *rpc, uint64_t chain_id, cv_err *err);

/** A chain without such a block yet (no safe, no finalized), or a node that
 *  makes no pending one, gives number 0 and found = 0. A pending block may have
 *  no hash yet: zeros. */
int cv_node_block(cv_rpc *rpc, cv_block *out, int *found, cv_block_tag tag,
                  cv_err *err);
/** Hash of the canonical block of this number. */
int cv_node_block_at(cv_rpc *rpc, cv_block *out, int *found, uint64_t number,
                     cv_err *err);

/** eth_call at a tag; the answer is appended to out, a revert's error bytes to
 *  revert (may be NULL). */
int cv_node_call(cv_rpc *rpc, cv_buf *out, const cv_address *from,
                 const cv_address *to, const void *data, size_t n,
                 cv_block_tag tag, cv_fault *fault, cv_buf *revert,
                 cv_err *err);
/** Gas that it takes: LATEST, on what is mined and at its time; PENDING, on what
 *  waits as well, and at the time of the block to come. */
int cv_node_estimate(cv_rpc *rpc, uint64_t *gas, const cv_address *from,
                     const cv_address *to /* NULL: make a contract */,
                     const void *data, size_t n, cv_block_tag tag,
                     cv_fault *fault, cv_buf *revert, cv_err *err);
/** Next nonce of an account: LATEST (mined) or PENDING. */
int cv_node_nonce(cv_rpc *rpc, uint64_t *out, const cv_address *who,
                  cv_block_tag tag, cv_err *err);
int cv_node_balance(cv_rpc *rpc, cv_u256 *out, const cv_address *who,
                    cv_err *err);
/** 1 if there is code at the address at the newest block. */
int cv_node_has_code(cv_rpc *rpc, int *out, const cv_address *where,
                     cv_err *err);
/** What the node thinks a tip should be; not supported: 0. */
int cv_node_tip(cv_rpc *rpc, cv_u256 *out, cv_err *err);
/** Send; CV_FAULT_KNOWN is success, and so is "nonce too low" if the node has
 *  this very transaction (an earlier try arrived, and its answer was lost).
 *  hash must be that of raw, and what the node answers. */
int cv_node_send(cv_rpc *rpc, const void *raw, size_t n, const uint8_t hash[32],
                 cv_fault *fault, cv_err *err);
/** Has the node this transaction, mined or waiting? */
int cv_node_knows(cv_rpc *rpc, int *out, const uint8_t hash[32], cv_err *err);
/** The receipt, checked: hashes, numbers, logs. Whether its block is canonical
 *  is for cv_node_block_at to say. */
int cv_node_receipt(cv_rpc *rpc, cv_receipt *out, const uint8_t hash[32],
                    cv_err *err);
void cv_receipt_free(cv_receipt *r);
/** L1 data fee of an unsigned transaction by the oracle of an OP chain; 0 where
 *  there is none. */
int cv_node_l1_fee(cv_rpc *rpc, cv_u256 *out, const void *unsigned_tx, size_t n,
                   cv_err *err);

#endif
