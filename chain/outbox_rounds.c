/* Rounds and what attests them.  Records are kept a round a row, attestations a
 * checkpoint a row: another checkpoint interval after a resume cuts the same
 * rounds differently, and both cuts are good. */
#include <stdlib.h>
#include <string.h>

#include "chain/outbox_db.h"
#include "chain/outbox_tx.h"
#include "core/mem.h"

int cv_outbox_last_round(cv_outbox *o, uint64_t *last, cv_err *err)
{
    sqlite3_stmt *st;
    int row = 0;
    *last = 0;
    int rc = cv_odb_query(o, &st, err,
                          "SELECT ifnull(max(round), 0) FROM record", "");
    if (!rc)
        rc = cv_odb_step(o, st, &row, err);
    if (!rc) {
        cv_row r = {.st = st};
        *last = cv_row_u64(&r, 0, INT64_MAX);
        rc = cv_row_check(o, &r, "record", err);
    }
    sqlite3_finalize(st);
    return rc;
}

void cv_outbox_rounds_free(cv_outbox_rounds *r)
{
    CV_FREE(r->records);
    CV_FREE(r->sigs);
}

static int load_rounds(cv_outbox *o, cv_outbox_rounds *r, int *found,
                       uint64_t round, cv_err *err)
{
    sqlite3_stmt *st = NULL;
    int row = 0;
    uint32_t n;
    *found = 0;
    memset(r, 0, sizeof *r);
    if (round < 1 || round > INT64_MAX)
        return 0;
    int rc = cv_outbox_silos(o, &n, err);
    if (!rc)
        rc = cv_odb_query(o, &st, err,
                          "SELECT first, last, before, after, sigs FROM "
                          "attested WHERE last >= ? ORDER BY last LIMIT 1",
                          "u", round);
    if (!rc)
        rc = cv_odb_step(o, st, &row, err);
    if (!rc && row) {
        cv_row c = {.st = st};
        r->first = cv_row_u64(&c, 1, INT64_MAX - 1);
        r->last = cv_row_u64(&c, r->first,
                             r->first > INT64_MAX - CV_OUTBOX_MAX_ROUNDS
                                 ? r->first
                                 : r->first + CV_OUTBOX_MAX_ROUNDS - 1);
        cv_row_bytes(&c, r->before, 32);
        cv_row_bytes(&c, r->after, 32);
        r->sigs = cv_row_copy(&c, n * sizeof(cv_sig));
        rc = cv_row_check(o, &c, "attested", err);
    }
    sqlite3_finalize(st);
    if (!rc && row && r->first <= round) {
        cv_buf records = {0};
        rc = cv_outbox_records(o, &records, r->first, r->last, err);
        r->records = (uint8_t *)records.data;
        *found = !rc;
    }
    if (rc || !*found)
        cv_outbox_rounds_free(r);
    return rc;
}

int cv_outbox_load_rounds(cv_outbox *o, cv_outbox_rounds *r, int *found,
                          uint64_t round, cv_err *err)
{
    int rc = cv_odb_begin(o, 0, err);
    *found = 0;
    memset(r, 0, sizeof *r);
    if (!rc)
        rc = cv_odb_end(o, load_rounds(o, r, found, round, err), err);
    return rc;
}

/* The first round that is there with another record, 0 if there is none. */
static int first_other(cv_outbox *o, uint64_t *other, const cv_outbox_rounds *r,
                       cv_err *err)
{
    sqlite3_stmt *st;
    int row;
    *other = 0;
    int rc = cv_odb_query(o, &st, err,
                          "SELECT round, record FROM record WHERE round "
                          "BETWEEN ? AND ? ORDER BY round",
                          "uu", r->first, r->last);
    while (!rc && !*other && !(rc = cv_odb_step(o, st, &row, err)) && row) {
        uint8_t there[32];
        cv_row c = {.st = st};
        uint64_t round = cv_row_u64(&c, r->first, r->last);
        cv_row_bytes(&c, there, 32);
        rc = cv_row_check(o, &c, "record", err);
        if (!rc && memcmp(there, r->records + (round - r->first) * 32, 32) != 0)
            *other = round;
    }
    sqlite3_finalize(st);
    return rc;
}

/* From this round on everything was lost and done again. */
static int forget_from(cv_outbox *o, uint64_t round, cv_err *err)
{
    int rc =
        cv_odb_run(o, err, "DELETE FROM record WHERE round >= ?", "u", round);
    if (!rc)
        rc = cv_odb_run(o, err, "DELETE FROM attested WHERE last >= ?", "u",
                        round);
    if (!rc)
        rc = cv_odb_run(o, err, "DELETE FROM epoch WHERE round >= ?", "u",
                        round);
    return rc;
}

/* The rounds before these must be there, and lead to `before`.  An outbox may
 * begin after round 1: the chain may have the others. */
static int check_follows(cv_outbox *o, const cv_outbox_rounds *r, cv_err *err)
{
    uint64_t last = 0;
    cv_outbox_rounds prior = {0};
    int found = 0, rc = cv_outbox_last_round(o, &last, err);
    if (!rc && last && r->first > last + 1)
        return cv_err_set(err, CV_ERR_VERIFY, o->path, 0,
                          "expected rounds from %llu on, found %llu to %llu: "
                          "those between are lost; settle what is there, or "
                          "resume from an older checkpoint",
                          (unsigned long long)last + 1,
                          (unsigned long long)r->first,
                          (unsigned long long)r->last);
    if (!rc && last && r->first > 1)
        rc = load_rounds(o, &prior, &found, r->first - 1, err);
    if (!rc && found && prior.last == r->first - 1 &&
        memcmp(prior.after, r->before, 32) != 0)
        rc = cv_err_set(err, CV_ERR_VERIFY, o->path, 0,
                        "round %llu does not follow the round before it that "
                        "is in the outbox; the outbox and the checkpoint are "
                        "not of one history: put back the copies that belong "
                        "together",
                        (unsigned long long)r->first);
    cv_outbox_rounds_free(&prior);
    return rc;
}

/* The same checkpoint again may bring signatures that were missing. */
static int put_attested(cv_outbox *o, const cv_outbox_rounds *r, uint32_t n,
                        cv_err *err)
{
    static const cv_sig none;
    cv_outbox_rounds there = {0};
    int found = 0, rc = load_rounds(o, &there, &found, r->last, err);
    if (rc)
        return rc;
    cv_sig *sigs = CV_NEW(n, cv_sig);
    memcpy(sigs, r->sigs, n * sizeof *sigs);
    int same = found && there.last == r->last && there.first == r->first &&
               memcmp(there.before, r->before, 32) == 0 &&
               memcmp(there.after, r->after, 32) == 0;
    for (uint32_t i = 0; same && i < n; i++)
        if (memcmp(&there.sigs[i], &none, sizeof none) != 0)
            sigs[i] = there.sigs[i];
    rc = cv_odb_run(o, err,
                    "INSERT OR REPLACE INTO attested VALUES(?, ?, ?, ?, ?)",
                    "uubbb", r->last, r->first, r->before, (size_t)32, r->after,
                    (size_t)32, sigs, n * sizeof *sigs);
    free(sigs);
    cv_outbox_rounds_free(&there);
    return rc;
}

int cv_outbox_put_rounds(cv_outbox *o, const cv_outbox_rounds *r, cv_err *err)
{
    uint32_t n;
    uint64_t other;
    CV_CHECK(r->first >= 1 && r->last >= r->first && r->last < INT64_MAX &&
             r->last - r->first < CV_OUTBOX_MAX_ROUNDS);
    int rc = cv_odb_begin(o, 1, err);
    if (rc)
        return rc;
    rc = cv_outbox_silos(o, &n, err);
    if (!rc && !n)
        rc = cv_err_set(err, CV_ERR_VERIFY, o->path, 0,
                        "expected a run that was opened, found an empty "
                        "outbox");
    if (!rc)
        rc = first_other(o, &other, r, err);
    if (!rc && other)
        rc = forget_from(o, other, err);
    if (!rc)
        rc = check_follows(o, r, err);
    for (uint64_t i = r->first; i <= r->last && !rc; i++)
        rc = cv_odb_run(o, err, "INSERT OR IGNORE INTO record VALUES(?, ?, 0)",
                        "ub", i, r->records + (i - r->first) * 32, (size_t)32);
    if (!rc)
        rc = put_attested(o, r, n, err);
    return cv_odb_end(o, rc, err);
}
