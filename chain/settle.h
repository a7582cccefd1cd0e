/** Bringing an outbox to the chain.
 *
 *  A transaction that was sent is a hope, one with a receipt is a claim of a
 *  node, and only what the contract says of a run is a fact: each step looks
 *  there first.  So settle may be killed at any point, run twice, run on two
 *  machines, or meet a chain that is re-organised under it: every round ends on
 *  the chain once, in order.
 *
 *  A transaction goes
 *      built (durable) -> sent -> mined -> safe -> final
 *  and back to sent when its block is no longer canonical.  It is sent again,
 *  the same bytes, as long as the node does not know it; when it waits for too
 *  long, a rival with its nonce and higher fees is sent; when its nonce went to
 *  a transaction of somebody else, it is dropped and what it carried is built
 *  anew.
 *
 *  No money is spent on what the contract would refuse: signatures are verified
 *  here, and the node simulates each transaction before it is signed.
 *  Scope: local; one thread. Nothing here is on the training path.
 */
#ifndef COVEY_CHAIN_SETTLE_H
#define COVEY_CHAIN_SETTLE_H

#include "chain/network.h"
#include "chain/outbox.h"

typedef struct {
    const cv_rpc_config *rpc; /* its `stop` also ends settle: CV_REQUEUE;
                               * no URL: the network's own */
    const cv_seckey *key;     /* pays; NULL: nothing may be sent */
    uint64_t batch;           /* rounds a transaction at most; 0: 50 */
    cv_outbox_state until;    /* MINED (least), SAFE or FINAL */
    int watch;                /* go on when the node does not answer, and wait
                               * for signatures and rounds that are to come */
    double patience; /* seconds before a waiting transaction is replaced;
                      * 0: 15 blocks, at least 30 s */
    void (*say)(void *ctx, const char *text);  /* what happened; may be NULL */
    void (*show)(void *ctx, const char *text); /* where it is; may be NULL */
    void *ctx;
} cv_settle_config;

typedef struct {
    char network[24];
    uint64_t rounds;                     /* newest in the outbox */
    uint64_t count[CV_OUTBOX_FINAL + 1]; /* rounds in each state */
    uint64_t epochs, epochs_settled;     /* those at least mined */
    cv_outbox_state opening;
    uint64_t on_chain;    /* last round that the contract has; as last seen */
    uint8_t head[32];     /* its head */
    uint64_t built, sent; /* transactions of this outbox: ever built, sent */
    uint64_t mined, reverted, replaced, dropped;
    uint64_t gas_used; /* of those in blocks, reverted ones included */
    cv_u256 l2_fee;    /* gas used times price, wei */
    cv_u256 l1_fee;    /* data fee, wei */
    uint64_t blocked;  /* why something stays: see `note` */
    char note[400];    /* "" or what waits and for what */
} cv_settle_report;

/** Settle the outbox in a run folder.
 *
 *  In:       folder   RUN, with outbox.db; RUN/.settle.lock is taken
 *  Out:      report   filled whatever happens, as far as it is known
 *  Returns:  0 when all that can be there has reached `until`; an epoch whose
 *            pool has too little money does not count (report->note says so)
 *            CV_ERR_INPUT   no outbox, another chain, no key where one is
 *                           needed, a simulated run on a chain with real money
 *            CV_ERR_ENV     no answer of a node, too little money, or another
 *                           settle is at work
 *            CV_ERR_VERIFY  signatures that do not hold or are too few; another
 *                           record of a round is on the chain; a node's answer
 *                           that cannot be
 *            CV_REQUEUE     stopped; nothing is lost
 */
int cv_settle(const char *folder, const cv_settle_config *config,
              cv_settle_report *report, cv_err *err);

/** What the outbox says, without asking anybody. */
int cv_settle_load_report(const char *folder, cv_settle_report *report,
                          cv_err *err);

#endif
