/** Inside chain/settle*.c only. */
#ifndef COVEY_CHAIN_SETTLE_PARTS_H
#define COVEY_CHAIN_SETTLE_PARTS_H

#include "chain/abi.h"
#include "chain/fees.h"
#include "chain/outbox_tx.h"
#include "chain/settle.h"
#include "chain/transaction.h"
#include "chain/views.h"

/** The contract takes no more rounds in one call. */
enum { CV_SETTLE_MAX_BATCH = 1024 };

/** When the run was seen at a round: rounds of somebody else's transaction have
 *  no receipt here. */
typedef struct {
    uint64_t block, last;
    int opened;
} cv_sighting;

enum { CV_SIGHTINGS = 32 };

typedef struct {
    const cv_settle_config *c;
    cv_outbox *o;
    cv_rpc *rpc;
    const char *path; /* of the outbox, for messages */
    cv_settle_report *report;

    /* settle_local.c: the outbox, checked */
    cv_outbox_run run;
    const cv_network *net;
    cv_address rewards, *attester, *silo; /* (run.n) */
    uint32_t quorum;
    uint8_t opening[32];
    uint64_t base, last; /* heads of rounds base..last */
    cv_buf heads;        /* (last - base + 1, 32) */
    int64_t seen_version;

    /* settle_chain.c: the chain, this time round */
    cv_address sender;
    cv_block latest, safe, final;
    int has_safe, has_final;
    cv_view_run now, at_safe, at_final;
    cv_sighting sighting[CV_SIGHTINGS];
    int n_sightings;

    /* settle_track.c: transactions that are not final yet, oldest first */
    cv_outbox_tx *tx;
    size_t n_tx;
    uint64_t nonce;        /* next of the sender, by mined transactions */
    int outstanding;       /* without a receipt */
    int outstanding_below; /* one has the account's next nonce */
    uint64_t rival;        /* id of one that was sent and is out of date */
    int not_taken;         /* the node refused the last one for now */
    int lost_passes;       /* how often a nonce was seen used by another */
    int reverts;           /* in a row */
    uint64_t extra_gas;    /* per cent more, after one ran out */

    /* settle_send.c */
    double overtaken_at; /* since when somebody else is faster; 0 */
    uint64_t batch;      /* rounds a transaction */
    cv_err blocked; /* why the next rounds cannot be sent; code 0: they can */

    /* settle_epoch.c */
    uint64_t skip_epoch; /* could not be posted, by this process */
    uint32_t skip_version;
    uint64_t epochs_open; /* posted, and not at `until` yet */

    char said[500], shown[200]; /* last */
    double said_at;

    int moved;         /* this pass changed something: look again at once */
    double slow_at;    /* when safe and finalized blocks were asked for */
    uint64_t level[5]; /* final, safe, mined, sent, opening: as written */
    int marked;
} cv_settler;

void cv_settle_say(cv_settler *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int cv_settle_stopped(const cv_settler *s);
double cv_settle_patience(const cv_settler *s);

/** Load the run and verify its opening: all attesters', and the network. */
int cv_settle_load_run(cv_settler *s, cv_err *err);
/** The heads of all rounds, anew when another process has written. */
int cv_settle_load_heads(cv_settler *s, cv_err *err);
/** NULL if that round is not here. */
const uint8_t *cv_settle_head(const cv_settler *s, uint64_t round);
/** The first `quorum` good signatures in order of the attesters, in contract
 *  form. CV_ERR_VERIFY if there are too few, `what` being what is signed. */
int cv_settle_signatures(const cv_settler *s, cv_buf *out, const cv_sig *sigs,
                         const uint8_t digest[32], const char *what,
                         cv_err *err);

/** Chain id, and code at the federation. */
int cv_settle_check_node(cv_settler *s, cv_err *err);
/** Blocks and the run at each of them; the heads must be ours. */
int cv_settle_look(cv_settler *s, cv_err *err);
/** Write the states of opening, rounds and epochs, where they changed. */
int cv_settle_mark(cv_settler *s, cv_err *err);
/** Is the run's round on the chain with the confirmations asked for? */
uint64_t cv_settle_mined(const cv_settler *s, int *opened);

/** Load transactions; receipts, canonical blocks, sending again, replacing. */
int cv_settle_track(cv_settler *s, cv_err *err);
int cv_settle_load_tx(cv_settler *s, cv_err *err);
/** Takes over tx->raw. */
void cv_settle_keep_tx(cv_settler *s, const cv_outbox_tx *tx);
void cv_settle_forget_tx(cv_settler *s);
/** The receipt's events must be what the transaction was made for. */
int cv_settle_check_logs(cv_settler *s, const cv_outbox_tx *tx,
                         const cv_receipt *r, cv_err *err);

typedef enum {
    CV_SENDING_DONE,    /* kept, and sent if the node took it */
    CV_SENDING_REFUSED, /* the contract would revert; nothing was made */
    CV_SENDING_TOO_BIG, /* more gas than a transaction may take */
    CV_SENDING_WAITS    /* fees are above the cap */
} cv_sending;

/** Simulate, price, sign, keep, send. data is what the contract is called with,
 *  like has kind, first and last; the contract's error bytes are appended to
 *  refused. */
int cv_settle_send(cv_settler *s, cv_sending *how, const cv_address *to,
                   const cv_buf *data, const cv_outbox_tx *like,
                   cv_buf *refused, cv_err *err);
/** Send a kept transaction (again). */
int cv_settle_broadcast(cv_settler *s, cv_outbox_tx *tx, cv_err *err);
/** Its nonce, its content, higher fees. */
int cv_settle_replace(cv_settler *s, cv_outbox_tx *tx, cv_err *err);

/** What is next: the opening, an epoch, a batch. *idle: nothing is to be sent
 *  (report->note says why if something stays). */
int cv_settle_next(cv_settler *s, int *idle, cv_err *err);
/** The epoch whose turn it is, if any, and the round that no batch may pass
 *  because an epoch is bound to it. */
int cv_settle_epoch(cv_settler *s, cv_sending *how, uint64_t *upto,
                    cv_err *err);
/** Ask how far each epoch is, and write it down. */
int cv_settle_mark_epochs(cv_settler *s, cv_err *err);

#endif
