/** Inside chain/ only: SQLite as the outbox uses it.
 *
 *  Statements are prepared, bound by a short format, stepped and finalised;
 *  rows are read through cv_row, which keeps the first thing that is wrong with
 *  one.  No other file of the project calls sqlite3.
 */
#ifndef COVEY_CHAIN_OUTBOX_DB_H
#define COVEY_CHAIN_OUTBOX_DB_H

#include <sqlite3.h>

#include "chain/outbox.h"

struct cv_outbox {
    sqlite3 *db;
    char *path;
};

/** Most bytes in one value: records and signatures of one checkpoint. */
#define CV_OUTBOX_MAX_VALUE (1 << 26)
/** Rounds of one checkpoint, leaves of one epoch: bounded before any memory
 *  is asked for. */
#define CV_OUTBOX_MAX_ROUNDS (1 << 20)
#define CV_OUTBOX_MAX_LEAVES (1 << 16)

/** All tables are there and nothing else is. create: an empty file gets them.
 *  Returns 0, CV_ERR_VERIFY or CV_ERR_ENV. */
int cv_outbox_schema(cv_outbox *o, int create, cv_err *err);

/** Say what SQLite found wrong: CV_ERR_VERIFY for a damaged file, CV_ERR_ENV
 *  for the rest. */
int cv_odb_fail(cv_outbox *o, const char *what, cv_err *err);
int cv_odb_damaged(const cv_outbox *o, cv_err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Prepare and bind: u uint64_t, i int, t const char *, b const void * and
 *  size_t.  A number above INT64_MAX is a bug. The arguments must live until
 *  the statement is done. */
int cv_odb_query(cv_outbox *o, sqlite3_stmt **st, cv_err *err, const char *sql,
                 const char *format, ...);
/** *row: 1 with a row, 0 at the end. */
int cv_odb_step(cv_outbox *o, sqlite3_stmt *st, int *row, cv_err *err);
/** A statement without rows. */
int cv_odb_run(cv_outbox *o, cv_err *err, const char *sql, const char *format,
               ...);

/** BEGIN IMMEDIATE (write) or BEGIN; cv_odb_end commits if rc is 0, else rolls
 *  back, and returns rc or what went wrong. */
int cv_odb_begin(cv_outbox *o, int write, cv_err *err);
int cv_odb_end(cv_outbox *o, int rc, cv_err *err);

/** A row that is being read, column after column. */
typedef struct {
    sqlite3_stmt *st;
    int at;
    const char *bad; /* what was wrong first; NULL so far */
} cv_row;

uint64_t cv_row_u64(cv_row *r, uint64_t low, uint64_t high);
/** Exactly n bytes. */
void cv_row_bytes(cv_row *r, void *out, size_t n);
/** A blob of this length, copied into fresh memory; NULL if it is not. */
void *cv_row_copy(cv_row *r, size_t n);
/** A blob of at most max bytes. */
void *cv_row_blob(cv_row *r, size_t *n, size_t max);
/** Printable ASCII, 1 to size - 1 characters. */
void cv_row_text(cv_row *r, char *out, size_t size);
/** 0, or CV_ERR_VERIFY naming the table. */
int cv_row_check(const cv_outbox *o, const cv_row *r, const char *table,
                 cv_err *err);

/** How many attesters the run has; n = 0 if there is no run yet. */
int cv_outbox_silos(cv_outbox *o, uint32_t *n, cv_err *err);
/** The same, and the contract's id of the run. */
int cv_outbox_which(cv_outbox *o, uint32_t *n, uint8_t id[32], cv_err *err);

#endif
