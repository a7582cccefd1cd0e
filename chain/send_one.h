/** One transaction of a person's, from a funded key: simulated, signed, sent, and
 *  waited for.  For deploying, registering, funding and claiming, each of which
 *  looks at the chain first and so may be repeated; what a run has for the
 *  chain goes through the outbox instead (chain/settle.h).
 */
#ifndef COVEY_CHAIN_SEND_ONE_H
#define COVEY_CHAIN_SEND_ONE_H

#include "chain/key.h"
#include "chain/network.h"
#include "chain/node.h"

typedef struct {
    cv_rpc *rpc;
    const cv_network *network;
    const cv_seckey *key;
    const int *stop; /* set by a signal; may be NULL */
} cv_sender;

/** Send data to a contract, or make one (to NULL), and wait for a canonical
 *  receipt.  A transaction that waits for too long is replaced, with higher
 *  fees.
 *
 *  Out:      receipt  free with cv_receipt_free
 *  Returns:  0; CV_ERR_ENV if it cannot be sent (no funds, fee cap, no answer)
 *            or reverted, with the contract's own reason; CV_REQUEUE if stopped
 *            (the transaction may still be mined: run the command again)
 */
int cv_send_one(const cv_sender *s, const cv_address *to, const void *data,
                size_t n, const char *what, cv_receipt *receipt, cv_err *err);

#endif
