/* Pooled standardisation: two passes of sums over the training rows of all
 * silos. Sums and counts are reduced; no silo's own mean is shown. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/masked.h"
#include "jobs/prepare.h"
#include "jobs/scale.h"
#include "mpi/reduce.h"

static double value_at(const cv_samples *s, size_t i, double scale)
{
    return s->is_u8 ? (double)((const uint8_t *)s->x)[i] * scale
                    : (double)((const float *)s->x)[i];
}

/* Per silo: count and sum (shift NULL), or count and sum of squares about
 * shift, of every column; NaN is skipped. Summed over silos. */
static int pooled_moments(cv_run *run, cv_attempt *at, double scale,
                          const double *shift, double *count, double *moment,
                          cv_err *err)
{
    int rc = 0;
    size_t c = (size_t)run->schema->n_cols;
    int hosted = run->fed.n_hosted;
    double *mine = CV_NEW((size_t)hosted * 2 * c, double);
    double *total = CV_NEW(2 * c, double);
    for (int s = 0; s < hosted; s++) {
        const cv_samples *rows = &run->hosted[s].train;
        double *n = mine + (size_t)s * 2 * c, *m = n + c;
        if (run->secure && rows->n_rows < run->job->disclosure.min_rows)
            continue; /* as in the rounds: it adds nothing */
        for (int64_t i = 0; i < rows->n_rows; i++)
            for (size_t j = 0; j < c; j++) {
                double v = value_at(rows, (size_t)i * c + j, scale);
                if (isnan(v))
                    continue;
                n[j] += 1.0;
                m[j] += shift ? (v - shift[j]) * (v - shift[j]) : v;
            }
    }
    if (run->secure) {
        rc = cv_masked_numbers_all(run, at, total, mine, 2 * c, err);
        cv_bcast_bytes_all(run->fed.silo, total, 2 * c * sizeof *total, 0);
    } else {
        cv_sum_silos_all(&run->fed, total, mine, 2 * c);
    }
    memcpy(count, total, c * sizeof *count);
    memcpy(moment, total + c, c * sizeof *moment);
    free(mine);
    free(total);
    return rc;
}

/* Indicators stay 0 and 1; only number columns are standardised. */
static uint8_t *number_columns(const cv_schema *schema)
{
    uint8_t *is_number = CV_NEW(schema->n_cols, uint8_t);
    int c = 0;
    for (int f = 0; f < schema->n_features; f++) {
        const cv_feature *x = &schema->features[f];
        if (x->type == CV_FEATURE_NUMBER)
            is_number[c++] = 1;
        else
            c += x->n_levels > 1 ? x->n_levels - 1 : 0;
    }
    return is_number;
}

static int pool(cv_run *run, cv_attempt *at, double scale, cv_err *err)
{
    cv_schema *schema = run->schema;
    size_t c = (size_t)schema->n_cols;
    double *count = CV_NEW(c, double), *sum = CV_NEW(c, double);
    double *mean = CV_NEW(c, double);
    uint8_t *is_number = number_columns(schema);
    int rc = pooled_moments(run, at, scale, NULL, count, sum, err);
    for (size_t j = 0; j < c; j++)
        mean[j] = count[j] > 0.0 ? sum[j] / count[j] : 0.0;
    for (size_t j = 0; j < c; j++)
        schema->fill[j] = mean[j];
    if (!rc && schema->standardize == CV_STANDARDIZE_POOLED) {
        rc = pooled_moments(run, at, scale, mean, count, sum, err);
        for (size_t j = 0; j < c; j++) {
            double sd = count[j] > 0.0 ? sqrt(sum[j] / count[j]) : 0.0;
            if (!is_number[j])
                continue;
            schema->shift[j] = mean[j];
            /* A spread below this is rounding of a constant column. */
            schema->unit[j] = sd > 1e-9 * fabs(mean[j]) ? sd : 1.0;
        }
    }
    free(count);
    free(sum);
    free(mean);
    free(is_number);
    return rc;
}

/* Pooled numbers under masks: an attempt of its own, before the first round. */
static int pool_masked(cv_run *run, double scale, cv_err *err)
{
    cv_attempt at;
    int32_t *status = CV_NEW(run->fed.n_silos, int32_t);
    for (int i = 0; i < run->fed.n_silos; i++)
        status[i] = CV_SILO_READY;
    cv_masked_make_room(run);
    int rc = cv_attempt_begin_all(run, &at, 0, status, 0, err);
    if (!rc)
        rc = cv_attempt_spend_all(run, &at, NULL, NULL, err);
    if (!rc)
        rc = pool(run, &at, scale, err);
    cv_attempt_end(&at);
    free(status);
    return rc;
}

/* Identity where nothing is agreed yet (bounds have set shift and unit). */
static void start_from_identity(cv_schema *schema)
{
    size_t c = (size_t)schema->n_cols;
    if (!schema->shift)
        schema->shift = CV_NEW(c, double);
    if (!schema->fill)
        schema->fill = CV_NEW(c, double);
    if (schema->unit)
        return;
    schema->unit = CV_NEW(c, double);
    for (size_t j = 0; j < c; j++)
        schema->unit[j] = 1.0;
}

int cv_standardize_all(cv_run *run, double scale, cv_err *err)
{
    int rc = 0;
    cv_schema *schema = run->schema;
    start_from_identity(schema);
    if (schema->standardize == CV_STANDARDIZE_POOLED ||
        schema->missing == CV_MISSING_MEAN)
        rc = run->secure ? pool_masked(run, scale, err)
                         : pool(run, NULL, scale, err);
    if (rc)
        return rc;
    run->mul = CV_NEW(schema->n_cols, float);
    run->add = CV_NEW(schema->n_cols, float);
    cv_scale_tables(schema, scale, run->mul, run->add);
    for (int s = 0; s < run->fed.n_hosted; s++) {
        cv_scale_rows(schema, &run->hosted[s].train, run->mul, run->add);
        cv_scale_rows(schema, &run->hosted[s].test, run->mul, run->add);
    }
    cv_scale_rows(schema, &run->public_test, run->mul, run->add);
    return 0;
}
