/** One masked sum in the making, on a leader: what secure_sum.c (steps 3 to 5) and
 *  secure_check.c (step 6) share. */
#ifndef COVEY_JOBS_SECURE_SUM_H
#define COVEY_JOBS_SECURE_SUM_H

#include "jobs/secure.h"
#include "privacy/commit.h"
#include "privacy/lincheck.h"

/* One sum in the making, on a leader. */
typedef struct {
    cv_run *run;
    cv_attempt *at;
    void *const *y; /* (n_hosted) */
    void *sum;
    size_t d;
    cv_commit *hash;             /* of the sum, piece by piece */
    int canonical;               /* 1: all its words are below p */
    uint8_t ctx[32];             /* of this step */
    uint8_t *salt;               /* (n_hosted, 32) */
    uint8_t *commitment;         /* (n_silos, 32) */
    uint8_t all_commitments[32]; /* digest of them */
    uint8_t sum_digest[32], challenge[32];
    uint64_t *value;              /* (n_silos, CV_CHECK_MAX) f_k(y_i) */
    uint64_t total[CV_CHECK_MAX]; /* f_k(S) */
    cv_lincheck *functions;
    const int *counts; /* (n_leaders) of a sum that is scattered, else NULL */
    size_t first, n_part; /* this leader's words of it, in sum */
} cv_summing;

/** Bytes of a word of the field. */
size_t cv_summing_word(const cv_secure *sec);
int cv_summing_is_member(const cv_summing *m, int hosted);
const char *cv_summing_name(const cv_summing *m, int silo);

/** Signature of a hosted silo over the step's context and n bytes of data. */
void cv_summing_sign(const cv_summing *m, int s, uint8_t out[CV_SIG_BYTES],
                     const char *tag, const void *data, size_t n);
/** Is it one of silo's? CV_ERR_VERIFY says what was not. */
int cv_summing_verify(const cv_summing *m, int silo,
                      const uint8_t sig[CV_SIG_BYTES], const char *tag,
                      const void *data, size_t n, const char *what,
                      cv_err *err);

/** Step 6: challenge, signed values of all members, and whether they add up. 0, an
 *  error, or 1: they do not. */
int cv_summing_check(cv_summing *m, cv_err *err);
/** What the round's record says of this sum. */
void cv_summing_note(cv_summing *m);

#endif
