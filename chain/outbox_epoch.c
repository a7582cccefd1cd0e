/* Rewards in the outbox: one row a version of an epoch. */
#include <stdlib.h>
#include <string.h>

#include "chain/outbox_db.h"
#include "chain/outbox_tx.h"
#include "core/mem.h"

void cv_outbox_epoch_free(cv_outbox_epoch *e)
{
    CV_FREE(e->payee);
    CV_FREE(e->amount);
    CV_FREE(e->sigs);
}

static int read_epoch(cv_outbox *o, cv_outbox_epoch *e, sqlite3_stmt *st,
                      uint32_t n, cv_err *err)
{
    cv_row r = {.st = st};
    cv_epoch *p = &e->epoch;
    p->epoch = cv_row_u64(&r, 0, INT64_MAX);
    p->version = (uint32_t)cv_row_u64(&r, 0, UINT32_MAX);
    e->round = cv_row_u64(&r, 1, INT64_MAX);
    cv_row_bytes(&r, p->head, 32);
    cv_row_bytes(&r, p->root, 32);
    cv_row_bytes(&r, p->sponsor.b, CV_ADDRESS_BYTES);
    cv_row_bytes(&r, p->token.b, CV_ADDRESS_BYTES);
    cv_row_bytes(&r, p->total.b, 32);
    p->leaves = (uint32_t)cv_row_u64(&r, 1, CV_OUTBOX_MAX_LEAVES);
    e->payee = cv_row_copy(&r, p->leaves * sizeof *e->payee);
    e->amount = cv_row_copy(&r, p->leaves * sizeof *e->amount);
    e->sigs = cv_row_copy(&r, n * sizeof *e->sigs);
    int rc = cv_row_check(o, &r, "epoch", err);
    if (rc)
        cv_outbox_epoch_free(e);
    return rc;
}

/* The newest of these versions. */
static int load_epoch(cv_outbox *o, cv_outbox_epoch *e, int *found,
                      uint64_t epoch, uint64_t low, uint64_t high, cv_err *err)
{
    sqlite3_stmt *st = NULL;
    int row = 0;
    uint32_t n;
    uint8_t id[32];
    *found = 0;
    memset(e, 0, sizeof *e);
    if (epoch > INT64_MAX)
        return 0;
    int rc = cv_outbox_which(o, &n, id, err);
    if (rc || !n)
        return rc;
    rc = cv_odb_query(o, &st, err,
                      "SELECT epoch, version, round, head, root, sponsor, "
                      "token, total, leaves, payee, amount, sigs FROM epoch "
                      "WHERE epoch = ? AND version BETWEEN ? AND ? ORDER BY "
                      "version DESC LIMIT 1",
                      "uuu", epoch, low, high);
    if (!rc)
        rc = cv_odb_step(o, st, &row, err);
    if (!rc && row) {
        rc = read_epoch(o, e, st, n, err);
        *found = !rc;
    }
    memcpy(e->epoch.run_id, id, 32);
    sqlite3_finalize(st);
    return rc;
}

int cv_outbox_load_epoch(cv_outbox *o, cv_outbox_epoch *e, int *found,
                         uint64_t epoch, cv_err *err)
{
    int rc = cv_odb_begin(o, 0, err);
    *found = 0;
    memset(e, 0, sizeof *e);
    if (!rc)
        rc = cv_odb_end(o, load_epoch(o, e, found, epoch, 0, INT64_MAX, err),
                        err);
    return rc;
}

static int same_epoch(const cv_outbox_epoch *a, const cv_outbox_epoch *b,
                      uint32_t n)
{
    const cv_epoch *p = &a->epoch, *q = &b->epoch;
    return p->epoch == q->epoch && p->version == q->version &&
           p->leaves == q->leaves && a->round == b->round &&
           memcmp(p->run_id, q->run_id, 32) == 0 &&
           memcmp(p->head, q->head, 32) == 0 &&
           memcmp(p->root, q->root, 32) == 0 &&
           memcmp(&p->sponsor, &q->sponsor, sizeof p->sponsor) == 0 &&
           memcmp(&p->token, &q->token, sizeof p->token) == 0 &&
           memcmp(&p->total, &q->total, sizeof p->total) == 0 &&
           memcmp(a->payee, b->payee, p->leaves * sizeof *a->payee) == 0 &&
           memcmp(a->amount, b->amount, p->leaves * sizeof *a->amount) == 0 &&
           memcmp(a->sigs, b->sigs, n * sizeof *a->sigs) == 0;
}

static int insert_epoch(cv_outbox *o, const cv_outbox_epoch *e, uint32_t n,
                        cv_err *err)
{
    const cv_epoch *p = &e->epoch;
    return cv_odb_run(
        o, err,
        "INSERT INTO epoch VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        "uuubbbbbubbb", p->epoch, (uint64_t)p->version, e->round, p->head,
        (size_t)32, p->root, (size_t)32, p->sponsor.b, (size_t)CV_ADDRESS_BYTES,
        p->token.b, (size_t)CV_ADDRESS_BYTES, p->total.b, (size_t)32,
        (uint64_t)p->leaves, e->payee, p->leaves * sizeof *e->payee, e->amount,
        p->leaves * sizeof *e->amount, e->sigs, n * sizeof *e->sigs);
}

/* The run went on, or did rounds anew, after `there` was signed: its head is not
 * the run's last one any more.  The contract takes rewards for the head that the
 * run has on the chain only, so of two with one version one at most is ever posted.
 * What is on its way or there stays; what waits makes room for what is signed for
 * the newest round. */
static int put_later(cv_outbox *o, const cv_outbox_epoch *e, uint32_t n,
                     cv_err *err)
{
    sqlite3_stmt *st = NULL;
    uint64_t last = 0, state = 0, on_its_way = 0;
    int row = 0, rc = cv_outbox_last_round(o, &last, err);
    if (!rc)
        rc = cv_odb_query(o, &st, err,
                          "SELECT state, (SELECT count(*) FROM tx WHERE kind = "
                          "?3 AND first = ?1 AND last = ?2 AND state <= ?4) "
                          "FROM epoch WHERE epoch = ?1 AND version = ?2",
                          "uuuu", e->epoch.epoch, (uint64_t)e->epoch.version,
                          (uint64_t)CV_TX_EPOCH, (uint64_t)CV_TX_FINAL);
    if (!rc)
        rc = cv_odb_step(o, st, &row, err);
    if (!rc) {
        cv_row r = {.st = st};
        state = cv_row_u64(&r, 0, CV_OUTBOX_FINAL);
        on_its_way = cv_row_u64(&r, 0, INT64_MAX);
        rc = cv_row_check(o, &r, "epoch", err);
    }
    sqlite3_finalize(st);
    if (rc || state != CV_OUTBOX_QUEUED || on_its_way || last != e->round)
        return rc;
    rc = cv_odb_run(o, err, "DELETE FROM epoch WHERE epoch = ? AND version = ?",
                    "uu", e->epoch.epoch, (uint64_t)e->epoch.version);
    return rc ? rc : insert_epoch(o, e, n, err);
}

static int put_epoch(cv_outbox *o, const cv_outbox_epoch *e, cv_err *err)
{
    const cv_epoch *p = &e->epoch;
    cv_outbox_epoch there = {0};
    uint8_t id[32] = {0};
    uint32_t n;
    int found = 0, rc = cv_outbox_which(o, &n, id, err);
    if (rc)
        return rc;
    if (!n || memcmp(id, p->run_id, 32) != 0)
        return cv_err_set(err, CV_ERR_VERIFY, o->path, 0,
                          "expected the outbox of this epoch's run, found %s",
                          n ? "that of another run" : "an empty outbox");
    rc = load_epoch(o, &there, &found, p->epoch, p->version, p->version, err);
    if (!rc && !found)
        rc = insert_epoch(o, e, n, err);
    else if (!rc && memcmp(there.epoch.head, p->head, 32) != 0)
        rc = put_later(o, e, n, err);
    else if (!rc && !same_epoch(e, &there, n))
        rc = cv_err_set(err, CV_ERR_VERIFY, o->path, 0,
                        "epoch %llu version %u is there with other content; "
                        "what the silos sign again gets the next version "
                        "(chain.rewards.version)",
                        (unsigned long long)p->epoch, p->version);
    cv_outbox_epoch_free(&there);
    return rc;
}

int cv_outbox_put_epoch(cv_outbox *o, const cv_outbox_epoch *e, cv_err *err)
{
    CV_CHECK(e->epoch.leaves >= 1 && e->epoch.leaves <= CV_OUTBOX_MAX_LEAVES &&
             e->round >= 1);
    int rc = cv_odb_begin(o, 1, err);
    return rc ? rc : cv_odb_end(o, put_epoch(o, e, err), err);
}
