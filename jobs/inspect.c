/* `covey inspect`: what was trained, by whom, how it went. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/text.h"
#include "jobs/commands.h"
#include "jobs/inspect_fit.h"
#include "jobs/inspect_privacy.h"
#include "jobs/json.h"
#include "jobs/saved.h"

/* /history and /silos, as columns. */
typedef struct {
    int64_t n_rounds, n_silos;
    char **col; /* names of the history's columns */
    size_t n_cols;
    double *value;       /* (n_cols, n_rounds) */
    size_t round, silos; /* columns that every history has */
    char **silo;
    double *share;
    int64_t *taken;
    int32_t *status;
    char *digest;
} report;

static int find_column(const report *r, const char *name, size_t *at)
{
    for (size_t c = 0; c < r->n_cols; c++)
        if (strcmp(r->col[c], name) == 0) {
            *at = c;
            return 0;
        }
    return -1;
}

static int load_report(cv_h5_reader *file, report *r, cv_err *err)
{
    int rc = cv_h5_table_rows(file, "/history", &r->n_rounds, err);
    if (!rc)
        rc = cv_h5_table_columns(file, "/history", &r->col, &r->n_cols, err);
    if (rc)
        return rc;
    if (find_column(r, "round", &r->round) ||
        find_column(r, "silos", &r->silos))
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "/history has no column 'round' or 'silos'");
    r->value = CV_NEW(r->n_cols * (size_t)r->n_rounds, double);
    for (size_t c = 0; c < r->n_cols && !rc; c++)
        rc = cv_h5_get_column(file, "/history", r->col[c], CV_H5_F64,
                              r->value + c * (size_t)r->n_rounds, r->n_rounds,
                              err);
    if (!rc)
        rc = cv_h5_table_rows(file, "/silos", &r->n_silos, err);
    if (rc)
        return rc;
    r->share = CV_NEW(r->n_silos, double);
    r->taken = CV_NEW(r->n_silos, int64_t);
    r->status = CV_NEW(r->n_silos, int32_t);
    rc = cv_h5_get_column_strings(file, "/silos", "name", &r->silo, r->n_silos,
                                  err);
    if (!rc)
        rc = cv_h5_get_column(file, "/silos", "share", CV_H5_F64, r->share,
                              r->n_silos, err);
    if (!rc)
        rc = cv_h5_get_column(file, "/silos", "rounds_taken", CV_H5_I64,
                              r->taken, r->n_silos, err);
    if (!rc)
        rc = cv_h5_get_column(file, "/silos", "status", CV_H5_I32, r->status,
                              r->n_silos, err);
    if (!rc)
        rc = cv_h5_get_attr_string(file, "/model", "digest", &r->digest, err);
    return rc;
}

/* Names are the job's, which has been checked. */
static int check_names(const cv_job *job, const report *r, cv_err *err)
{
    int same = r->n_silos == job->n_silos;
    for (int64_t i = 0; i < r->n_silos && same; i++)
        same = strcmp(r->silo[i], job->silos[i].name) == 0;
    return same ? 0
                : cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                             "/silos are not the silos of the job");
}

static void free_report(report *r)
{
    cv_strings_free(&r->col, r->n_cols);
    cv_strings_free(&r->silo, (size_t)r->n_silos);
    free(r->value);
    free(r->share);
    free(r->taken);
    free(r->status);
    free(r->digest);
}

static const char *status_word(int status)
{
    switch (status) {
    case 0:
        return "not drawn";
    case 1:
        return "took part";
    case 2:
        return "diverged";
    case 3:
        return "too few rows";
    default:
        return "unknown";
    }
}

static int is_metric(const char *name)
{
    return strncmp(name, "test_", 5) == 0 || strcmp(name, "train_loss") == 0 ||
           strcmp(name, "epsilon") == 0;
}

static double value_of(const report *r, size_t col, int64_t row)
{
    return r->value[col * (size_t)r->n_rounds + (size_t)row];
}

/* ---- for machines -----------------------------------------------------------
 */

static void json_history(cv_buf *b, const report *r)
{
    cv_json_open(b, "history", '[');
    for (int64_t i = 0; i < r->n_rounds; i++) {
        cv_json_open(b, NULL, '{');
        for (size_t c = 0; c < r->n_cols; c++)
            cv_json_f64(b, r->col[c], value_of(r, c, i));
        cv_json_close(b, '}');
    }
    cv_json_close(b, ']');
}

static void json_totals(cv_buf *b, const report *r)
{
    cv_json_open(b, "metrics", '{');
    for (size_t c = 0; c < r->n_cols && r->n_rounds; c++)
        if (is_metric(r->col[c]))
            cv_json_f64(b, r->col[c], value_of(r, c, r->n_rounds - 1));
    cv_json_close(b, '}');
    cv_json_open(b, "seconds", '{');
    for (size_t c = 0; c < r->n_cols; c++) {
        double sum = 0.0;
        if (strncmp(r->col[c], "seconds_", 8))
            continue;
        for (int64_t i = 0; i < r->n_rounds; i++)
            sum += value_of(r, c, i);
        cv_json_f64(b, r->col[c] + 8, sum);
    }
    cv_json_close(b, '}');
}

static void print_json(const cv_saved *s, const report *r,
                       const cv_privacy_report *privacy)
{
    cv_buf b = {0};
    cv_json_open(&b, NULL, '{');
    cv_json_string(&b, "name", s->job->name);
    cv_json_i64(&b, "round", s->round);
    cv_json_i64(&b, "rounds", s->job->training.rounds);
    cv_json_string(&b, "strategy", s->job->training.strategy);
    cv_json_string(&b, "run_id", s->run_id);
    cv_json_string(&b, "job_digest", s->job_digest);
    cv_json_string(&b, "created", s->created);
    cv_json_string(&b, "program", s->program);
    cv_json_open(&b, "model", '{');
    cv_json_string(&b, "kind", s->job->model.kind);
    cv_json_i64(&b, "parameters", (int64_t)cv_saved_params(s)->n);
    cv_json_string(&b, "digest", r->digest);
    cv_json_i64(&b, "inputs", s->fit ? s->fit->p : s->schema->n_cols);
    if (s->model) {
        cv_json_string(&b, "transform", s->job->model.transform);
        cv_json_i64(&b, "outputs", cv_model_n_out(s->model));
    }
    cv_json_close(&b, '}');
    if (s->fit)
        cv_inspect_fit_json(&b, s);
    json_totals(&b, r);
    cv_json_open(&b, "silos", '[');
    for (int64_t i = 0; i < r->n_silos; i++) {
        cv_json_open(&b, NULL, '{');
        cv_json_string(&b, "name", r->silo[i]);
        cv_json_i64(&b, "rounds", r->taken[i]);
        cv_json_f64(&b, "share", r->share[i]);
        cv_json_string(&b, "status", status_word(r->status[i]));
        cv_json_close(&b, '}');
    }
    cv_json_close(&b, ']');
    cv_privacy_report_json(&b, s, privacy);
    json_history(&b, r);
    cv_json_close(&b, '}');
    printf("%s\n", cv_buf_text(&b));
    cv_buf_free(&b);
}

/* ---- for people
 * -------------------------------------------------------------- */

/* Of a trained model; a fit has lines of its own. */
static void print_model(const cv_saved *s)
{
    char count[32];
    cv_format_count(count, sizeof count, (int64_t)cv_model_params(s->model)->n);
    printf("model      %s, %d inputs, ", s->job->model.kind, s->schema->n_cols);
    if (s->transform)
        printf("%s to %d features, ", s->job->model.transform,
               cv_transform_n_out(s->transform));
    printf("%s parameters\n", count);
}

static void print_target(const cv_saved *s)
{
    printf("target     %s", s->schema->target.name);
    if (s->schema->target.n_levels)
        printf(" (%d classes)", s->schema->target.n_levels);
    printf("\n");
}

static void print_head(const cv_saved *s, const report *r)
{
    static const char *const weights[] = {
        [CV_WEIGHTS_ROWS] = ", row weights",
        [CV_WEIGHTS_EQUAL] = ", equal weights",
        [CV_WEIGHTS_DECLARED] = ", declared weights"};
    printf("run        %s, round %lld of %d (%s)\n", s->job->name,
           (long long)s->round, s->job->training.rounds, s->created);
    if (s->fit)
        cv_inspect_fit_head(s);
    else
        print_model(s);
    printf("digest     %s\n", r->digest);
    if (!s->fit)
        print_target(s);
    printf("training   %s%s, seed %llu%s\n", s->job->training.strategy,
           s->fit ? "" : weights[s->job->training.weights],
           (unsigned long long)s->job->training.seed,
           s->job->simulate.enabled ? ", silos SIMULATED from one data set"
                                    : "");
    printf("run id     %s\n", s->run_id);
}

/* First, last, and evenly spaced rounds between: at most 20 lines. */
static int shown(int64_t i, int64_t n)
{
    if (n <= 20 || i == n - 1)
        return 1;
    return i * 19 / (n - 1) != (i - 1) * 19 / (n - 1) || i == 0;
}

/* A fit does without most metrics; a trained model that does not tell one says so
 * with a column of -. */
static int is_shown(const report *r, size_t c, int is_fit)
{
    int any = !is_fit;
    for (int64_t i = 0; i < r->n_rounds && !any; i++)
        any = !isnan(value_of(r, c, i));
    return any && is_metric(r->col[c]);
}

static void print_history(const report *r, int is_fit)
{
    printf("\n%7s %6s", "round", "silos");
    for (size_t c = 0; c < r->n_cols; c++)
        if (is_shown(r, c, is_fit))
            printf(" %14s", r->col[c]);
    printf(" %9s\n", "seconds");
    for (int64_t i = 0; i < r->n_rounds; i++) {
        double seconds = 0.0;
        if (!shown(i, r->n_rounds))
            continue;
        printf("%7.6g %6.6g", value_of(r, r->round, i),
               value_of(r, r->silos, i));
        for (size_t c = 0; c < r->n_cols; c++) {
            double v = value_of(r, c, i);
            if (is_shown(r, c, is_fit) && isnan(v))
                printf(" %14s", "-");
            else if (is_shown(r, c, is_fit))
                printf(" %14.6g", v);
            else if (strncmp(r->col[c], "seconds_", 8) == 0)
                seconds += v;
        }
        if (isnan(seconds)) /* not told: they would tell of the data */
            printf(" %9s\n", "-");
        else
            printf(" %9.2f\n", seconds);
    }
}

static void print_omitted(const report *r)
{
    int64_t n = 0;
    for (int64_t i = 0; i < r->n_rounds; i++)
        n += shown(i, r->n_rounds);
    if (n < r->n_rounds)
        printf("%lld of %lld rounds shown; --json has all\n", (long long)n,
               (long long)r->n_rounds);
}

static void print_silos(const cv_job *job, const report *r)
{
    enum { SHOW = 24 };
    printf("\n%-24s %8s %8s  %s\n", "silo", "share", "rounds", "last round");
    for (int64_t i = 0; i < r->n_silos && i < SHOW; i++) {
        char share[16];
        snprintf(share, sizeof share, "%s",
                 job->secure_aggregation.enabled ? "masked" : "-");
        if (!isnan(r->share[i]))
            snprintf(share, sizeof share, "%.2f%%", 100.0 * r->share[i]);
        printf("%-24s %8s %8lld  %s\n", r->silo[i], share,
               (long long)r->taken[i], status_word(r->status[i]));
    }
    if (r->n_silos > SHOW)
        printf("... and %lld more (--json lists all)\n",
               (long long)(r->n_silos - SHOW));
}

int cv_cmd_inspect(int argc, char **argv, cv_err *err)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'},
                                          {NULL, 0, NULL, 0}};
    int c, json = 0;
    while ((c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
        if (c != 'j')
            return cv_bad_option("inspect", c, argv, longs, err);
        json = 1;
    }
    if (optind + 1 != argc)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "usage: covey inspect RUN/run.h5 [--json]");
    cv_saved s;
    report r = {0};
    cv_privacy_report privacy = {0};
    int rc = cv_saved_open(argv[optind], &s, err);
    if (rc)
        return rc;
    rc = load_report(s.file, &r, err);
    if (!rc)
        rc = check_names(s.job, &r, err);
    if (!rc)
        rc = cv_privacy_report_load(&s, &privacy, 1, err);
    if (!rc && json) {
        print_json(&s, &r, &privacy);
    } else if (!rc) {
        print_head(&s, &r);
        if (s.fit)
            cv_inspect_fit_print(&s);
        print_history(&r, s.fit != NULL);
        print_omitted(&r);
        print_silos(s.job, &r);
        cv_privacy_report_print(&s, &privacy);
    }
    cv_privacy_report_free(&privacy);
    free_report(&r);
    cv_saved_close(&s);
    return rc;
}
