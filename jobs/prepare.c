/* From files to rows a model can train on: each silo opens only its own data,
 * the silos agree on a schema, rows are encoded, split and standardised. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "io/partition.h"
#include "io/silo.h"
#include "io/table.h"
#include "jobs/prepare.h"
#include "jobs/saved.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"
#include "solver/blas.h"

/* Tables as read, before the schema is agreed: one for each hosted silo, or one
 * for all of them when they are simulated. */
typedef struct {
    cv_table **table;  /* (n) */
    int32_t **silo_of; /* (n) hosted silo of each row, NULL: all of one */
    int n;
    cv_table *test; /* simulate.test */
} sources;

static void sources_free(sources *src)
{
    for (int i = 0; i < src->n; i++) {
        cv_table_destroy(&src->table[i]);
        free(src->silo_of[i]);
    }
    free(src->table);
    free(src->silo_of);
    cv_table_destroy(&src->test);
}

static char *beside_job(const cv_job *job, const char *path)
{
    char *dir = cv_fs_dirname(job->file);
    char *full = cv_fs_join(strcmp(dir, ".") ? dir : NULL, path);
    free(dir);
    return full;
}

/* ---- simulated silos: one file, rows dealt out ------------------------- */

static int read_simulated(cv_run *run, sources *src, cv_err *err)
{
    const cv_job *job = run->job;
    const cv_fed *fed = &run->fed;
    char *path = beside_job(job, job->simulate.source);
    float *y = NULL;
    int32_t *silo_of = NULL;
    uint8_t *keep = NULL;
    int64_t n = 0;
    int rc = cv_table_read_target(path, job->data.format, "simulate.source",
                                  job->data.target, job->data.features,
                                  job->data.n_features, &n, &y, err);
    if (rc)
        goto out;
    silo_of = CV_NEW(n, int32_t);
    keep = CV_NEW(n, uint8_t);
    cv_partition_rows(silo_of, y, n, fed->n_silos, job->simulate.partition,
                      job->simulate.alpha, job->training.seed);
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        int s = silo_of[i] - fed->first;
        keep[i] = s >= 0 && s < fed->n_hosted;
        if (keep[i])
            silo_of[kept++] = s;
    }
    rc = cv_table_read(path, job->data.format, "simulate.source",
                       &(cv_row_filter){keep, n, job->data.n_features > 0},
                       job->data.features, job->data.n_features,
                       job->data.target, &src->table[0], err);
    if (rc)
        goto out;
    CV_CHECK(src->table[0]->n_rows == kept);
    src->silo_of[0] = silo_of;
    silo_of = NULL;
    if (job->simulate.test) {
        free(path);
        path = beside_job(job, job->simulate.test);
        rc = cv_table_read(path, job->data.format, "simulate.test",
                           &(cv_row_filter){NULL, 0, job->data.n_features > 0},
                           job->data.features, job->data.n_features,
                           job->data.target, &src->test, err);
    }
out:
    free(path);
    free(y);
    free(silo_of);
    free(keep);
    if (rc)
        cv_err_merge_site(err); /* the data are the reader's own */
    return rc;
}

/* ---- real silos: a silo.yaml each ---------------------------------------- */

static int read_silo(cv_run *run, cv_hosted *h, cv_table **table, cv_err *err)
{
    const cv_run_options *opt = run->options;
    char *path = NULL;
    cv_silo *silo = NULL;
    int rc = 0;
    if (opt->silo)
        path = cv_strdup(opt->silo);
    else
        rc = cv_silo_find(opt->silo_dir, h->name, &path, err);
    if (!rc)
        rc = cv_silo_load(path, &silo, err);
    if (rc)
        goto out;
    if (strcmp(silo->silo, h->name)) {
        rc = cv_err_set(err, CV_ERR_INPUT, path, 0,
                        "expected silo: %s, found %s", h->name, silo->silo);
        goto out;
    }
    h->own_site = 1;
    h->state_dir =
        silo->state ? cv_strdup(silo->state) : cv_fs_join(NULL, "covey-state");
    if (!silo->state) {
        char *dir = cv_fs_dirname(path);
        free(h->state_dir);
        h->state_dir = cv_fs_join(dir, "covey-state");
        free(dir);
    }
    run->threads = silo->threads;
    rc = cv_fs_mkdir(h->state_dir, 0700, err);
    if (rc)
        goto out;
    char *log = cv_asprintf("%s/silo-%s.log", h->state_dir, h->name);
    cv_log_open_site(log);
    free(log);
    rc = cv_table_read(silo->data, run->job->data.format, "data",
                       &(cv_row_filter){NULL, 0, run->job->data.n_features > 0},
                       run->job->data.features, run->job->data.n_features,
                       run->job->data.target, table, err);
    if (rc) {
        err->file[0] = '\0'; /* a private path */
        cv_err_prefix(err, "silo %s", h->name);
    }
out:
    cv_silo_destroy(&silo);
    free(path);
    return rc;
}

static int read_sources(cv_run *run, sources *src, cv_err *err)
{
    const cv_run_options *opt = run->options;
    int simulated = run->job->simulate.enabled;
    src->n = simulated ? 1 : run->fed.n_hosted;
    src->table = CV_NEW(src->n, cv_table *);
    src->silo_of = CV_NEW(src->n, int32_t *);
    if (simulated)
        return read_simulated(run, src, err);
    if (!opt->silo && !opt->silo_dir)
        return cv_err_set(err, CV_ERR_INPUT, run->job->file, 0,
                          "no data: expected --silo-dir DIR or --silo FILE "
                          "(or a `simulate` section in the job)");
    for (int s = 0; s < run->fed.n_hosted; s++) {
        int rc = read_silo(run, &run->hosted[s], &src->table[s], err);
        if (rc)
            return rc;
    }
    return 0;
}

/* ---- schema ----------------------------------------------------------------
 */

/* The hosted silos' common schema. */
static int local_schema(cv_run *run, const sources *src, cv_schema **schema,
                        cv_err *err)
{
    int classes = cv_target_of_job(run->job), rc = 0;
    for (int i = 0; i < src->n && !rc; i++) {
        cv_schema *s = NULL;
        rc = cv_schema_of_table(src->table[i], run->job, classes, &s, err);
        if (!rc && !*schema) {
            *schema = s;
            s = NULL;
        } else if (!rc) {
            rc = cv_schema_merge(*schema, s, err);
        }
        cv_schema_destroy(&s);
        if (rc && src->n == run->fed.n_hosted && !run->job->simulate.enabled)
            cv_err_prefix(err, "silo %s", run->hosted[i].name);
    }
    if (rc && run->job->simulate.enabled)
        cv_err_merge_site(err);
    return rc;
}

/* Root merges what the ranks offer, in rank order. */
static int merge_schemas(const cv_run *run, char **texts, char **merged,
                         cv_err *err)
{
    cv_schema *all = NULL;
    int rc = 0;
    for (int r = 0; r < run->fed.size && !rc; r++) {
        cv_schema *s = NULL;
        rc = cv_schema_from_text(texts[r], &s, err);
        if (!rc && !all) {
            all = s;
            s = NULL;
        } else if (!rc) {
            rc = cv_schema_merge(all, s, err);
            if (rc && !run->job->simulate.enabled)
                cv_err_prefix(err, "a silo of rank %d", r);
        }
        cv_schema_destroy(&s);
    }
    if (!rc)
        *merged = cv_schema_to_text(all);
    cv_schema_destroy(&all);
    return rc;
}

static int agree_schema_all(cv_run *run, const sources *src, int local_rc,
                            cv_err *err)
{
    cv_schema *mine = NULL;
    char *text = NULL, **texts = NULL, *merged = NULL;
    int rc = local_rc ? local_rc : local_schema(run, src, &mine, err);
    rc = cv_agree_all(run->fed.world, rc, err);
    if (rc)
        goto out;
    text = cv_schema_to_text(mine);
    cv_gather_text_all(run->fed.world, text, &texts, 0);
    if (run->fed.rank == 0)
        rc = merge_schemas(run, texts, &merged, err);
    rc = cv_agree_all(run->fed.world, rc, err);
    if (rc)
        goto out;
    cv_bcast_text_all(run->fed.world, &merged, 0);
    rc = cv_schema_from_text(merged, &run->schema, err);
    rc = cv_agree_all(run->fed.world, rc, err);
out:
    if (texts)
        for (int r = 0; r < run->fed.size; r++)
            free(texts[r]);
    free(texts);
    free(text);
    free(merged);
    cv_schema_destroy(&mine);
    return rc;
}

/* ---- rows ------------------------------------------------------------------
 */

static cv_samples view_of(const cv_run *run, const cv_rows *rows, int is_u8,
                          int64_t first, int64_t n)
{
    int c = run->schema->n_cols;
    size_t item = is_u8 ? 1 : sizeof(float);
    return (cv_samples){.n_rows = n,
                        .n_cols = c,
                        .is_u8 = is_u8,
                        .x = (const char *)rows->x +
                             (size_t)first * (size_t)c * item,
                        .y = rows->y ? rows->y + first : NULL};
}

/* Reorder rows so that row i of the result is row order[i]; nothing is moved
 * when they are in order already. */
static void permute_rows(cv_rows *rows, size_t row_bytes, const int64_t *order,
                         int64_t n)
{
    int64_t i = 0;
    while (i < n && order[i] == i)
        i++;
    if (i == n)
        return;
    char *x = cv_calloc((size_t)n, row_bytes);
    float *y = CV_NEW(n, float);
    for (i = 0; i < n; i++) {
        memcpy(x + (size_t)i * row_bytes,
               (const char *)rows->x + (size_t)order[i] * row_bytes, row_bytes);
        y[i] = rows->y[order[i]];
    }
    free(rows->x);
    free(rows->y);
    rows->x = x;
    rows->y = y;
}

/* Test rows of each silo in this design, decided row by row. */
static void split_rows(const cv_run *run, const cv_design *d,
                       const int32_t *silo_of, int only, uint8_t *is_test)
{
    const cv_job *job = run->job;
    if (job->data.test_fraction <= 0.0)
        return;
    if (!silo_of) {
        cv_design_split(d, job->data.test_fraction, job->training.seed,
                        run->hosted[only].name, is_test);
        return;
    }
    size_t item = d->type == CV_TYPE_U8 ? 1 : sizeof(float);
    for (int64_t i = 0; i < d->n_rows; i++) {
        cv_design one = *d;
        one.n_rows = 1;
        one.x = (char *)d->x + (size_t)i * (size_t)d->n_cols * item;
        one.y = d->y + i;
        cv_design_split(&one, job->data.test_fraction, job->training.seed,
                        run->hosted[silo_of[d->kept[i]]].name, is_test + i);
    }
}

/* Cut an encoded table into silos, each with training rows first. */
static void deal_rows(cv_run *run, cv_design *d, const int32_t *silo_of,
                      int only, cv_rows *rows)
{
    int n_hosted = run->fed.n_hosted, is_u8 = d->type == CV_TYPE_U8;
    uint8_t *is_test = CV_NEW(d->n_rows, uint8_t);
    int64_t *order = CV_NEW(d->n_rows, int64_t);
    int64_t *count = CV_NEW(2 * (size_t)n_hosted + 1, int64_t);
    split_rows(run, d, silo_of, only, is_test);
    for (int64_t i = 0; i < d->n_rows; i++) {
        int s = silo_of ? silo_of[d->kept[i]] : only;
        count[2 * s + is_test[i] + 1]++;
    }
    for (int s = silo_of ? 0 : only; s < (silo_of ? n_hosted : only + 1); s++) {
        run->hosted[s].n_train = count[2 * s + 1];
        run->hosted[s].n_test = count[2 * s + 2];
    }
    for (int b = 1; b <= 2 * n_hosted; b++)
        count[b] += count[b - 1];
    for (int64_t i = 0; i < d->n_rows; i++) {
        int s = silo_of ? silo_of[d->kept[i]] : only;
        order[count[2 * s + is_test[i]]++] = i;
    }
    rows->x = d->x;
    rows->y = d->y;
    d->x = NULL;
    d->y = NULL;
    permute_rows(rows, (size_t)d->n_cols * (is_u8 ? 1 : sizeof(float)), order,
                 d->n_rows);
    int64_t at = 0;
    for (int s = silo_of ? 0 : only; s < (silo_of ? n_hosted : only + 1); s++) {
        cv_hosted *h = &run->hosted[s];
        h->train = view_of(run, rows, is_u8, at, h->n_train);
        h->test = view_of(run, rows, is_u8, at + h->n_train, h->n_test);
        at += h->n_train + h->n_test;
    }
    free(is_test);
    free(order);
    free(count);
}

/* uint8 rows carry one scale; on one rank it must be the same in all files. */
static int keep_scale(double *scale, const cv_design *d, cv_err *err)
{
    if (d->type != CV_TYPE_U8)
        return 0;
    if (*scale == 0.0)
        *scale = d->scale;
    if (*scale != d->scale)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected one `scale` of x in all files, found %g "
                          "and %g",
                          *scale, d->scale);
    return 0;
}

static int encode_rows(cv_run *run, sources *src, double *scale, cv_err *err)
{
    int rc = 0;
    run->n_rows_owned = src->n + 1;
    run->rows = CV_NEW(run->n_rows_owned, cv_rows);
    for (int i = 0; i < src->n && !rc; i++) {
        cv_design *d = NULL;
        rc = cv_design_encode(&src->table[i], run->schema, 1, &d, err);
        if (!rc)
            rc = keep_scale(scale, d, err);
        if (!rc)
            deal_rows(run, d, src->silo_of[i], i, &run->rows[i]);
        else if (!run->job->simulate.enabled)
            cv_err_prefix(err, "silo %s", run->hosted[i].name);
        cv_design_destroy(&d);
    }
    if (!rc && src->test) {
        cv_design *d = NULL;
        rc = cv_design_encode(&src->test, run->schema, 1, &d, err);
        if (!rc)
            rc = keep_scale(scale, d, err);
        if (!rc) {
            cv_rows *rows = &run->rows[src->n];
            rows->x = d->x;
            rows->y = d->y;
            run->public_test =
                view_of(run, rows, d->type == CV_TYPE_U8, 0, d->n_rows);
            d->x = NULL;
            d->y = NULL;
        } else {
            cv_err_prefix(err, "simulate.test");
        }
        cv_design_destroy(&d);
    }
    if (rc && run->job->simulate.enabled)
        cv_err_merge_site(err);
    return rc;
}

/* ---- weights ---------------------------------------------------------------
 */

static int weigh_silos_all(cv_run *run, cv_err *err)
{
    const cv_fed *fed = &run->fed;
    const cv_job *job = run->job;
    int n = fed->n_silos;
    double *mine = CV_NEW(2 * (size_t)fed->n_hosted, double);
    double *all = CV_NEW(2 * (size_t)n, double), total = 0.0, test = 0.0;
    for (int s = 0; s < fed->n_hosted; s++) {
        mine[2 * s] = (double)run->hosted[s].n_train;
        mine[2 * s + 1] = (double)run->hosted[s].n_test;
    }
    cv_gather_silos_all(fed, all, mine, 2);
    run->weight = CV_NEW(n, double);
    run->train_rows = CV_NEW(n, double);
    for (int i = 0; i < n; i++) {
        run->train_rows[i] = all[2 * i];
        test += all[2 * i + 1];
        run->weight[i] = job->training.weights == CV_WEIGHTS_ROWS ? all[2 * i]
                         : job->training.weights == CV_WEIGHTS_EQUAL
                             ? 1.0
                             : job->silos[i].weight;
        total += run->weight[i];
    }
    free(mine);
    free(all);
    run->n_test_rows =
        run->public_test.n_rows ? run->public_test.n_rows : (int64_t)test;
    if (!(total > 0.0))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "no silo has a training row");
    for (int i = 0; i < n; i++)
        run->weight[i] /= total;
    return 0;
}

int cv_prepare_all(cv_run *run, cv_err *err)
{
    sources src = {0};
    double scale = 0.0;
    int rc;
    run->hosted = CV_NEW(run->fed.n_hosted, cv_hosted);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        run->hosted[s].index = run->fed.first + s;
        run->hosted[s].name = run->job->silos[run->fed.first + s].name;
    }
    rc = read_sources(run, &src, err);
    rc = agree_schema_all(run, &src, rc, err); /* agrees on rc first */
    if (rc)
        goto out;
    rc = encode_rows(run, &src, &scale, err);
    rc = cv_agree_all(run->fed.world, rc, err);
    if (rc)
        goto out;
    cv_standardize_all(run, scale);
    rc = weigh_silos_all(run, err); /* the same on all ranks */
out:
    sources_free(&src);
    return rc;
}
