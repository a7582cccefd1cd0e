/** What a transaction may cost: tip and max fee from the newest base fee. */
#ifndef COVEY_CHAIN_FEES_H
#define COVEY_CHAIN_FEES_H

#include "chain/network.h"
#include "chain/u256.h"

typedef struct {
    cv_u256 tip, max_fee;
} cv_fees;

/** max fee = 2 base + tip, tip = the node's advice between the network's floor
 *  and cap.  With before (the fees of a transaction that is replaced), both are
 *  at least 12.5 % (rounded up) above it, as nodes ask.
 *  Returns 0, or 1 if that is above the network's fee cap: wait, out is not
 *  set. */
int cv_fees_choose(cv_fees *out, const cv_network *net, const cv_u256 *base_fee,
                   const cv_u256 *advice, const cv_fees *before);

#endif
