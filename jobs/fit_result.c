#include "jobs/fit_result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

typedef struct {
    const cv_fit_model *m;
    const cv_job *job;
    const double *v, *scalar;
    cv_fit_summary sum;
    const cv_fit_sink *to;
    cv_err *err;
    int rc; /* of the first that failed; nothing follows it */
} result;

static void text(result *r, const char *name, const char *v)
{
    if (!r->rc && v)
        r->rc = r->to->text(r->to->arg, name, v, r->err);
}

/* A whole number where it is one: sums with noise are not. */
static void number(result *r, const char *name, double v)
{
    if (r->rc || isnan(v))
        return;
    r->rc = r->to->number(r->to->arg, name, v, r->err);
}

static void count(result *r, const char *name, double v)
{
    if (r->rc || isnan(v))
        return;
    if (v == trunc(v) && fabs(v) < 0x1p53)
        r->rc = r->to->whole(r->to->arg, name, (int64_t)v, r->err);
    else
        number(r, name, v);
}

static void array(result *r, const char *path, int rank, const int64_t *dims,
                  const double *v, const char *note)
{
    if (!r->rc)
        r->rc = r->to->array(r->to->arg, path, rank, dims, v, note, r->err);
}

static void say_model(result *r)
{
    const cv_job *job = r->job;
    int glm = r->m->kind == CV_FIT_GLM, cox = r->m->kind == CV_FIT_COX;
    text(r, "kind", job->model.kind);
    /* As the job has it: with `.` for thousands of columns. What is too long for
     * an attribute is in /job. */
    if (r->job->model.formula && strlen(r->job->model.formula) <= 50000)
        text(r, "formula", r->job->model.formula);
    if (glm) {
        text(r, "family", cv_family_name(&r->m->family));
        text(r, "link", cv_link_name(&r->m->family));
    }
    if (cox)
        text(r, "ties", job->model.ties);
    if (glm || cox)
        text(r, "strata",
             job->model.strata == CV_STRATA_SILO ? "silo" : "none");
    if (job->model.ridge > 0.0)
        number(r, "ridge", job->model.ridge);
}

/* What a user looks for; what is NaN the fit does not have. */
static void say_fit(result *r)
{
    const double *s = r->scalar;
    const cv_fit_summary *sum = &r->sum;
    int pca = r->m->kind == CV_FIT_PCA, cox = r->m->kind == CV_FIT_COX;
    int glm = r->m->kind == CV_FIT_GLM;
    count(r, "converged", s[CV_FIT_CONVERGED]);
    count(r, "iterations", s[CV_FIT_ITERATIONS]);
    count(r, "rows", s[CV_FIT_ROWS]);
    if (cox)
        count(r, "events", s[CV_FIT_EVENTS]);
    if (glm || cox)
        count(r, "rank", s[CV_FIT_RANK]);
    number(r, "deviance", sum->deviance);
    number(r, "null_deviance", sum->null_deviance);
    count(r, "df_residual", sum->df_residual);
    count(r, "df_null", sum->df_null);
    number(r, "dispersion", sum->dispersion);
    number(r, "loglik", sum->loglik);
    number(r, "aic", sum->aic);
    number(r, "likelihood_ratio", sum->lr);
    count(r, "likelihood_ratio_df", sum->lr_df);
    number(r, "likelihood_ratio_p", sum->lr_p);
    number(r, "concordance", sum->concordance);
    number(r, "r_squared", sum->r_squared);
    if (pca)
        number(r, "total_variance", s[CV_FIT_TOTAL_VARIANCE]);
    if (glm && s[CV_FIT_EXTREME] > 0.0)
        count(r, "extreme", s[CV_FIT_EXTREME]);
    if (r->job->privacy.enabled)
        number(r, "noise", s[CV_FIT_NOISE]);
}

enum { FIELDS = 7 };

static void field(double *out[FIELDS], int64_t i, const cv_fit_line *line)
{
    const double v[FIELDS] = {line->estimate, line->std_error, line->statistic,
                              line->p_value,  line->lower,     line->upper,
                              line->ratio};
    for (int k = 0; k < FIELDS; k++)
        out[k][i] = v[k];
}

/* Columns that the kind does not have (all NaN by what it is, not by chance)
 * are left out. */
static void say_coefficients(result *r)
{
    static const char *const names[FIELDS] = {
        "estimate", "std_error", "statistic", "p_value",
        "lower",    "upper",     "ratio"};
    const cv_fit_summary *s = &r->sum;
    int has_errors = r->m->kind == CV_FIT_GLM || r->m->kind == CV_FIT_COX;
    int tested = has_errors && !(r->job->model.ridge > 0.0);
    const int has[FIELDS] = {
        1, has_errors, tested, tested, tested, tested, s->ratio_name != NULL};
    int64_t n = s->n;
    cv_h5_column cols[FIELDS + 1] = {
        {.name = "name", .is_string = 1, .data = r->m->name}};
    double *values = CV_NEW(FIELDS * (size_t)n, double), *at[FIELDS];
    int n_cols = 1;
    for (int k = 0; k < FIELDS; k++) {
        at[k] = values + (size_t)k * (size_t)n;
        if (has[k])
            cols[n_cols++] = (cv_h5_column){
                .name = names[k], .type = CV_H5_F64, .data = at[k]};
    }
    for (int64_t i = 0; i < n; i++)
        field(at, i, &s->line[i]);
    if (s->ratio_name)
        text(r, "ratio", s->ratio_name);
    if (tested) {
        text(r, "statistic", s->by_t ? "t" : "z");
        number(r, "level", s->level);
    }
    if (!r->rc)
        r->rc = r->to->table(
            r->to->arg, "/result/coefficients", cols, n_cols, n,
            "a row a coefficient, on the scale of the data; NaN: left out, "
            "collinear with those before; lower, upper: Wald's interval of "
            "the attribute level of /result; ratio: exp(estimate)",
            r->err);
    free(values);
}

static void say_arrays(result *r)
{
    const cv_fit_model *m = r->m;
    int64_t dims[2] = {m->q, m->q}, loads[2] = {m->components, m->q};
    if (!r->rc)
        r->rc = r->to->names(r->to->arg, "/result/names",
                             (const char *const *)m->name, (size_t)m->q,
                             m->kind == CV_FIT_PCA
                                 ? "columns, in the order of loadings"
                                 : "coefficients, in order",
                             r->err);
    if (m->has_covariance)
        array(r, "/result/covariance", 2, dims,
              cv_fit_const(m, r->v, "covariance"),
              "covariance matrix of the estimates, rows and columns in the "
              "order of /result/names; NaN or 0: left out");
    if (m->kind != CV_FIT_PCA)
        return;
    array(r, "/result/variances", 1, dims, cv_fit_const(m, r->v, "variances"),
          "variance of each component, largest first");
    array(r, "/result/loadings", 2, loads, cv_fit_const(m, r->v, "loadings"),
          "a row a component, columns in the order of /result/names; rows have "
          "norm 1, and their largest element is positive");
}

int cv_fit_result(const cv_fit_model *m, const cv_job *job, const double *v,
                  const cv_fit_sink *sink, cv_err *err)
{
    result r = {.m = m,
                .job = job,
                .v = v,
                .scalar = cv_fit_const(m, v, "scalars"),
                .to = sink,
                .err = err};
    if (r.scalar[CV_FIT_STAGE] < 3.0)
        return 0;
    cv_fit_summary_make(m, job, v, &r.sum);
    say_model(&r);
    say_fit(&r);
    if (m->kind != CV_FIT_PCA)
        say_coefficients(&r);
    say_arrays(&r);
    cv_fit_summary_free(&r.sum);
    return r.rc;
}
