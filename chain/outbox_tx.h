/** Inside chain/ only: what settle keeps in the outbox.
 *
 *  A transaction's bytes and hash are here before they leave the process, so
 *  that a settle that was killed at any point finds what may be under way.
 *  Those with one nonce are rivals: the chain takes one of them at most.
 */
#ifndef COVEY_CHAIN_OUTBOX_TX_H
#define COVEY_CHAIN_OUTBOX_TX_H

#include "chain/outbox.h"

typedef enum {
    CV_TX_OPEN,   /* openRun */
    CV_TX_ROUNDS, /* commitRounds first..last */
    CV_TX_EPOCH,  /* postEpoch; first = its number, last = its version */
    CV_TX_OTHER
} cv_outbox_tx_kind;
const char *cv_outbox_tx_kind_name(cv_outbox_tx_kind k);

typedef enum {
    CV_TX_BUILT,    /* durable, perhaps not sent */
    CV_TX_SENT,     /* the node has taken it */
    CV_TX_MINED,    /* in a canonical block, with enough on top */
    CV_TX_SAFE,     /* at or below the safe block */
    CV_TX_FINAL,    /* at or below the finalized block */
    CV_TX_REVERTED, /* mined, and refused by the contract */
    CV_TX_DROPPED   /* its nonce went to another transaction */
} cv_outbox_tx_state;
const char *cv_outbox_tx_state_name(cv_outbox_tx_state s);

typedef struct {
    uint64_t id; /* given by cv_outbox_tx_add */
    cv_outbox_tx_kind kind;
    cv_outbox_tx_state state;
    uint64_t first, last, nonce, gas;
    cv_address sender;
    uint8_t hash[32];
    uint8_t *raw; /* (n_raw), owned */
    size_t n_raw;
    cv_u256 tip, max_fee;
    uint64_t block; /* 0 until it is mined */
    uint8_t block_hash[32];
    uint64_t gas_used;
    cv_u256 gas_price, l1_fee; /* what was paid */
    uint64_t replaced_by;      /* id of its newer rival, 0 */
    uint64_t created, sent;    /* seconds since 1970; sent: last time */
} cv_outbox_tx;

void cv_outbox_tx_free(cv_outbox_tx *tx);

/** Add one (id is set). replaces: the id of the rival it replaces, whose
 *  replaced_by is set in the same step; 0 for none. */
int cv_outbox_tx_add(cv_outbox *o, cv_outbox_tx *tx, uint64_t replaces,
                     cv_err *err);
/** Keep its state, block, gas used, fees paid and sending time. */
int cv_outbox_tx_update(cv_outbox *o, const cv_outbox_tx *tx, cv_err *err);
/** The first transaction after id that may still change (not final and not
 *  dropped; a reverted one may be undone by a reorganisation, so it counts);
 *  all: any. found 0 at the end. */
int cv_outbox_tx_next(cv_outbox *o, cv_outbox_tx *tx, int *found,
                      uint64_t after, int all, cv_err *err);

/** The state of an epoch in one version. */
int cv_outbox_mark_epoch(cv_outbox *o, uint64_t epoch, uint32_t version,
                         cv_outbox_state s, cv_err *err);
int cv_outbox_run_state(cv_outbox *o, cv_outbox_state *s, cv_err *err);

/** An attested checkpoint that begins at `from` or later and ends in
 *  [low, high]: the newest, or with up the oldest; last 0 if there is none. */
int cv_outbox_attested(cv_outbox *o, uint64_t *last, uint64_t from,
                       uint64_t low, uint64_t high, int up, cv_err *err);
/** Records of rounds first..last, appended (32 bytes each); CV_ERR_VERIFY if
 *  one is missing. */
int cv_outbox_records(cv_outbox *o, cv_buf *out, uint64_t first, uint64_t last,
                      cv_err *err);

/** A number that changes when another process has written. */
int cv_outbox_version(cv_outbox *o, int64_t *version, cv_err *err);

/** States of the opening and of all rounds in one step: rounds up to level[0]
 *  are final, up to level[1] safe, [2] mined, [3] sent, the others queued.
 *  Rounds up to `settled` are final already and are left alone. */
int cv_outbox_mark_levels(cv_outbox *o, cv_outbox_state opening,
                          const uint64_t level[4], uint64_t settled,
                          cv_err *err);

/** The lowest round whose state is below s, 0 if there is none. */
int cv_outbox_first_below(cv_outbox *o, uint64_t *round, cv_outbox_state s,
                          cv_err *err);
/** The first epoch number at or above `from`, and the state of its newest
 *  version. */
int cv_outbox_next_epoch(cv_outbox *o, uint64_t *epoch, cv_outbox_state *state,
                         int *found, uint64_t from, cv_err *err);

#endif
