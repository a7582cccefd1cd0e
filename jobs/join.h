/** An attempt in the making (jobs/attempt.c, jobs/join.c alone). */
#ifndef COVEY_JOBS_JOIN_H
#define COVEY_JOBS_JOIN_H

#include "jobs/secure.h"

/** What a silo says when it joins, on the wire. The fields are bytes, so that
 * there is no padding and no order of bytes to agree on. */
typedef struct {
    uint8_t status, has_last;
    uint8_t ephemeral[CV_PUBKEY_BYTES];
    uint8_t nonce_commitment[32];
    uint8_t last_attempt[8]; /* of this round, in the silo's journal */
    uint8_t draw[8], members[32], model[32]; /* of that last attempt */
    uint8_t sig[CV_SIG_BYTES];
} cv_join_msg;

typedef struct {
    uint8_t nonce[32];
    uint8_t sig[CV_SIG_BYTES];
} cv_roster_msg;

/** Everything of an attempt in the making. */
typedef struct {
    cv_run *run;
    cv_attempt *at;
    cv_seckey **ephemeral;   /* (n_hosted) */
    uint8_t *nonce;          /* (n_hosted, 32) */
    cv_join_msg *mine, *all; /* (n_hosted), (n_silos) */
    cv_roster_msg *signed_;  /* (n_silos) */
} cv_joining;

/** Step 1: everybody's key message, signed and checked. Collective on
 *  fed.leaders, but for its result. */
int cv_join(cv_joining *j, int64_t round, const int32_t *status, cv_err *err);

/** Step 2: the digest of what all have joined with, and everybody's signature of
 *  it. The same. */
void cv_roster_digest(cv_joining *j);
int cv_roster_sign(cv_joining *j, cv_err *err);

/** The journal that a hosted silo writes to; NULL if another one's stands for it
 *  (simulated). */
cv_journal *cv_attempt_journal(const cv_run *run, int hosted);
/** Last attempt at this very round (0 is the preparation); NULL if none. */
const cv_journal_entry *
cv_attempt_last(const cv_journal *j, const uint8_t run_id[32], int64_t round);

#endif
