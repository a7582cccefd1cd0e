/* The vector of a fit: which views it has, and what it predicts. */
#include "jobs/fit_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/text.h"
#include "solver/fourier.h"
#include "solver/private_fit.h"

static const char *const kinds[] = {[CV_FIT_GLM] = "glm",
                                    [CV_FIT_COX] = "cox",
                                    [CV_FIT_RIDGE] = "ridge",
                                    [CV_FIT_KERNEL_RIDGE] = "kernel_ridge",
                                    [CV_FIT_PCA] = "pca"};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* ---- the formula ------------------------------------------------------------------ */

/* The job's checks say this with a line; a schema or a checkpoint from outside
 * comes without them. */
static int check_formula(const cv_fit_model *m, cv_err *err)
{
    const cv_formula *f = m->formula;
    const char *want = NULL;
    if (m->kind == CV_FIT_COX && (!f->has_response || !f->event))
        want = "Surv(time, event) ~ terms";
    else if (m->kind == CV_FIT_PCA && f->has_response)
        want = "~ terms, without a response";
    else if (m->kind != CV_FIT_COX && m->kind != CV_FIT_PCA &&
             (!f->has_response || f->event))
        want = "response ~ terms";
    return want ? cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                             "model.formula: model %s expects %s; found %.300s",
                             kinds[m->kind], want, f->text)
                : 0;
}

/* The formula without `.`. */
static int read_formula(cv_fit_model *m, const cv_job *job,
                        const cv_schema *schema, cv_err *err)
{
    cv_formula *f = NULL;
    const char *weights = job->model.weights;
    size_t n = (size_t)schema->n_features;
    const char **column = CV_NEW(n, const char *);
    for (size_t i = 0; i < n; i++)
        column[i] = schema->features[i].name;
    int rc = cv_formula_parse(job->model.formula ? job->model.formula : "~ .",
                              &f, err);
    if (!rc)
        rc = cv_formula_expand(f, column, n, &weights, weights != NULL,
                               &m->formula, err);
    if (!rc)
        rc = check_formula(m, err);
    cv_formula_destroy(&f);
    free(column);
    return rc;
}

/* Does something else stand in for the column of ones? */
static int hides_intercept(const cv_fit_model *m, const cv_job *job)
{
    return m->kind == CV_FIT_COX || m->kind == CV_FIT_PCA ||
           m->kind == CV_FIT_KERNEL_RIDGE ||
           (m->kind == CV_FIT_GLM && job->model.strata == CV_STRATA_SILO);
}

static int find_family(cv_fit_model *m, const cv_job *job, cv_err *err)
{
    const char *family = "gaussian", *link = NULL;
    if (m->kind == CV_FIT_GLM) {
        family = job->model.family ? job->model.family : family;
        link = job->model.link;
    }
    switch (cv_family_find(&m->family, family, link)) {
    case 0:
        return 0;
    case -1:
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "model.family: '%.40s' is none", family);
    default:
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "model.link: family %s has no link '%.40s'", family,
                          link ? link : "");
    }
}

/* ---- the vector --------------------------------------------------------------------- */

static void name_coefficients(cv_fit_model *m)
{
    m->name = CV_NEW(m->q, char *);
    for (int j = 0; j < m->q; j++)
        m->name[j] = m->kind != CV_FIT_KERNEL_RIDGE
                         ? cv_strdup(m->plan->name[j])
                     : j == 0 ? cv_strdup("(Intercept)")
                              : cv_asprintf("feature %d", j);
}

static void lay_out(cv_fit_model *m, const cv_job *job)
{
    cv_params *v = &m->params;
    int tested = m->kind == CV_FIT_GLM || m->kind == CV_FIT_COX;
    m->has_covariance = tested && m->q <= CV_FIT_COVARIANCE_MAX;
    cv_params_add(v, "scalars", CV_FIT_SCALARS, 0);
    if (m->kind != CV_FIT_PCA)
        cv_params_add(v, "coefficients", m->q, 0);
    if (tested)
        cv_params_add(v, "standard_errors", m->q, 0);
    if (m->has_covariance)
        cv_params_add(v, "covariance", m->q, m->q);
    cv_params_add(v, "working", m->q, 0);
    cv_params_add(v, "previous", m->q, 0);
    cv_params_add(v, "step", m->q, 0);
    cv_params_add(v, "centre", m->p, 0);
    cv_params_add(v, "unit", m->p, 0);
    cv_params_add(v, "dropped", m->q, 0);
    cv_params_add(v, "norm", m->q, 0);
    cv_params_add(v, "first_variance", m->q, 0);
    if (job->privacy.enabled && m->family.kind == CV_FAMILY_BINOMIAL)
        cv_params_add(v, "newton", (int64_t)cv_private_newton_words(m->q), 0);
    if (m->kind == CV_FIT_PCA) {
        cv_params_add(v, "variances", m->q, 0);
        cv_params_add(v, "loadings", m->components, m->q);
    }
}

static int make(cv_fit_model *m, const cv_job *job, const cv_schema *schema,
                cv_err *err)
{
    int rc = find_family(m, job, err);
    if (!rc)
        rc = read_formula(m, job, schema, err);
    if (!rc)
        rc = cv_frame_plan_make(m->formula, schema, hides_intercept(m, job),
                                &m->plan, err);
    if (!rc && m->plan->p < 1)
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "model.formula: expected at least one term, found "
                        "%.300s, which leaves the model without a column",
                        m->formula->text);
    if (rc)
        return rc;
    m->p = m->plan->p;
    m->q = m->kind == CV_FIT_KERNEL_RIDGE ? job->model.features + 1 : m->p;
    if (m->kind == CV_FIT_PCA)
        m->components =
            job->model.components < m->p ? job->model.components : m->p;
    name_coefficients(m);
    lay_out(m, job);
    return 0;
}

int cv_fit_model_make(const cv_job *job, const cv_schema *schema,
                      cv_fit_model **out, cv_err *err)
{
    cv_fit_model *m = CV_NEW(1, cv_fit_model);
    *out = NULL;
    CV_CHECK(cv_job_is_fit(job));
    m->kind = (cv_fit_kind)cv_word_index(job->model.kind, kinds, N_KINDS);
    int rc = make(m, job, schema, err);
    if (rc)
        cv_fit_model_destroy(&m);
    *out = m;
    return rc;
}

void cv_fit_model_destroy(cv_fit_model **model)
{
    cv_fit_model *m = *model;
    if (!m)
        return;
    for (int j = 0; m->name && j < m->q; j++)
        free(m->name[j]);
    free(m->name);
    cv_frame_plan_destroy(&m->plan);
    cv_formula_destroy(&m->formula);
    CV_FREE(*model);
}

cv_private_fit cv_fit_private(const cv_fit_model *m, const cv_job *job)
{
    return (cv_private_fit){.logistic = m->family.kind == CV_FAMILY_BINOMIAL,
                            .intercept = m->formula->intercept,
                            .q = m->q,
                            .clip = job->privacy.clip};
}

static size_t offset_of(const cv_fit_model *m, const char *name)
{
    for (int i = 0; i < m->params.n_views; i++)
        if (strcmp(m->params.views[i].name, name) == 0)
            return m->params.views[i].offset;
    CV_CHECK(!"no such view");
    return 0;
}

double *cv_fit_view(const cv_fit_model *m, double *v, const char *name)
{
    return v + offset_of(m, name);
}

const double *cv_fit_const(const cv_fit_model *m, const double *v,
                           const char *name)
{
    return v + offset_of(m, name);
}

void cv_fit_start(const cv_fit_model *m, double *v)
{
    memset(v, 0, m->params.n * sizeof *v);
}

/* ---- prediction ------------------------------------------------------------------------ */

static double dot(const double *a, const double *b, int n)
{
    double sum = 0.0;
    for (int j = 0; j < n; j++)
        sum += a[j] * b[j];
    return sum;
}

/* Random features of the columns as the fit worked on them. */
static void predict_kernel(const cv_fit_model *m, const cv_job *job,
                           const double *v, const double *x, int64_t n,
                           double *eta)
{
    enum { BLOCK = 128 };
    int p = m->p, d = m->q - 1;
    const double *b = cv_fit_const(m, v, "coefficients");
    const double *centre = cv_fit_const(m, v, "centre");
    const double *unit = cv_fit_const(m, v, "unit");
    double gamma = job->model.gamma > 0.0 ? job->model.gamma : 1.0 / p;
    cv_fourier *map = cv_fourier_create(p, d, gamma, job->training.seed);
    double *in = CV_NEW((size_t)BLOCK * (size_t)p, double);
    double *z = CV_NEW((size_t)BLOCK * (size_t)d, double);
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t rows = n - first < BLOCK ? n - first : BLOCK;
        const double *from = x + first * p;
        for (int64_t i = 0; i < rows; i++)
            for (int j = 0; j < p; j++)
                in[i * p + j] = (from[i * p + j] - centre[j]) / unit[j];
        cv_fourier_map(map, in, rows, z);
        for (int64_t i = 0; i < rows; i++)
            eta[first + i] = b[0] + dot(z + i * d, b + 1, d);
    }
    free(in);
    free(z);
    cv_fourier_destroy(&map);
}

void cv_fit_predict(const cv_fit_model *m, const cv_job *job, const double *v,
                    const double *x, int64_t n, double *eta)
{
    CV_CHECK(m->kind != CV_FIT_PCA);
    if (m->kind == CV_FIT_KERNEL_RIDGE) {
        predict_kernel(m, job, v, x, n, eta);
        return;
    }
    const double *b = cv_fit_const(m, v, "coefficients");
    const double *dropped = cv_fit_const(m, v, "dropped");
    double *used = CV_NEW(m->p, double);
    for (int j = 0; j < m->p; j++)
        used[j] = dropped[j] != 0.0 ? 0.0 : b[j];
    for (int64_t i = 0; i < n; i++)
        eta[i] = dot(x + i * m->p, used, m->p);
    free(used);
}

void cv_fit_scores(const cv_fit_model *m, const cv_job *job, const double *v,
                   const double *x, int64_t n, double *out)
{
    CV_CHECK(m->kind == CV_FIT_PCA);
    int p = m->p, k = m->components;
    const double *centre = cv_fit_const(m, v, "centre");
    const double *unit = cv_fit_const(m, v, "unit");
    const double *loadings = cv_fit_const(m, v, "loadings");
    double *row = CV_NEW(p, double);
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < p; j++) {
            row[j] = x[i * p + j] - centre[j];
            if (job->model.scale)
                row[j] /= unit[j];
        }
        for (int c = 0; c < k; c++)
            out[i * k + c] = dot(row, loadings + (size_t)c * (size_t)p, p);
    }
    free(row);
}
