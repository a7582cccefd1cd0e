/* What a run leaves on disk.
 *
 * RUN/run.h5 is the newest checkpoint, RUN/round-NNNNNN.h5 the kept ones; each
 * site keeps its strategy's own vectors in STATE/silo-NAME-NNNNNN.h5. All sites
 * have saved a round before run.h5 holds it, and keep one round more than RUN,
 * so that a kill at any moment leaves a round that all of them hold. The way
 * back is in restore.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/mem.h"
#include "jobs/attest.h"
#include "jobs/budget.h"
#include "jobs/fit.h"
#include "jobs/saved.h"
#include "jobs/saved_privacy.h"
#include "jobs/site.h"
#include "jobs/state.h"
#include "mpi/agree.h"

char *cv_state_dir(const cv_run *run, const cv_hosted *h)
{
    char id[17];
    if (!h->site)
        return cv_asprintf("%s/state", run->dir);
    cv_hex(id, run->run_id, 8);
    return cv_asprintf("%s/%s", h->state_dir, id);
}

/* model: digest of the global model that this state goes with. Replays of a
 * round may differ by rounding when ranks share a silo; the state of one must
 * not be taken for the other's. */
static int save_silo(const cv_run *run, const cv_hosted *h, const char *model,
                     cv_err *err)
{
    char *dir = cv_state_dir(run, h), id[65];
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
    if (!rc)
        rc = cv_h5_attr_string(w, "/", "model_digest", model, err);
    for (int k = 0; k < run->strategy->n_silo && !rc; k++) {
        char *name = cv_asprintf("/state/%s", run->strategy->silo_names[k]);
        rc = cv_h5_put(w, name, CV_H5_F32, 1, dims, h->state[k], NULL, NULL,
                       err);
        free(name);
    }
    if (!rc)
        rc = cv_h5_commit(&w, err);
    cv_h5_abort(&w);
    int keep = run->job->checkpoint.keep;
    if (!rc) /* run.h5 may be one checkpoint behind */
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

void cv_run_model_root(const cv_run *run, uint8_t root[32])
{
    if (run->fit)
        cv_params_root_f64(root, run->fit->v, run->n);
    else
        cv_params_root(root, run->w, run->n);
}

void cv_run_model_digest(const cv_run *run, uint8_t digest[32])
{
    if (run->fit)
        cv_params_digest_f64(digest, run->fit->v, run->n);
    else
        cv_params_digest(digest, run->w, run->n);
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

static int save_model(cv_h5_writer *w, const cv_run *run, const char *digest,
                      cv_err *err)
{
    const cv_job *job = run->job;
    int rc = cv_h5_attr_string(w, "/model", "kind", job->model.kind, err);
    if (!rc && job->model.n_hidden)
        rc = cv_h5_attr_string(w, "/model", "activation", job->model.activation,
                               err);
    if (!rc)
        rc = cv_h5_attr_i64(w, "/model", "parameters", (int64_t)run->n, err);
    if (!rc)
        rc = cv_h5_attr_string(w, "/model", "digest", digest, err);
    if (!rc)
        rc = run->fit ? cv_fit_save(w, run->fit->model, job, run->fit->v, err)
                      : save_params(w, run, err);
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

static int save_target(cv_h5_writer *w, const cv_schema *s, int rc, cv_err *err)
{
    if (!rc && s->target.name)
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
    if (rc || run->fit) /* its own centres and units are among its numbers */
        return save_target(w, s, rc, err);
    if (!rc)
        rc = cv_h5_put(w, "/data/shift", CV_H5_F64, 1, dims, s->shift, NULL,
                       "input = (value - shift) / unit", err);
    if (!rc)
        rc = cv_h5_put(w, "/data/unit", CV_H5_F64, 1, dims, s->unit, NULL,
                       "input = (value - shift) / unit", err);
    return save_target(w, s, rc, err);
}

static int save_history(cv_h5_writer *w, const cv_run *run, cv_err *err)
{
    enum { FIXED = 4, MAX = FIXED + CV_MAX_METRICS + CV_N_PHASES + 1 };
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
    if (run->job->privacy.enabled) {
        double *out = real + (size_t)(m - 2) * n;
        for (size_t i = 0; i < n; i++)
            out[i] = run->history[i].epsilon;
        cols[m++] =
            (cv_h5_column){.name = "epsilon", .type = CV_H5_F64, .data = out};
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

/* Whose signatures the proofs hold. */
static int save_signers(cv_h5_writer *w, const cv_run *run, cv_err *err)
{
    enum { ROW = CV_ADDRESS_BYTES + 2 * CV_SIG_BYTES };
    const cv_secure *sec = run->secure;
    size_t n = (size_t)run->fed.n_silos;
    int64_t dims[2] = {(int64_t)n, CV_PUBKEY_BYTES};
    int rc =
        cv_h5_put(w, "/proofs/identity", CV_H5_U8, 2, dims, sec->identity, NULL,
                  "identity keys of the silos, compressed points of "
                  "secp256k1",
                  err);
    if (rc || !sec->attest)
        return rc;
    uint8_t *row = CV_NEW(n * ROW, uint8_t), *at = row;
    for (size_t i = 0; i < n; i++, at += ROW) {
        const cv_outbox_silo *o = &sec->attest->silo[i];
        memcpy(at, o->attester.b, CV_ADDRESS_BYTES);
        memcpy(at + CV_ADDRESS_BYTES, o->binding.b, CV_SIG_BYTES);
        memcpy(at + CV_ADDRESS_BYTES + CV_SIG_BYTES, o->opening.b,
               CV_SIG_BYTES);
    }
    dims[1] = ROW;
    rc = cv_h5_put(w, "/proofs/attesters", CV_H5_U8, 2, dims, row, NULL,
                   "address of a silo's attestation key, its identity's "
                   "signature for it, the key's signature of the run's opening",
                   err);
    free(row);
    return rc;
}

static int save_privacy(cv_h5_writer *w, const cv_run *run, cv_err *err)
{
    const cv_secure *sec = run->secure;
    const cv_budget *b = run->budget;
    if (!sec)
        return 0;
    cv_saved_privacy p = {.masked = sec->masks,
                          .collusion = sec->collusion,
                          .simulated = run->job->simulate.enabled,
                          .honest =
                              run->fed.n_silos - (sec->left_out > sec->collusion
                                                      ? sec->left_out
                                                      : sec->collusion),
                          .multiplier = b->multiplier,
                          .clip = b->clip,
                          .epsilon = b->epsilon,
                          .bits = b->bits,
                          .exponent = b->exponent,
                          .wide = sec->wide,
                          .sensitivity = b->sensitivity,
                          .attempt = sec->attempt};
    size_t n = 0;
    /* Copied by pointer: nothing here is changed. */
    p.segment = (cv_segment *)cv_accountant_segments(b->spent, &n);
    p.n = (int64_t)n;
    cv_hex(p.record, sec->head, 32);
    int rc = cv_saved_privacy_save(w, &p, run->job, err);
    if (!rc && sec->masks)
        rc = cv_proofs_save(w, &sec->proofs, sec->attest != NULL, err);
    int64_t dims[1] = {sec->n_coalitions};
    if (!rc && sec->n_coalitions)
        rc = cv_h5_put(w, "/proofs/coalitions", CV_H5_I64, 1, dims,
                       sec->coalition, NULL,
                       "public test rows that the model of a coalition of "
                       "groups gets right; bit g of the index: group g is in",
                       err);
    if (!rc && sec->masks)
        rc = save_signers(w, run, err);
    return rc ? rc : cv_rewards_save(w, &sec->rewards, run->job, err);
}

static int save_run(const cv_run *run, const char *model, cv_err *err)
{
    char *path = cv_asprintf("%s/run.h5", run->dir);
    cv_h5_writer *w = NULL;
    int rc = cv_h5_create(path, 0644, &w, err);
    if (!rc)
        rc = save_root_attrs(w, run, err);
    if (!rc)
        rc = save_model(w, run, model, err);
    if (!rc)
        rc = save_optimizer(w, run, err);
    if (!rc)
        rc = save_data(w, run, err);
    if (!rc)
        rc = save_history(w, run, err);
    if (!rc)
        rc = save_silos(w, run, err);
    if (!rc)
        rc = save_privacy(w, run, err);
    if (!rc)
        rc = cv_h5_commit(&w, err);
    cv_h5_abort(&w);
    if (!rc)
        rc = cv_h5_keep(path, "round", run->round, run->job->checkpoint.keep,
                        err);
    free(path);
    return rc;
}

int cv_save_signed_all(cv_run *run, cv_err *err)
{
    int rc = 0;
    if (run->secure && run->fed.rank == 0 && run->secure->unsaved) {
        uint8_t digest[32];
        char model[65];
        cv_run_model_digest(run, digest);
        cv_hex(model, digest, 32);
        rc = save_run(run, model, err);
    }
    return cv_agree_all(run->fed.world, rc, err);
}

int cv_save_all(cv_run *run, cv_err *err)
{
    double t0 = cv_now();
    int rc = 0, leader = cv_fed_is_leader(&run->fed);
    int by_silos = run->strategy->n_silo > 0;
    uint8_t digest[32];
    char model[65] = "";
    if (run->fed.rank == 0 || (leader && by_silos)) {
        cv_run_model_digest(run, digest);
        cv_hex(model, digest, 32);
    }
    if (by_silos) {
        for (int s = 0; s < run->fed.n_hosted && leader && !rc; s++)
            rc = save_silo(run, &run->hosted[s], model, err);
        rc = cv_agree_all(run->fed.world, rc, err);
        if (rc)
            return rc;
    }
    rc = cv_note_record_all(run, err);
    if (rc)
        return rc;
    if (run->fed.rank == 0)
        rc = save_run(run, model, err);
    if (run->secure)
        run->secure->unsaved = 0;
    rc = cv_agree_all(run->fed.world, rc, err);
    if (!rc) /* only what is durable is signed */
        rc = cv_sign_record_all(run, err);
    run->seconds_saving = cv_now() - t0;
    return rc;
}
