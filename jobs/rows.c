/* From tables to the rows a model reads: encoded, split into training and test
 * rows, and dealt out to the silos of this rank. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/mem.h"
#include "jobs/prepare.h"
#include "jobs/site.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"

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

/* A count cannot be negative: the likelihood would have no lower end. */
static int check_counts(const cv_run *run, const cv_design *d, cv_err *err)
{
    if (strcmp(run->job->model.kind, "poisson") != 0)
        return 0;
    for (int64_t i = 0; i < d->n_rows; i++)
        if (!(d->y[i] >= 0.0f)) {
            cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                       "target '%s': model poisson expects counts of 0 and "
                       "more, found a negative number",
                       run->schema->target.name);
            return cv_err_site(err, "row %lld: %g", (long long)d->kept[i] + 1,
                               (double)d->y[i]);
        }
    return 0;
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

/* The largest and minus the smallest scale of uint8 rows. */
static void note_scale(double scales[2], const cv_design *d)
{
    if (d->type != CV_TYPE_U8)
        return;
    scales[0] = fmax(scales[0], d->scale);
    scales[1] = fmax(scales[1], -d->scale);
}

static int encode_test(cv_run *run, cv_sources *src, double scales[2],
                       cv_err *err)
{
    cv_design *d = NULL;
    int rc = cv_design_encode(&src->test, run->schema, 1, &d, err);
    if (!rc)
        rc = check_counts(run, d, err);
    if (!rc) {
        cv_rows *rows = &run->rows[src->n];
        note_scale(scales, d);
        rows->x = d->x;
        rows->y = d->y;
        run->public_test =
            view_of(run, rows, d->type == CV_TYPE_U8, 0, d->n_rows);
        d->x = NULL;
        d->y = NULL;
    } else {
        int simulated = run->job->simulate.enabled;
        char *path = cv_beside_job(run->job, simulated ? run->job->simulate.test
                                                       : run->job->data.test);
        cv_err_merge_site(err);
        cv_err_prefix(err, "%s %s", simulated ? "simulate.test" : "data.test",
                      path);
        free(path);
    }
    cv_design_destroy(&d);
    return rc;
}

int cv_encode_rows(cv_run *run, cv_sources *src, double scales[2], cv_err *err)
{
    int rc = 0;
    /* A record that drops out must not renumber the others (adjacency). */
    int flags =
        run->job->privacy.enabled && run->job->privacy.unit == CV_UNIT_RECORD
            ? CV_DESIGN_TARGET | CV_DESIGN_NULL
            : CV_DESIGN_TARGET;
    run->n_rows_owned = src->n + 1;
    run->rows = CV_NEW(run->n_rows_owned, cv_rows);
    for (int i = 0; i < src->n && !rc; i++) {
        cv_design *d = NULL;
        rc = cv_design_encode(&src->table[i], run->schema, flags, &d, err);
        if (!rc)
            rc = check_counts(run, d, err);
        if (!rc) {
            note_scale(scales, d);
            deal_rows(run, d, src->silo_of[i], i, &run->rows[i]);
        } else {
            cv_site_data_error(run, &run->hosted[i], err);
        }
        cv_design_destroy(&d);
    }
    return !rc && src->test ? encode_test(run, src, scales, err) : rc;
}

/* One `scale` for all uint8 rows, wherever they lie; 1 without any. */
int cv_agree_scale_all(const cv_run *run, double scales[2], double *scale,
                       cv_err *err)
{
    cv_max_f64_all(run->fed.world, scales, 2);
    *scale = isfinite(scales[0]) ? scales[0] : 1.0;
    if (scales[0] == -scales[1] || !isfinite(scales[0]))
        return 0;
    return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                      "the attribute `scale` of /x differs between data sets; "
                      "store x in the same unit in all of them");
}

/* Ranks that share a silo split its batches, so they must hold the same rows.
 * What is compared stays inside the silo. */
int cv_check_shared_all(const cv_run *run, cv_err *err)
{
    const cv_fed *fed = &run->fed;
    int rc = 0;
    if (fed->n_parts > 1) {
        const cv_hosted *h = &run->hosted[0];
        size_t n = (size_t)(h->n_train + h->n_test);
        size_t item = h->train.is_u8 ? 1 : sizeof(float);
        uint64_t mine[4] = {
            (uint64_t)h->n_train, (uint64_t)h->n_test,
            cv_checksum64(run->rows[0].x,
                          n * (size_t)run->schema->n_cols * item),
            cv_checksum64(run->rows[0].y, n * sizeof(float))};
        uint64_t first[4];
        memcpy(first, mine, sizeof first);
        cv_bcast_bytes_all(fed->silo, first, sizeof first, 0);
        if (memcmp(first, mine, sizeof first) != 0)
            rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                            "silo %s: ranks that share it read different rows; "
                            "do two sites claim it, or do nodes hold different "
                            "files?",
                            h->name);
    }
    return cv_agree_all(fed->world, rc, err);
}
