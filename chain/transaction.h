/** Transactions with a fee market (EIP-1559, type 2), signed here.
 *
 *  Source: EIP-155 (chain id), EIP-1559, EIP-2718, EIP-2930 (the access list,
 *  always empty here).
 */
#ifndef COVEY_CHAIN_TRANSACTION_H
#define COVEY_CHAIN_TRANSACTION_H

#include "chain/key.h"
#include "chain/u256.h"
#include "core/bytes.h"

/** Base refuses more gas in one transaction (EIP-7825: 2^24). */
#define CV_TX_MAX_GAS (UINT64_C(1) << 24)

typedef struct {
    uint64_t chain_id, nonce, gas;
    cv_u256 tip;     /* most to whoever mines it, wei a gas */
    cv_u256 max_fee; /* most in all, wei a gas; at least tip */
    int has_to;      /* 0: make a contract */
    cv_address to;
    cv_u256 value;
    const uint8_t *data; /* (n_data), borrowed */
    size_t n_data;
} cv_tx;

/** The bytes without a signature, as the L1 fee oracle wants them; appended. */
void cv_tx_unsigned(cv_buf *out, const cv_tx *tx);

/** Sign; the raw bytes are appended, hash is theirs.  The sender is recovered
 *  from the result and must be the key's own.
 *  Returns 0; CV_ERR_INPUT if gas is 0 or above CV_TX_MAX_GAS, tip is above
 *  max_fee, chain_id is 0 (valid on many chains) or nonce is 2^64 - 1 (EIP-2681).
 */
int cv_tx_sign(const cv_tx *tx, const cv_seckey *key, cv_buf *raw,
               uint8_t hash[32], cv_err *err);

/** Read raw bytes back, strictly, and who sent them. tx->data points into raw.
 *  CV_ERR_VERIFY for anything that cv_tx_sign would not have written, a
 *  signature with s in the upper half included. */
int cv_tx_read(cv_tx *tx, cv_address *sender, const uint8_t *raw, size_t n,
               cv_err *err);

#endif
