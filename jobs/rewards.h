/** What each silo is paid, so that anybody can compute it again.
 *
 *  A method gives every silo a whole number, its basis; the pool is shared out
 *  in proportion to these, in the token's smallest units, by largest remainder,
 *  and no silo gets more than the cap.  The amounts are the leaves of a Merkle
 *  tree whose root a quorum of the silos signs.
 *
 *      equal       1 for each silo that took part in a round
 *      declared    the share that the job gives it, if it took part
 *      data_size   training rows: the silo's own word, and everybody reads it
 *      validation  test rows that the final model gets right: the same
 *      shapley     the silo's part of its group's Shapley value; what a group
 *                  adds on public rows is counted by every silo for itself
 *
 *  Self-declared counts cannot be verified: that is what the cap is for.
 *  Scope: local but for cv_rewards_sign_all.
 */
#ifndef COVEY_JOBS_REWARDS_H
#define COVEY_JOBS_REWARDS_H

#include "chain/federation.h"
#include "chain/key.h"
#include "io/checkpoint.h"
#include "jobs/chain_terms.h"

/** Largest count of rows that is believed; Shapley values of it do not
 *  overflow. */
#define CV_REWARD_MAX_COUNT (INT64_C(1) << 31)

typedef struct {
    int n;         /* silos; 0: there are no rewards yet */
    int64_t round; /* after which they were signed */
    cv_epoch epoch;
    cv_address *payee; /* (n) */
    int64_t *basis;    /* (n) */
    cv_u256 *amount;   /* (n); those above zero are the leaves, in order */
    cv_sig *count_sig; /* (n) identities' signatures of self-declared counts */
    cv_sig *sig;       /* (n) attesters' signatures of the epoch */
    int n_values;      /* shapley: 2^groups test counts of coalitions */
    int64_t *value;    /* (n_values) */
} cv_rewards;

void cv_rewards_create(cv_rewards *r, int n);
void cv_rewards_free(cv_rewards *r);

/** amount (n): pool in proportion to basis (n), none negative, each at most
 *  cap_ppm millionths of the pool. What the caps leave over is paid to nobody.
 *  Returns 0; CV_ERR_NUMERIC if all are 0. */
int cv_rewards_split(cv_u256 *amount, const cv_u256 *pool, const int64_t *basis,
                     int n, uint32_t cap_ppm, cv_err *err);

/** Groups of the job's last round; 1 without shapley. */
int cv_rewards_groups(const cv_job *job);
/** Group of silo i: groups of consecutive silos, as equal as can be. */
int cv_rewards_group(int i, int n_silos, int groups);
/** basis (n_silos) from the counts of coalitions value (2^groups): bit g of the
 *  index says that group g is in. In exact integers: groups! times the Shapley
 *  value, none below 0, given to the group's members in equal parts. */
void cv_rewards_shapley(int64_t *basis, const int64_t *value, int n_silos,
                        int groups);

/** Amounts, root and the rest of the epoch from basis and payees. on_chain:
 *  the contract's id of the run. */
int cv_rewards_fill(cv_rewards *r, const cv_chain_terms *terms,
                    const uint8_t on_chain[32], const uint8_t head[32],
                    uint32_t version, cv_err *err);
/** Leaves (epoch.leaves, 32) and whose they are; the caller frees both. */
void cv_rewards_leaves(const cv_rewards *r, const cv_federation *f,
                       uint8_t **leaves, int **silo);

/** What a silo's identity signs of its count; run_id is Covey's. */
void cv_rewards_count_digest(uint8_t out[32], const uint8_t run_id[32],
                             cv_reward_method method, int64_t round,
                             int64_t count);
/** Does the method read counts that silos tell of themselves? */
int cv_rewards_declares(cv_reward_method method);

/** /rewards of a checkpoint. Loading: n = 0 if there is none. */
int cv_rewards_save(cv_h5_writer *w, const cv_rewards *r, const cv_job *job,
                    cv_err *err);
int cv_rewards_load(cv_h5_reader *r, cv_rewards *out, int n_silos, cv_err *err);

#endif
