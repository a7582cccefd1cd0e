#include "jobs/predict_fit.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "core/text.h"
#include "io/table.h"
#include "jobs/output.h"

/* ---- the data ------------------------------------------------------------------------- */

static int is_var(const cv_formula_var *v, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(v[i].column, name) == 0)
            return 1;
    return 0;
}

/* Columns that the model reads. Others may hold what they like: it was fitted
 * without them. */
static int is_used(const cv_saved *s, const char *name, int with_response)
{
    const cv_formula *f = s->fit->formula;
    if (is_var(f->vars, f->n_vars, name) ||
        is_var(f->offsets, f->n_offsets, name))
        return 1;
    if (!with_response)
        return 0;
    return (f->has_response && is_var(&f->response, 1, name)) ||
           (s->job->model.weights && strcmp(s->job->model.weights, name) == 0);
}

static int read_table(const cv_saved *s, const char *path, int with_response,
                      cv_table **table, cv_err *err)
{
    const cv_schema *schema = s->schema;
    const cv_formula *f = s->fit->formula;
    cv_format format;
    cv_feature *used =
        CV_NEW(schema->n_features + 1, cv_feature); /* borrowed */
    int n = 0;
    for (int i = 0; i < schema->n_features; i++)
        if (is_used(s, schema->features[i].name, with_response))
            used[n++] = schema->features[i];
    if (schema->target.name && is_used(s, schema->target.name, with_response))
        used[n++] = schema->target;
    int rc = cv_table_guess_format(path, &format, err);
    if (!rc)
        rc = cv_table_read_for(
            CV_ADVISE_MODEL, path, format, "data",
            &(cv_row_filter){.declared_only = 1, .f64 = 1}, used, n,
            with_response ? f->response.column : NULL, table, err);
    free(used);
    return rc;
}

static int holds(const cv_table *t, const char *name)
{
    for (int i = 0; i < t->n_cols; i++)
        if (strcmp(t->cols[i].name, name) == 0)
            return 1;
    return 0;
}

/* with_response: *frame stays NULL if the file has not all that it takes. */
static int read_frame(const cv_saved *s, const char *path, int with_response,
                      cv_frame **frame, cv_err *err)
{
    const cv_formula *f = s->fit->formula;
    const char *weights = s->job->model.weights;
    const cv_frame_roles roles = {.weights = weights};
    cv_table *table = NULL;
    *frame = NULL;
    int rc = read_table(s, path, with_response, &table, err);
    if (!rc && (!with_response || (holds(table, f->response.column) &&
                                   (!weights || holds(table, weights)))))
        rc = cv_frame_build(&table, f, s->schema, s->fit->plan, &roles,
                            with_response, frame, err);
    cv_table_destroy(&table);
    if (rc) { /* the data are the reader's own */
        cv_err_merge_site(err);
        if (!strstr(err->text, path))
            cv_err_prefix(err, "%s", path);
    }
    return rc;
}

/* ---- predictions ------------------------------------------------------------------------ */

static int is_stratified(const cv_saved *s)
{
    return s->fit->kind == CV_FIT_GLM && s->job->model.strata == CV_STRATA_SILO;
}

/* Columns of the output beside the row. */
enum { MOST_COLUMNS = 2 };

static int n_columns(const cv_saved *s)
{
    switch (s->fit->kind) {
    case CV_FIT_PCA:
        return s->fit->components;
    case CV_FIT_COX:
        return 2;
    case CV_FIT_GLM:
        return is_stratified(s) ? 1 : 2;
    default:
        return 1;
    }
}

static void print_header(FILE *out, const cv_saved *s)
{
    const cv_formula *f = s->fit->formula;
    fputs("row", out);
    if (s->fit->kind == CV_FIT_PCA) {
        for (int c = 0; c < s->fit->components; c++)
            fprintf(out, ",PC%d", c + 1);
    } else if (s->fit->kind == CV_FIT_COX) {
        fputs(",lp,risk", out);
    } else if (is_stratified(s)) {
        fputs(",eta_without_intercept", out);
    } else {
        fputc(',', out);
        cv_csv_field(out, f->has_response ? f->response.label : "score");
        if (s->fit->kind == CV_FIT_GLM)
            fputs(",eta", out);
    }
    fputc('\n', out);
}

/* Linear predictor with the offset; of cox about the centre. */
static void linear_predictor(const cv_saved *s, const cv_frame *d, double *eta)
{
    const cv_fit_model *m = s->fit;
    double middle = 0.0;
    cv_fit_predict(m, s->job, s->v, d->x, d->n, eta);
    if (m->kind == CV_FIT_COX)
        cv_fit_predict(m, s->job, s->v, cv_fit_const(m, s->v, "centre"), 1,
                       &middle);
    for (int64_t i = 0; i < d->n; i++)
        eta[i] += (d->offset ? d->offset[i] : 0.0) - middle;
}

/* value (n, n_columns) row-major. */
static double *predict(const cv_saved *s, const cv_frame *d)
{
    size_t n = (size_t)d->n;
    int k = n_columns(s);
    double *value = CV_NEW(n * (size_t)k, double);
    if (s->fit->kind == CV_FIT_PCA) {
        cv_fit_scores(s->fit, s->job, s->v, d->x, d->n, value);
        return value;
    }
    double *eta = CV_NEW(n, double), *mu = CV_NEW(n, double);
    double *slope = CV_NEW(n, double);
    linear_predictor(s, d, eta);
    if (s->fit->kind == CV_FIT_GLM)
        cv_link_inverse(&s->fit->family, eta, mu, slope, n);
    for (size_t i = 0; i < n; i++) {
        double *row = value + i * (size_t)k;
        row[0] = eta[i];
        if (k == MOST_COLUMNS && s->fit->kind == CV_FIT_COX)
            row[1] = exp(eta[i]);
        else if (k == MOST_COLUMNS) {
            row[0] = mu[i];
            row[1] = eta[i];
        }
    }
    free(eta);
    free(mu);
    free(slope);
    return value;
}

static int write_rows(const cv_saved *s, const cv_frame *d, const char *path,
                      cv_err *err)
{
    char *tmp = NULL, text[CV_F64_TEXT];
    int k = n_columns(s), rc;
    FILE *out = cv_output_open(path, &tmp);
    if (!out) {
        rc = cv_err_set(err, CV_ERR_ENV, path, 0, "cannot write: %s",
                        strerror(errno));
        free(tmp);
        return rc;
    }
    double *value = predict(s, d);
    print_header(out, s);
    for (int64_t i = 0; i < d->n; i++) {
        fprintf(out, "%lld", (long long)d->row[i] + 1);
        for (int c = 0; c < k; c++) {
            cv_format_f64(text, value[i * k + c]);
            fprintf(out, ",%s", text);
        }
        fputc('\n', out);
    }
    free(value);
    rc = cv_output_close(out, path, tmp, err);
    if (rc && tmp)
        unlink(tmp);
    free(tmp);
    return rc;
}

/* ---- how well the response was met ---------------------------------------------------------- */

static void mean_deviance(const cv_saved *s, const cv_frame *d,
                          const double *mu)
{
    const cv_family *f = &s->fit->family;
    double sum = 0.0;
    for (int64_t i = 0; i < d->n; i++) {
        double w = d->weights ? d->weights[i] : 1.0;
        if (cv_family_fault(f, d->y[i], w))
            return; /* values that the family does not have */
        sum += w;
    }
    if (sum > 0.0)
        fprintf(stderr, "mean deviance %.6g  (%lld rows)\n",
                cv_family_deviance(f, d->y, mu, d->weights, (size_t)d->n) / sum,
                (long long)d->n);
}

static void r_squared(const cv_frame *d, const double *fitted)
{
    double mean = 0.0, rss = 0.0, tss = 0.0;
    for (int64_t i = 0; i < d->n; i++)
        mean += d->y[i] / (double)d->n;
    for (int64_t i = 0; i < d->n; i++) {
        rss += (d->y[i] - fitted[i]) * (d->y[i] - fitted[i]);
        tss += (d->y[i] - mean) * (d->y[i] - mean);
    }
    if (tss > 0.0)
        fprintf(stderr, "R squared %.6g  (%lld rows)\n", 1.0 - rss / tss,
                (long long)d->n);
}

static int print_measure(const cv_saved *s, const char *path, cv_err *err)
{
    cv_frame *d = NULL;
    cv_fit_kind kind = s->fit->kind;
    if (kind == CV_FIT_PCA || kind == CV_FIT_COX || is_stratified(s))
        return 0;
    int rc = read_frame(s, path, 1, &d, err);
    if (rc || !d || !d->n || !d->y) {
        cv_frame_destroy(&d);
        return rc;
    }
    double *value = predict(s, d), *fitted = CV_NEW(d->n, double);
    for (int64_t i = 0; i < d->n; i++)
        fitted[i] = value[i * n_columns(s)];
    if (kind == CV_FIT_GLM)
        mean_deviance(s, d, fitted);
    else
        r_squared(d, fitted);
    free(value);
    free(fitted);
    cv_frame_destroy(&d);
    return 0;
}

int cv_predict_fit(const cv_saved *s, const char *data, const char *output,
                   cv_err *err)
{
    const double *scalar = cv_fit_const(s->fit, s->v, "scalars");
    cv_frame *d = NULL;
    if (scalar[CV_FIT_STAGE] < 3.0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "expected a fit that is done; this one is not "
                          "(round %lld): continue it with covey run",
                          (long long)s->round);
    int rc = read_frame(s, data, 0, &d, err);
    if (!rc && d->n_missing)
        fprintf(stderr, "covey: %lld rows left out: a value is missing\n",
                (long long)d->n_missing);
    if (!rc && scalar[CV_FIT_CONVERGED] != 1.0)
        fprintf(stderr, "covey: the fit had not converged\n");
    if (!rc && is_stratified(s))
        fprintf(stderr, "covey: strata: silo: each silo keeps its intercept, "
                        "so there are no means, and eta is without it\n");
    if (!rc)
        rc = write_rows(s, d, output, err);
    cv_frame_destroy(&d);
    return rc ? rc : print_measure(s, data, err);
}
