/** The proof records of a run, in memory and in a checkpoint (/proofs).
 *
 *  The whole record of every round is in run.h5, with the signatures of all
 *  rounds that ended with a checkpoint.  What grows with sums and members is
 *  kept for the newest rounds, up to so many bytes of sums and of rosters: of
 *  older ones the digests are left, so that a long run's checkpoints stay small.
 */
#ifndef COVEY_JOBS_SAVED_PROOFS_H
#define COVEY_JOBS_SAVED_PROOFS_H

#include "chain/key.h"
#include "io/checkpoint.h"
#include "jobs/proof.h"

enum { CV_PROOFS_SUMS = 8 << 20, CV_PROOFS_ROSTERS = 16 << 20 };

/** A silo's signature of a record: what it supersedes, then the signature. */
enum { CV_SIGNED_BYTES = 32 + CV_SIG_BYTES };

/** With a chain: the attestation that was made with a checkpoint. */
typedef struct {
    cv_chain_span span; /* first = 0: no checkpoint, or no chain */
    uint8_t after[32];  /* head of the chain after this round */
} cv_attested;

typedef struct {
    int n_silos;
    int64_t n, cap;
    cv_proof *proof;       /* (n) rounds in order, without a gap */
    uint8_t *signature;    /* (n, n_silos, CV_SIGNED_BYTES); zeros: none */
    cv_attested *attested; /* (n) */
    uint8_t *attestation;  /* (n, n_silos, CV_SIG_BYTES); zeros: none */
} cv_proofs;

/** Add a round; takes what p owns. Rounds from p->round on are replaced. */
void cv_proofs_add(cv_proofs *all, cv_proof *p);
/** Place of a round, or -1. */
int64_t cv_proofs_at(const cv_proofs *all, int64_t round);
int cv_proofs_has_signatures(const cv_proofs *all, int64_t at);
void cv_proofs_free(cv_proofs *all);

int cv_proofs_save(cv_h5_writer *w, const cv_proofs *all, int chain,
                   cv_err *err);
/** all->n_silos is set by the caller. An older file without records gives
 *  n = 0. Metrics and losses are filled from /history. What is read has the
 *  right shape; whether it holds is for others to say. */
int cv_proofs_load(cv_h5_reader *r, cv_proofs *all, cv_err *err);

#endif
