#include "chain/send_one.h"

#include <string.h>
#include <time.h>

#include "chain/fees.h"
#include "chain/revert.h"
#include "chain/transaction.h"
#include "core/bytes.h"
#include "core/fs.h"
#include "core/log.h"

enum { MAX_RIVALS = 8 };

/* A transaction, and the rivals with its nonce that were sent for more. */
typedef struct {
    const cv_sender *s;
    const char *what;
    cv_address from;
    cv_tx tx;
    cv_fees fees;
    uint8_t hash[MAX_RIVALS][32];
    int n;
} sending;

static int stopped(const sending *x)
{
    return x->s->stop && *x->s->stop;
}

static void pause_for(double seconds)
{
    struct timespec t = {(time_t)seconds,
                         (long)((seconds - (double)(time_t)seconds) * 1e9)};
    (void)nanosleep(&t, NULL);
}

/* The node's simulation: what it would take, or why it would fail. */
static int estimate(sending *x, cv_err *err)
{
    cv_fault fault = CV_FAULT_NONE;
    cv_buf revert = {0};
    uint64_t gas = 0;
    int rc = cv_node_estimate(
        x->s->rpc, &gas, &x->from, x->tx.has_to ? &x->tx.to : NULL, x->tx.data,
        x->tx.n_data, CV_BLOCK_PENDING, &fault, &revert, err);
    if (rc && fault == CV_FAULT_REVERT) {
        char words[300];
        cv_revert_words(words, sizeof words, revert.data, revert.len);
        rc = cv_err_set(err, CV_ERR_ENV, NULL, 0,
                        "%s: the contract would refuse it: %s", x->what, words);
    } else if (rc) {
        cv_err_prefix(err, "%s", x->what);
    }
    cv_buf_free(&revert);
    if (rc)
        return rc;
    x->tx.gas = gas + gas / 5;
    if (x->tx.gas > CV_TX_MAX_GAS)
        x->tx.gas = CV_TX_MAX_GAS;
    return gas > CV_TX_MAX_GAS
               ? cv_err_set(err, CV_ERR_ENV, NULL, 0,
                            "%s takes %llu gas, a transaction may take %llu",
                            x->what, (unsigned long long)gas,
                            (unsigned long long)CV_TX_MAX_GAS)
               : 0;
}

static int choose_fees(sending *x, const cv_fees *before, cv_err *err)
{
    cv_block block;
    cv_u256 advice;
    int found = 0;
    int rc = cv_node_block(x->s->rpc, &block, &found, CV_BLOCK_LATEST, err);
    if (!rc)
        rc = cv_node_tip(x->s->rpc, &advice, err);
    if (rc)
        return rc;
    if (!found || cv_fees_choose(&x->fees, x->s->network, &block.base_fee,
                                 &advice, before))
        return cv_err_set(err, CV_ERR_ENV, NULL, 0,
                          "%s: gas costs more on %s now than Covey offers; "
                          "try again later",
                          x->what, x->s->network->name);
    x->tx.tip = x->fees.tip;
    x->tx.max_fee = x->fees.max_fee;
    return 0;
}

/* Who pays has too little: who, how much, and how much it may take. */
static int tell_funds(const sending *x, cv_err *err)
{
    char who[CV_ADDRESS_TEXT], has[CV_UNITS_TEXT] = "?", most[CV_UNITS_TEXT];
    cv_u256 balance, cost;
    cv_err ignored;
    cv_address_text(who, &x->from);
    if (cv_node_balance(x->s->rpc, &balance, &x->from, &ignored) == 0)
        cv_u256_units(has, &balance, 18);
    if (cv_u256_mul(&cost, &x->tx.max_fee, x->tx.gas))
        cost = x->tx.max_fee;
    cv_u256_units(most, &cost, 18);
    return cv_err_set(err, CV_ERR_ENV, NULL, 0,
                      "%s: the key's account %s has %s ETH on %s, and this may "
                      "take %s; send it some",
                      x->what, who, has, x->s->network->name, most);
}

static int send(sending *x, cv_err *err)
{
    cv_buf raw = {0};
    cv_fault fault = CV_FAULT_NONE;
    int rc = cv_tx_sign(&x->tx, x->s->key, &raw, x->hash[x->n], err);
    if (!rc) {
        rc = cv_node_send(x->s->rpc, raw.data, raw.len, x->hash[x->n], &fault,
                          err);
        /* One with this nonce was mined: perhaps an earlier one of these. */
        if (rc && x->n > 0 && fault == CV_FAULT_NONCE_LOW)
            rc = 0;
        x->n++;
    }
    if (rc && fault == CV_FAULT_FUNDS)
        rc = tell_funds(x, err);
    else if (rc)
        cv_err_prefix(err, "%s", x->what);
    cv_buf_free(&raw);
    return rc;
}

/* 1: mined, in a canonical block. */
static int look(sending *x, cv_receipt *receipt, cv_err *err)
{
    for (int i = 0; i < x->n; i++) {
        cv_block block;
        int found = 0;
        int rc = cv_node_receipt(x->s->rpc, receipt, x->hash[i], err);
        if (!rc && receipt->found)
            rc = cv_node_block_at(x->s->rpc, &block, &found,
                                  receipt->block_number, err);
        if (rc) {
            cv_receipt_free(receipt);
            return rc;
        }
        if (found && memcmp(block.hash, receipt->block_hash, 32) == 0)
            return 1;
        cv_receipt_free(receipt);
    }
    return 0;
}

static int wait_for(sending *x, cv_receipt *receipt, cv_err *err)
{
    double patience = 15.0 * x->s->network->block_seconds, since = cv_now();
    for (double pause = 0.05;; pause = pause < 1.0 ? 2 * pause : 1.0) {
        int rc = look(x, receipt, err);
        if (rc < 0)
            return rc;
        if (rc == 1)
            return 0;
        if (stopped(x))
            return cv_err_set(err, CV_REQUEUE, NULL, 0,
                              "%s: stopped on request; the transaction may "
                              "still be mined, run the command again to see",
                              x->what);
        if (cv_now() - since > patience && x->n < MAX_RIVALS) {
            cv_fees before = x->fees;
            rc = choose_fees(x, &before, err);
            if (!rc)
                rc = send(x, err);
            if (rc)
                return rc;
            cv_log(CV_LOG_WARN, "replaced",
                   "%s: waited %.0f s, sent again with higher fees", x->what,
                   cv_now() - since);
            since = cv_now();
        } else if (cv_now() - since > 4 * patience) {
            return cv_err_set(err, CV_ERR_ENV, NULL, 0,
                              "%s: sent, and not mined after %.0f s; run the "
                              "command again to see what became of it",
                              x->what, cv_now() - since);
        }
        pause_for(pause);
    }
}

int cv_send_one(const cv_sender *s, const cv_address *to, const void *data,
                size_t n, const char *what, cv_receipt *receipt, cv_err *err)
{
    sending x = {.s = s,
                 .what = what,
                 .tx = {.chain_id = s->network->chain_id,
                        .has_to = to != NULL,
                        .value = cv_u256_of(0),
                        .data = data,
                        .n_data = n}};
    if (to)
        x.tx.to = *to;
    *receipt = (cv_receipt){0};
    cv_seckey_address(s->key, &x.from);
    int rc = cv_node_nonce(s->rpc, &x.tx.nonce, &x.from, CV_BLOCK_PENDING, err);
    if (!rc)
        rc = estimate(&x, err);
    if (!rc)
        rc = choose_fees(&x, NULL, err);
    if (!rc)
        rc = send(&x, err);
    if (!rc)
        rc = wait_for(&x, receipt, err);
    if (!rc && receipt->status != 1) {
        cv_receipt_free(receipt);
        rc = cv_err_set(err, CV_ERR_ENV, NULL, 0,
                        "%s: the transaction was mined and reverted; look at "
                        "the chain's state with `covey chain status`",
                        what);
    }
    return rc;
}
