/* Rewards: an epoch is bound to the head that the run has when it is posted, so
 * its turn is between its last round and the next one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain/merkle.h"
#include "chain/revert.h"
#include "chain/settle_parts.h"
#include "core/mem.h"

/* What the contract has of an epoch; what our version of it was posted with must
 * be ours. */
static int look(cv_settler *s, uint32_t *version, const cv_outbox_epoch *e,
                cv_block_tag tag, cv_err *err)
{
    const cv_epoch *p = &e->epoch;
    cv_view_epoch v;
    int rc = cv_view_epoch_of(s->rpc, &v, &s->run.federation, s->run.on_chain,
                              p->epoch, tag, err);
    *version = rc ? 0 : v.version;
    if (rc || v.version != p->version)
        return rc;
    if (v.frozen)
        snprintf(s->report->note, sizeof s->report->note,
                 "epoch %llu version %u: a silo has objected, so nothing is "
                 "paid until the silos sign version %u "
                 "(chain.rewards.version, `covey run --resume`)",
                 (unsigned long long)p->epoch, p->version, p->version + 1);
    if (memcmp(&v.sponsor, &p->sponsor, sizeof v.sponsor) == 0 &&
        memcmp(&v.token, &p->token, sizeof v.token) == 0 &&
        memcmp(v.root, p->root, 32) == 0 && v.leaves == p->leaves &&
        cv_u256_cmp(&v.total, &p->total) == 0)
        return 0;
    return cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                      "epoch %llu version %u is on the chain with other "
                      "payees or amounts than here; an attester can object "
                      "to it",
                      (unsigned long long)p->epoch, p->version);
}

/* The state of one epoch by the blocks it is in. */
static int mark_one(cv_settler *s, const cv_outbox_epoch *e,
                    cv_outbox_state *state, cv_err *err)
{
    static const struct {
        cv_block_tag tag;
        cv_outbox_state state;
    } table[] = {{CV_BLOCK_FINALIZED, CV_OUTBOX_FINAL},
                 {CV_BLOCK_SAFE, CV_OUTBOX_SAFE},
                 {CV_BLOCK_LATEST, CV_OUTBOX_SENT}};
    uint32_t version = 0;
    *state = CV_OUTBOX_QUEUED;
    for (int i = 0; i < 3; i++) {
        if ((i == 0 && !s->has_final) || (i == 1 && !s->has_safe))
            continue;
        int rc = look(s, &version, e, table[i].tag, err);
        if (rc)
            return rc;
        if (version < e->epoch.version)
            continue;
        *state = table[i].state;
        break;
    }
    int ours = 0;
    for (size_t i = 0; i < s->n_tx && *state <= CV_OUTBOX_SENT; i++) {
        const cv_outbox_tx *t = &s->tx[i];
        if (t->kind != CV_TX_EPOCH || t->first != e->epoch.epoch ||
            t->last != e->epoch.version)
            continue;
        ours |= t->state <= CV_TX_FINAL;
        if (t->state == CV_TX_SENT)
            *state = CV_OUTBOX_SENT;
        if (*state == CV_OUTBOX_SENT && t->state >= CV_TX_MINED &&
            t->state <= CV_TX_FINAL)
            *state = CV_OUTBOX_MINED;
    }
    /* Somebody else's transaction, or one that this outbox has forgotten: there
     * is no receipt whose depth could be waited for; else it has to be safe. */
    if (*state == CV_OUTBOX_SENT && !ours && s->net->confirmations == 0)
        *state = CV_OUTBOX_MINED;
    return 0;
}

int cv_settle_mark_epochs(cv_settler *s, cv_err *err)
{
    uint64_t at = 0;
    s->report->epochs = s->report->epochs_settled = s->epochs_open = 0;
    for (;;) {
        cv_outbox_epoch e;
        cv_outbox_state was, now;
        int found, rc = cv_outbox_next_epoch(s->o, &at, &was, &found, at, err);
        if (rc || !found)
            return rc;
        now = was;
        if (was != CV_OUTBOX_FINAL) {
            rc = cv_outbox_load_epoch(s->o, &e, &found, at, err);
            if (!rc)
                rc = mark_one(s, &e, &now, err);
            if (!rc && now != was)
                rc = cv_outbox_mark_epoch(s->o, at, e.epoch.version, now, err);
            cv_outbox_epoch_free(&e);
            if (rc)
                return rc;
        }
        s->report->epochs++;
        s->report->epochs_settled += now >= CV_OUTBOX_MINED;
        s->epochs_open += now != CV_OUTBOX_QUEUED && now < s->c->until;
        at++;
    }
}

/* Signed by a quorum, for our head, and the root of these payees. */
static int check_epoch(cv_settler *s, const cv_outbox_epoch *e, cv_buf *sigs,
                       cv_err *err)
{
    const cv_epoch *p = &e->epoch;
    uint8_t digest[32], root[32];
    char what[64];
    const uint8_t *head = cv_settle_head(s, e->round);
    cv_u256 sum = cv_u256_of(0);
    uint8_t *leaf = CV_NEW((size_t)p->leaves * 32, uint8_t);
    int over = 0;
    for (uint32_t i = 0; i < p->leaves; i++) {
        cv_reward_leaf(leaf + 32 * (size_t)i, &s->run.federation,
                       s->run.on_chain, p->epoch, i, &e->payee[i],
                       &e->amount[i]);
        over |= cv_u256_add(&sum, &sum, &e->amount[i]) != 0;
    }
    cv_merkle_root(root, leaf, p->leaves);
    free(leaf);
    if (!head || memcmp(head, p->head, 32) != 0 ||
        memcmp(root, p->root, 32) != 0 || over ||
        cv_u256_cmp(&sum, &p->total) > 0)
        return cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                          "epoch %llu: its head, root or total is not that of "
                          "the rounds and payees that are here",
                          (unsigned long long)p->epoch);
    cv_epoch_digest(digest, &s->run.federation, p);
    snprintf(what, sizeof what, "epoch %llu", (unsigned long long)p->epoch);
    return cv_settle_signatures(s, sigs, e->sigs, digest, what, err);
}

static void call_data(cv_buf *out, const cv_epoch *p, const cv_buf *sigs)
{
    /* A struct of words among the arguments lies in them as its members do; only
     * the selector knows the difference. */
    cv_abi_writer w;
    uint8_t selector[4];
    cv_abi_selector(selector,
                    "postEpoch((bytes32,uint64,uint32,bytes32,address,address,"
                    "bytes32,uint256,uint32),bytes)");
    cv_buf_add(out, selector, 4);
    cv_abi_begin(&w, "(bytes32,uint64,uint32,bytes32,address,address,bytes32,"
                     "uint256,uint32,bytes)");
    cv_abi_put_bytes32(&w, p->run_id);
    cv_abi_put_u64(&w, p->epoch);
    cv_abi_put_u64(&w, p->version);
    cv_abi_put_bytes32(&w, p->head);
    cv_abi_put_address(&w, &p->sponsor);
    cv_abi_put_address(&w, &p->token);
    cv_abi_put_bytes32(&w, p->root);
    cv_abi_put_u256(&w, &p->total);
    cv_abi_put_u64(&w, p->leaves);
    cv_abi_put_bytes(&w, sigs->data, sigs->len);
    cv_abi_end(&w, out);
}

/* Not now, and not again in this process. */
static void leave(cv_settler *s, const cv_epoch *p, const char *why)
{
    s->skip_epoch = p->epoch;
    s->skip_version = p->version;
    snprintf(s->report->note, sizeof s->report->note,
             "epoch %llu is not posted: %.340s", (unsigned long long)p->epoch,
             why);
    cv_settle_say(s, "%s", s->report->note);
}

static int post(cv_settler *s, const cv_outbox_epoch *e, cv_sending *how,
                cv_err *err)
{
    const cv_epoch *p = &e->epoch;
    cv_buf sigs = {0}, data = {0}, refused = {0};
    char why[300];
    cv_err bad = {0};
    cv_outbox_tx like = {
        .kind = CV_TX_EPOCH, .first = p->epoch, .last = p->version};
    int rc = check_epoch(s, e, &sigs, &bad);
    *how = CV_SENDING_REFUSED;
    if (rc) {
        leave(s, p, bad.text);
        rc = 0;
        goto out;
    }
    call_data(&data, p, &sigs);
    rc = cv_settle_send(s, how, &s->rewards, &data, &like, &refused, err);
    if (!rc && *how == CV_SENDING_REFUSED) {
        const char *name = cv_revert_name(refused.data, refused.len);
        cv_revert_words(why, sizeof why, refused.data, refused.len);
        if (strcmp(name, "PoolTooSmall") == 0 ||
            strcmp(name, "PoolTooOld") == 0) /* never, or long ago, funded */
            snprintf(why, sizeof why,
                     "the sponsor's pool lacks the money; `covey rewards RUN "
                     "--fund`, then settle again");
        leave(s, p, why);
    }
out:
    cv_buf_free(&sigs);
    cv_buf_free(&data);
    cv_buf_free(&refused);
    return rc;
}

/* One epoch that is not on the chain in its newest version. */
static int consider(cv_settler *s, const cv_outbox_epoch *e, cv_sending *how,
                    uint64_t *upto, cv_err *err)
{
    const cv_epoch *p = &e->epoch;
    uint32_t there;
    if (s->skip_epoch == p->epoch && s->skip_version == p->version)
        return 0;
    if (e->round > s->now.last) {
        if (e->round < *upto)
            *upto = e->round;
        return 0;
    }
    int rc = look(s, &there, e, CV_BLOCK_LATEST, err);
    if (rc || there >= p->version)
        return rc;
    if (e->round < s->now.last) {
        leave(s, p,
              "later rounds were committed before it; the silos have to sign "
              "it for the head that the run has now");
        return 0;
    }
    return post(s, e, how, err);
}

int cv_settle_epoch(cv_settler *s, cv_sending *how, uint64_t *upto, cv_err *err)
{
    uint64_t at = 0;
    *how = CV_SENDING_REFUSED;
    for (;;) {
        cv_outbox_epoch e;
        cv_outbox_state was;
        int found, rc = cv_outbox_next_epoch(s->o, &at, &was, &found, at, err);
        if (rc || !found)
            return rc;
        if (was < CV_OUTBOX_SAFE) {
            rc = cv_outbox_load_epoch(s->o, &e, &found, at, err);
            if (!rc)
                rc = consider(s, &e, how, upto, err);
            cv_outbox_epoch_free(&e);
        }
        if (rc || *how != CV_SENDING_REFUSED)
            return rc;
        at++;
    }
}
