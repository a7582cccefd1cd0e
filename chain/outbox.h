/** RUN/outbox.db: what a run has for the chain, and what became of it.
 *
 *  A run adds its opening, every checkpoint's rounds with the attestations, and
 *  at its end the rewards; `covey settle` sends them, from any machine, when it
 *  likes.  SQLite; every call is one transaction, durable when it returns, and
 *  calling again with the same content changes nothing.  The chain is the truth
 *  about what is settled: the states here say what was seen last, and are made
 *  anew from the chain if they are lost.
 *
 *  The file comes from outside where settle is not run by who trained: what is
 *  read is checked for shape (lengths, ranges, order), and signatures are
 *  verified before money is spent on them.
 *
 *  Scope: local. Errors: CV_ERR_ENV (disk, locked for too long), CV_ERR_VERIFY
 *  (another run's outbox, or damaged).
 */
#ifndef COVEY_CHAIN_OUTBOX_H
#define COVEY_CHAIN_OUTBOX_H

#include "chain/federation.h"

typedef enum {
    CV_OUTBOX_QUEUED,
    CV_OUTBOX_SENT,
    CV_OUTBOX_MINED,
    CV_OUTBOX_SAFE,
    CV_OUTBOX_FINAL
} cv_outbox_state;
const char *cv_outbox_state_name(cv_outbox_state s);

typedef struct cv_outbox cv_outbox;

/** One silo of a run. */
typedef struct {
    char name[65];
    cv_pubkey identity;
    cv_address attester;
    cv_sig binding; /* identity on CV_TYPE_ATTESTER with nonce 0 */
    cv_sig opening; /* attester on CV_TYPE_RUN */
} cv_outbox_silo;

typedef struct {
    uint8_t run_id[32]; /* Covey's; the salt of the contract's */
    uint8_t job[32];
    uint8_t on_chain[32]; /* the contract's id: not kept, made when loading */
    cv_federation federation;
    char network[24];
    uint32_t n, collusion;
    int simulated;         /* test money only */
    cv_outbox_silo *silos; /* (n), owned */
} cv_outbox_run;

/** Rounds first..last of one checkpoint. */
typedef struct {
    uint64_t first, last;
    uint8_t *records;              /* (last - first + 1, 32), owned */
    uint8_t before[32], after[32]; /* heads */
    cv_sig *sigs; /* (n) of the attesters on CV_TYPE_ROUNDS, owned; all zero
                   * where one is missing */
} cv_outbox_rounds;

typedef struct {
    cv_epoch epoch;    /* epoch.run_id is the run's on_chain */
    cv_address *payee; /* (leaves), owned, in the order of the leaves */
    cv_u256 *amount;   /* (leaves), owned */
    cv_sig *sigs;      /* (n) on CV_TYPE_EPOCH, owned */
    uint64_t round;    /* the last one: epoch.head is its head */
} cv_outbox_epoch;

/** Open RUN/outbox.db; with create, make it if it is not there. mode 0644. */
int cv_outbox_open(const char *path, int create, cv_outbox **out, cv_err *err);
void cv_outbox_close(cv_outbox **o);

/** The run that the outbox is of. Putting another one than is there is
 *  CV_ERR_VERIFY. Loading: *found 0 in an empty outbox. */
int cv_outbox_put_run(cv_outbox *o, const cv_outbox_run *run, cv_err *err);
int cv_outbox_load_run(cv_outbox *o, cv_outbox_run *run, int *found,
                       cv_err *err);
void cv_outbox_run_free(cv_outbox_run *run);
/** What the contract is told of a run; attesters (n) is the caller's memory, and
 *  filled. */
void cv_outbox_terms(cv_run_terms *out, cv_address *attesters,
                     const cv_outbox_run *run);

/** Add a checkpoint's rounds. Rounds from `first` on that are there with other
 *  records were lost and done again (a resume from an older checkpoint): they
 *  are replaced, whatever their state. */
int cv_outbox_put_rounds(cv_outbox *o, const cv_outbox_rounds *r, cv_err *err);
/** The checkpoint that holds this round, or found 0. */
int cv_outbox_load_rounds(cv_outbox *o, cv_outbox_rounds *r, int *found,
                          uint64_t round, cv_err *err);
void cv_outbox_rounds_free(cv_outbox_rounds *r);
/** The newest round, 0 if none. */
int cv_outbox_last_round(cv_outbox *o, uint64_t *last, cv_err *err);

/** Add rewards.  What is there with this epoch and version for another head
 *  (the run went on after they were signed) is replaced if it was not sent and
 *  these are for the newest round; otherwise it stays, and 0 is returned. Other
 *  content for the same head is CV_ERR_VERIFY. */
int cv_outbox_put_epoch(cv_outbox *o, const cv_outbox_epoch *e, cv_err *err);
/** The newest version of epoch number `epoch`, or found 0. */
int cv_outbox_load_epoch(cv_outbox *o, cv_outbox_epoch *e, int *found,
                         uint64_t epoch, cv_err *err);
void cv_outbox_epoch_free(cv_outbox_epoch *e);

/** How many rounds are in each state: count[CV_OUTBOX_FINAL + 1]. */
int cv_outbox_count(cv_outbox *o, uint64_t *count, cv_err *err);

#endif
