/* How a run finds its way back: the newest round that is whole in RUN, and of
 * which every silo still has its own part. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "jobs/fit.h"
#include "jobs/restore.h"
#include "jobs/saved.h"
#include "jobs/site.h"
#include "jobs/state.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"
#include "privacy/quantise.h"

/* ---- what RUN holds ------------------------------------------------------ */

enum { MAX_CANDIDATES = 64 };

typedef struct {
    int64_t round[MAX_CANDIDATES];  /* newest first */
    char model[MAX_CANDIDATES][65]; /* digest of the model */
    char *path[MAX_CANDIDATES];     /* at the root */
    int n;
    uint8_t run_id[32];
    int n_damaged; /* files that are there and of no use */
    cv_err damage; /* of the newest of them */
} candidates;

/* Read and written again, for an older program may have written it. */
static int same_schema(const cv_schema *ours, const char *saved)
{
    cv_schema *schema = NULL;
    cv_err ignored;
    if (cv_schema_from_text(saved, &schema, &ignored) != 0)
        return 0;
    char *a = cv_schema_to_text(schema), *b = cv_schema_to_text(ours);
    int same = strcmp(a, b) == 0;
    free(a);
    free(b);
    cv_schema_destroy(&schema);
    return same;
}

/* Were the silos' data what they are now? Columns, levels and pooled numbers
 * stand in the schema, row counts in the weights. */
static int check_data(const cv_run *run, cv_h5_reader *r, const char *path,
                      cv_err *err)
{
    size_t n = (size_t)run->fed.n_silos;
    char *schema = NULL;
    double *share = CV_NEW(n, double);
    int rc = cv_h5_get_string(r, "/data/schema", &schema, err);
    if (!rc)
        rc = cv_h5_get_column(r, "/silos", "share", CV_H5_F64, share,
                              run->fed.n_silos, err);
    if (!rc && (!same_schema(run->schema, schema) ||
                memcmp(share, run->weight, n * sizeof *share) != 0))
        rc = cv_err_set(err, CV_ERR_INPUT, path, 0,
                        "the silos' data have changed since this checkpoint "
                        "(columns, levels, pooled means or numbers of rows); "
                        "put the old data back, or start a new run in another "
                        "folder with --out");
    free(schema);
    free(share);
    return rc;
}

/* Was it made by this job? The digest may be that of an older program, which
 * knew fewer keys: then the job itself is read again, defaults and all. */
static int check_job(const cv_run *run, cv_h5_reader *r, const char *path,
                     cv_err *err)
{
    char *digest = NULL, *text = NULL, hex[65];
    cv_job *saved = NULL;
    cv_err ignored;
    int rc = cv_h5_get_attr_string(r, "/", "job_digest", &digest, err);
    cv_hex(hex, run->job->digest, 32);
    int same = !rc && strcmp(digest, hex) == 0;
    if (!rc && !same && cv_h5_get_string(r, "/job", &text, &ignored) == 0 &&
        cv_job_parse(text, path, &saved, &ignored) == 0)
        same = memcmp(saved->digest, run->job->digest, 32) == 0;
    if (!rc && !same)
        rc = cv_err_set(err, CV_ERR_INPUT, path, 0,
                        "a checkpoint of another job (digest %.12s, this job "
                        "has %.12s): choose another folder with --out; only "
                        "training.rounds, checkpoint, chain.settle and "
                        "chain.rewards.version may change",
                        digest, hex);
    cv_job_destroy(&saved);
    free(text);
    free(digest);
    return rc;
}

/* Is the file whole, of this job and of these data? */
static int candidate_holds(const cv_run *run, const char *path, int64_t *round,
                           uint8_t run_id[32], char model[65], cv_err *err)
{
    cv_h5_reader *r = NULL;
    char *id = NULL, *digest = NULL;
    int rc = cv_h5_open(path, CV_FORMAT_VERSION, &r, err);
    if (!rc)
        rc = check_job(run, r, path, err);
    if (!rc)
        rc = cv_h5_get_attr_string(r, "/", "run_id", &id, err);
    if (!rc)
        rc = cv_h5_get_attr_i64(r, "/", "round", round, err);
    if (!rc)
        rc = cv_h5_get_attr_string(r, "/model", "digest", &digest, err);
    if (!rc && cv_unhex(run_id, id, 32))
        rc = cv_err_set(err, CV_ERR_VERIFY, path, 0, "run_id is damaged");
    if (!rc)
        rc = check_data(run, r, path, err);
    if (!rc)
        snprintf(model, 65, "%s", digest);
    free(id);
    free(digest);
    cv_h5_close(&r);
    return rc;
}

/* Files come newest first, run.h5 before the others. A damaged one is no
 * candidate, and no error either. Once there is a candidate, neither is what
 * another run has left in the folder, nor a round after that: it was lost, and
 * this run has not reached it again. */
static int add_candidate(const cv_run *run, candidates *c, const char *path,
                         cv_err *err)
{
    int64_t round = 0;
    uint8_t id[32];
    char model[65];
    int rc = candidate_holds(run, path, &round, id, model, err);
    if (rc == CV_ERR_VERIFY || rc == CV_ERR_ENV) {
        cv_log(CV_LOG_INFO, "checkpoint_damaged", "file=%s reason=\"%s\"", path,
               err->text);
        if (!c->n_damaged++)
            c->damage = *err;
        return 0;
    }
    if (c->n && (rc || round >= c->round[c->n - 1] ||
                 memcmp(c->run_id, id, sizeof id) != 0))
        return 0;
    if (rc || c->n == MAX_CANDIDATES)
        return rc;
    memcpy(c->run_id, id, sizeof id);
    memcpy(c->model[c->n], model, sizeof model);
    c->round[c->n] = round;
    c->path[c->n++] = cv_strdup(path);
    return 0;
}

/* At the root: run.h5 and the kept rounds, newest first. */
static int find_candidates(const cv_run *run, candidates *c, cv_err *err)
{
    int64_t *rounds = NULL;
    size_t n = 0;
    char *path = cv_asprintf("%s/run.h5", run->dir);
    int rc = cv_fs_exists(path) ? add_candidate(run, c, path, err) : 0;
    free(path);
    if (!rc)
        rc = cv_h5_list(run->dir, "round", &rounds, &n, err);
    for (size_t i = 0; i < n && !rc; i++) {
        path =
            cv_asprintf("%s/round-%06lld.h5", run->dir, (long long)rounds[i]);
        rc = add_candidate(run, c, path, err);
        free(path);
    }
    free(rounds);
    if (!rc && c->n_damaged && !c->n)
        rc = cv_err_set(err, CV_ERR_VERIFY, c->damage.file, 0,
                        "%s; no other checkpoint in the folder is whole; "
                        "restore one from a backup, or start anew in another "
                        "folder with --out",
                        c->damage.text);
    return rc;
}

/* ---- what the silos hold ------------------------------------------------- */

/* The state that goes with candidate i, into h->state; if only_look, into
 * h->next, which no round needs. */
static int load_silo(const cv_run *run, const cv_hosted *h, const candidates *c,
                     int i, int only_look, cv_err *err)
{
    char *dir = cv_state_dir(run, h), *id = NULL, *model = NULL, hex[65];
    char *path = cv_asprintf("%s/silo-%s-%06lld.h5", dir, h->name,
                             (long long)c->round[i]);
    cv_h5_reader *r = NULL;
    int rc = cv_h5_open(path, CV_FORMAT_VERSION, &r, err);
    if (!rc)
        rc = cv_h5_get_attr_string(r, "/", "run_id", &id, err);
    if (!rc)
        rc = cv_h5_get_attr_string(r, "/", "model_digest", &model, err);
    cv_hex(hex, run->run_id, 32);
    if (!rc && strcmp(id, hex) != 0)
        rc = cv_err_set(err, CV_ERR_VERIFY, path, 0, "state of another run");
    if (!rc && strcmp(model, c->model[i]) != 0)
        rc = cv_err_set(err, CV_ERR_VERIFY, path, 0,
                        "it belongs to another attempt at this round");
    for (int k = 0; k < run->strategy->n_silo && !rc; k++) {
        char *name = cv_asprintf("/state/%s", run->strategy->silo_names[k]);
        float *into = only_look ? h->next[k] : h->state[k];
        rc = cv_h5_get(r, name, CV_H5_F32, into, run->n, err);
        free(name);
    }
    if (rc)
        cv_err_prefix(err, "local state of round %lld", (long long)c->round[i]);
    cv_h5_close(&r);
    free(id);
    free(model);
    free(path);
    free(dir);
    return rc;
}

/* The newest candidate that all silos hold, -1 if none. Where it is not the
 * newest of all, err says on every rank why that one is not. */
static int agree_candidate_all(const cv_run *run, const candidates *c,
                               cv_err *err)
{
    uint64_t lacking[MAX_CANDIDATES] = {0};
    int leader = cv_fed_is_leader(&run->fed), rc = 0;
    for (int i = 0; i < c->n && leader && run->strategy->n_silo; i++)
        for (int s = 0; s < run->fed.n_hosted; s++) {
            cv_err e;
            if (load_silo(run, &run->hosted[s], c, i, 1, &e) == 0)
                continue;
            lacking[i]++;
            if (i > 0 || rc)
                continue;
            *err = e;
            cv_site_error(run, &run->hosted[s], err);
            rc = CV_ERR_VERIFY;
        }
    cv_sum_u64_all(run->fed.world, lacking, MAX_CANDIDATES);
    int pick = 0;
    while (pick < c->n && lacking[pick])
        pick++;
    if (pick > 0)
        (void)cv_agree_all(run->fed.world, rc, err);
    return pick < c->n ? pick : -1;
}

/* ---- loading ------------------------------------------------------------- */

static int load_history(cv_h5_reader *r, cv_run *run, cv_err *err)
{
    int64_t n = 0;
    int rc = cv_h5_table_rows(r, "/history", &n, err);
    if (rc)
        return rc;
    if (n != run->round)
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "history has %lld rows after %lld rounds",
                          (long long)n, (long long)run->round);
    run->history = cv_realloc(NULL, (size_t)n + 1, sizeof *run->history);
    memset(run->history, 0, ((size_t)n + 1) * sizeof *run->history);
    run->n_history = run->cap_history = n;
    double *col = CV_NEW(n, double);
    for (int c = 0; c < 4 + run->n_metrics + CV_N_PHASES && !rc; c++) {
        static const char *const fixed[4] = {"round", "silos", "train_loss",
                                             "update"};
        char name[48];
        int metric = c - 4, phase = metric - run->n_metrics;
        if (c < 4)
            snprintf(name, sizeof name, "%s", fixed[c]);
        else if (phase < 0)
            snprintf(name, sizeof name, "test_%s", run->metric_names[metric]);
        else
            snprintf(name, sizeof name, "seconds_%s", cv_phase_names[phase]);
        rc = cv_h5_get_column(r, "/history", name, CV_H5_F64, col, n, err);
        for (int64_t i = 0; i < n && !rc; i++) {
            cv_history_row *h = &run->history[i];
            if (c == 0)
                h->round = (int64_t)col[i];
            else if (c == 1)
                h->n_silos = (int64_t)col[i];
            else
                *(c == 2      ? &h->train_loss
                  : c == 3    ? &h->update
                  : phase < 0 ? &h->metrics[metric]
                              : &h->seconds[phase]) = col[i];
        }
    }
    if (!rc && run->job->privacy.enabled)
        rc = cv_h5_get_column(r, "/history", "epsilon", CV_H5_F64, col, n, err);
    for (int64_t i = 0; i < n && !rc; i++)
        run->history[i].epsilon = run->job->privacy.enabled ? col[i] : NAN;
    free(col);
    return rc;
}

/* A file with valid checksums may still come from a hostile hand. */
static int check_loaded(const cv_run *run, const char *path, cv_err *err)
{
    int ok = run->fit || isfinite(cv_max_abs(run->w, run->n));
    for (int k = 0; k < CV_MAX_PAYLOAD; k++)
        ok &= run->exponent[k] == CV_NO_EXPONENT ||
              (run->exponent[k] > -1200 && run->exponent[k] < 1200);
    for (int i = 0; i < run->fed.n_silos; i++)
        ok &= run->taken[i] >= 0 && run->taken[i] <= run->round &&
              run->status[i] >= CV_SILO_NOT_DRAWN &&
              run->status[i] <= CV_SILO_FEW_ROWS;
    for (int k = 0; k < run->strategy->n_server; k++)
        ok &= isfinite(cv_max_abs(run->server_state[k], run->n));
    if (ok)
        return 0;
    return cv_err_set(err, CV_ERR_VERIFY, path, 0,
                      "holds values that no run of Covey can have saved");
}

static int load_run(cv_run *run, const char *path, cv_err *err)
{
    cv_h5_reader *r = NULL;
    const cv_strategy *st = run->strategy;
    int rc = cv_h5_open(path, CV_FORMAT_VERSION, &r, err);
    if (!rc && run->fit)
        rc = cv_fit_load(r, run->fit->model, run->fit->v, err);
    else if (!rc)
        rc = cv_load_params(r, cv_model_params(run->model), run->w, err);
    for (int k = 0; k < st->n_server && !rc; k++) {
        char *name = cv_asprintf("/optimizer/%s", st->server_names[k]);
        rc = cv_h5_get(r, name, CV_H5_F32, run->server_state[k], run->n, err);
        free(name);
    }
    if (!rc)
        rc = cv_h5_get(r, "/optimizer/grid_exponent", CV_H5_I32, run->exponent,
                       CV_MAX_PAYLOAD, err);
    if (!rc)
        rc = cv_h5_get_column(r, "/silos", "rounds_taken", CV_H5_I64,
                              run->taken, run->fed.n_silos, err);
    if (!rc)
        rc = cv_h5_get_column(r, "/silos", "status", CV_H5_I32, run->status,
                              run->fed.n_silos, err);
    if (!rc)
        rc = load_history(r, run, err);
    if (!rc)
        rc = cv_restore_privacy(r, run, err);
    if (!rc)
        rc = check_loaded(run, path, err);
    cv_h5_close(&r);
    return rc;
}

static void share_state_all(cv_run *run)
{
    MPI_Comm world = run->fed.world;
    size_t bytes = run->n * sizeof(float);
    if (run->fit)
        cv_bcast_bytes_all(world, run->fit->v, run->n * sizeof(double), 0);
    else
        cv_bcast_bytes_all(world, run->w, bytes, 0);
    if (cv_fed_is_leader(&run->fed))
        for (int k = 0; k < run->strategy->n_server; k++)
            cv_bcast_bytes_all(run->fed.leaders, run->server_state[k], bytes,
                               0);
    cv_bcast_bytes_all(world, run->exponent, sizeof run->exponent, 0);
    cv_bcast_bytes_all(world, run->taken,
                       (size_t)run->fed.n_silos * sizeof *run->taken, 0);
    cv_bcast_bytes_all(world, run->status,
                       (size_t)run->fed.n_silos * sizeof *run->status, 0);
    cv_bcast_bytes_all(world, &run->n_history, sizeof run->n_history, 0);
    if (run->fed.rank != 0) {
        run->cap_history = run->n_history;
        run->history =
            cv_realloc(NULL, (size_t)run->n_history + 1, sizeof *run->history);
    }
    cv_bcast_bytes_all(world, run->history,
                       (size_t)run->n_history * sizeof *run->history, 0);
    cv_restore_share_privacy_all(run);
}

/* One line where the newest checkpoint could not be used. */
static void tell_fallback(const candidates *c, int pick, const cv_err *why)
{
    if (pick > 0)
        cv_log(CV_LOG_WARN, "checkpoint_passed_over",
               "round=%lld reason=\"%s\" resume_from=%s",
               (long long)c->round[0], why->text, c->path[pick]);
    else if (c->n_damaged)
        cv_log(CV_LOG_WARN, "checkpoint_damaged",
               "file=%s reason=\"%s\" resume_from=%s", c->damage.file,
               c->damage.text, c->path[pick]);
}

int cv_restore_all(cv_run *run, cv_err *err)
{
    candidates c = {0};
    int rc = run->fed.rank == 0 ? find_candidates(run, &c, err) : 0, pick = -1;
    rc = cv_agree_all(run->fed.world, rc, err);
    if (rc)
        goto out;
    cv_bcast_bytes_all(run->fed.world, &c.n, sizeof c.n, 0);
    if (c.n < 0 || c.n > MAX_CANDIDATES)
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                        "rank 0 found %d checkpoints, which is not possible",
                        c.n);
    rc = cv_agree_all(run->fed.world, rc, err);
    if (rc) {
        c.n = run->fed.rank == 0 ? c.n : 0;
        goto out;
    }
    /* A run that has an id has a checkpoint of round 1 or later: from anything
     * else, rounds that silos have signed would be done again unseen. Every rank
     * says so for itself. */
    if (!c.n && run->old_id)
        rc = cv_err_set(err, CV_ERR_VERIFY, run->dir, 0,
                        "expected a checkpoint of the run that would go on, "
                        "found none; restore the newest one, or begin a new "
                        "run in another folder (--out)");
    rc = cv_agree_all(run->fed.world, rc, err);
    if (rc || !c.n)
        goto out;
    cv_bcast_bytes_all(run->fed.world, c.round, sizeof c.round, 0);
    cv_bcast_bytes_all(run->fed.world, c.model, sizeof c.model, 0);
    cv_bcast_bytes_all(run->fed.world, c.run_id, sizeof c.run_id, 0);
    if (run->has_id && memcmp(run->run_id, c.run_id, 32) != 0)
        rc = cv_err_set(err, CV_ERR_VERIFY, run->dir, 0,
                        "the run folder changed while the run was set up");
    rc = cv_agree_all(run->fed.world, rc, err);
    if (rc)
        goto out;
    memcpy(run->run_id, c.run_id, sizeof run->run_id);
    pick = agree_candidate_all(run, &c, err);
    if (pick < 0) {
        char why[sizeof err->text];
        memcpy(why, err->text, sizeof why);
        rc = cv_err_set(err, CV_ERR_VERIFY, run->dir, 0,
                        "no checkpoint is matched by every silo: %s; restore "
                        "that silo's state folder, or start a new run in "
                        "another folder with --out",
                        why);
        goto out;
    }
    run->round = c.round[pick];
    if (run->round < 1)
        rc = cv_err_set(err, CV_ERR_VERIFY, run->dir, 0,
                        "the checkpoint says that it is of round %lld; a run "
                        "saves none before round 1",
                        (long long)run->round);
    rc = cv_agree_all(run->fed.world, rc, err);
    if (rc)
        goto out;
    if (run->fed.rank == 0) {
        tell_fallback(&c, pick, err);
        rc = load_run(run, c.path[pick], err);
    }
    for (int s = 0; s < run->fed.n_hosted && !rc && run->strategy->n_silo; s++)
        if (cv_fed_is_leader(&run->fed)) {
            rc = load_silo(run, &run->hosted[s], &c, pick, 0, err);
            if (rc)
                cv_site_error(run, &run->hosted[s], err);
        }
    rc = cv_agree_all(run->fed.world, rc, err);
    if (rc)
        goto out;
    share_state_all(run);
    if (run->fed.rank == 0) {
        const char *end = strrchr(c.path[pick], '/');
        run->behind = strcmp(end ? end : "", "/run.h5") != 0;
    }
    cv_bcast_bytes_all(run->fed.world, &run->behind, sizeof run->behind, 0);
out:
    if (run->fed.rank == 0)
        for (int i = 0; i < c.n; i++)
            free(c.path[i]);
    return rc;
}
