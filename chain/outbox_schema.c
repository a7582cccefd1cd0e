/* Opening an outbox: SQLite set up for a file that others may have written, on
 * a file system that may be NFS or Lustre. */
#include <stdlib.h>
#include <string.h>

#include "chain/outbox_db.h"
#include "core/fs.h"
#include "core/mem.h"

enum { APPLICATION = 0x43765931 /* "CvY1" */, VERSION = 1 };

/* A table a string, exactly as SQLite gives it back: a file whose tables are
 * not these, letter for letter, is refused.  record has a row a round;
 * attested a row a checkpoint, whose signatures cover first..last. */
static const char *const tables[] = {
    "CREATE TABLE run(one INTEGER PRIMARY KEY CHECK(one=1), run_id BLOB NOT "
    "NULL, job BLOB NOT NULL, chain_id INTEGER NOT NULL, contract BLOB NOT "
    "NULL, network TEXT NOT NULL, n INTEGER NOT NULL, collusion INTEGER NOT "
    "NULL, simulated INTEGER NOT NULL, state INTEGER NOT NULL) STRICT",
    "CREATE TABLE silo(i INTEGER PRIMARY KEY, name TEXT NOT NULL, identity "
    "BLOB NOT NULL, attester BLOB NOT NULL, binding BLOB NOT NULL, opening "
    "BLOB NOT NULL) STRICT",
    "CREATE TABLE record(round INTEGER PRIMARY KEY, record BLOB NOT NULL, "
    "state INTEGER NOT NULL) STRICT",
    "CREATE TABLE attested(last INTEGER PRIMARY KEY, first INTEGER NOT NULL, "
    "before BLOB NOT NULL, after BLOB NOT NULL, sigs BLOB NOT NULL) STRICT",
    "CREATE TABLE epoch(epoch INTEGER NOT NULL, version INTEGER NOT NULL, "
    "round INTEGER NOT NULL, head BLOB NOT NULL, root BLOB NOT NULL, sponsor "
    "BLOB NOT NULL, token BLOB NOT NULL, total BLOB NOT NULL, leaves INTEGER "
    "NOT NULL, payee BLOB NOT NULL, amount BLOB NOT NULL, sigs BLOB NOT NULL, "
    "state INTEGER NOT NULL, PRIMARY KEY(epoch, version)) STRICT, WITHOUT "
    "ROWID",
    "CREATE TABLE tx(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, first "
    "INTEGER NOT NULL, last INTEGER NOT NULL, nonce INTEGER NOT NULL, sender "
    "BLOB NOT NULL, hash BLOB NOT NULL, raw BLOB NOT NULL, gas INTEGER NOT "
    "NULL, tip BLOB NOT NULL, max_fee BLOB NOT NULL, state INTEGER NOT NULL, "
    "block INTEGER NOT NULL, block_hash BLOB NOT NULL, gas_used INTEGER NOT "
    "NULL, gas_price BLOB NOT NULL, l1_fee BLOB NOT NULL, replaced_by INTEGER "
    "NOT NULL, created INTEGER NOT NULL, sent INTEGER NOT NULL) STRICT",
};
enum { N_TABLES = sizeof tables / sizeof tables[0] };

/* One number that a statement gives. */
static int number(cv_outbox *o, int64_t *out, const char *sql, cv_err *err)
{
    sqlite3_stmt *st;
    int row = 0, rc = cv_odb_query(o, &st, err, sql, "");
    if (!rc)
        rc = cv_odb_step(o, st, &row, err);
    *out = !rc && row ? sqlite3_column_int64(st, 0) : -1;
    sqlite3_finalize(st);
    return rc;
}

static int make_tables(cv_outbox *o, cv_err *err)
{
    int rc = 0;
    for (int i = 0; i < N_TABLES && !rc; i++)
        rc = cv_odb_run(o, err, tables[i], "");
    char *sql = cv_asprintf("PRAGMA application_id=%d", APPLICATION);
    if (!rc)
        rc = cv_odb_run(o, err, sql, "");
    free(sql);
    sql = cv_asprintf("PRAGMA user_version=%d", VERSION);
    if (!rc)
        rc = cv_odb_run(o, err, sql, "");
    free(sql);
    return rc;
}

/* Exactly our tables: no trigger, view, index or virtual table of somebody
 * else's is ever met by a statement of ours. */
static int check_tables(cv_outbox *o, cv_err *err)
{
    sqlite3_stmt *st;
    int row, seen = 0;
    int rc = cv_odb_query(o, &st, err,
                          "SELECT sql FROM sqlite_schema ORDER BY rowid", "");
    while (!rc && !(rc = cv_odb_step(o, st, &row, err)) && row) {
        const char *sql = (const char *)sqlite3_column_text(st, 0);
        int same = sql && seen < N_TABLES && strcmp(sql, tables[seen]) == 0;
        seen++;
        if (!same)
            rc = cv_odb_damaged(o, err,
                                "expected the %d tables of an outbox, "
                                "found another table, view or trigger",
                                N_TABLES);
    }
    sqlite3_finalize(st);
    if (!rc && seen != N_TABLES)
        rc = cv_odb_damaged(o, err, "expected %d tables, found %d", N_TABLES,
                            seen);
    return rc;
}

static int quick_check(cv_outbox *o, cv_err *err)
{
    sqlite3_stmt *st;
    int row = 0, rc = cv_odb_query(o, &st, err, "PRAGMA quick_check(1)", "");
    if (!rc)
        rc = cv_odb_step(o, st, &row, err);
    const char *said =
        !rc && row ? (const char *)sqlite3_column_text(st, 0) : NULL;
    if (!rc && (!said || strcmp(said, "ok") != 0))
        rc = cv_odb_damaged(o, err, "its pages do not hold together");
    sqlite3_finalize(st);
    return rc;
}

int cv_outbox_schema(cv_outbox *o, int create, cv_err *err)
{
    int64_t application, version, objects;
    /* Two processes may be making it: only within the lock is it known. */
    int rc = cv_odb_begin(o, create, err);
    if (rc)
        return rc;
    rc = number(o, &application, "PRAGMA application_id", err);
    if (!rc)
        rc = number(o, &version, "PRAGMA user_version", err);
    if (!rc)
        rc = number(o, &objects, "SELECT count(*) FROM sqlite_schema", err);
    if (rc)
        goto out;
    if (!application && !version && !objects && create)
        rc = make_tables(o, err);
    else if (application != APPLICATION)
        rc = cv_err_set(err, CV_ERR_VERIFY, o->path, 0,
                        "expected Covey's outbox, found an SQLite file of "
                        "something else; is this the run folder?");
    else if (version != VERSION)
        rc = cv_err_set(err, CV_ERR_VERIFY, o->path, 0,
                        "expected an outbox of version %d, found version %lld; "
                        "use the covey that wrote it",
                        VERSION, (long long)version);
    else
        rc = check_tables(o, err);
    if (!rc)
        rc = quick_check(o, err);
out:
    return cv_odb_end(o, rc, err);
}

/* Bytes 18 and 19 of the header say whether it is in WAL mode, which would want
 * shared memory; read before SQLite acts on them, and through SQLite's own file:
 * closing another descriptor would give up the locks of this process. */
static int check_header(cv_outbox *o, int create, cv_err *err)
{
    sqlite3_file *file = NULL;
    uint8_t head[20] = {0};
    sqlite3_int64 size = 0;
    if (sqlite3_file_control(o->db, "main", SQLITE_FCNTL_FILE_POINTER, &file) !=
            SQLITE_OK ||
        !file || !file->pMethods ||
        file->pMethods->xFileSize(file, &size) != SQLITE_OK)
        return cv_err_set(err, CV_ERR_ENV, o->path, 0, "cannot be read");
    if (size == 0)
        return create ? 0
                      : cv_err_set(err, CV_ERR_VERIFY, o->path, 0,
                                   "expected an outbox, found an empty file");
    int rc = file->pMethods->xRead(file, head, sizeof head, 0);
    if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)
        return cv_err_set(err, CV_ERR_ENV, o->path, 0, "cannot be read");
    if (memcmp(head, "SQLite format 3", 16) != 0)
        return cv_err_set(err, CV_ERR_VERIFY, o->path, 0,
                          "expected an outbox, found another kind of file");
    if (head[18] != 1 || head[19] != 1)
        return cv_odb_damaged(o, err,
                              "expected a rollback journal, found WAL "
                              "mode, which network file systems do not "
                              "stand");
    return 0;
}

static const struct {
    int limit, value;
} limits[] = {
    {SQLITE_LIMIT_LENGTH, CV_OUTBOX_MAX_VALUE + 4096},
    {SQLITE_LIMIT_SQL_LENGTH, 65536},
    {SQLITE_LIMIT_COLUMN, 64},
    {SQLITE_LIMIT_EXPR_DEPTH, 20},
    {SQLITE_LIMIT_COMPOUND_SELECT, 3},
    {SQLITE_LIMIT_VDBE_OP, 25000},
    {SQLITE_LIMIT_FUNCTION_ARG, 8},
    {SQLITE_LIMIT_ATTACHED, 0},
    {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50},
    {SQLITE_LIMIT_VARIABLE_NUMBER, 64},
    {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
    {SQLITE_LIMIT_WORKER_THREADS, 0},
};
static const struct {
    int option, value;
} config[] = {
    {SQLITE_DBCONFIG_DEFENSIVE, 1},
    {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
    {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
    {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
    {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
    {SQLITE_DBCONFIG_DQS_DML, 0},
    {SQLITE_DBCONFIG_DQS_DDL, 0},
};

static int configure(cv_outbox *o, cv_err *err)
{
    /* Rollback journal, everything synced, nothing mapped into memory. */
    static const char *const pragmas[] = {
        "PRAGMA trusted_schema=OFF", "PRAGMA mmap_size=0",
        "PRAGMA cell_size_check=ON", "PRAGMA synchronous=FULL",
        "PRAGMA temp_store=MEMORY",  "PRAGMA journal_mode=TRUNCATE"};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        sqlite3_limit(o->db, limits[i].limit, limits[i].value);
    for (size_t i = 0; i < sizeof config / sizeof config[0]; i++)
        if (sqlite3_db_config(o->db, config[i].option, config[i].value, NULL) !=
            SQLITE_OK)
            return cv_err_set(err, CV_ERR_ENV, o->path, 0,
                              "this SQLite (%s) lacks the settings for files "
                              "from outside; 3.37 or newer is needed",
                              sqlite3_libversion());
    if (sqlite3_busy_timeout(o->db, 10000) != SQLITE_OK)
        return cv_odb_fail(o, "cannot be opened", err);
    int rc = 0;
    for (size_t i = 0; i < sizeof pragmas / sizeof pragmas[0] && !rc; i++)
        rc = cv_odb_run(o, err, pragmas[i], "");
    return rc;
}

int cv_outbox_open(const char *path, int create, cv_outbox **out, cv_err *err)
{
    *out = NULL;
    int is_new = !cv_fs_exists(path);
    if (is_new && !create)
        return cv_err_set(err, CV_ERR_INPUT, path, 0,
                          "is not there; expected the outbox of a run whose "
                          "job has a chain");
    cv_outbox *o = CV_NEW(1, cv_outbox);
    /* ":memory:" and "file:" would not be files. */
    o->path = cv_asprintf("%s%s", path[0] == '/' ? "" : "./", path);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE |
                (create ? SQLITE_OPEN_CREATE : 0);
    int rc = 0;
    if (sqlite3_open_v2(o->path, &o->db, flags, NULL) != SQLITE_OK)
        rc = cv_err_set(err, CV_ERR_ENV, path, 0, "cannot be opened: %s",
                        o->db ? sqlite3_errmsg(o->db) : "no memory");
    if (!rc)
        rc = check_header(o, create, err);
    if (!rc)
        rc = configure(o, err);
    if (!rc)
        rc = cv_outbox_schema(o, create, err);
    if (!rc && is_new)
        rc = cv_fs_sync_dir_of(o->path, err);
    if (rc)
        cv_outbox_close(&o);
    *out = o;
    return rc;
}

void cv_outbox_close(cv_outbox **o)
{
    if (!*o)
        return;
    sqlite3_close((*o)->db);
    free((*o)->path);
    CV_FREE(*o);
}
