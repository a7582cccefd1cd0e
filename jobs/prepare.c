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
#include "jobs/fit.h"
#include "jobs/prepare.h"
#include "jobs/saved.h"
#include "jobs/site.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"
#include "solver/blas.h"

static void sources_free(cv_sources *src)
{
    for (int i = 0; i < src->n; i++) {
        cv_table_destroy(&src->table[i]);
        free(src->silo_of[i]);
    }
    free(src->table);
    free(src->silo_of);
    cv_table_destroy(&src->test);
    cv_sha256_destroy(&src->hash);
}

/* Public rows, and those of simulated silos, are read by every rank: all must
 * read the same files. */
static int check_copies_all(const cv_run *run, cv_sources *src, cv_err *err)
{
    uint8_t digest[32];
    cv_sha256_end(src->hash, digest);
    int differs = cv_same_digest_all(run->fed.world, digest);
    if (!differs)
        return 0;
    return cv_err_set(err, CV_ERR_INPUT, run->job->file, 0,
                      "rank %d reads another copy of %s than rank 0; give all "
                      "nodes the same files",
                      differs - 1,
                      run->job->simulate.enabled
                          ? "simulate.source or simulate.test"
                          : "data.test");
}

char *cv_beside_job(const cv_job *job, const char *path)
{
    char *dir = cv_fs_dirname(job->file);
    char *full = cv_fs_join(strcmp(dir, ".") ? dir : NULL, path);
    free(dir);
    return full;
}

/* Rows to test on that are nobody's secret; every rank reads them. */
static int read_public_test(cv_run *run, cv_sources *src, const char *name,
                            const char *role, cv_err *err)
{
    const cv_job *job = run->job;
    char *path = cv_beside_job(job, name);
    int rc = cv_table_read(
        path, job->data.format, role,
        &(cv_row_filter){.declared_only = job->data.n_features > 0},
        job->data.features, job->data.n_features, job->data.target, &src->test,
        err);
    if (!rc)
        rc = cv_fs_fingerprint(path, src->hash, err);
    if (rc)
        cv_err_merge_site(err); /* the file is public */
    free(path);
    return rc;
}

/* ---- simulated silos: one file, rows dealt out ------------------------- */

static int read_simulated(cv_run *run, cv_sources *src, cv_err *err)
{
    const cv_job *job = run->job;
    const cv_fed *fed = &run->fed;
    char *path = cv_beside_job(job, job->simulate.source);
    run->hosted[0].data = path;
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
    if (!rc && job->simulate.test)
        rc = read_public_test(run, src, job->simulate.test, "simulate.test",
                              err);
    if (!rc)
        rc = cv_fs_fingerprint(path, src->hash, err);
out:
    free(y);
    free(silo_of);
    free(keep);
    if (rc)
        cv_err_merge_site(err); /* the data are the reader's own */
    return rc;
}

static int read_sources(cv_run *run, cv_sources *src, cv_err *err)
{
    int simulated = run->job->simulate.enabled;
    src->n = simulated ? 1 : run->fed.n_hosted;
    src->table = CV_NEW(src->n, cv_table *);
    src->silo_of = CV_NEW(src->n, int32_t *);
    if (simulated)
        return read_simulated(run, src, err);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        int rc = cv_site_read(run, &run->hosted[s], &src->table[s], err);
        if (rc)
            return rc;
    }
    return run->job->data.test ? read_public_test(run, src, run->job->data.test,
                                                  "data.test", err)
                               : 0;
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

/* With masked sums no silo's rows are told: weights by rows ride in the sum. */
static void weigh_masked(cv_run *run)
{
    const cv_job *job = run->job;
    int n = run->fed.n_silos;
    double total = 0.0;
    run->weight = CV_NEW(n, double);
    for (int i = 0; i < n; i++) {
        run->weight[i] = job->training.weights == CV_WEIGHTS_DECLARED
                             ? job->silos[i].weight
                             : 1.0;
        total += run->weight[i];
    }
    for (int i = 0; i < n; i++)
        run->weight[i] = job->training.weights == CV_WEIGHTS_ROWS
                             ? (double)NAN
                             : run->weight[i] / total;
    run->n_test_rows = run->public_test.n_rows;
}

int cv_prepare_all(cv_run *run, cv_err *err)
{
    cv_sources src = {.hash = cv_sha256_create()};
    double scales[2] = {-INFINITY, -INFINITY}, scale;
    cv_transform *map = NULL;
    int rc = read_sources(run, &src, err);
    rc = cv_agree_schema_all(run, &src, rc, err); /* agrees on rc first */
    if (!rc)
        rc = check_copies_all(run, &src, err); /* the same on all ranks */
    if (!rc && cv_job_is_fit(run->job)) {
        rc = cv_fit_rows_all(run, &src, err);
        goto out;
    }
    if (!rc) /* the same on all ranks, for the schema is */
        rc = cv_transform_for_job(run->job, run->schema, &map, err);
    if (rc)
        goto out;
    rc = cv_encode_rows(run, &src, scales, err);
    rc = cv_agree_all(run->fed.world, rc, err);
    if (!rc)
        rc = cv_agree_scale_all(run, scales, &scale, err);
    if (!rc)
        rc = cv_check_shared_all(run, err);
    if (rc)
        goto out;
    rc = cv_standardize_all(run, scale, err);
    if (rc)
        goto out;
    run->threads = cv_blas_set_threads(run->threads);
    if (map)
        cv_map_rows(run, map);
    if (run->secure)
        weigh_masked(run);
    else
        rc = weigh_silos_all(run, err); /* the same on all ranks */
out:
    sources_free(&src);
    cv_transform_destroy(&map);
    return rc;
}
