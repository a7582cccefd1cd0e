/** Attestations: what silos sign for the chain, and where it is kept.
 *
 *  Every silo has an attestation key, made from its identity key, that never
 *  holds money.  It signs the run's opening once, and the head of the chain of
 *  records whenever a checkpoint is durable; the root keeps the signatures in
 *  run.h5 and in RUN/outbox.db, from which `covey settle` sends them.  Nothing
 *  here uses a network, and what the outbox cannot keep is in run.h5 as well:
 *  a disk that fails there is a warning, never the end of a run.
 *
 *  Without `chain` in the job all of this does nothing.  Functions that end in
 *  _all are collective on fed.world.
 */
#ifndef COVEY_JOBS_ATTEST_H
#define COVEY_JOBS_ATTEST_H

#include "chain/outbox.h"
#include "jobs/chain_terms.h"
#include "jobs/secure.h"

typedef struct cv_attest {
    cv_chain_terms terms;
    uint8_t on_chain[32]; /* on leaders: the contract's id of the run */
    cv_seckey **key;      /* (n_hosted) on leaders */
    cv_outbox_silo *silo; /* (n_silos) addresses and signatures of all */
    cv_chain_span span;   /* that the state's digest holds */
    uint8_t head[32];     /* of the chain: after the last record */
    cv_outbox *outbox;    /* at the root, once it is needed */
    int no_outbox;        /* it cannot be kept */
} cv_attest;

/** Keys, bindings and the opening, signed and checked by all. Needs the run's
 *  id and the identities. */
int cv_attest_open_all(cv_run *run, cv_err *err);
void cv_attest_close(cv_run *run);

/** At the root: RUN/outbox.db, NULL if it cannot be kept. */
cv_outbox *cv_attest_outbox(cv_run *run);

/** What the state's digest holds of the chain; NULL without one. */
const cv_chain_span *cv_attest_span(const cv_run *run);
/** A round has ended: before its record is made, and after. Local. */
void cv_attest_round(cv_run *run);
void cv_attest_record(cv_run *run, const uint8_t record[32]);
/** The checkpoint of run->round is durable: sign the rounds since the last one
 *  that was attested. */
int cv_attest_rounds_all(cv_run *run, cv_err *err);
/** After a restore: go on from the head that the checkpoint tells of. */
int cv_attest_resume_all(cv_run *run, cv_err *err);

#endif
