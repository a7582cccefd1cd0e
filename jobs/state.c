/* What a run leaves on disk, and how it finds its way back.
 *
 * RUN/run.h5 is the newest checkpoint, RUN/round-NNNNNN.h5 the kept ones; each
 * site keeps its strategy's own vectors in STATE/silo-NAME.h5, saved before
 * run.h5, so that every round in RUN is held by all sites, or is not the newest
 * that they share. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "jobs/run.h"
#include "jobs/saved.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"

/* The folder of one silo's state: at its own site, one per run; in RUN when
 * the silo is simulated. */
static char *silo_dir(const cv_run *run, const cv_hosted *h)
{
    char id[17];
    if (!h->own_site)
        return cv_asprintf("%s/state", run->dir);
    cv_hex(id, run->run_id, 8);
    return cv_asprintf("%s/%s", h->state_dir, id);
}

/* ---- saving ------------------------------------------------------------ */

static int save_silo(const cv_run *run, const cv_hosted *h, cv_err *err)
{
    char *dir = silo_dir(run, h), id[65];
    char *path = cv_asprintf("%s/silo-%s.h5", dir, h->name);
    char *stem = cv_asprintf("silo-%s", h->name);
    cv_h5_writer *w = NULL;
    int64_t dims[1] = {(int64_t)run->n};
    cv_hex(id, run->run_id, 32);
    int rc = cv_fs_mkdir(dir, 0700, err);
    if (!rc)
        rc = cv_h5_create(path, 0600, &w, err);
    if (!rc)
        rc = cv_h5_attr_i64(w, "/", "format_version", CV_FORMAT_VERSION, err);
    if (!rc)
        rc = cv_h5_attr_string(w, "/", "run_id", id, err);
    if (!rc)
        rc = cv_h5_attr_i64(w, "/", "round", run->round, err);
    for (int k = 0; k < run->strategy->n_silo && !rc; k++) {
        char *name = cv_asprintf("/state/%s", run->strategy->silo_names[k]);
        rc = cv_h5_put(w, name, CV_H5_F32, 1, dims, h->state[k], NULL, NULL,
                       err);
        free(name);
    }
    if (!rc)
        rc = cv_h5_commit(&w, err);
    cv_h5_abort(&w);
    int keep = run->job->checkpoint.keep; /* as RUN, and one more: run.h5 may */
    if (!rc)                              /* be one checkpoint behind */
        rc = cv_h5_keep(path, stem, run->round, (keep ? keep : 1) + 1, err);
    if (rc) {
        cv_err_site(err, "%s", path);
        err->file[0] = '\0';
        cv_err_prefix(err, "silo %s: local state", h->name);
    }
    free(stem);
    free(path);
    free(dir);
    return rc;
}

static int save_params(cv_h5_writer *w, const cv_run *run, cv_err *err)
{
    const cv_params *p = cv_model_params(run->model);
    for (int i = 0; i < p->n_views; i++) {
        const cv_view *v = &p->views[i];
        char *name = cv_asprintf("/model/params/%s", v->name);
        int rc = cv_h5_put(w, name, CV_H5_F32, v->rank, v->dims,
                           run->w + v->offset, NULL, NULL, err);
        free(name);
        if (rc)
            return rc;
    }
    return 0;
}

static int save_model(cv_h5_writer *w, const cv_run *run, cv_err *err)
{
    uint8_t digest[32];
    char hex[65];
    const cv_job *job = run->job;
    cv_params_digest(digest, run->w, run->n);
    cv_hex(hex, digest, 32);
    int rc = cv_h5_attr_string(w, "/model", "kind", job->model.kind, err);
    if (!rc && job->model.n_hidden)
        rc = cv_h5_attr_string(w, "/model", "activation", job->model.activation,
                               err);
    if (!rc)
        rc = cv_h5_attr_i64(w, "/model", "parameters", (int64_t)run->n, err);
    if (!rc)
        rc = cv_h5_attr_string(w, "/model", "digest", hex, err);
    if (!rc)
        rc = save_params(w, run, err);
    return rc;
}

static int save_optimizer(cv_h5_writer *w, const cv_run *run, cv_err *err)
{
    const cv_strategy *st = run->strategy;
    int64_t dims[1] = {(int64_t)run->n};
    int rc = cv_h5_attr_string(w, "/optimizer", "strategy", st->name, err);
    for (int k = 0; k < st->n_server && !rc; k++) {
        char *name = cv_asprintf("/optimizer/%s", st->server_names[k]);
        rc = cv_h5_put(w, name, CV_H5_F32, 1, dims, run->server_state[k], NULL,
                       "server state, in the order of the parameters", err);
        free(name);
    }
    if (!rc) {
        int64_t two[1] = {CV_MAX_PAYLOAD};
        rc = cv_h5_put(
            w, "/optimizer/grid_exponent", CV_H5_I32, 1, two, run->exponent,
            NULL, "updates are summed as integers in units of 2^exponent", err);
    }
    return rc;
}

static int save_data(cv_h5_writer *w, const cv_run *run, cv_err *err)
{
    const cv_schema *s = run->schema;
    int64_t dims[1] = {s->n_cols};
    char *text = cv_schema_to_text(s);
    int rc = cv_h5_put_string(w, "/data/schema", text,
                              "features, levels and preprocessing, as agreed "
                              "by all silos; read by covey predict",
                              err);
    free(text);
    if (!rc)
        rc = cv_h5_put_strings(
            w, "/data/columns", (const char *const *)s->col_names,
            (size_t)s->n_cols, "model inputs, after encoding", err);
    if (!rc)
        rc = cv_h5_put(w, "/data/shift", CV_H5_F64, 1, dims, s->shift, NULL,
                       "input = (value - shift) / unit", err);
    if (!rc)
        rc = cv_h5_put(w, "/data/unit", CV_H5_F64, 1, dims, s->unit, NULL,
                       "input = (value - shift) / unit", err);
    if (!rc)
        rc = cv_h5_attr_string(w, "/data", "target", s->target.name, err);
    if (!rc && s->target.n_levels)
        rc = cv_h5_put_strings(w, "/data/classes",
                               (const char *const *)s->target.levels,
                               (size_t)s->target.n_levels,
                               "classes of the target, in order of the model's "
                               "outputs",
                               err);
    return rc;
}

static int save_history(cv_h5_writer *w, const cv_run *run, cv_err *err)
{
    enum { FIXED = 4, MAX = FIXED + CV_MAX_METRICS + CV_N_PHASES };
    size_t n = (size_t)run->n_history;
    int64_t *whole = CV_NEW(2 * n, int64_t);
    double *real = CV_NEW((MAX - 2) * n, double);
    char names[MAX][48];
    cv_h5_column cols[MAX];
    int m = 0;
    for (int c = 0; c < FIXED + run->n_metrics + CV_N_PHASES; c++) {
        static const char *const fixed[FIXED] = {"round", "silos", "train_loss",
                                                 "update"};
        int metric = c - FIXED, phase = c - FIXED - run->n_metrics;
        double *out = real + (size_t)(c < 2 ? 0 : c - 2) * n;
        for (size_t i = 0; i < n; i++) {
            const cv_history_row *h = &run->history[i];
            if (c == 0)
                whole[i] = h->round;
            else if (c == 1)
                whole[n + i] = h->n_silos;
            else
                out[i] = c == 2      ? h->train_loss
                         : c == 3    ? h->update
                         : phase < 0 ? h->metrics[metric]
                                     : h->seconds[phase];
        }
        if (c < FIXED)
            snprintf(names[c], sizeof names[c], "%s", fixed[c]);
        else if (phase < 0)
            snprintf(names[c], sizeof names[c], "test_%s",
                     run->metric_names[metric]);
        else
            snprintf(names[c], sizeof names[c], "seconds_%s",
                     cv_phase_names[phase]);
        cols[m++] =
            (cv_h5_column){.name = names[c],
                           .unit = phase >= 0 ? "s" : NULL,
                           .type = c < 2 ? CV_H5_I64 : CV_H5_F64,
                           .data = c < 2 ? (const void *)(whole + (size_t)c * n)
                                         : (const void *)out};
    }
    int rc = cv_h5_put_table(w, "/history",
                             "one row per round; losses are means over rows",
                             cols, m, run->n_history, err);
    free(whole);
    free(real);
    return rc;
}

static int save_silos(cv_h5_writer *w, const cv_run *run, cv_err *err)
{
    size_t n = (size_t)run->fed.n_silos;
    const char **name = CV_NEW(n, const char *),
               **key = CV_NEW(n, const char *);
    for (size_t i = 0; i < n; i++) {
        name[i] = run->job->silos[i].name;
        key[i] =
            run->job->silos[i].public_key ? run->job->silos[i].public_key : "";
    }
    cv_h5_column cols[] = {
        {.name = "name", .is_string = 1, .data = name},
        {.name = "public_key", .is_string = 1, .data = key},
        {.name = "share", .type = CV_H5_F64, .data = run->weight},
        {.name = "rounds_taken", .type = CV_H5_I64, .data = run->taken},
        {.name = "status", .type = CV_H5_I32, .data = run->status}};
    int rc = cv_h5_put_table(
        w, "/silos",
        "share: weight in the mean; status of the last round: 0 not drawn, "
        "1 took part, 2 diverged, 3 too few rows",
        cols, 5, (int64_t)n, err);
    free(name);
    free(key);
    return rc;
}

static int save_root_attrs(cv_h5_writer *w, const cv_run *run, cv_err *err)
{
    char hex[65], when[32];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    int rc = cv_h5_attr_i64(w, "/", "format_version", CV_FORMAT_VERSION, err);
    if (!rc)
        rc = cv_h5_attr_string(w, "/", "program", "covey " COVEY_VERSION, err);
    cv_hex(hex, run->run_id, 32);
    if (!rc)
        rc = cv_h5_attr_string(w, "/", "run_id", hex, err);
    if (!rc)
        rc = cv_h5_attr_i64(w, "/", "round", run->round, err);
    cv_hex(hex, run->job->digest, 32);
    if (!rc)
        rc = cv_h5_attr_string(w, "/", "job_digest", hex, err);
    if (!rc)
        rc = cv_h5_attr_string(w, "/", "created", when, err);
    if (!rc)
        rc = cv_h5_put_string(w, "/job", run->job->text,
                              "the job, canonical YAML", err);
    return rc;
}

static int save_run(const cv_run *run, cv_err *err)
{
    char *path = cv_asprintf("%s/run.h5", run->dir);
    cv_h5_writer *w = NULL;
    int rc = cv_h5_create(path, 0644, &w, err);
    if (!rc)
        rc = save_root_attrs(w, run, err);
    if (!rc)
        rc = save_model(w, run, err);
    if (!rc)
        rc = save_optimizer(w, run, err);
    if (!rc)
        rc = save_data(w, run, err);
    if (!rc)
        rc = save_history(w, run, err);
    if (!rc)
        rc = save_silos(w, run, err);
    if (!rc)
        rc = cv_h5_commit(&w, err);
    cv_h5_abort(&w);
    if (!rc)
        rc = cv_h5_keep(path, "round", run->round, run->job->checkpoint.keep,
                        err);
    free(path);
    return rc;
}

int cv_save_all(cv_run *run, cv_err *err)
{
    double t0 = cv_now();
    int rc = 0, leader = cv_fed_is_leader(&run->fed);
    if (run->strategy->n_silo) {
        for (int s = 0; s < run->fed.n_hosted && leader && !rc; s++)
            rc = save_silo(run, &run->hosted[s], err);
        rc = cv_agree_all(run->fed.world, rc, err);
        if (rc)
            return rc;
    }
    if (run->fed.rank == 0)
        rc = save_run(run, err);
    rc = cv_agree_all(run->fed.world, rc, err);
    run->seconds_saving = cv_now() - t0;
    return rc;
}

/* ---- restoring ----------------------------------------------------------- */

enum { MAX_CANDIDATES = 64 };

typedef struct {
    int64_t round[MAX_CANDIDATES]; /* newest first */
    char *path[MAX_CANDIDATES];    /* at the root */
    int n;
    uint8_t run_id[32];
} candidates;

/* Is the file whole, and of this job? 1, or 0 with err filled. */
static int candidate_holds(const cv_run *run, const char *path, int64_t *round,
                           uint8_t run_id[32], cv_err *err)
{
    cv_h5_reader *r = NULL;
    char *digest = NULL, *id = NULL, hex[65];
    int rc = cv_h5_open(path, CV_FORMAT_VERSION, &r, err);
    if (!rc)
        rc = cv_h5_get_attr_string(r, "/", "job_digest", &digest, err);
    if (!rc)
        rc = cv_h5_get_attr_string(r, "/", "run_id", &id, err);
    if (!rc)
        rc = cv_h5_get_attr_i64(r, "/", "round", round, err);
    cv_hex(hex, run->job->digest, 32);
    if (!rc && strcmp(digest, hex))
        rc = cv_err_set(err, CV_ERR_INPUT, path, 0,
                        "a checkpoint of another job (digest %.12s, this job "
                        "has %.12s): choose another folder with --out; only "
                        "training.rounds and checkpoint may change",
                        digest, hex);
    if (!rc && cv_unhex(run_id, id, 32))
        rc = cv_err_set(err, CV_ERR_VERIFY, path, 0, "run_id is damaged");
    if (!rc) { /* read all of it once: damage must not show up halfway */
        float *w = CV_NEW(run->n, float);
        rc = cv_load_params(r, cv_model_params(run->model), w, err);
        free(w);
    }
    free(digest);
    free(id);
    cv_h5_close(&r);
    return rc;
}

static int add_candidate(const cv_run *run, candidates *c, const char *path,
                         cv_err *err)
{
    int64_t round = 0;
    uint8_t id[32];
    int rc = candidate_holds(run, path, &round, id, err);
    if (rc == CV_ERR_VERIFY || rc == CV_ERR_ENV) {
        char text[1100];
        cv_err_format(err, text, sizeof text);
        cv_log(CV_LOG_WARN, "checkpoint_unusable", "%s", text);
        return rc;
    }
    if (rc)
        return rc;
    if (c->n == MAX_CANDIDATES || (c->n && c->round[c->n - 1] == round))
        return 0;
    if (!c->n)
        memcpy(c->run_id, id, sizeof id);
    c->round[c->n] = round;
    c->path[c->n++] = cv_strdup(path);
    return 0;
}

/* At the root: run.h5 and the kept rounds, newest first. */
static int find_candidates(const cv_run *run, candidates *c, cv_err *err)
{
    int64_t *numbers = NULL;
    size_t n = 0, seen = 0;
    char *path = cv_asprintf("%s/run.h5", run->dir);
    int rc = 0, damaged = 0;
    if (cv_fs_exists(path)) {
        seen++;
        rc = add_candidate(run, c, path, err);
        damaged = rc == CV_ERR_VERIFY || rc == CV_ERR_ENV;
    }
    free(path);
    if (rc && !damaged)
        return rc;
    rc = cv_h5_list(run->dir, "round", &numbers, &n, err);
    for (size_t i = 0; i < n && !rc; i++) {
        path =
            cv_asprintf("%s/round-%06lld.h5", run->dir, (long long)numbers[i]);
        seen++;
        rc = add_candidate(run, c, path, err);
        if (rc == CV_ERR_VERIFY || rc == CV_ERR_ENV) {
            damaged = 1;
            rc = 0;
        }
        free(path);
    }
    free(numbers);
    if (!rc && damaged && c->n)
        cv_log(CV_LOG_WARN, "falling_back", "round=%lld file=%s",
               (long long)c->round[0], c->path[0]);
    if (!rc && seen && !c->n)
        return cv_err_set(err, CV_ERR_VERIFY, run->dir, 0,
                          "every checkpoint is damaged; restore one from a "
                          "backup, or start anew in another folder");
    return rc;
}

static int load_silo(const cv_run *run, const cv_hosted *h, int64_t round,
                     int only_look, cv_err *err)
{
    char *dir = silo_dir(run, h), *id = NULL, hex[65];
    char *path =
        cv_asprintf("%s/silo-%s-%06lld.h5", dir, h->name, (long long)round);
    cv_h5_reader *r = NULL;
    int rc = cv_h5_open(path, CV_FORMAT_VERSION, &r, err);
    if (!rc)
        rc = cv_h5_get_attr_string(r, "/", "run_id", &id, err);
    cv_hex(hex, run->run_id, 32);
    if (!rc && strcmp(id, hex))
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0, "state of another run");
    for (int k = 0; k < run->strategy->n_silo && !rc; k++) {
        char *name = cv_asprintf("/state/%s", run->strategy->silo_names[k]);
        float *into = only_look ? h->next[k] : h->state[k];
        rc = cv_h5_get(r, name, CV_H5_F32, into, run->n, err);
        free(name);
    }
    cv_h5_close(&r);
    free(id);
    free(path);
    free(dir);
    return rc;
}

/* The newest candidate that all silos hold; -1 if none. */
static int agree_candidate_all(const cv_run *run, const candidates *c)
{
    uint64_t mine[MAX_CANDIDATES] = {0};
    int leader = cv_fed_is_leader(&run->fed);
    for (int i = 0; i < c->n && leader && run->strategy->n_silo; i++)
        for (int s = 0; s < run->fed.n_hosted; s++) {
            cv_err ignored;
            if (load_silo(run, &run->hosted[s], c->round[i], 1, &ignored))
                mine[i]++; /* a silo that lacks it */
        }
    cv_sum_u64_all(run->fed.world, mine, MAX_CANDIDATES);
    for (int i = 0; i < c->n; i++)
        if (!mine[i])
            return i;
    return -1;
}

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
    free(col);
    return rc;
}

/* The root's part of the state, from one checkpoint. */
static int load_run(cv_run *run, const char *path, cv_err *err)
{
    cv_h5_reader *r = NULL;
    const cv_strategy *st = run->strategy;
    char *schema = NULL, *ours = cv_schema_to_text(run->schema);
    int rc = cv_h5_open(path, CV_FORMAT_VERSION, &r, err);
    if (!rc)
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
        rc = cv_h5_get_string(r, "/data/schema", &schema, err);
    if (!rc && strcmp(schema, ours))
        rc = cv_err_set(err, CV_ERR_INPUT, path, 0,
                        "the silos' data have changed since this checkpoint "
                        "(other columns, levels or pooled means); put the old "
                        "data back, or start a new run");
    free(schema);
    free(ours);
    cv_h5_close(&r);
    return rc;
}

static void share_state_all(cv_run *run)
{
    MPI_Comm world = run->fed.world;
    size_t bytes = run->n * sizeof(float);
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
}

int cv_restore_all(cv_run *run, cv_err *err)
{
    candidates c = {0};
    int rc = run->fed.rank == 0 ? find_candidates(run, &c, err) : 0, pick = -1;
    rc = cv_agree_all(run->fed.world, rc, err);
    if (rc)
        goto out;
    cv_bcast_bytes_all(run->fed.world, &c.n, sizeof c.n, 0);
    if (!c.n)
        goto out;
    cv_bcast_bytes_all(run->fed.world, c.round, sizeof c.round, 0);
    cv_bcast_bytes_all(run->fed.world, c.run_id, sizeof c.run_id, 0);
    memcpy(run->run_id, c.run_id, sizeof run->run_id);
    pick = agree_candidate_all(run, &c);
    if (pick < 0) {
        rc = cv_err_set(err, CV_ERR_VERIFY, run->dir, 0,
                        "no checkpoint is matched by the local state of every "
                        "silo; restore the silos' state folders, or start a "
                        "new run");
        goto out;
    }
    run->round = c.round[pick];
    if (run->fed.rank == 0)
        rc = load_run(run, c.path[pick], err);
    for (int s = 0; s < run->fed.n_hosted && !rc && run->strategy->n_silo; s++)
        if (cv_fed_is_leader(&run->fed))
            rc = load_silo(run, &run->hosted[s], run->round, 0, err);
    rc = cv_agree_all(run->fed.world, rc, err);
    if (!rc)
        share_state_all(run);
out:
    if (run->fed.rank == 0)
        for (int i = 0; i < c.n; i++)
            free(c.path[i]);
    return rc;
}
