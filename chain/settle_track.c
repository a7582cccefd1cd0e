/* What became of the transactions: receipts, re-organised blocks, sending
 * again, replacing, dropping. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chain/settle_parts.h"
#include "core/mem.h"

/* A nonce that was used while there is no receipt: nodes behind one address may
 * be a block apart, so it must be seen more than once. */
enum { LOST_PASSES = 3 };

void cv_settle_forget_tx(cv_settler *s)
{
    for (size_t i = 0; i < s->n_tx; i++)
        cv_outbox_tx_free(&s->tx[i]);
    CV_FREE(s->tx);
    s->n_tx = 0;
}

int cv_settle_load_tx(cv_settler *s, cv_err *err)
{
    uint64_t after = 0;
    for (;;) {
        cv_outbox_tx tx;
        int found, rc = cv_outbox_tx_next(s->o, &tx, &found, after, 1, err);
        if (rc || !found)
            return rc;
        after = tx.id;
        if (tx.state == CV_TX_FINAL)
            cv_outbox_tx_free(&tx);
        else
            cv_settle_keep_tx(s, &tx);
    }
}

void cv_settle_keep_tx(cv_settler *s, const cv_outbox_tx *tx)
{
    s->tx = cv_realloc(s->tx, s->n_tx + 1, sizeof *s->tx);
    s->tx[s->n_tx++] = *tx;
}

static int same_nonce(const cv_outbox_tx *a, const cv_outbox_tx *b)
{
    return a->nonce == b->nonce &&
           memcmp(&a->sender, &b->sender, sizeof a->sender) == 0;
}

static int in_block(const cv_outbox_tx *t)
{
    return t->block && t->state != CV_TX_DROPPED && t->state != CV_TX_FINAL;
}

static int waiting(const cv_outbox_tx *t)
{
    return !t->block && (t->state == CV_TX_BUILT || t->state == CV_TX_SENT);
}

static int canonical(cv_settler *s, int *yes, uint64_t number,
                     const uint8_t hash[32], cv_err *err)
{
    cv_block b;
    int found, rc = cv_node_block_at(s->rpc, &b, &found, number, err);
    *yes = !rc && found && memcmp(b.hash, hash, 32) == 0;
    return rc;
}

static int back_to_sent(cv_settler *s, cv_outbox_tx *t, cv_err *err)
{
    cv_settle_say(s, "block %llu was re-organised; its transaction waits again",
                  (unsigned long long)t->block);
    t->state = CV_TX_SENT;
    t->block = t->gas_used = 0;
    memset(t->block_hash, 0, 32);
    t->gas_price = t->l1_fee = cv_u256_of(0);
    s->moved = 1;
    return cv_outbox_tx_update(s->o, t, err);
}

/* If the block of the highest one is canonical, those below it are as well. */
static int check_blocks(cv_settler *s, cv_err *err)
{
    for (;;) {
        cv_outbox_tx *top = NULL;
        int yes, rc;
        for (size_t i = 0; i < s->n_tx; i++)
            if (in_block(&s->tx[i]) && (!top || s->tx[i].block > top->block))
                top = &s->tx[i];
        if (!top)
            return 0;
        rc = canonical(s, &yes, top->block, top->block_hash, err);
        if (!rc && !yes)
            rc = back_to_sent(s, top, err);
        if (rc || yes)
            return rc;
    }
}

static int drop(cv_settler *s, cv_outbox_tx *t, cv_err *err)
{
    t->state = CV_TX_DROPPED;
    s->moved = 1;
    return cv_outbox_tx_update(s->o, t, err);
}

/* It is in a canonical block. */
static int include(cv_settler *s, cv_outbox_tx *t, const cv_receipt *r,
                   cv_err *err)
{
    int rc = 0;
    t->block = r->block_number;
    memcpy(t->block_hash, r->block_hash, 32);
    t->gas_used = r->gas_used;
    t->gas_price = r->gas_price;
    t->l1_fee = r->l1_fee;
    t->state = r->status ? CV_TX_SENT : CV_TX_REVERTED;
    s->moved = 1;
    if (t->kind == CV_TX_EPOCH)
        s->slow_at = 0;
    s->lost_passes = 0;
    if (r->status) {
        rc = cv_settle_check_logs(s, t, r, err);
        s->reverts = 0;
    } else {
        s->reverts++;
        /* A call that runs out leaves a 64th behind. */
        int out_of_gas = r->gas_used >= t->gas - t->gas / 32;
        if (out_of_gas)
            s->extra_gas += 50;
        cv_settle_say(s, "transaction %llu was refused in its block: %s",
                      (unsigned long long)t->id,
                      out_of_gas ? "it ran out of gas"
                                 : "somebody else may have been faster");
    }
    if (!rc)
        rc = cv_outbox_tx_update(s->o, t, err);
    for (size_t i = 0; i < s->n_tx && !rc; i++)
        if (&s->tx[i] != t && same_nonce(&s->tx[i], t) &&
            s->tx[i].state != CV_TX_DROPPED)
            rc = drop(s, &s->tx[i], err);
    if (!rc && s->reverts >= 3)
        rc = cv_err_set(err, CV_ERR_VERIFY, s->path, 0,
                        "3 transactions in a row were refused in their blocks "
                        "although the node's simulation took them; use "
                        "another node (--rpc), and look at the last one in "
                        "an explorer");
    return rc;
}

/* Ask for the receipts of all with this nonce; found: one is in a block. */
static int find_receipt(cv_settler *s, const cv_outbox_tx *group, int *found,
                        cv_err *err)
{
    int rc = 0;
    *found = 0;
    for (size_t i = s->n_tx; i-- > 0 && !rc && !*found;) {
        cv_outbox_tx *t = &s->tx[i];
        cv_receipt r = {0};
        if (!same_nonce(t, group))
            continue;
        rc = cv_node_receipt(s->rpc, &r, t->hash, err);
        if (!rc && r.found)
            rc = canonical(s, found, r.block_number, r.block_hash, err);
        if (!rc && *found)
            rc = include(s, t, &r, err);
        cv_receipt_free(&r);
    }
    return rc;
}

static int drop_group(cv_settler *s, const cv_outbox_tx *group, const char *why,
                      cv_err *err)
{
    int rc = 0;
    uint64_t nonce = group->nonce;
    cv_outbox_tx key = *group;
    for (size_t i = 0; i < s->n_tx && !rc; i++)
        if (same_nonce(&s->tx[i], &key) && s->tx[i].state != CV_TX_DROPPED)
            rc = drop(s, &s->tx[i], err);
    s->lost_passes = 0;
    cv_settle_say(s, "nonce %llu: %s; building anew", (unsigned long long)nonce,
                  why);
    return rc;
}

/* The rounds of this transaction were done again since: it must not be sent any
 * more.  One that went out already can still be mined; its nonce is used for
 * what replaces it. */
static int stale(const cv_settler *s, const cv_outbox_tx *t)
{
    cv_tx tx;
    cv_address sender;
    cv_abi_reader r;
    uint8_t id[32], before[32], head[32];
    const uint8_t *records, *sigs, *ours, *start;
    size_t n, n_sigs;
    if (t->kind != CV_TX_ROUNDS)
        return 0;
    start = t->first ? cv_settle_head(s, t->first - 1) : NULL;
    ours = cv_settle_head(s, t->last);
    if (!start || !ours || cv_tx_read(&tx, &sender, t->raw, t->n_raw, NULL) ||
        tx.n_data < 4)
        return 1;
    cv_abi_open(&r, "(bytes32,bytes32,bytes32[],uint64,bytes)", tx.data + 4,
                tx.n_data - 4);
    cv_abi_take_bytes32(&r, id);
    cv_abi_take_bytes32(&r, before);
    cv_abi_take_words(&r, &records, &n);
    cv_abi_take_u64(&r);
    cv_abi_take_bytes(&r, &sigs, &n_sigs);
    if (cv_abi_close(&r, "a transaction", NULL) ||
        memcmp(before, start, 32) != 0 || n != t->last - t->first + 1)
        return 1;
    memcpy(head, before, 32);
    for (size_t i = 0; i < n; i++)
        cv_head_step(head, t->first + i, records + 32 * i);
    return memcmp(head, ours, 32) != 0;
}

static int may_replace(const cv_settler *s, const cv_outbox_tx *t)
{
    double age = difftime(time(NULL), (time_t)t->created);
    if (!s->c->key || memcmp(&t->sender, &s->sender, sizeof t->sender) != 0)
        return 0;
    if (age >= cv_settle_patience(s))
        return 1;
    return cv_u256_cmp(&s->latest.base_fee, &t->max_fee) > 0 &&
           age >= s->net->block_seconds;
}

/* The newest one of a nonce waits, and that nonce is free on the chain. */
static int keep_going(cv_settler *s, cv_outbox_tx *t, cv_err *err)
{
    int known = 0, rc = 0;
    if (stale(s, t)) {
        /* Killed after sending and before writing that down? */
        if (t->state == CV_TX_BUILT) {
            rc = cv_node_knows(s->rpc, &known, t->hash, err);
            if (rc || !known)
                return rc ? rc : drop(s, t, err);
        }
        s->rival = t->id;
        s->outstanding--;
        return 0;
    }
    int was_sent = t->state == CV_TX_SENT;
    if (was_sent)
        rc = cv_node_knows(s->rpc, &known, t->hash, err);
    s->not_taken = 0;
    if (!rc && !known) {
        rc = cv_settle_broadcast(s, t, err);
        if (!rc && was_sent && !s->not_taken)
            cv_settle_say(s,
                          "the node has lost transaction %llu; it was sent "
                          "again",
                          (unsigned long long)t->id);
    }
    if (!rc && (known || s->not_taken) && may_replace(s, t))
        rc = cv_settle_replace(s, t, err);
    return rc;
}

/* One nonce that has no receipt yet, by the newest transaction with it. */
static int track_nonce(cv_settler *s, size_t newest, cv_err *err)
{
    uint64_t next;
    int found;
    /* The nonce first: a receipt that is missing after it was counted is not
     * one that is about to come. */
    int rc = cv_node_nonce(s->rpc, &next, &s->tx[newest].sender,
                           CV_BLOCK_LATEST, err);
    if (!rc)
        rc = find_receipt(s, &s->tx[newest], &found, err);
    if (rc || found)
        return rc;
    cv_outbox_tx *t = &s->tx[newest];
    s->outstanding++;
    if (next > t->nonce) {
        if (++s->lost_passes >= LOST_PASSES) {
            s->outstanding--;
            return drop_group(s, t,
                              "another transaction of this account used "
                              "it",
                              err);
        }
        return 0;
    }
    if (next < t->nonce && !s->outstanding_below) {
        /* Something of somebody else's below it went away. */
        if (++s->lost_passes >= LOST_PASSES) {
            s->outstanding--;
            return drop_group(s, t, "transactions before it are gone", err);
        }
        return 0;
    }
    s->outstanding_below = 1;
    return keep_going(s, t, err);
}

/* mined, safe, final: by the number of its block, which is looked at again at
 * each step. */
static int advance(cv_settler *s, cv_outbox_tx *t, cv_err *err)
{
    cv_outbox_tx_state to = CV_TX_SENT;
    int yes, rc;
    if (s->has_final && t->block <= s->final.number)
        to = CV_TX_FINAL;
    else if (s->has_safe && t->block <= s->safe.number)
        to = CV_TX_SAFE;
    else if (t->block + (uint64_t)s->net->confirmations <= s->latest.number)
        to = CV_TX_MINED;
    if (to <= t->state || t->state == CV_TX_REVERTED)
        return 0;
    rc = canonical(s, &yes, t->block, t->block_hash, err);
    if (rc || !yes)
        return rc ? rc : back_to_sent(s, t, err);
    t->state = to;
    s->moved = 1;
    if (t->kind == CV_TX_EPOCH)
        s->slow_at = 0; /* its epoch is looked at with the older blocks */
    return cv_outbox_tx_update(s->o, t, err);
}

int cv_settle_track(cv_settler *s, cv_err *err)
{
    int rc = check_blocks(s, err);
    s->outstanding = s->outstanding_below = 0;
    s->rival = 0;
    for (size_t i = 0; i < s->n_tx && !rc; i++) {
        int newest = waiting(&s->tx[i]);
        for (size_t j = i + 1; newest && j < s->n_tx; j++)
            if (waiting(&s->tx[j]) && same_nonce(&s->tx[i], &s->tx[j]))
                newest = 0;
        if (newest)
            rc = track_nonce(s, i, err);
    }
    for (size_t i = 0; i < s->n_tx && !rc; i++)
        if (in_block(&s->tx[i]))
            rc = advance(s, &s->tx[i], err);
    return rc;
}
