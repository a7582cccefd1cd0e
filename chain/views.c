#include "chain/views.h"

#include <string.h>

#include "chain/abi.h"
#include "core/bytes.h"

/* One call in the making, and its answer. */
typedef struct {
    cv_abi_writer call;
    cv_abi_reader answer;
    cv_buf bytes;
    const char *signature;
} view;

static void begin(view *v, const char *signature)
{
    *v = (view){.signature = signature};
    cv_abi_begin(&v->call, signature);
}

static int ask(cv_rpc *rpc, view *v, const cv_address *to, const char *types,
               cv_block_tag tag, cv_err *err)
{
    cv_buf data = {0};
    cv_fault fault = CV_FAULT_NONE;
    cv_abi_end(&v->call, &data);
    int rc = cv_node_call(rpc, &v->bytes, NULL, to, data.data, data.len, tag,
                          &fault, NULL, err);
    cv_buf_free(&data);
    if (rc && fault == CV_FAULT_REVERT)
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "the contract there does not answer %s: it is "
                          "another than was expected",
                          v->signature);
    /* At an older block the contract may not be there yet: all its words are
     * zero then. None of the types below is longer. */
    if (!rc && !v->bytes.len && tag != CV_BLOCK_LATEST) {
        static const uint8_t zeros[8 * 32];
        size_t words = 1;
        for (const char *c = types; *c; c++)
            words += *c == ',';
        cv_buf_add(&v->bytes, zeros, 32 * words);
    }
    if (rc)
        cv_err_prefix(err, "%s", v->signature);
    else
        cv_abi_open(&v->answer, types, v->bytes.data, v->bytes.len);
    return rc;
}

/* Only after ask was 0. */
static int end(view *v, cv_err *err)
{
    int rc = cv_abi_close(&v->answer, v->signature, err);
    cv_buf_free(&v->bytes);
    return rc;
}

static int ask_address(cv_rpc *rpc, view *v, const cv_address *to,
                       cv_address *out, cv_err *err)
{
    int rc = ask(rpc, v, to, "(address)", CV_BLOCK_LATEST, err);
    if (rc)
        return rc;
    cv_abi_take_address(&v->answer, out);
    return end(v, err);
}

static int ask_u256(cv_rpc *rpc, view *v, const cv_address *to, cv_u256 *out,
                    cv_err *err)
{
    int rc = ask(rpc, v, to, "(uint256)", CV_BLOCK_LATEST, err);
    if (rc)
        return rc;
    cv_abi_take_u256(&v->answer, out);
    return end(v, err);
}

static int ask_u64(cv_rpc *rpc, view *v, const cv_address *to,
                   const char *types, uint64_t *out, cv_err *err)
{
    int rc = ask(rpc, v, to, types, CV_BLOCK_LATEST, err);
    if (rc)
        return rc;
    *out = cv_abi_take_u64(&v->answer);
    return end(v, err);
}

/* ---- the federation ------------------------------------------------------------- */

int cv_view_run_at(cv_rpc *rpc, cv_view_run *out, const cv_federation *f,
                   const uint8_t run_id[32], cv_block_tag tag, cv_err *err)
{
    static const uint8_t none[32];
    view v;
    begin(&v, "run(bytes32)");
    cv_abi_put_bytes32(&v.call, run_id);
    int rc = ask(rpc, &v, &f->contract,
                 "(bytes32,bytes32,uint64,uint32,uint32,uint32)", tag, err);
    if (rc)
        return rc;
    cv_abi_take_bytes32(&v.answer, out->job);
    cv_abi_take_bytes32(&v.answer, out->head);
    out->last = cv_abi_take_u64(&v.answer);
    out->attesters = (uint32_t)cv_abi_take_u64(&v.answer);
    out->collusion = (uint32_t)cv_abi_take_u64(&v.answer);
    out->quorum = (uint32_t)cv_abi_take_u64(&v.answer);
    out->opened = memcmp(out->head, none, 32) != 0;
    return end(&v, err);
}

int cv_view_attester(cv_rpc *rpc, cv_address *out, const cv_federation *f,
                     const uint8_t run_id[32], uint32_t index, cv_err *err)
{
    view v;
    begin(&v, "attesterAt(bytes32,uint256)");
    cv_abi_put_bytes32(&v.call, run_id);
    cv_abi_put_u64(&v.call, index);
    return ask_address(rpc, &v, &f->contract, out, err);
}

int cv_view_silo_of(cv_rpc *rpc, cv_view_silo *out, const cv_federation *f,
                    const cv_address *identity, cv_err *err)
{
    view v;
    begin(&v, "silo(address)");
    cv_abi_put_address(&v.call, identity);
    int rc = ask(rpc, &v, &f->contract, "(address,uint64,bool)",
                 CV_BLOCK_LATEST, err);
    if (rc)
        return rc;
    cv_abi_take_address(&v.answer, &out->attester);
    out->nonce = cv_abi_take_u64(&v.answer);
    out->active = cv_abi_take_bool(&v.answer);
    return end(&v, err);
}

int cv_view_owner(cv_rpc *rpc, cv_address *out, const cv_federation *f,
                  cv_err *err)
{
    view v;
    begin(&v, "owner()");
    return ask_address(rpc, &v, &f->contract, out, err);
}

int cv_view_silo_count(cv_rpc *rpc, uint64_t *out, const cv_federation *f,
                       cv_err *err)
{
    view v;
    begin(&v, "siloCount()");
    return ask_u64(rpc, &v, &f->contract, "(uint256)", out, err);
}

int cv_view_silo_at(cv_rpc *rpc, cv_address *out, const cv_federation *f,
                    uint64_t i, cv_err *err)
{
    view v;
    begin(&v, "siloAt(uint256)");
    cv_abi_put_u64(&v.call, i);
    return ask_address(rpc, &v, &f->contract, out, err);
}

int cv_view_check_rewards(cv_rpc *rpc, const cv_federation *f, cv_err *err)
{
    cv_address said, want;
    view v;
    begin(&v, "rewards()");
    int rc = ask_address(rpc, &v, &f->contract, &said, err);
    if (rc)
        return rc;
    cv_federation_rewards(&want, f);
    if (memcmp(said.b, want.b, sizeof want.b) == 0)
        return 0;
    return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                      "the contract at chain.federation names another rewards "
                      "contract than a federation of Covey has; it is not one");
}

int cv_view_check_federation(cv_rpc *rpc, const cv_federation *f, cv_err *err)
{
    char where[CV_ADDRESS_TEXT];
    int has_code = 0;
    int rc = cv_node_has_code(rpc, &has_code, &f->contract, err);
    cv_address_text(where, &f->contract);
    if (!rc && !has_code)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "chain.federation: expected a federation at %s, "
                          "found no contract there on chain %llu; `covey chain "
                          "deploy` makes one",
                          where, (unsigned long long)f->chain_id);
    if (!rc)
        rc = cv_view_check_rewards(rpc, f, err);
    if (rc)
        cv_err_prefix(err, "chain.federation %s", where);
    return rc;
}

/* ---- rewards --------------------------------------------------------------------- */

int cv_view_pool_of(cv_rpc *rpc, cv_view_pool *out, const cv_federation *f,
                    const uint8_t run_id[32], const cv_address *token,
                    const cv_address *sponsor, cv_err *err)
{
    cv_address to;
    view v;
    cv_federation_rewards(&to, f);
    begin(&v, "pool(bytes32,address,address)");
    cv_abi_put_bytes32(&v.call, run_id);
    cv_abi_put_address(&v.call, token);
    cv_abi_put_address(&v.call, sponsor);
    int rc =
        ask(rpc, &v, &to, "(uint256,uint256,uint64)", CV_BLOCK_LATEST, err);
    if (rc)
        return rc;
    cv_abi_take_u256(&v.answer, &out->free);
    cv_abi_take_u256(&v.answer, &out->allocated);
    out->refundable_from = cv_abi_take_u64(&v.answer);
    return end(&v, err);
}

static int epoch_state(cv_rpc *rpc, cv_view_epoch *out, const cv_address *to,
                       const uint8_t run_id[32], uint64_t epoch,
                       cv_block_tag tag, cv_err *err)
{
    view v;
    begin(&v, "epochState(bytes32,uint64)");
    cv_abi_put_bytes32(&v.call, run_id);
    cv_abi_put_u64(&v.call, epoch);
    int rc = ask(rpc, &v, to, "(uint32,uint64,bool,bool,uint256)", tag, err);
    if (rc)
        return rc;
    out->version = (uint32_t)cv_abi_take_u64(&v.answer);
    out->claimable_from = cv_abi_take_u64(&v.answer);
    out->frozen = cv_abi_take_bool(&v.answer);
    out->void_ = cv_abi_take_bool(&v.answer);
    cv_abi_take_u256(&v.answer, &out->left);
    return end(&v, err);
}

int cv_view_epoch_of(cv_rpc *rpc, cv_view_epoch *out, const cv_federation *f,
                     const uint8_t run_id[32], uint64_t epoch, cv_block_tag tag,
                     cv_err *err)
{
    cv_address to;
    view v;
    cv_federation_rewards(&to, f);
    *out = (cv_view_epoch){0};
    int rc = epoch_state(rpc, out, &to, run_id, epoch, tag, err);
    if (rc)
        return rc;
    begin(&v, "epochTerms(bytes32,uint64)");
    cv_abi_put_bytes32(&v.call, run_id);
    cv_abi_put_u64(&v.call, epoch);
    rc =
        ask(rpc, &v, &to, "(address,address,bytes32,uint256,uint32)", tag, err);
    if (rc)
        return rc;
    cv_abi_take_address(&v.answer, &out->sponsor);
    cv_abi_take_address(&v.answer, &out->token);
    cv_abi_take_bytes32(&v.answer, out->root);
    cv_abi_take_u256(&v.answer, &out->total);
    out->leaves = (uint32_t)cv_abi_take_u64(&v.answer);
    return end(&v, err);
}

int cv_view_claimed(cv_rpc *rpc, int *out, const cv_federation *f,
                    const uint8_t run_id[32], uint64_t epoch, uint64_t index,
                    cv_err *err)
{
    cv_address to;
    view v;
    cv_federation_rewards(&to, f);
    begin(&v, "isClaimed(bytes32,uint64,uint256)");
    cv_abi_put_bytes32(&v.call, run_id);
    cv_abi_put_u64(&v.call, epoch);
    cv_abi_put_u64(&v.call, index);
    int rc = ask(rpc, &v, &to, "(bool)", CV_BLOCK_LATEST, err);
    if (rc)
        return rc;
    *out = cv_abi_take_bool(&v.answer);
    return end(&v, err);
}

int cv_view_window(cv_rpc *rpc, uint64_t *window, uint64_t *claim_period,
                   const cv_federation *f, cv_err *err)
{
    cv_address to;
    view v;
    cv_federation_rewards(&to, f);
    begin(&v, "challengeWindow()");
    int rc = ask_u64(rpc, &v, &to, "(uint64)", window, err);
    if (rc)
        return rc;
    begin(&v, "claimPeriod()");
    return ask_u64(rpc, &v, &to, "(uint64)", claim_period, err);
}

/* ---- tokens ------------------------------------------------------------------------ */

int cv_view_decimals(cv_rpc *rpc, int *out, const cv_address *token,
                     cv_err *err)
{
    uint64_t n;
    view v;
    begin(&v, "decimals()");
    int rc = ask_u64(rpc, &v, token, "(uint8)", &n, err);
    if (!rc)
        *out = (int)n;
    return rc;
}

int cv_view_balance(cv_rpc *rpc, cv_u256 *out, const cv_address *token,
                    const cv_address *who, cv_err *err)
{
    view v;
    begin(&v, "balanceOf(address)");
    cv_abi_put_address(&v.call, who);
    return ask_u256(rpc, &v, token, out, err);
}

int cv_view_allowance(cv_rpc *rpc, cv_u256 *out, const cv_address *token,
                      const cv_address *owner, const cv_address *spender,
                      cv_err *err)
{
    view v;
    begin(&v, "allowance(address,address)");
    cv_abi_put_address(&v.call, owner);
    cv_abi_put_address(&v.call, spender);
    return ask_u256(rpc, &v, token, out, err);
}
