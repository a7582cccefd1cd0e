/* What the newest record says of the file itself: job, model, data, server
 * state, ledger. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "jobs/inspect_privacy.h"
#include "jobs/verify.h"
#include "solver/strategy.h"

static const cv_proof *newest(const cv_verify *v)
{
    return &v->proofs.proof[v->proofs.n - 1];
}

/* ---- job, keys ---------------------------------------------------------------------- */

void cv_verify_job(cv_verify *v)
{
    const cv_job *job = v->saved.job;
    char digest[65], *text = NULL;
    cv_err ignored;
    cv_hex(digest, job->digest, 32);
    /* The digest is of its canonical form: a comment would not be in it. */
    int same = cv_h5_get_string(v->saved.file, "/job", &text, &ignored) == 0 &&
               strcmp(text, job->text) == 0;
    free(text);
    if (!same) {
        cv_verify_say(v, CV_LINE_FAILS, "job",
                      "/job is not as the program writes it: it holds things "
                      "that its digest does not cover");
        return;
    }
    if (strcmp(digest, v->saved.job_digest) != 0) {
        cv_verify_say(v, CV_LINE_FAILS, "job",
                      "its text does not have the digest that the file states");
        return;
    }
    for (int i = 0; i < v->n && !job->simulate.enabled; i++) {
        char key[CV_PUBKEY_TEXT];
        cv_pubkey_text(key, &v->identity[i]);
        if (!job->silos[i].public_key ||
            strcmp(key, job->silos[i].public_key) != 0) {
            cv_verify_say(v, CV_LINE_FAILS, "job",
                          "silo %s: the proofs are of another key than the job "
                          "lists",
                          job->silos[i].name);
            return;
        }
    }
    cv_verify_say(v, CV_LINE_RECOMPUTED, "job", "digest %s; %s", digest,
                  job->simulate.enabled
                      ? "silos are SIMULATED, with keys of the run's own"
                      : "the silos' keys are those of the proofs");
}

/* ---- model, data ---------------------------------------------------------------------- */

void cv_verify_model(cv_verify *v)
{
    const cv_params *p = cv_saved_params(&v->saved);
    uint8_t digest[32];
    char hex[65], *said = NULL;
    cv_err err = {0};
    cv_saved_digest(&v->saved, digest);
    cv_hex(hex, digest, 32);
    cv_saved_root(&v->saved, digest);
    if (memcmp(digest, newest(v)->model, 32) != 0)
        cv_verify_say(v, CV_LINE_FAILS, "model",
                      "its %zu parameters are not those of the newest record",
                      p->n);
    else if (cv_h5_get_attr_string(v->saved.file, "/model", "digest", &said,
                                   &err) ||
             strcmp(said, hex) != 0)
        cv_verify_say(v, CV_LINE_FAILS, "model",
                      "/model states another digest than its parameters have");
    else
        cv_verify_say(v, CV_LINE_RECOMPUTED, "model",
                      "%zu parameters have the root of the newest record; "
                      "digest %s",
                      p->n, hex);
    free(said);
}

/* want NULL: the schema has none, and so has the file. */
static int same_numbers(cv_h5_reader *r, const char *path, const double *want,
                        int64_t n)
{
    if (!want)
        return !cv_h5_has(r, path);
    double *have = CV_NEW(n, double);
    cv_err ignored;
    int same = cv_h5_get(r, path, CV_H5_F64, have, (size_t)n, &ignored) == 0 &&
               memcmp(have, want, (size_t)n * sizeof *have) == 0;
    free(have);
    return same;
}

static int same_texts(cv_h5_reader *r, const char *path, char *const *want,
                      size_t n)
{
    char **have = NULL;
    size_t n_have = 0;
    cv_err ignored;
    int same = cv_h5_get_strings(r, path, &have, &n_have, &ignored) == 0 &&
               n_have == n;
    for (size_t i = 0; i < n && same; i++)
        same = strcmp(have[i], want[i]) == 0;
    cv_strings_free(&have, n_have);
    return same;
}

/* The preprocessing is part of the model: other scales, other predictions. */
void cv_verify_data(cv_verify *v)
{
    const cv_schema *s = v->saved.schema;
    cv_h5_reader *r = v->saved.file;
    uint8_t digest[32];
    char *text = cv_schema_to_text(s), *have = NULL;
    cv_err ignored;
    cv_data_digest(digest, text);
    int same = cv_h5_get_string(r, "/data/schema", &have, &ignored) == 0 &&
               strcmp(text, have) == 0;
    free(text);
    free(have);
    if (!same)
        cv_verify_say(v, CV_LINE_FAILS, "data",
                      "/data/schema is not as the program writes it");
    else if (memcmp(digest, newest(v)->data, 32) != 0)
        cv_verify_say(v, CV_LINE_FAILS, "data",
                      "columns, levels or scales are not those of the newest "
                      "record");
    else if (!same_numbers(r, "/data/shift", s->shift, s->n_cols) ||
             !same_numbers(r, "/data/unit", s->unit, s->n_cols) ||
             !same_texts(r, "/data/columns", s->col_names, (size_t)s->n_cols) ||
             (s->target.n_levels &&
              !same_texts(r, "/data/classes", s->target.levels,
                          (size_t)s->target.n_levels)))
        cv_verify_say(v, CV_LINE_FAILS, "data",
                      "/data/shift, unit, columns or classes are not those of "
                      "/data/schema");
    else
        cv_verify_say(v, CV_LINE_RECOMPUTED, "data",
                      "columns, levels and scales are those of the newest "
                      "record");
}

/* ---- server state ------------------------------------------------------------------------ */

void cv_verify_server(cv_verify *v)
{
    static const cv_strategy stateless; /* a fit keeps all in its vector */
    const cv_strategy *st =
        v->saved.fit ? &stateless
                     : cv_strategy_find(v->saved.job->training.strategy);
    size_t n = cv_saved_params(&v->saved)->n;
    float *x = CV_NEW(n, float);
    uint8_t digest[CV_MAX_STATE][32] = {{0}};
    cv_err err = {0};
    int rc = 0;
    for (int k = 0; k < st->n_server && !rc; k++) {
        char *path = cv_asprintf("/optimizer/%s", st->server_names[k]);
        rc = cv_h5_get(v->saved.file, path, CV_H5_F32, x, n, &err);
        cv_params_root(digest[k], x, n);
        free(path);
    }
    if (rc)
        cv_verify_error(v, "server", &err);
    else if (memcmp(digest, newest(v)->server, sizeof digest) != 0)
        cv_verify_say(v, CV_LINE_FAILS, "server",
                      "the state of %s is not that of the newest record",
                      v->saved.job->training.strategy);
    else if (st->n_server)
        cv_verify_say(v, CV_LINE_RECOMPUTED, "server",
                      "the state of %s is that of the newest record", st->name);
    free(x);
}

/* ---- ledger ---------------------------------------------------------------------------------- */

static double real_at(const uint8_t *plan, int k)
{
    uint64_t bits = cv_get_le64(plan + 8 * k);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static int64_t whole_at(const uint8_t *plan, int k)
{
    return (int64_t)cv_get_le64(plan + 8 * k);
}

/* Noise, clip and grid of /privacy against the record's plan. */
/* What noise is measured by: a bound on one record's, or silo's, part. Of a fit all
 * of it follows from job and model. */
static int bound_holds(const cv_verify *v, double clip)
{
    const cv_job *job = v->saved.job;
    if (!v->saved.fit)
        return job->privacy.adaptive.enabled || clip == job->privacy.clip;
    cv_private_fit f = cv_fit_private(v->saved.fit, job);
    double bound = cv_private_fit_bound(&f);
    return clip == bound &&
           v->privacy.sensitivity ==
               cv_private_fit_sensitivity(bound, cv_private_fit_words(&f),
                                          v->privacy.exponent);
}

static int plan_holds(const cv_verify *v)
{
    const uint8_t *p = newest(v)->plan;
    const cv_saved_privacy *s = &v->privacy;
    if (!bound_holds(v, real_at(p, 1)))
        return 0;
    return real_at(p, 0) == s->multiplier && real_at(p, 1) == s->clip &&
           real_at(p, 2) == s->sensitivity && whole_at(p, 4) == s->bits &&
           whole_at(p, 5) == s->exponent && whole_at(p, 7) == s->wide;
}

static double last_epsilon(cv_verify *v)
{
    int64_t n = 0;
    double e = NAN, *col;
    cv_err ignored;
    if (cv_h5_table_rows(v->saved.file, "/history", &n, &ignored) || n == 0)
        return e;
    col = CV_NEW(n, double);
    if (cv_h5_get_column(v->saved.file, "/history", "epsilon", CV_H5_F64, col,
                         n, &ignored) == 0)
        e = col[n - 1];
    free(col);
    return e;
}

/* Noise that is too small comes to infinity, which nothing else is near. */
static int about(double a, double b)
{
    return a == b || (isfinite(a) && isfinite(b) &&
                      fabs(a - b) <= 1e-9 * fmax(1.0, fabs(b)));
}

static void verify_epsilon(cv_verify *v)
{
    const cv_job *job = v->saved.job;
    cv_privacy_report r;
    cv_err err = {0};
    int64_t per_round =
        job->privacy.unit == CV_UNIT_RECORD && !cv_job_is_fit(job)
            ? job->training.local.steps
            : 1;
    if (cv_privacy_report_load(&v->saved, &r, 0, &err)) {
        cv_verify_error(v, "ledger", &err);
        return;
    }
    if (r.steps < per_round * v->saved.round)
        cv_verify_say(v, CV_LINE_FAILS, "ledger",
                      "%lld steps are charged, %lld rounds take %lld",
                      (long long)r.steps, (long long)v->saved.round,
                      (long long)(per_round * v->saved.round));
    else if (!about(r.saved.epsilon, r.epsilon) ||
             !about(last_epsilon(v), r.epsilon))
        cv_verify_say(v, CV_LINE_FAILS, "ledger",
                      "it comes to epsilon %.6g at delta %g, /privacy says "
                      "%.6g and the history %.6g",
                      r.epsilon, job->privacy.delta, r.saved.epsilon,
                      last_epsilon(v));
    else if (job->privacy.epsilon > 0 &&
             r.epsilon > job->privacy.epsilon * (1 + 1e-9))
        cv_verify_say(v, CV_LINE_FAILS, "ledger",
                      "epsilon %.6g is more than the job's %.6g", r.epsilon,
                      job->privacy.epsilon);
    else
        cv_verify_say(v, CV_LINE_RECOMPUTED, "ledger",
                      "%lld steps come to epsilon %.6g at delta %g (by RDP "
                      "%.6g), as the newest record says",
                      (long long)r.steps, r.epsilon, job->privacy.delta,
                      r.epsilon_rdp);
    cv_privacy_report_free(&r);
}

void cv_verify_ledger(cv_verify *v)
{
    uint8_t digest[32];
    int is_private = v->saved.job->privacy.enabled;
    cv_ledger_digest(digest, is_private ? v->privacy.segment : NULL,
                     is_private ? (size_t)v->privacy.n : 0);
    if (memcmp(digest, newest(v)->ledger, 32) != 0) {
        cv_verify_say(v, CV_LINE_FAILS, "ledger",
                      "/privacy/ledger is not that of the newest record");
        return;
    }
    if (!is_private) {
        cv_verify_say(v, CV_LINE_RECOMPUTED, "ledger",
                      "empty: the job has no differential privacy; masks hide "
                      "updates, not what the model tells");
        return;
    }
    if (!plan_holds(v))
        cv_verify_say(v, CV_LINE_FAILS, "ledger",
                      "noise, clip or grid of /privacy are not those of the "
                      "newest record");
    else
        verify_epsilon(v);
}
