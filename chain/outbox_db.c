#include "chain/outbox_db.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

int cv_odb_damaged(const cv_outbox *o, cv_err *err, const char *fmt, ...)
{
    char text[500];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    /* SQLite repeats what the file says, and a terminal would obey it. */
    for (char *c = text; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    return cv_err_set(err, CV_ERR_VERIFY, o->path, 0,
                      "%s; the file is damaged or was changed by somebody: put "
                      "back a copy of it",
                      text);
}

int cv_odb_fail(cv_outbox *o, const char *what, cv_err *err)
{
    int code = sqlite3_errcode(o->db), full = sqlite3_extended_errcode(o->db);
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return cv_err_set(err, CV_ERR_ENV, o->path, 0,
                          "%s: another process has held the outbox for more "
                          "than 10 s; look for a `covey settle` or a run that "
                          "hangs, and try again",
                          what);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR:
        return cv_odb_damaged(o, err, "%s: %s", what, sqlite3_errmsg(o->db));
    case SQLITE_READONLY:
        return cv_err_set(err, CV_ERR_ENV, o->path, 0,
                          "%s: the outbox may not be written; expected write "
                          "permission on the file and its folder",
                          what);
    default:
        break;
    }
    int locks = full == SQLITE_IOERR_LOCK || full == SQLITE_IOERR_RDLOCK ||
                full == SQLITE_IOERR_UNLOCK || code == SQLITE_PROTOCOL ||
                full == SQLITE_IOERR_CHECKRESERVEDLOCK;
    return cv_err_set(err, CV_ERR_ENV, o->path, 0, "%s: %s%s", what,
                      sqlite3_errmsg(o->db),
                      locks ? "; the file system gives no locks: mount it with "
                              "them (Lustre: option flock), or settle in a "
                              "copy of the run folder elsewhere"
                            : "");
}

static int bind(sqlite3_stmt *st, int i, char kind, va_list *ap)
{
    if (kind == 'u') {
        uint64_t v = va_arg(*ap, uint64_t);
        CV_CHECK(v <= INT64_MAX);
        return sqlite3_bind_int64(st, i, (sqlite3_int64)v);
    }
    if (kind == 'i')
        return sqlite3_bind_int(st, i, va_arg(*ap, int));
    if (kind == 't')
        return sqlite3_bind_text(st, i, va_arg(*ap, const char *), -1,
                                 SQLITE_STATIC);
    CV_CHECK(kind == 'b');
    const void *data = va_arg(*ap, const void *);
    size_t n = va_arg(*ap, size_t);
    /* A NULL pointer would be bound as NULL instead of an empty blob. */
    return sqlite3_bind_blob64(st, i, n ? data : "", n, SQLITE_STATIC);
}

static int query(cv_outbox *o, sqlite3_stmt **st, cv_err *err, const char *sql,
                 const char *format, va_list *ap)
{
    *st = NULL;
    if (sqlite3_prepare_v2(o->db, sql, -1, st, NULL) != SQLITE_OK)
        return cv_odb_fail(o, "cannot be used", err);
    CV_CHECK(sqlite3_bind_parameter_count(*st) == (int)strlen(format));
    for (int i = 0; format[i]; i++)
        if (bind(*st, i + 1, format[i], ap) != SQLITE_OK) {
            int rc = cv_odb_fail(o, "cannot be used", err);
            sqlite3_finalize(*st);
            *st = NULL;
            return rc;
        }
    return 0;
}

int cv_odb_query(cv_outbox *o, sqlite3_stmt **st, cv_err *err, const char *sql,
                 const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int rc = query(o, st, err, sql, format, &ap);
    va_end(ap);
    return rc;
}

int cv_odb_step(cv_outbox *o, sqlite3_stmt *st, int *row, cv_err *err)
{
    int rc = sqlite3_step(st);
    *row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return 0;
    return cv_odb_fail(o, "cannot be read or written", err);
}

int cv_odb_run(cv_outbox *o, cv_err *err, const char *sql, const char *format,
               ...)
{
    sqlite3_stmt *st;
    va_list ap;
    va_start(ap, format);
    int row, rc = query(o, &st, err, sql, format, &ap);
    va_end(ap);
    if (!rc)
        rc = cv_odb_step(o, st, &row, err);
    sqlite3_finalize(st);
    return rc;
}

int cv_odb_begin(cv_outbox *o, int write, cv_err *err)
{
    return cv_odb_run(o, err, write ? "BEGIN IMMEDIATE" : "BEGIN", "");
}

int cv_odb_end(cv_outbox *o, int rc, cv_err *err)
{
    if (!rc)
        rc = cv_odb_run(o, err, "COMMIT", "");
    /* Some failures have rolled back already. */
    if (rc && !sqlite3_get_autocommit(o->db))
        sqlite3_exec(o->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

static void row_bad(cv_row *r, const char *what)
{
    if (!r->bad)
        r->bad = what;
}

uint64_t cv_row_u64(cv_row *r, uint64_t low, uint64_t high)
{
    int i = r->at++;
    if (sqlite3_column_type(r->st, i) != SQLITE_INTEGER) {
        row_bad(r, "a number is missing");
        return low;
    }
    sqlite3_int64 v = sqlite3_column_int64(r->st, i);
    if (v < 0 || (uint64_t)v < low || (uint64_t)v > high) {
        row_bad(r, "a number is out of range");
        return low;
    }
    return (uint64_t)v;
}

void *cv_row_blob(cv_row *r, size_t *n, size_t max)
{
    int i = r->at++;
    *n = 0;
    if (sqlite3_column_type(r->st, i) != SQLITE_BLOB) {
        row_bad(r, "bytes are missing");
        return NULL;
    }
    const void *data = sqlite3_column_blob(r->st, i);
    int got = sqlite3_column_bytes(r->st, i);
    if (got < 0 || (size_t)got > max || (got && !data)) {
        row_bad(r, "a value is too long");
        return NULL;
    }
    uint8_t *copy = CV_NEW(got, uint8_t);
    if (got)
        memcpy(copy, data, (size_t)got);
    *n = (size_t)got;
    return copy;
}

void *cv_row_copy(cv_row *r, size_t n)
{
    size_t got;
    uint8_t *p = cv_row_blob(r, &got, CV_OUTBOX_MAX_VALUE);
    if (p && got == n)
        return p;
    row_bad(r, "a value has the wrong length");
    free(p);
    return NULL;
}

void cv_row_bytes(cv_row *r, void *out, size_t n)
{
    uint8_t *p = cv_row_copy(r, n);
    if (p)
        memcpy(out, p, n);
    else
        memset(out, 0, n);
    free(p);
}

void cv_row_text(cv_row *r, char *out, size_t size)
{
    int i = r->at++;
    out[0] = '\0';
    const unsigned char *text = sqlite3_column_type(r->st, i) == SQLITE_TEXT
                                    ? sqlite3_column_text(r->st, i)
                                    : NULL;
    size_t n = text ? (size_t)sqlite3_column_bytes(r->st, i) : 0;
    int bad = !n || n >= size;
    for (size_t j = 0; !bad && j < n; j++)
        bad = text[j] < 0x20 || text[j] > 0x7e;
    if (bad) {
        row_bad(r, "a name is missing, too long or not printable");
        return;
    }
    memcpy(out, text, n);
    out[n] = '\0';
}

int cv_row_check(const cv_outbox *o, const cv_row *r, const char *table,
                 cv_err *err)
{
    return r->bad ? cv_odb_damaged(o, err, "table %s: %s", table, r->bad) : 0;
}
