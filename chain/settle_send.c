/* Making transactions: simulate, price, sign, keep, send; in that order. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chain/settle_parts.h"
#include "core/mem.h"

static void gwei(char out[CV_UNITS_TEXT], const cv_u256 *wei)
{
    cv_u256_units(out, wei, 9);
}

static cv_outbox_tx *by_id(cv_settler *s, uint64_t id)
{
    for (size_t i = 0; i < s->n_tx && id; i++)
        if (s->tx[i].id == id)
            return &s->tx[i];
    return NULL;
}

int cv_settle_broadcast(cv_settler *s, cv_outbox_tx *t, cv_err *err)
{
    char who[CV_ADDRESS_TEXT];
    cv_err why = {0};
    cv_fault fault = CV_FAULT_NONE;
    int rc = cv_node_send(s->rpc, t->raw, t->n_raw, t->hash, &fault, &why);
    if (!rc) {
        t->state = CV_TX_SENT;
        t->sent = (uint64_t)time(NULL);
        s->moved = 1;
        return cv_outbox_tx_update(s->o, t, err);
    }
    switch (fault) {
    case CV_FAULT_NONCE_LOW:   /* whose it was, the receipts will tell */
    case CV_FAULT_NONCE_HIGH:  /* so will the account's nonce */
    case CV_FAULT_UNDERPRICED: /* a rival waits; it is mined or outbid */
    case CV_FAULT_FEE_LOW:
        s->not_taken = 1;
        cv_settle_say(s, "transaction %llu has to wait: %s",
                      (unsigned long long)t->id, why.text);
        return 0;
    case CV_FAULT_FUNDS:
        cv_address_text(who, &t->sender);
        return cv_err_set(err, CV_ERR_ENV, NULL, 0,
                          "%s has too little money for the next transaction; "
                          "send it some of the chain's coin and settle again",
                          who);
    default:
        if (err)
            *err = why;
        return rc;
    }
}

/* Sign with these fees, keep, send. The bytes are durable before they leave. */
static int emit(cv_settler *s, cv_tx *tx, const cv_fees *fees,
                const cv_outbox_tx *like, uint64_t replaces, cv_err *err)
{
    cv_buf raw = {0};
    cv_outbox_tx t = {.kind = like->kind,
                      .first = like->first,
                      .last = like->last,
                      .state = CV_TX_BUILT,
                      .nonce = tx->nonce,
                      .gas = tx->gas,
                      .sender = s->sender,
                      .tip = fees->tip,
                      .max_fee = fees->max_fee,
                      .created = (uint64_t)time(NULL)};
    tx->tip = fees->tip;
    tx->max_fee = fees->max_fee;
    int rc = cv_tx_sign(tx, s->c->key, &raw, t.hash, err);
    t.raw = (uint8_t *)raw.data;
    t.n_raw = raw.len;
    if (!rc)
        rc = cv_outbox_tx_add(s->o, &t, replaces, err);
    if (rc) {
        cv_buf_free(&raw);
        return rc;
    }
    cv_outbox_tx *old = by_id(s, replaces);
    if (old)
        old->replaced_by = t.id;
    cv_settle_keep_tx(s, &t);
    s->moved = 1;
    s->outstanding++;
    return cv_settle_broadcast(s, &s->tx[s->n_tx - 1], err);
}

/* 1: it would be above the network's cap, and was said so. */
static int choose_fees(cv_settler *s, cv_fees *fees, const cv_outbox_tx *before,
                       cv_err *err)
{
    cv_u256 advice;
    cv_fees old;
    char base[CV_UNITS_TEXT], cap[CV_UNITS_TEXT];
    int rc = cv_node_tip(s->rpc, &advice, err);
    if (rc)
        return rc;
    if (before) {
        old.tip = before->tip;
        old.max_fee = before->max_fee;
    }
    if (!cv_fees_choose(fees, s->net, &s->latest.base_fee, &advice,
                        before ? &old : NULL))
        return 0;
    cv_u256 limit = cv_u256_of(s->net->fee_cap);
    gwei(base, &s->latest.base_fee);
    gwei(cap, &limit);
    cv_settle_say(s,
                  "fees are too high (base fee %s gwei, at most %s are paid "
                  "on %s): waiting",
                  base, cap, s->net->name);
    return 1;
}

int cv_settle_replace(cv_settler *s, cv_outbox_tx *t, cv_err *err)
{
    cv_tx tx;
    cv_address sender;
    cv_fees fees;
    char text[CV_UNITS_TEXT];
    int rc = cv_tx_read(&tx, &sender, t->raw, t->n_raw, err);
    if (!rc)
        rc = choose_fees(s, &fees, t, err);
    if (rc)
        return rc > 0 ? 0 : rc;
    gwei(text, &fees.max_fee);
    cv_settle_say(s,
                  "transaction %llu waits for too long; another with its nonce "
                  "offers up to %s gwei",
                  (unsigned long long)t->id, text);
    /* tx.data points into bytes that stay where they are. */
    cv_outbox_tx like = *t;
    return emit(s, &tx, &fees, &like, t->id, err);
}

static int check_balance(cv_settler *s, const cv_tx *tx, cv_err *err)
{
    cv_buf bytes = {0};
    cv_u256 l1, need, have;
    char who[CV_ADDRESS_TEXT], a[CV_UNITS_TEXT], b[CV_UNITS_TEXT];
    cv_tx_unsigned(&bytes, tx);
    int rc = cv_node_l1_fee(s->rpc, &l1, bytes.data, bytes.len, err);
    cv_buf_free(&bytes);
    if (!rc)
        rc = cv_node_balance(s->rpc, &have, &s->sender, err);
    if (rc)
        return rc;
    if (!cv_u256_mul(&need, &tx->max_fee, tx->gas) &&
        !cv_u256_add(&need, &need, &l1) && cv_u256_cmp(&have, &need) >= 0)
        return 0;
    cv_address_text(who, &s->sender);
    cv_u256_units(a, &have, 18);
    cv_u256_units(b, &need, 18);
    return cv_err_set(err, CV_ERR_ENV, NULL, 0,
                      "%s has %s of the chain's coin, the next transaction may "
                      "take %s; send it some and settle again",
                      who, a, b);
}

/* The same on top of what waits in the node's pool: somebody else's transaction
 * may be about to do what this one would.  Ours that is to be outbid does not
 * count, and nor does a node that knows no pending block. */
static void try_pending(cv_settler *s, cv_sending *how, const cv_address *to,
                        const cv_buf *data, cv_buf *refused)
{
    cv_fault fault = CV_FAULT_NONE;
    cv_buf answer = {0};
    if (!s->rival &&
        cv_node_call(s->rpc, &answer, &s->sender, to, data->data, data->len,
                     CV_BLOCK_PENDING, &fault, refused, NULL) &&
        fault == CV_FAULT_REVERT)
        *how = CV_SENDING_REFUSED;
    cv_buf_free(&answer);
}

/* What it takes, by the node's simulation. */
static int estimate(cv_settler *s, uint64_t *gas, cv_sending *how,
                    const cv_address *to, const cv_buf *data, cv_buf *refused,
                    cv_err *err)
{
    cv_fault fault = CV_FAULT_NONE;
    cv_err why = {0};
    int rc =
        cv_node_estimate(s->rpc, gas, &s->sender, to, data->data, data->len,
                         CV_BLOCK_LATEST, &fault, refused, &why);
    *how = CV_SENDING_DONE;
    if (rc && fault == CV_FAULT_REVERT) {
        *how = CV_SENDING_REFUSED;
        return 0;
    }
    if (rc && fault == CV_FAULT_GAS) {
        *how = CV_SENDING_TOO_BIG;
        return 0;
    }
    if (rc) {
        if (err)
            *err = why;
        return rc;
    }
    if (*gas > CV_TX_MAX_GAS) {
        *how = CV_SENDING_TOO_BIG;
        return 0;
    }
    try_pending(s, how, to, data, refused);
    *gas += *gas * (20 + s->extra_gas) / 100;
    if (*gas > CV_TX_MAX_GAS)
        *gas = CV_TX_MAX_GAS;
    return 0;
}

int cv_settle_send(cv_settler *s, cv_sending *how, const cv_address *to,
                   const cv_buf *data, const cv_outbox_tx *like,
                   cv_buf *refused, cv_err *err)
{
    cv_fees fees;
    cv_tx tx = {.chain_id = s->run.federation.chain_id,
                .has_to = 1,
                .to = *to,
                .data = (const uint8_t *)data->data,
                .n_data = data->len};
    if (!s->c->key)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "something is to be sent, and no key was given that "
                          "pays for it: use --key KEYSTORE (any account with "
                          "some of the chain's coin will do)");
    int rc = estimate(s, &tx.gas, how, to, data, refused, err);
    if (rc || *how != CV_SENDING_DONE)
        return rc;
    rc = cv_node_nonce(s->rpc, &tx.nonce, &s->sender, CV_BLOCK_LATEST, err);
    if (rc)
        return rc;
    /* One whose rounds were done again is outbid at its own nonce. */
    cv_outbox_tx *rival = by_id(s, s->rival);
    if (rival && (rival->nonce != tx.nonce ||
                  memcmp(&rival->sender, &s->sender, sizeof s->sender) != 0))
        rival = NULL;
    rc = choose_fees(s, &fees, rival, err);
    if (rc > 0)
        *how = CV_SENDING_WAITS;
    if (rc)
        return rc > 0 ? 0 : rc;
    tx.max_fee = fees.max_fee;
    tx.tip = fees.tip;
    rc = check_balance(s, &tx, err);
    return rc ? rc : emit(s, &tx, &fees, like, rival ? rival->id : 0, err);
}
