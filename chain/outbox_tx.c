#include "chain/outbox_tx.h"

#include <stdlib.h>
#include <string.h>

#include "chain/outbox_db.h"
#include "core/mem.h"

/* Raw transactions: Base takes at most 128 KiB. */
enum { MAX_RAW = 1 << 18 };

const char *cv_outbox_tx_kind_name(cv_outbox_tx_kind k)
{
    static const char *const names[] = {"open", "rounds", "epoch", "other"};
    return (size_t)k < sizeof names / sizeof names[0] ? names[k] : "unknown";
}

const char *cv_outbox_tx_state_name(cv_outbox_tx_state s)
{
    static const char *const names[] = {"built", "sent",     "mined",  "safe",
                                        "final", "reverted", "dropped"};
    return (size_t)s < sizeof names / sizeof names[0] ? names[s] : "unknown";
}

void cv_outbox_tx_free(cv_outbox_tx *tx)
{
    CV_FREE(tx->raw);
    tx->n_raw = 0;
}

static int insert_tx(cv_outbox *o, const cv_outbox_tx *t, cv_err *err)
{
    return cv_odb_run(
        o, err,
        "INSERT INTO tx VALUES(NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "?, ?, 0, ?, ?)",
        "iuuubbbubbiububbuu", (int)t->kind, t->first, t->last, t->nonce,
        t->sender.b, (size_t)CV_ADDRESS_BYTES, t->hash, (size_t)32, t->raw,
        t->n_raw, t->gas, t->tip.b, (size_t)32, t->max_fee.b, (size_t)32,
        (int)t->state, t->block, t->block_hash, (size_t)32, t->gas_used,
        t->gas_price.b, (size_t)32, t->l1_fee.b, (size_t)32, t->created,
        t->sent);
}

int cv_outbox_tx_add(cv_outbox *o, cv_outbox_tx *tx, uint64_t replaces,
                     cv_err *err)
{
    CV_CHECK(tx->n_raw && tx->n_raw <= MAX_RAW);
    int rc = cv_odb_begin(o, 1, err);
    if (rc)
        return rc;
    rc = insert_tx(o, tx, err);
    if (!rc)
        tx->id = (uint64_t)sqlite3_last_insert_rowid(o->db);
    if (!rc && replaces)
        rc = cv_odb_run(o, err, "UPDATE tx SET replaced_by = ? WHERE id = ?",
                        "uu", tx->id, replaces);
    return cv_odb_end(o, rc, err);
}

int cv_outbox_tx_update(cv_outbox *o, const cv_outbox_tx *t, cv_err *err)
{
    int rc = cv_odb_begin(o, 1, err);
    if (rc)
        return rc;
    rc = cv_odb_run(o, err,
                    "UPDATE tx SET state = ?, block = ?, block_hash = ?, "
                    "gas_used = ?, gas_price = ?, l1_fee = ?, sent = ? WHERE "
                    "id = ?",
                    "iububbuu", (int)t->state, t->block, t->block_hash,
                    (size_t)32, t->gas_used, t->gas_price.b, (size_t)32,
                    t->l1_fee.b, (size_t)32, t->sent, t->id);
    return cv_odb_end(o, rc, err);
}

static int read_tx(cv_outbox *o, cv_outbox_tx *t, sqlite3_stmt *st, cv_err *err)
{
    cv_row r = {.st = st};
    t->id = cv_row_u64(&r, 1, INT64_MAX);
    t->kind = (cv_outbox_tx_kind)cv_row_u64(&r, 0, CV_TX_OTHER);
    t->first = cv_row_u64(&r, 0, INT64_MAX);
    t->last = cv_row_u64(&r, 0, INT64_MAX);
    t->nonce = cv_row_u64(&r, 0, INT64_MAX);
    cv_row_bytes(&r, t->sender.b, CV_ADDRESS_BYTES);
    cv_row_bytes(&r, t->hash, 32);
    t->raw = cv_row_blob(&r, &t->n_raw, MAX_RAW);
    t->gas = cv_row_u64(&r, 1, INT64_MAX);
    cv_row_bytes(&r, t->tip.b, 32);
    cv_row_bytes(&r, t->max_fee.b, 32);
    t->state = (cv_outbox_tx_state)cv_row_u64(&r, 0, CV_TX_DROPPED);
    t->block = cv_row_u64(&r, 0, INT64_MAX);
    cv_row_bytes(&r, t->block_hash, 32);
    t->gas_used = cv_row_u64(&r, 0, INT64_MAX);
    cv_row_bytes(&r, t->gas_price.b, 32);
    cv_row_bytes(&r, t->l1_fee.b, 32);
    t->replaced_by = cv_row_u64(&r, 0, INT64_MAX);
    t->created = cv_row_u64(&r, 0, INT64_MAX);
    t->sent = cv_row_u64(&r, 0, INT64_MAX);
    int rc = cv_row_check(o, &r, "tx", err);
    if (!rc && !t->n_raw)
        rc = cv_odb_damaged(o, err, "table tx: an empty transaction");
    if (rc)
        cv_outbox_tx_free(t);
    return rc;
}

int cv_outbox_tx_next(cv_outbox *o, cv_outbox_tx *tx, int *found,
                      uint64_t after, int all, cv_err *err)
{
    sqlite3_stmt *st;
    int row = 0;
    *found = 0;
    memset(tx, 0, sizeof *tx);
    int rc = cv_odb_query(
        o, &st, err,
        "SELECT id, kind, first, last, nonce, sender, hash, raw, gas, tip, "
        "max_fee, state, block, block_hash, gas_used, gas_price, l1_fee, "
        "replaced_by, created, sent FROM tx WHERE id > ? AND (? OR state NOT "
        "IN (?, ?)) ORDER BY id LIMIT 1",
        "uiii", after, all, (int)CV_TX_FINAL, (int)CV_TX_DROPPED);
    if (!rc)
        rc = cv_odb_step(o, st, &row, err);
    if (!rc && row)
        rc = read_tx(o, tx, st, err);
    sqlite3_finalize(st);
    *found = !rc && row;
    return rc;
}

int cv_outbox_version(cv_outbox *o, int64_t *version, cv_err *err)
{
    sqlite3_stmt *st;
    int row = 0;
    int rc = cv_odb_query(o, &st, err, "PRAGMA data_version", "");
    if (!rc)
        rc = cv_odb_step(o, st, &row, err);
    *version = !rc && row ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_finalize(st);
    return rc;
}

int cv_outbox_mark_levels(cv_outbox *o, cv_outbox_state opening,
                          const uint64_t level[4], uint64_t settled,
                          cv_err *err)
{
    int rc = cv_odb_begin(o, 1, err);
    if (rc)
        return rc;
    rc = cv_odb_run(o, err, "UPDATE run SET state = ?1 WHERE state != ?1", "i",
                    (int)opening);
    if (!rc)
        rc = cv_odb_run(
            o, err,
            "UPDATE record SET state = CASE WHEN round <= ?1 THEN 4 WHEN round "
            "<= ?2 THEN 3 WHEN round <= ?3 THEN 2 WHEN round <= ?4 THEN 1 ELSE "
            "0 END WHERE round > ?5",
            "uuuuu", level[0], level[1], level[2], level[3], settled);
    return cv_odb_end(o, rc, err);
}

int cv_outbox_mark_epoch(cv_outbox *o, uint64_t epoch, uint32_t version,
                         cv_outbox_state s, cv_err *err)
{
    int rc = cv_odb_begin(o, 1, err);
    if (rc)
        return rc;
    rc = cv_odb_run(
        o, err, "UPDATE epoch SET state = ? WHERE epoch = ? AND version = ?",
        "iuu", (int)s, epoch, (uint64_t)version);
    return cv_odb_end(o, rc, err);
}

/* Up to two numbers of the first row. */
static int numbers(cv_outbox *o, sqlite3_stmt *st, uint64_t *a, uint64_t *b,
                   int *found, cv_err *err)
{
    int rc = cv_odb_step(o, st, found, err);
    if (!rc && *found) {
        cv_row r = {.st = st};
        *a = cv_row_u64(&r, 0, INT64_MAX);
        if (b)
            *b = cv_row_u64(&r, 0, CV_OUTBOX_FINAL);
        rc = cv_row_check(o, &r, "run, record or epoch", err);
    }
    return rc;
}

int cv_outbox_run_state(cv_outbox *o, cv_outbox_state *s, cv_err *err)
{
    sqlite3_stmt *st;
    uint64_t one, state = 0;
    int found = 0;
    int rc = cv_odb_query(o, &st, err, "SELECT one, state FROM run", "");
    if (!rc)
        rc = numbers(o, st, &one, &state, &found, err);
    sqlite3_finalize(st);
    *s = (cv_outbox_state)state;
    return rc;
}

int cv_outbox_first_below(cv_outbox *o, uint64_t *round, cv_outbox_state s,
                          cv_err *err)
{
    sqlite3_stmt *st;
    int found = 0;
    *round = 0;
    int rc = cv_odb_query(o, &st, err,
                          "SELECT round FROM record WHERE state < ? ORDER BY "
                          "round LIMIT 1",
                          "i", (int)s);
    if (!rc)
        rc = numbers(o, st, round, NULL, &found, err);
    sqlite3_finalize(st);
    return rc;
}

int cv_outbox_next_epoch(cv_outbox *o, uint64_t *epoch, cv_outbox_state *state,
                         int *found, uint64_t from, cv_err *err)
{
    sqlite3_stmt *st;
    uint64_t s = 0;
    *found = 0;
    *epoch = 0;
    *state = CV_OUTBOX_QUEUED;
    if (from > INT64_MAX) /* after the last number that a file can hold */
        return 0;
    int rc = cv_odb_query(o, &st, err,
                          "SELECT epoch, state FROM epoch WHERE epoch >= ? "
                          "ORDER BY epoch, version DESC LIMIT 1",
                          "u", from);
    if (!rc)
        rc = numbers(o, st, epoch, &s, found, err);
    sqlite3_finalize(st);
    *state = (cv_outbox_state)s;
    return rc;
}

int cv_outbox_attested(cv_outbox *o, uint64_t *last, uint64_t from,
                       uint64_t low, uint64_t high, int up, cv_err *err)
{
    sqlite3_stmt *st;
    int found = 0;
    *last = 0;
    int rc = cv_odb_query(
        o, &st, err,
        up ? "SELECT last FROM attested WHERE first >= ? AND last BETWEEN ? "
             "AND ? ORDER BY last LIMIT 1"
           : "SELECT last FROM attested WHERE first >= ? AND last BETWEEN ? "
             "AND ? ORDER BY last DESC LIMIT 1",
        "uuu", from, low, high);
    if (!rc)
        rc = numbers(o, st, last, NULL, &found, err);
    sqlite3_finalize(st);
    return rc;
}

int cv_outbox_records(cv_outbox *o, cv_buf *out, uint64_t first, uint64_t last,
                      cv_err *err)
{
    sqlite3_stmt *st;
    int row;
    uint64_t next = first;
    int rc = cv_odb_query(o, &st, err,
                          "SELECT round, record FROM record WHERE round "
                          "BETWEEN ? AND ? ORDER BY round",
                          "uu", first, last);
    while (!rc && !(rc = cv_odb_step(o, st, &row, err)) && row) {
        uint8_t record[32];
        cv_row r = {.st = st};
        cv_row_u64(&r, next, next);
        cv_row_bytes(&r, record, 32);
        rc = cv_row_check(o, &r, "record", err);
        cv_buf_add(out, record, 32);
        next++;
    }
    sqlite3_finalize(st);
    if (!rc && next != last + 1)
        rc = cv_odb_damaged(o, err, "table record: round %llu is missing",
                            (unsigned long long)next);
    return rc;
}
