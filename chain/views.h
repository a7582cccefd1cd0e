/** What the contracts of a federation say, typed and checked: eth_call at a tag.
 *
 *  A run_id is the contract's (cv_chain_run_id).  All return 0; CV_ERR_ENV without an answer, or if the contract reverted;
 *  CV_ERR_VERIFY for an answer that the contract cannot give.  At a block that is
 *  older than the contract everything is zero.
 */
#ifndef COVEY_CHAIN_VIEWS_H
#define COVEY_CHAIN_VIEWS_H

#include "chain/federation.h"
#include "chain/node.h"

typedef struct {
    int opened;
    uint8_t job[32], head[32];
    uint64_t last;
    uint32_t attesters, collusion, quorum;
} cv_view_run;

/** Of the federation. */
int cv_view_run_at(cv_rpc *rpc, cv_view_run *out, const cv_federation *f,
                   const uint8_t run_id[32], cv_block_tag tag, cv_err *err);
int cv_view_attester(cv_rpc *rpc, cv_address *out, const cv_federation *f,
                     const uint8_t run_id[32], uint32_t index, cv_err *err);
typedef struct {
    cv_address attester;
    uint64_t nonce; /* of the next binding */
    int active;
} cv_view_silo;
int cv_view_silo_of(cv_rpc *rpc, cv_view_silo *out, const cv_federation *f,
                    const cv_address *identity, cv_err *err);
int cv_view_owner(cv_rpc *rpc, cv_address *out, const cv_federation *f,
                  cv_err *err);
int cv_view_silo_count(cv_rpc *rpc, uint64_t *out, const cv_federation *f,
                       cv_err *err);
int cv_view_silo_at(cv_rpc *rpc, cv_address *out, const cv_federation *f,
                    uint64_t i, cv_err *err);
/** The rewards contract that the federation names must be the one that follows
 *  from its address. CV_ERR_VERIFY if it is not. */
int cv_view_check_rewards(cv_rpc *rpc, const cv_federation *f, cv_err *err);
/** Is there a federation at its address at all?  CV_ERR_INPUT without a contract
 *  there; else as cv_view_check_rewards. */
int cv_view_check_federation(cv_rpc *rpc, const cv_federation *f, cv_err *err);

/** Of the rewards contract. */
typedef struct {
    cv_u256 free, allocated;
    uint64_t refundable_from; /* Unix time; 0: never funded */
} cv_view_pool;
int cv_view_pool_of(cv_rpc *rpc, cv_view_pool *out, const cv_federation *f,
                    const uint8_t run_id[32], const cv_address *token,
                    const cv_address *sponsor, cv_err *err);
typedef struct {
    uint32_t version, leaves; /* version 0: not posted */
    uint64_t claimable_from;  /* Unix time */
    int frozen, void_;
    cv_u256 left, total;
    cv_address sponsor, token;
    uint8_t root[32];
} cv_view_epoch;
int cv_view_epoch_of(cv_rpc *rpc, cv_view_epoch *out, const cv_federation *f,
                     const uint8_t run_id[32], uint64_t epoch, cv_block_tag tag,
                     cv_err *err);
int cv_view_claimed(cv_rpc *rpc, int *out, const cv_federation *f,
                    const uint8_t run_id[32], uint64_t epoch, uint64_t index,
                    cv_err *err);
int cv_view_window(cv_rpc *rpc, uint64_t *window, uint64_t *claim_period,
                   const cv_federation *f, cv_err *err);

/** Of a token (ERC-20). */
int cv_view_decimals(cv_rpc *rpc, int *out, const cv_address *token,
                     cv_err *err);
int cv_view_balance(cv_rpc *rpc, cv_u256 *out, const cv_address *token,
                    const cv_address *who, cv_err *err);
int cv_view_allowance(cv_rpc *rpc, cv_u256 *out, const cv_address *token,
                      const cv_address *owner, const cv_address *spender,
                      cv_err *err);

#endif
