/* What `covey rewards` sends: funding, objecting, claiming, refunding.  Each looks
 * at the chain first: what is done already is not done twice, and what the contract
 * would refuse is said in words, before money is spent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chain/abi.h"
#include "chain/binding.h"
#include "chain/merkle.h"
#include "chain/views.h"
#include "core/bytes.h"
#include "core/mem.h"
#include "io/silo.h"
#include "jobs/chain_terms.h"
#include "jobs/rewards_cmd.h"
#include "jobs/site_ledger.h"

static int send(const cv_paying *p, const cv_address *to, cv_abi_writer *call,
                const char *what, cv_err *err)
{
    cv_receipt receipt;
    cv_buf data = {0};
    cv_abi_end(call, &data);
    int rc =
        cv_send_one(&p->sender, to, data.data, data.len, what, &receipt, err);
    if (!rc)
        fprintf(stderr, "%s: done (%llu gas)\n", what,
                (unsigned long long)receipt.gas_used);
    cv_receipt_free(&receipt);
    cv_buf_free(&data);
    return rc;
}

/* ---- funding --------------------------------------------------------------------------- */

/* Only the job's sponsor has a pool that this run is paid from. */
static int check_sponsor(const cv_paying *p, const char *what, cv_err *err)
{
    cv_address mine;
    char sponsor[CV_ADDRESS_TEXT], found[CV_ADDRESS_TEXT];
    cv_seckey_address(p->sender.key, &mine);
    if (memcmp(mine.b, p->e.epoch.sponsor.b, sizeof mine.b) == 0)
        return 0;
    cv_address_text(sponsor, &p->e.epoch.sponsor);
    cv_address_text(found, &mine);
    return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                      "%s: expected the key of the job's sponsor, %s, found "
                      "that of %s",
                      what, sponsor, found);
}

/* The run must be open, the token what the job says, and the money there. */
static int check_funding(const cv_paying *p, const cv_u256 *lacks, cv_err *err)
{
    const cv_epoch *e = &p->e.epoch;
    cv_view_run run;
    cv_u256 has;
    char needs[CV_UNITS_TEXT], owns[CV_UNITS_TEXT];
    int rc = cv_view_run_at(p->rpc, &run, &p->run.federation, e->run_id,
                            CV_BLOCK_LATEST, err);
    if (!rc && !run.opened)
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "the run is not on the chain yet: `covey settle` "
                        "first, then fund");
    if (!rc)
        rc = cv_view_balance(p->rpc, &has, &e->token, &e->sponsor, err);
    if (rc || cv_u256_cmp(&has, lacks) >= 0)
        return rc;
    cv_u256_units(needs, lacks, p->decimals);
    cv_u256_units(owns, &has, p->decimals);
    return cv_err_set(err, CV_ERR_ENV, NULL, 0,
                      "the pool lacks %s tokens, the sponsor has %s; send it "
                      "the rest and fund again",
                      needs, owns);
}

static int check_decimals(const cv_paying *p, cv_err *err)
{
    char token[CV_ADDRESS_TEXT];
    int decimals = 0, has_code = 0;
    cv_address_text(token, &p->e.epoch.token);
    int rc = cv_node_has_code(p->rpc, &has_code, &p->e.epoch.token, err);
    if (!rc && !has_code)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "chain.rewards.token: expected a token at %s, found "
                          "no contract",
                          token);
    if (!rc)
        rc = cv_view_decimals(p->rpc, &decimals, &p->e.epoch.token, err);
    if (rc) {
        cv_err_prefix(err, "chain.rewards.token %s", token);
        return rc;
    }
    if (decimals == p->decimals)
        return 0;
    return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                      "the token %s has %d decimals, the job says %d "
                      "(chain.rewards.decimals); its amounts are wrong by "
                      "that: a new run with the right number is needed",
                      token, decimals, p->decimals);
}

static int transfer(const cv_paying *p, const cv_u256 *lacks, cv_err *err)
{
    const cv_epoch *e = &p->e.epoch;
    cv_u256 allowance;
    cv_address rewards;
    cv_abi_writer w;
    cv_federation_rewards(&rewards, &p->run.federation);
    int rc = cv_view_allowance(p->rpc, &allowance, &e->token, &e->sponsor,
                               &rewards, err);
    if (!rc && cv_u256_cmp(&allowance, lacks) < 0) {
        cv_abi_begin(&w, "approve(address,uint256)");
        cv_abi_put_address(&w, &rewards);
        cv_abi_put_u256(&w, lacks);
        rc = send(p, &e->token, &w, "approving", err);
    }
    if (rc)
        return rc;
    cv_abi_begin(&w, "fund(bytes32,address,uint256)");
    cv_abi_put_bytes32(&w, e->run_id);
    cv_abi_put_address(&w, &e->token);
    cv_abi_put_u256(&w, lacks);
    return send(p, &rewards, &w, "funding", err);
}

/* What the sponsor's pool lacks of this epoch's total. */
/* An outbox alone would be its own witness: the job says what is paid. */
static int check_terms(const cv_paying *p, cv_err *err)
{
    const cv_epoch *e = &p->e.epoch;
    cv_chain_terms terms;
    if (!p->job)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "to fund, the folder's run.h5 is needed: it has the "
                          "job that says what is paid");
    int rc = cv_chain_terms_of(p->job, &terms, err);
    if (rc < 0)
        return rc;
    if (memcmp(terms.token.b, e->token.b, sizeof e->token.b) != 0 ||
        memcmp(terms.sponsor.b, e->sponsor.b, sizeof e->sponsor.b) != 0 ||
        cv_u256_cmp(&e->total, &terms.pool) > 0)
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "the outbox has rewards in another token, or of "
                          "more, than the job says");
    return 0;
}

static int fund(const cv_paying *p, cv_err *err)
{
    const cv_epoch *e = &p->e.epoch;
    cv_view_pool pool;
    cv_view_epoch posted;
    cv_u256 lacks;
    int rc = check_terms(p, err);
    if (!rc)
        rc = check_sponsor(p, "funding", err);
    if (!rc)
        rc = check_decimals(p, err);
    if (!rc)
        rc = cv_view_epoch_of(p->rpc, &posted, &p->run.federation, e->run_id,
                              e->epoch, CV_BLOCK_LATEST, err);
    if (!rc)
        rc = cv_view_pool_of(p->rpc, &pool, &p->run.federation, e->run_id,
                             &e->token, &e->sponsor, err);
    if (rc)
        return rc;
    if (posted.version > 0 || cv_u256_sub(&lacks, &e->total, &pool.free) ||
        cv_u256_is_zero(&lacks)) {
        fprintf(stderr, "the pool has what it needs\n");
        return 0;
    }
    rc = check_funding(p, &lacks, err);
    return rc ? rc : transfer(p, &lacks, err);
}

/* The chain's own clock. */
static int chain_time(const cv_paying *p, uint64_t *now, cv_err *err)
{
    cv_block b;
    int found = 0;
    int rc = cv_node_block(p->rpc, &b, &found, CV_BLOCK_LATEST, err);
    *now = rc || !found ? 0 : b.time;
    return rc;
}

/* When the next block will be: where blocks come with transactions alone, the
 * newest one may be old. */
static int next_time(const cv_paying *p, uint64_t *now, cv_err *err)
{
    int rc = chain_time(p, now, err);
    uint64_t here = (uint64_t)time(NULL);
    *now = here > *now ? here : *now;
    return rc;
}

static int refund(const cv_paying *p, cv_err *err)
{
    const cv_epoch *e = &p->e.epoch;
    cv_address rewards;
    cv_view_pool pool;
    cv_abi_writer w;
    uint64_t now = 0;
    int rc = check_sponsor(p, "refunding", err);
    if (!rc)
        rc = cv_view_pool_of(p->rpc, &pool, &p->run.federation, e->run_id,
                             &e->token, &e->sponsor, err);
    if (!rc)
        rc = next_time(p, &now, err);
    if (rc)
        return rc;
    if (cv_u256_is_zero(&pool.free) && cv_u256_is_zero(&pool.allocated)) {
        fprintf(stderr, "the pool is empty: there is nothing to take back\n");
        return 0;
    }
    if (now < pool.refundable_from)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "silos may claim for another %llu s; the sponsor "
                          "takes back what is left after that",
                          (unsigned long long)(pool.refundable_from - now));
    cv_federation_rewards(&rewards, &p->run.federation);
    cv_abi_begin(&w, "refund(bytes32,address)");
    cv_abi_put_bytes32(&w, e->run_id);
    cv_abi_put_address(&w, &e->token);
    return send(p, &rewards, &w, "refunding", err);
}

/* ---- claiming -------------------------------------------------------------------------- */

/* Is what the contract was posted these rewards, and may they be claimed? */
static int check_claimable(const cv_paying *p, cv_err *err)
{
    const cv_epoch *e = &p->e.epoch;
    cv_view_epoch v;
    uint64_t now = 0;
    int rc = cv_view_epoch_of(p->rpc, &v, &p->run.federation, e->run_id,
                              e->epoch, CV_BLOCK_LATEST, err);
    if (!rc)
        rc = next_time(p, &now, err);
    if (rc)
        return rc;
    if (v.version == 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "the rewards are not posted yet: fund them (--fund) "
                          "and run `covey settle`");
    if (memcmp(v.root, e->root, 32) != 0)
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "the contract has other rewards (version %u) than "
                          "this folder (version %u)",
                          v.version, e->version);
    if (v.void_)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "the time to claim is over: the sponsor has taken "
                          "back what was left");
    if (v.frozen)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "an objection has frozen these rewards; the silos "
                          "sign again with chain.rewards.version %u",
                          v.version + 1);
    if (now < v.claimable_from)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "silos may object for another %llu s; claim after "
                          "that",
                          (unsigned long long)(v.claimable_from - now));
    return 0;
}

static int claim_one(const cv_paying *p, uint32_t i, cv_err *err)
{
    uint8_t proof[CV_MERKLE_DEPTH * 32];
    size_t count = 0;
    cv_address rewards;
    cv_abi_writer w;
    cv_federation_rewards(&rewards, &p->run.federation);
    cv_merkle_proof(p->leaves, p->e.epoch.leaves, i, proof, &count);
    cv_abi_begin(&w, "claim(bytes32,uint64,uint256,address,uint256,bytes32[])");
    cv_abi_put_bytes32(&w, p->run.on_chain);
    cv_abi_put_u64(&w, p->e.epoch.epoch);
    cv_abi_put_u64(&w, i);
    cv_abi_put_address(&w, &p->e.payee[i]);
    cv_abi_put_u256(&w, &p->e.amount[i]);
    cv_abi_put_bytes32s(&w, proof, count);
    char *what = cv_asprintf("claiming for %s", cv_paying_name(p, i));
    int rc = send(p, &rewards, &w, what, err);
    free(what);
    return rc;
}

static int claim(const cv_paying *p, cv_err *err)
{
    int rc = check_claimable(p, err), any = 0;
    for (uint32_t i = 0; i < p->e.epoch.leaves && !rc; i++) {
        int is = 0;
        if (!cv_paying_selected(p, i))
            continue;
        any = 1;
        rc = cv_view_claimed(p->rpc, &is, &p->run.federation, p->run.on_chain,
                             p->e.epoch.epoch, i, err);
        if (!rc && !is)
            rc = claim_one(p, i, err);
    }
    if (!rc && !any)
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "there is no reward for silo '%s'", p->o->only);
    return rc;
}

/* ---- objecting ------------------------------------------------------------------------- */

/* Is there anything to object to, still? */
static int check_objectionable(const cv_paying *p, uint32_t *version,
                               cv_err *err)
{
    cv_view_epoch v;
    uint64_t now = 0;
    int rc = cv_view_epoch_of(p->rpc, &v, &p->run.federation, p->e.epoch.run_id,
                              p->e.epoch.epoch, CV_BLOCK_LATEST, err);
    if (!rc)
        rc = chain_time(p, &now, err);
    if (rc)
        return rc;
    *version = v.version;
    if (v.version == 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "no rewards are posted, so there is nothing to "
                          "object to");
    if (v.frozen)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "version %u of these rewards is frozen by an "
                          "objection already",
                          v.version);
    if (now >= v.claimable_from)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "the time to object was over %llu s ago",
                          (unsigned long long)(now - v.claimable_from));
    return 0;
}

/* The site's attestation key: that of a silo of this run. */
static int open_attester(const cv_paying *p, cv_seckey **attester, cv_err *err)
{
    cv_silo *site = NULL;
    cv_seckey *identity = NULL;
    cv_address mine;
    uint8_t context[8 + CV_ADDRESS_BYTES];
    int rc = cv_silo_load(p->o->object, &site, err), member = 0;
    if (!rc)
        rc = cv_site_unlock(site, &identity, err);
    if (rc)
        goto out;
    cv_chain_attester_context(&p->run.federation, context);
    cv_seckey_derive_attestation(identity, attester, context, sizeof context);
    cv_seckey_address(*attester, &mine);
    for (uint32_t i = 0; i < p->run.n; i++)
        member |=
            memcmp(mine.b, p->run.silos[i].attester.b, sizeof mine.b) == 0;
    if (!member)
        rc = cv_err_set(err, CV_ERR_INPUT, p->o->object, 0,
                        "expected the key of a silo of this run, found "
                        "another; only its silos may object");
out:
    cv_seckey_destroy(&identity);
    cv_silo_destroy(&site);
    return rc;
}

/* A silo's objection, by the key that only its site can make. */
static int object(const cv_paying *p, cv_err *err)
{
    const cv_epoch *e = &p->e.epoch;
    cv_seckey *attester = NULL;
    cv_address rewards;
    uint8_t digest[32], bytes[65];
    uint32_t version = 0;
    int rc = open_attester(p, &attester, err);
    if (!rc)
        rc = check_objectionable(p, &version, err);
    if (!rc) {
        cv_sig sig;
        cv_abi_writer w;
        cv_objection_digest(digest, &p->run.federation, e->run_id, e->epoch,
                            version);
        cv_seckey_sign(attester, &sig, digest);
        cv_sig_to_contract(bytes, &sig);
        cv_federation_rewards(&rewards, &p->run.federation);
        cv_abi_begin(&w, "object(bytes32,uint64,uint32,bytes)");
        cv_abi_put_bytes32(&w, e->run_id);
        cv_abi_put_u64(&w, e->epoch);
        cv_abi_put_u64(&w, version);
        cv_abi_put_bytes(&w, bytes, sizeof bytes);
        rc = send(p, &rewards, &w, "objecting", err);
    }
    cv_seckey_destroy(&attester);
    return rc;
}

int cv_rewards_act(const cv_paying *p, cv_err *err)
{
    const cv_rewards_options *o = p->o;
    return o->fund     ? fund(p, err)
           : o->claim  ? claim(p, err)
           : o->refund ? refund(p, err)
                       : object(p, err);
}
