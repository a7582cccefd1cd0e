/** `covey verify`: what a checkpoint claims, line by line, and what each line
 *  rests on.  Local, without MPI, and a network only with --rpc.
 *
 *  verify.c          the command, its lines
 *  verify_records.c  records, rosters, sums, signatures
 *  verify_state.c    model, data, server state, ledger
 *  verify_fit.c      what a fit's parameters come to
 *  verify_file.c     labels, history, silos; what no run writes
 *  verify_chain.c    attestations, rewards
 *  verify_node.c     what the contracts say
 */
#ifndef COVEY_JOBS_VERIFY_H
#define COVEY_JOBS_VERIFY_H

#include "chain/outbox.h"
#include "chain/rpc.h"
#include "jobs/chain_terms.h"
#include "jobs/rewards.h"
#include "jobs/saved.h"
#include "jobs/saved_privacy.h"
#include "jobs/saved_proofs.h"

typedef enum {
    CV_LINE_RECOMPUTED, /* from the file's own bytes */
    CV_LINE_ATTESTED,   /* by so many of so many silos, who recomputed it */
    CV_LINE_TOLD,       /* by a node, which could lie */
    CV_LINE_UNCHECKED,  /* could not be checked here */
    CV_LINE_FAILS
} cv_line_kind;

typedef struct {
    cv_line_kind kind;
    int of, n;      /* attested by `of` of n */
    int of_node;    /* it is about what a node says, not about the file */
    char what[40];  /* "model", "records", ... */
    char text[600]; /* what holds, or what does not */
} cv_line;

typedef struct {
    cv_saved saved;
    const char *path;
    int n; /* silos */
    int collusion;
    cv_proofs proofs;
    cv_saved_privacy privacy;
    cv_pubkey *identity;     /* (n) as the file says */
    uint8_t run_id[32];      /* Covey's */
    uint8_t contract_id[32]; /* the contract's, of this run */
    int64_t *taken; /* (n) rounds, by the rosters; NULL: not all are there */
    int signed_by;  /* silos that have signed the newest record */
    int on_chain;   /* the job settles, and terms are its */
    cv_chain_terms terms;
    cv_outbox_silo *silo; /* (n) attesters, on chain */
    uint8_t genesis[32];  /* head before round 1 */
    int chain_holds;      /* heads and attestations hold, up to the newest */
    cv_rewards rewards;
    int asking;    /* lines to come are about what a node says */
    int no_answer; /* a node was asked, and did not say */

    cv_line *line; /* (n_lines) */
    int n_lines, cap;
} cv_verify;

/** Add a line. of, n matter for ATTESTED alone. */
void cv_verify_say(cv_verify *v, cv_line_kind kind, const char *what,
                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/** "attested by N of N", N being those that signed the newest record. */
void cv_verify_attested(cv_verify *v, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** Say what err says, as a line that fails; clears err. */
void cv_verify_error(cv_verify *v, const char *what, const cv_err *err);

void cv_verify_records(cv_verify *v);
void cv_verify_signatures(cv_verify *v);
void cv_verify_rosters(cv_verify *v);
void cv_verify_sums(cv_verify *v);

void cv_verify_job(cv_verify *v);
void cv_verify_model(cv_verify *v);
void cv_verify_data(cv_verify *v);
void cv_verify_server(cv_verify *v);
void cv_verify_ledger(cv_verify *v);

/** Of a fit that is done; else no line. */
void cv_verify_result(cv_verify *v);
/** What it writes: paths of arrays, and of attributes the object's path, a tab
 *  (which no name has) and their name. malloc'd; NULL, 0 if nothing. */
#define CV_VERIFY_ATTRIBUTE "\t"
char **cv_verify_result_names(const cv_verify *v, size_t *n);

void cv_verify_labels(cv_verify *v);
void cv_verify_history(cv_verify *v);
/** After the rosters. */
void cv_verify_silos(cv_verify *v);
void cv_verify_rest(cv_verify *v);

void cv_verify_attestations(cv_verify *v);
void cv_verify_rewards(cv_verify *v);
void cv_verify_outbox(cv_verify *v);

void cv_verify_node(cv_verify *v, cv_rpc *rpc);

#endif
