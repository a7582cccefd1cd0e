/** The proof record of a round: what its members saw, in a form that anybody
 *  can hash again.  Local, without MPI: the run makes records, `covey verify`
 *  checks them, with the same functions.
 *
 *  A record is the root of a Merkle tree over a few named parts, so that one of
 *  them can be shown without the others:
 *
 *      context   run, job, round, attempt, draw, field
 *      previous  the record before
 *      roster    who took part, under which keys, from which model and state
 *      sums      how many sums, and the transcript of all of them
 *      data      digest of the schema: columns, levels, scales
 *      model     digest of the new model
 *      server    digests of the server's state
 *      ledger    digest of what has been spent
 *      plan      grid, clip and noise of the next round
 *      metrics   silos, losses, test metrics: what the history tells
 *      chain     what chain and rewards go on from; zeros without a chain
 *
 *      leaf = H("covey proof leaf v1", name, value)
 *      node = H("covey proof node v1", left, right); an odd one goes up as it is
 *
 *  Integers are little-endian words; H is core/tagged.h's.
 */
#ifndef COVEY_JOBS_PROOF_H
#define COVEY_JOBS_PROOF_H

#include <stddef.h>
#include <stdint.h>

#include "chain/pubkey.h"
#include "core/bytes.h"
#include "core/err.h"
#include "io/job.h"
#include "privacy/accountant.h"
#include "privacy/lincheck.h"
#include "solver/model.h"
#include "solver/strategy.h"

enum { CV_PROOF_PARTS = 11, CV_PLAN_BYTES = 64 };

/** A member of a roster as the record keeps it: 4 bytes silo (le32), the key
 *  for masks, the commitment to its nonce. */
enum {
    CV_ROSTER_KEY = 4,
    CV_ROSTER_NONCE = CV_ROSTER_KEY + CV_PUBKEY_BYTES,
    CV_ROSTER_BYTES = CV_ROSTER_NONCE + 32
};

/** One sum: length d (le64), H(S), f(S) (4 le64), then a member at a time its
 *  commitment and its f(y) (4 le64). */
enum {
    CV_SUM_HEAD = 8 + 32 + 8 * CV_CHECK_MAX,
    CV_SUM_MEMBER = 32 + 8 * CV_CHECK_MAX
};

typedef struct {
    int64_t round, attempt, draw;
    int wide;
    uint8_t previous[32];
    uint8_t start_model[32], start_state[32]; /* what the round went on from */
    uint8_t roster[32];                       /* digest */
    int64_t n_sums;
    uint8_t transcript[32];
    uint8_t data[32]; /* of the schema's text */
    uint8_t model[32];
    uint8_t server[CV_MAX_STATE][32], ledger[32], plan[CV_PLAN_BYTES];
    uint8_t paid[32]; /* cv_paid_digest */
    /* of the history */
    int64_t n_silos;
    double train_loss, update, metrics[CV_MAX_METRICS];
    uint8_t leaves[CV_PROOF_PARTS][32];
    uint8_t record[32]; /* the root over them */
    cv_buf members; /* (n_silos, CV_ROSTER_BYTES); empty if it was dropped */
    cv_buf sums;    /* the sums, one after the other; empty if dropped */
} cv_proof;

void cv_proof_free(cv_proof *p);

/** leaves (CV_PROOF_PARTS, 32) of what p says; its own leaves and record are not
 *  read. */
void cv_proof_leaves(uint8_t (*leaves)[32], const cv_proof *p,
                     const uint8_t run_id[32], const uint8_t job[32]);
/** The record: the root over the leaves. */
void cv_proof_root(uint8_t out[32], const uint8_t (*leaves)[32]);

/** The parts' names, in the order of the leaves. */
extern const char *const cv_proof_part_names[CV_PROOF_PARTS];

/* ---- digests that records and runs share ----------------------------------- */

/** Who, and with what part in the sum: identity keys of the members in their
 *  order, the job's weights, and the groups that the sum shows apart (1: none).
 *  Without noise two sums of the same data may differ in none of these, or their
 *  difference would show a single silo.
 *  In: member (n) numbers in the job;  identity (n_silos) */
void cv_members_digest(uint8_t out[32], const cv_job *job,
                       const cv_pubkey *identity, const int *member, int n,
                       int groups);
/** members: (n, CV_ROSTER_BYTES). */
void cv_roster_digest_of(uint8_t out[32], const cv_proof *p,
                         const uint8_t run_id[32], const uint8_t job[32],
                         const uint8_t who[32], const void *members, size_t n);
void cv_step_context(uint8_t out[32], const uint8_t roster[32], uint64_t step,
                     uint64_t d);
/** Of all members' commitments; at: (n) pointers to 32 bytes. */
void cv_commitments_digest(uint8_t out[32], const uint8_t step_ctx[32],
                           const uint8_t *const *at, size_t n);
void cv_challenge(uint8_t out[32], const uint8_t step_ctx[32],
                  const uint8_t commitments[32], const uint8_t sum[32]);
/** transcript: in the one so far, out with this sum. sum: its bytes as above. */
void cv_transcript_add(uint8_t transcript[32], const uint8_t step_ctx[32],
                       const uint8_t challenge[32], const void *sum, size_t n);

/** Of the schema's text. */
void cv_data_digest(uint8_t out[32], const char *schema);

void cv_ledger_digest(uint8_t out[32], const cv_segment *s, size_t n);
typedef struct {
    uint8_t before[32];       /* head of the chain before this round's record */
    int64_t first;            /* first round that no attestation covers yet */
    uint8_t first_before[32]; /* the head before that one */
} cv_chain_span;
typedef struct {
    const cv_chain_span *span;
    const int64_t *taken; /* (n_silos) rounds that each silo took part in */
    int n_silos;
    const int64_t *coalition; /* (n_coalitions) test counts of groups' models */
    int n_coalitions;         /* 0: not known, or not needed */
} cv_chain_state;
/** What chain and rewards go on from. */
void cv_paid_digest(uint8_t out[32], const cv_chain_state *s);
/** State that the next round goes on from. paid: as above, NULL without a
 *  chain. */
void cv_state_digest(uint8_t out[32], const uint8_t server[CV_MAX_STATE][32],
                     const uint8_t ledger[32],
                     const uint8_t plan[CV_PLAN_BYTES], const uint8_t *paid);

/** What a silo's identity signs: the record, and the one that it replaces
 *  (zeros: none). */
void cv_record_signing(uint8_t out[32], const uint8_t run_id[32], int64_t round,
                       const uint8_t record[32], const uint8_t supersedes[32]);

#endif
