#include "chain/outbox.h"

#include <stdlib.h>
#include <string.h>

#include "chain/outbox_db.h"
#include "core/mem.h"

const char *cv_outbox_state_name(cv_outbox_state s)
{
    static const char *const names[] = {"queued", "sent", "mined", "safe",
                                        "final"};
    return (size_t)s < sizeof names / sizeof names[0] ? names[s] : "unknown";
}

int cv_outbox_silos(cv_outbox *o, uint32_t *n, cv_err *err)
{
    sqlite3_stmt *st;
    int row = 0;
    *n = 0;
    int rc = cv_odb_query(o, &st, err, "SELECT n FROM run", "");
    if (!rc)
        rc = cv_odb_step(o, st, &row, err);
    if (!rc && row) {
        cv_row r = {.st = st};
        *n = (uint32_t)cv_row_u64(&r, 1, CV_MAX_ATTESTERS);
        rc = cv_row_check(o, &r, "run", err);
    }
    sqlite3_finalize(st);
    return rc;
}

void cv_outbox_terms(cv_run_terms *out, cv_address *attesters,
                     const cv_outbox_run *run)
{
    *out = (cv_run_terms){
        .attesters = attesters, .n = run->n, .collusion = run->collusion};
    memcpy(out->salt, run->run_id, 32);
    memcpy(out->job, run->job, 32);
    for (uint32_t i = 0; i < run->n; i++)
        attesters[i] = run->silos[i].attester;
}

static int load_silos(cv_outbox *o, cv_outbox_run *run, cv_err *err)
{
    sqlite3_stmt *st;
    int row;
    uint32_t seen = 0;
    int rc =
        cv_odb_query(o, &st, err,
                     "SELECT i, name, identity, attester, binding, opening "
                     "FROM silo ORDER BY i",
                     "");
    while (!rc && !(rc = cv_odb_step(o, st, &row, err)) && row) {
        if (seen == run->n) {
            rc = cv_odb_damaged(o, err, "more silos than the run has");
            break;
        }
        cv_outbox_silo *s = &run->silos[seen];
        cv_row r = {.st = st};
        cv_row_u64(&r, seen, seen);
        cv_row_text(&r, s->name, sizeof s->name);
        cv_row_bytes(&r, s->identity.b, sizeof s->identity.b);
        cv_row_bytes(&r, s->attester.b, sizeof s->attester.b);
        cv_row_bytes(&r, s->binding.b, sizeof s->binding.b);
        cv_row_bytes(&r, s->opening.b, sizeof s->opening.b);
        rc = cv_row_check(o, &r, "silo", err);
        seen++;
    }
    sqlite3_finalize(st);
    if (!rc && seen != run->n)
        rc =
            cv_odb_damaged(o, err, "expected %u silos, found %u", run->n, seen);
    return rc;
}

static int load_run(cv_outbox *o, cv_outbox_run *run, int *found, cv_err *err)
{
    sqlite3_stmt *st;
    int row = 0;
    *found = 0;
    memset(run, 0, sizeof *run);
    int rc = cv_odb_query(o, &st, err,
                          "SELECT run_id, job, chain_id, contract, network, n, "
                          "collusion, simulated FROM run",
                          "");
    if (!rc)
        rc = cv_odb_step(o, st, &row, err);
    if (!rc && row) {
        cv_row r = {.st = st};
        cv_row_bytes(&r, run->run_id, 32);
        cv_row_bytes(&r, run->job, 32);
        run->federation.chain_id = cv_row_u64(&r, 1, INT64_MAX);
        cv_row_bytes(&r, run->federation.contract.b, CV_ADDRESS_BYTES);
        cv_row_text(&r, run->network, sizeof run->network);
        run->n = (uint32_t)cv_row_u64(&r, 1, CV_MAX_ATTESTERS);
        run->collusion = (uint32_t)cv_row_u64(&r, 0, CV_MAX_ATTESTERS);
        run->simulated = (int)cv_row_u64(&r, 0, 1);
        rc = cv_row_check(o, &r, "run", err);
    }
    sqlite3_finalize(st);
    if (rc || !row)
        return rc;
    run->silos = CV_NEW(run->n, cv_outbox_silo);
    rc = load_silos(o, run, err);
    if (rc) {
        cv_outbox_run_free(run);
        return rc;
    }
    cv_address attesters[CV_MAX_ATTESTERS];
    cv_run_terms terms;
    cv_outbox_terms(&terms, attesters, run);
    cv_chain_run_id(run->on_chain, &terms);
    *found = 1;
    return 0;
}

int cv_outbox_which(cv_outbox *o, uint32_t *n, uint8_t id[32], cv_err *err)
{
    cv_outbox_run run;
    int found, rc = load_run(o, &run, &found, err);
    *n = found ? run.n : 0;
    memcpy(id, run.on_chain, 32);
    cv_outbox_run_free(&run);
    return rc;
}

int cv_outbox_load_run(cv_outbox *o, cv_outbox_run *run, int *found,
                       cv_err *err)
{
    int rc = cv_odb_begin(o, 0, err);
    *found = 0;
    memset(run, 0, sizeof *run);
    if (!rc)
        rc = cv_odb_end(o, load_run(o, run, found, err), err);
    return rc;
}

void cv_outbox_run_free(cv_outbox_run *run)
{
    CV_FREE(run->silos);
}

static int same_run(const cv_outbox_run *a, const cv_outbox_run *b)
{
    if (memcmp(a->run_id, b->run_id, 32) != 0 ||
        memcmp(a->job, b->job, 32) != 0 ||
        a->federation.chain_id != b->federation.chain_id ||
        memcmp(&a->federation.contract, &b->federation.contract,
               sizeof(cv_address)) != 0 ||
        strcmp(a->network, b->network) != 0 || a->n != b->n ||
        a->collusion != b->collusion || a->simulated != b->simulated)
        return 0;
    for (uint32_t i = 0; i < a->n; i++) {
        const cv_outbox_silo *s = &a->silos[i], *t = &b->silos[i];
        if (strcmp(s->name, t->name) != 0 ||
            memcmp(&s->identity, &t->identity, sizeof s->identity) != 0 ||
            memcmp(&s->attester, &t->attester, sizeof s->attester) != 0 ||
            memcmp(&s->binding, &t->binding, sizeof s->binding) != 0 ||
            memcmp(&s->opening, &t->opening, sizeof s->opening) != 0)
            return 0;
    }
    return 1;
}

static int insert_run(cv_outbox *o, const cv_outbox_run *run, cv_err *err)
{
    const cv_federation *f = &run->federation;
    int rc = cv_odb_run(
        o, err, "INSERT INTO run VALUES(1, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        "bbubtuui", run->run_id, (size_t)32, run->job, (size_t)32, f->chain_id,
        f->contract.b, (size_t)CV_ADDRESS_BYTES, run->network, (uint64_t)run->n,
        (uint64_t)run->collusion, run->simulated != 0);
    for (uint32_t i = 0; i < run->n && !rc; i++) {
        const cv_outbox_silo *s = &run->silos[i];
        rc = cv_odb_run(
            o, err, "INSERT INTO silo VALUES(?, ?, ?, ?, ?, ?)", "utbbbb",
            (uint64_t)i, s->name, s->identity.b, (size_t)CV_PUBKEY_BYTES,
            s->attester.b, (size_t)CV_ADDRESS_BYTES, s->binding.b,
            (size_t)CV_SIG_BYTES, s->opening.b, (size_t)CV_SIG_BYTES);
    }
    return rc;
}

int cv_outbox_put_run(cv_outbox *o, const cv_outbox_run *run, cv_err *err)
{
    cv_outbox_run there = {0};
    int found = 0;
    CV_CHECK(run->n >= 1 && run->n <= CV_MAX_ATTESTERS);
    int rc = cv_odb_begin(o, 1, err);
    if (rc)
        return rc;
    rc = load_run(o, &there, &found, err);
    if (!rc && !found)
        rc = insert_run(o, run, err);
    else if (!rc && !same_run(run, &there))
        rc = cv_err_set(err, CV_ERR_VERIFY, o->path, 0,
                        "expected the outbox of this run, found %s; a run "
                        "folder holds one run: choose another with --out",
                        memcmp(run->run_id, there.run_id, 32) == 0
                            ? "other silos, keys or another contract for it"
                            : "that of another run");
    cv_outbox_run_free(&there);
    return cv_odb_end(o, rc, err);
}

int cv_outbox_count(cv_outbox *o, uint64_t *count, cv_err *err)
{
    sqlite3_stmt *st;
    int row;
    memset(count, 0, (CV_OUTBOX_FINAL + 1) * sizeof *count);
    int rc = cv_odb_query(
        o, &st, err, "SELECT state, count(*) FROM record GROUP BY state", "");
    while (!rc && !(rc = cv_odb_step(o, st, &row, err)) && row) {
        cv_row r = {.st = st};
        uint64_t state = cv_row_u64(&r, 0, CV_OUTBOX_FINAL);
        count[state] = cv_row_u64(&r, 0, INT64_MAX);
        rc = cv_row_check(o, &r, "record", err);
    }
    sqlite3_finalize(st);
    return rc;
}
