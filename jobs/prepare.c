/* From files to rows a model can train on: each silo opens only its own data,
 * the silos agree on a schema, rows are encoded, split and standardised. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/hash.h"
#include "core/mem.h"
#include "io/partition.h"
#include "io/table.h"
#include "jobs/prepare.h"
#include "jobs/saved.h"
#include "jobs/site.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"
#include "solver/blas.h"

/* Tables as read, before the schema is agreed: one for each hosted silo, or one
 * for all of them when they are simulated. */
typedef struct {
    cv_table **table;  /* (n) */
    int32_t **silo_of; /* (n) hosted silo of each row, NULL: all of one */
    int n;
    cv_table *test;     /* simulate.test */
    uint8_t digest[32]; /* of the files of a simulated run */
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

/* Simulated silos: every rank deals out the rows itself, so all must read the
 * same files. */
static int check_copies_all(const cv_run *run, const sources *src, cv_err *err)
{
    int differs = cv_same_digest_all(run->fed.world, src->digest);
    if (!differs)
        return 0;
    return cv_err_set(err, CV_ERR_INPUT, run->job->file, 0,
                      "rank %d reads another copy of simulate.source or "
                      "simulate.test than rank 0; give all nodes the same "
                      "files",
                      differs - 1);
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
    run->hosted[0].data = path;
    char *test = NULL;
    cv_sha256 *h = cv_sha256_create();
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
    rc = cv_table_read(
        path, job->data.format, "simulate.source",
        &(cv_row_filter){.keep = keep,
                         .n_rows = n,
                         .declared_only = job->data.n_features > 0},
        job->data.features, job->data.n_features, job->data.target,
        &src->table[0], err);
    if (rc)
        goto out;
    CV_CHECK(src->table[0]->n_rows == kept);
    src->silo_of[0] = silo_of;
    silo_of = NULL;
    if (job->simulate.test) {
        test = beside_job(job, job->simulate.test);
        rc = cv_table_read(
            test, job->data.format, "simulate.test",
            &(cv_row_filter){.declared_only = job->data.n_features > 0},
            job->data.features, job->data.n_features, job->data.target,
            &src->test, err);
    }
    if (!rc)
        rc = cv_fs_fingerprint(path, h, err);
    if (!rc && test)
        rc = cv_fs_fingerprint(test, h, err);
    if (!rc)
        cv_sha256_end(h, src->digest);
out:
    cv_sha256_destroy(&h);
    free(test);
    free(y);
    free(silo_of);
    free(keep);
    if (rc)
        cv_err_merge_site(err); /* the data are the reader's own */
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
        int rc = cv_site_read(run, &run->hosted[s], &src->table[s], err);
        if (rc)
            return rc;
    }
    return 0;
}

/* ---- schema ----------------------------------------------------------------
 */

/* Every data set's schema: (src->n). */
static int local_schemas(cv_run *run, const sources *src, cv_schema **schema,
                         cv_err *err)
{
    int classes = cv_target_of_job(run->job), rc = 0;
    for (int i = 0; i < src->n && !rc; i++) {
        rc = cv_schema_of_table(src->table[i], run->job, classes, &schema[i],
                                err);
        if (rc)
            cv_site_data_error(run, &run->hosted[i], err);
    }
    return rc;
}

/* Merge the rank's schemas with that of the root's first silo, against which
 * all are measured, so that the odd one out is the same on any number of
 * ranks. */
static int merge_local(const cv_run *run, const sources *src,
                       cv_schema *const *schema, const char *first,
                       int first_silo, cv_schema **merged, cv_err *err)
{
    const cv_job_silo *silos = run->job->silos;
    int rc = cv_schema_from_text(first, merged, err);
    for (int i = 0; i < src->n && !rc; i++) {
        int s = run->fed.first + i;
        rc = cv_schema_merge(*merged, schema[i], err);
        if (rc && s == first_silo)
            cv_err_prefix(err, "silo %s, claimed twice", silos[s].name);
        else if (rc)
            cv_err_prefix(err, "silos %s and %s", silos[first_silo].name,
                          silos[s].name);
    }
    return rc;
}

/* Root merges what the ranks offer, in rank order. */
static int merge_ranks(const cv_run *run, char **texts, char **merged,
                       cv_err *err)
{
    cv_schema *all = NULL;
    int rc = cv_schema_from_text(texts[0], &all, err);
    for (int r = 1; r < run->fed.size && !rc; r++) {
        cv_schema *s = NULL;
        rc = cv_schema_from_text(texts[r], &s, err);
        if (!rc)
            rc = cv_schema_merge(all, s, err);
        cv_schema_destroy(&s);
    }
    if (!rc)
        *merged = cv_schema_to_text(all);
    cv_schema_destroy(&all);
    return rc;
}

/* The root's first schema, at every rank. */
static void share_first_all(const cv_run *run, cv_schema *const *schema,
                            char **text, int *silo)
{
    *silo = run->fed.first;
    *text = run->fed.rank == 0 ? cv_schema_to_text(schema[0]) : NULL;
    MPI_Bcast(silo, 1, MPI_INT, 0, run->fed.world);
    cv_bcast_text_all(run->fed.world, text, 0);
}

static int agree_schema_all(cv_run *run, const sources *src, int local_rc,
                            cv_err *err)
{
    MPI_Comm world = run->fed.world;
    cv_schema **each = CV_NEW(src->n, cv_schema *), *mine = NULL;
    char *first = NULL, *text = NULL, **texts = NULL, *merged = NULL;
    int first_silo;
    int rc = local_rc ? local_rc : local_schemas(run, src, each, err);
    rc = cv_agree_all(world, rc, err);
    if (rc)
        goto out;
    share_first_all(run, each, &first, &first_silo);
    rc = merge_local(run, src, each, first, first_silo, &mine, err);
    rc = cv_agree_all(world, rc, err);
    if (rc)
        goto out;
    text = cv_schema_to_text(mine);
    cv_gather_text_all(world, text, &texts, 0);
    if (run->fed.rank == 0)
        rc = merge_ranks(run, texts, &merged, err);
    rc = cv_agree_all(world, rc, err);
    if (rc)
        goto out;
    cv_bcast_text_all(world, &merged, 0);
    rc = cv_schema_from_text(merged, &run->schema, err);
    rc = cv_agree_all(world, rc, err);
out:
    for (int r = 0; texts && r < run->fed.size; r++)
        free(texts[r]);
    for (int i = 0; i < src->n; i++)
        cv_schema_destroy(&each[i]);
    free(each);
    free(texts);
    free(first);
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

static int encode_test(cv_run *run, sources *src, double scales[2], cv_err *err)
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
        char *path = beside_job(run->job, run->job->simulate.test);
        cv_err_merge_site(err);
        cv_err_prefix(err, "simulate.test %s", path);
        free(path);
    }
    cv_design_destroy(&d);
    return rc;
}

static int encode_rows(cv_run *run, sources *src, double scales[2], cv_err *err)
{
    int rc = 0;
    run->n_rows_owned = src->n + 1;
    run->rows = CV_NEW(run->n_rows_owned, cv_rows);
    for (int i = 0; i < src->n && !rc; i++) {
        cv_design *d = NULL;
        rc = cv_design_encode(&src->table[i], run->schema, 1, &d, err);
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
static int agree_scale_all(const cv_run *run, double scales[2], double *scale,
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
static int check_shared_all(const cv_run *run, cv_err *err)
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
    double scales[2] = {-INFINITY, -INFINITY}, scale;
    cv_transform *map = NULL;
    int rc;
    run->hosted = CV_NEW(run->fed.n_hosted, cv_hosted);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        run->hosted[s].index = run->fed.first + s;
        run->hosted[s].name = run->job->silos[run->fed.first + s].name;
    }
    rc = read_sources(run, &src, err);
    rc = agree_schema_all(run, &src, rc, err); /* agrees on rc first */
    if (!rc)
        rc = check_copies_all(run, &src, err); /* the same on all ranks */
    if (!rc) /* the same on all ranks, for the schema is */
        rc = cv_transform_for_job(run->job, run->schema, &map, err);
    if (rc)
        goto out;
    rc = encode_rows(run, &src, scales, err);
    rc = cv_agree_all(run->fed.world, rc, err);
    if (!rc)
        rc = agree_scale_all(run, scales, &scale, err);
    if (!rc)
        rc = check_shared_all(run, err);
    if (rc)
        goto out;
    cv_standardize_all(run, scale);
    run->threads = cv_blas_set_threads(run->threads);
    if (map)
        cv_map_rows(run, map);
    rc = weigh_silos_all(run, err); /* the same on all ranks */
out:
    sources_free(&src);
    cv_transform_destroy(&map);
    return rc;
}
