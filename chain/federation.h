/** The contracts of a federation as Covey sees them: what is signed for them,
 *  their calls, their events.  chain/contracts/ has the Solidity; the types
 *  below are the same ones, letter for letter (tests compare the digests).
 *
 *  Head of a run: h_0 = digest of its opening, which binds chain, contract, run
 *  (its id is a digest of its terms), job, attesters and collusion;  h_r = Keccak-256(h_(r-1), word of r, record of
 *  round r).  An attestation of a head is one of everything before it.
 */
#ifndef COVEY_CHAIN_FEDERATION_H
#define COVEY_CHAIN_FEDERATION_H

#include "chain/node.h"
#include "chain/typed_data.h"

enum { CV_MAX_ATTESTERS = 255 };

/** "Attester(address silo,address attester,uint64 nonce)", signed by the silo's
 *  identity: this key attests for me. */
#define CV_TYPE_ATTESTER "Attester(address silo,address attester,uint64 nonce)"
/** Signed by every attester when a run begins. */
#define CV_TYPE_RUN                                                            \
    "Run(bytes32 runId,bytes32 jobDigest,address[] attesters,"                 \
    "uint32 collusion)"
/** Signed by attesters whenever a checkpoint is durable. */
#define CV_TYPE_ROUNDS                                                         \
    "Rounds(bytes32 runId,bytes32 jobDigest,uint64 firstRound,"                \
    "uint64 lastRound,bytes32 previousHead,bytes32 newHead)"
/** Rewards: domain "Covey Rewards", its own contract. */
#define CV_TYPE_EPOCH                                                          \
    "Epoch(bytes32 runId,uint64 epoch,uint32 version,bytes32 head,"            \
    "address sponsor,address token,bytes32 root,uint256 total,uint32 leaves)"
#define CV_TYPE_OBJECTION "Objection(bytes32 runId,uint64 epoch,uint32 version)"

/** Where a federation lives. The rewards contract is the first that the
 *  federation makes, so its address follows (CREATE, nonce 1). */
typedef struct {
    uint64_t chain_id;
    cv_address contract; /* CoveyFederation */
} cv_federation;

void cv_federation_rewards(cv_address *out, const cv_federation *f);
/** More than (n + t) / 2. */
uint32_t cv_federation_quorum(uint32_t attesters, uint32_t collusion);

/** What a run is to the contract. salt is Covey's own id of the run. */
typedef struct {
    uint8_t salt[32], job[32];
    const cv_address *attesters; /* (n), in the job's order of silos */
    uint32_t n, collusion;
} cv_run_terms;

/** The contract's id of the run: Keccak-256 of the ABI encoding of (bytes32
 *  salt, bytes32 job, address[] attesters, uint32 collusion).  All that is
 *  called run_id below is this, and all that the contracts take as runId but
 *  the salt of openRun: nobody can take it but by the very same opening. */
void cv_chain_run_id(uint8_t out[32], const cv_run_terms *run);

void cv_attester_digest(uint8_t out[32], const cv_federation *f,
                        const cv_address *silo, const cv_address *attester,
                        uint64_t nonce);
/** Digest of the opening; it is also the head before round 1. */
void cv_opening_digest(uint8_t out[32], const cv_federation *f,
                       const cv_run_terms *run);
/** head: in the one before, out the one of this round. */
void cv_head_step(uint8_t head[32], uint64_t round, const uint8_t record[32]);
void cv_rounds_digest(uint8_t out[32], const cv_federation *f,
                      const uint8_t run_id[32], const uint8_t job[32],
                      uint64_t first, uint64_t last, const uint8_t before[32],
                      const uint8_t after[32]);

typedef struct {
    uint8_t run_id[32], head[32], root[32];
    uint64_t epoch;
    uint32_t version, leaves;
    cv_address sponsor, token;
    cv_u256 total;
} cv_epoch;

void cv_epoch_digest(uint8_t out[32], const cv_federation *f,
                     const cv_epoch *e);
void cv_objection_digest(uint8_t out[32], const cv_federation *f,
                         const uint8_t run_id[32], uint64_t epoch,
                         uint32_t version);
/** Keccak-256 of Keccak-256 of the ABI words (chain, rewards contract, run,
 *  epoch, index, payee, amount): twice, so that no inner node is a leaf. */
void cv_reward_leaf(uint8_t out[32], const cv_federation *f,
                    const uint8_t run_id[32], uint64_t epoch, uint64_t index,
                    const cv_address *payee, const cv_u256 *amount);

#endif
