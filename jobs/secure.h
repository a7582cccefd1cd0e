/** The masked, checked sum of a round: who takes part, under which keys, and what
 *  the silos may see.  PROTOCOL, "One attempt of a round", is what these files
 *  do; its numbers stand beside the steps.
 *
 *  secure_open.c   identity keys, secrets and journals of the hosted silos
 *  attempt.c       steps 1 and 2: join, roster, pair keys; and the journal
 *  secure_sum.c    steps 3 to 5: mask, commit, sum
 *  secure_check.c  step 6: is it the sum of what was committed to?
 *  opening.c       step 7: who lied
 *  record.c        step 8: the round's record, signed by every silo
 *
 *  Everything that another rank sent is checked before it is used, and whoever
 *  sent what does not hold is named.  Functions that end in _all are collective
 *  on fed.world and return the same code and text on every rank.
 */
#ifndef COVEY_JOBS_SECURE_H
#define COVEY_JOBS_SECURE_H

#include "chain/key.h"
#include "io/journal.h"
#include "jobs/rewards.h"
#include "jobs/run.h"
#include "jobs/saved_proofs.h"

typedef struct cv_secure cv_secure;

/** What one hosted silo needs to take part; of the ranks beside the leader the
 *  secret alone. */
typedef struct {
    cv_seckey *key;      /* identity */
    uint8_t *secret;     /* (32) HKDF key of all private randomness */
    cv_journal *journal; /* NULL for a simulated silo */
    int has_lost;        /* it has signed a record beyond the checkpoint: */
    uint8_t lost[32];    /* the newest of these, until another is signed */
    uint8_t data[32], place[32]; /* the data set's content and path */
} cv_party;

struct cv_secure {
    int masks;           /* 0: the same integers, without masks and keys */
    int collusion;       /* operators that may pool what they see */
    int wide;            /* words of 64 bits, p = 2^61 - 1 */
    cv_pubkey *identity; /* (n_silos) */
    int *operator_of;    /* (n_silos) who runs the silo's process */
    cv_party *party;     /* (n_hosted) */
    cv_journal *journal; /* of a simulated run, at the root */
    size_t room;         /* words of the vectors below */
    void **y;            /* (n_hosted) a silo's words; on leaders */
    void *sum;           /* on leaders */
    uint8_t head[32];    /* record of the last round: the next one's parent */
    int64_t attempt;     /* that the last round took */
    int left_out;        /* of its members, those that may collude */
    cv_proofs proofs;    /* at the root: records of all rounds */
    int unsaved;         /* at the root: signatures that run.h5 lacks */
    uint8_t model[32];   /* root of the global model */
    int64_t model_round; /* after which model was made; 0: not yet */
    uint8_t state[32];   /* of all else that the next round goes on from: server
                          * state, noise, grid, clip, ledger */
    /* what state is made of */
    uint8_t data[32]; /* digest of the schema's text */
    uint8_t server[CV_MAX_STATE][32], ledger[32], plan[CV_PLAN_BYTES];
    uint8_t paid[32]; /* zeros without a chain */
    int n_coalitions;
    int64_t
        *coalition; /* (n_coalitions) test counts of groups' models, for rewards
                         * by shapley; NULL until they are known */
    cv_rewards rewards;       /* at the root: of a run that is done */
    struct cv_attest *attest; /* towards the chain; NULL without one */
};

/** Keys that one hosted silo shares with its peers. */
typedef struct {
    int slot;        /* its place among the members */
    int n;           /* peers */
    int *peer;       /* (n) their places, ascending */
    uint8_t *secret; /* (n, 32) secret memory */
} cv_pairs;

/** Silos that agreed on a sum, and the keys that they share. */
typedef struct {
    int64_t round;       /* 0: preparation; 1, 2, ... */
    int64_t attempt;     /* spent as soon as it is in the journals */
    int64_t draw;        /* the attempt whose noise and sample are used */
    int n;               /* members */
    int honest;          /* at least so many do not collude */
    int *member;         /* (n) silos, ascending */
    uint8_t members[32]; /* digest */
    cv_proof proof;      /* the round's record in the making: roster, sums; its
                          * details at the root alone */
    uint64_t step;       /* sums so far */
    int n_pairs;
    cv_pairs *pairs; /* (n_hosted) on leaders; NULL without masks */
} cv_attempt;

/** Open keys, secrets and journals; check keys, trust and limits of every site.
 *  Needs fed, job and the sites (cv_site_open). */
int cv_secure_open_all(cv_run *run, cv_err *err);
void cv_secure_close(cv_run *run);

/** Steps 1 and 2. On return every leader holds the signatures of all members on
 *  one roster.
 *
 *  In:     round     0 for the preparation
 *          status    (n_silos) READY where the silo would take part: filled for
 *                    this rank's silos, on return for all
 *          replay    1: use the noise of the last attempt again, if every
 *                    member can (then draw < attempt)
 *  Out:    at        free with cv_attempt_end, whatever is returned
 *  Errors: CV_ERR_SILOS, CV_ERR_PRIVACY, CV_ERR_VERIFY
 */
int cv_attempt_begin_all(cv_run *run, cv_attempt *at, int64_t round,
                         int32_t *status, int replay, cv_err *err);

/** Write the attempt into every member's journal: from here on it is spent.
 *  cost: what it takes of the budget (NULL: nothing). vectors (n_hosted, 32):
 *  digests of the noised vectors, or NULL. */
int cv_attempt_spend_all(cv_run *run, const cv_attempt *at,
                         const cv_journal_cost *cost, const uint8_t *vectors,
                         cv_err *err);

/** Are these the vectors of the attempt that `draw` names, at every member?
 *  1 or 0, the same everywhere. */
int cv_attempt_same_vectors_all(cv_run *run, const cv_attempt *at,
                                const uint8_t *vectors);

int cv_attempt_has(const cv_attempt *at, int silo);

/** Is an entry of a journal that of a statistical fit without noise? */
int cv_attempt_is_fit(const cv_journal_entry *e);

/** Wipe the keys and free. */
void cv_attempt_end(cv_attempt *at);

/** Steps 3 to 7: sum over the members of their words.
 *
 *  In/Out: y    (n_hosted) pointers to d canonical words of each hosted member,
 *               NULL for others; masked in place
 *  Out:    sum  (d) on leaders
 *  Errors: CV_ERR_VERIFY, naming who is at fault
 */
int cv_secure_sum_all(cv_run *run, cv_attempt *at, void *const *y, size_t d,
                      void *sum, cv_err *err);

/** The same, but each leader gets a part of the sum: a reduce-scatter, for sums
 *  that no rank is to hold whole.
 *
 *  In:     counts  (n_leaders) words of each leader, in the order of fed.leaders;
 *                  they add up to d
 *  Out:    part    this leader's words;  n_part  how many
 *  Every leader signs the digest of its part before the challenge, and the value
 *  that the check's functions have of it after; the values of all parts must add
 *  up to those of the committed vectors.  What a leader then does with its part
 *  is for the caller to check (jobs/fit.h: by the next round's score).
 */
int cv_secure_scatter_all(cv_run *run, cv_attempt *at, void *const *y, size_t d,
                          const int *counts, void *part, size_t *n_part,
                          cv_err *err);

/** Step 7: every member opens its masked vector; err says who lied. Collective
 *  on fed->leaders; returns CV_ERR_VERIFY. */
typedef struct {
    const void *const *y;      /* (n_hosted) masked words */
    const uint8_t *salts;      /* (n_hosted, 32) */
    const uint8_t *commitment; /* (n_silos, 32) */
    const uint64_t *values;    /* (n_silos, CV_CHECK_MAX) said f_k(y_i) */
    const void *sum;
    const struct cv_lincheck *functions;
    const uint8_t *step_ctx; /* 32 bytes */
    size_t d;
} cv_openings;
int cv_open_all(cv_run *run, const cv_attempt *at, const cv_openings *o,
                cv_err *err);
/** C = H(tag, ctx, salt, root). */
void cv_commitment(uint8_t out[32], const uint8_t step_ctx[32],
                   const uint8_t salt[32], const uint8_t root[32]);
/** Root of the hash tree over d words. */
void cv_words_root(const struct cv_secure *sec, uint8_t root[32],
                   const void *words, size_t d);

/** A key for private randomness of a hosted silo: HKDF over the silo's secret,
 *  bound to use, run, round, draw, members, job, start model, and what sets the
 *  noise. */
void cv_private_key(const cv_run *run, int hosted, uint8_t key[32],
                    const char *use, const cv_attempt *at, double sigma);

/** Step 8. The record of the round that has just ended becomes run->secure->
 *  head; later, once the checkpoint that holds it is durable, every silo signs
 *  it, and the root keeps the signatures in RUN/records.log. */
void cv_record_round(cv_run *run, cv_attempt *at, const cv_history_row *h);
/** secure->model and secure->state from what this rank holds. Local. */
void cv_record_state(cv_run *run);
/** Before a checkpoint is written: every silo notes in its journal what record
 *  it has computed, and on what state. Collective. */
int cv_note_record_all(cv_run *run, cv_err *err);
int cv_sign_record_all(cv_run *run, cv_err *err);
/** Before anything is summed in a run that goes on: are the silos' data those of
 *  its journals? CV_ERR_INPUT names the silo whose are not; CV_ERR_PRIVACY one
 *  whose journal is gone. */
int cv_secure_same_data_all(cv_run *run, cv_err *err);
/** After a restore: may this run be continued from its round? */
int cv_secure_resume_all(cv_run *run, cv_err *err);

#endif
