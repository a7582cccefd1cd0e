/* What R prints of a fit, from its vector. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/fit_model.h"
#include "solver/distributions.h"

/* exp(coefficient), where it is a ratio that has a name. */
static const char *ratio_name(const cv_fit_model *m)
{
    if (m->kind == CV_FIT_COX)
        return "hazard ratio";
    if (m->kind != CV_FIT_GLM)
        return NULL;
    if (m->family.link == CV_LINK_LOGIT)
        return "odds ratio";
    if (m->family.link != CV_LINK_LOG)
        return NULL;
    return m->family.kind == CV_FAMILY_POISSON    ? "rate ratio"
           : m->family.kind == CV_FAMILY_BINOMIAL ? "risk ratio"
                                                  : "mean ratio";
}

static int is_intercept(const cv_fit_model *m, int j)
{
    return m->kind == CV_FIT_KERNEL_RIDGE ? j == 0 : m->plan->term[j] < 0;
}

static int estimates_dispersion(const cv_fit_model *m)
{
    return m->kind == CV_FIT_GLM && !cv_family_fixed_dispersion(&m->family);
}

/* z or t, its p-value and Wald's interval. */
static void test_line(const cv_fit_summary *s, double quantile,
                      cv_fit_line *line)
{
    double t = line->statistic = line->estimate / line->std_error;
    if (isnan(t) || isnan(quantile)) {
        line->statistic = NAN;
        return;
    }
    line->p_value =
        s->by_t ? cv_t_two_sided(t, s->df_residual) : cv_normal_two_sided(t);
    line->lower = line->estimate - quantile * line->std_error;
    line->upper = line->estimate + quantile * line->std_error;
}

static void make_lines(const cv_fit_model *m, const cv_job *job,
                       const double *v, cv_fit_summary *s)
{
    const double *b = cv_fit_const(m, v, "coefficients");
    const double *dropped = cv_fit_const(m, v, "dropped");
    int has_errors = m->kind == CV_FIT_GLM || m->kind == CV_FIT_COX;
    const double *se =
        has_errors ? cv_fit_const(m, v, "standard_errors") : NULL;
    double tail = (1.0 + s->level) / 2.0;
    double quantile = !s->by_t ? cv_normal_quantile(tail)
                      : s->df_residual > 0.0
                          ? cv_t_quantile(tail, s->df_residual)
                          : (double)NAN;
    s->n = m->q;
    s->line = CV_NEW(m->q, cv_fit_line);
    for (int j = 0; j < m->q; j++) {
        cv_fit_line *line = &s->line[j];
        *line = (cv_fit_line){.name = m->name[j],
                              .dropped = dropped[j] != 0.0,
                              .estimate = b[j],
                              .std_error = se ? se[j] : (double)NAN,
                              .statistic = NAN,
                              .p_value = NAN,
                              .lower = NAN,
                              .upper = NAN,
                              .ratio = NAN};
        if (line->dropped)
            line->estimate = line->std_error = NAN;
        if (s->ratio_name && !is_intercept(m, j))
            line->ratio = exp(line->estimate);
        if (!(job->model.ridge > 0.0))
            test_line(s, quantile, line);
    }
}

static void make_glm(const cv_fit_model *m, const double *scalar,
                     cv_fit_summary *s)
{
    double own = scalar[CV_FIT_INTERCEPTS];
    s->deviance = scalar[CV_FIT_DEVIANCE];
    s->null_deviance = scalar[CV_FIT_NULL_DEVIANCE];
    s->dispersion = scalar[CV_FIT_DISPERSION];
    s->loglik = scalar[CV_FIT_LOGLIK];
    s->df_residual = scalar[CV_FIT_DF_RESIDUAL];
    /* One mean for all, as R has it, also where silos have intercepts. */
    s->df_null = scalar[CV_FIT_POSITIVE_ROWS] - (double)m->formula->intercept;
    s->aic = -2.0 * s->loglik +
             2.0 * (scalar[CV_FIT_RANK] + own + estimates_dispersion(m));
    if (m->family.kind == CV_FAMILY_GAUSSIAN &&
        m->family.link == CV_LINK_IDENTITY && s->null_deviance > 0.0)
        s->r_squared = 1.0 - s->deviance / s->null_deviance;
}

/* survival: concordance counts only pairs that the times put in an order. */
static double concordance(const double *scalar)
{
    double pairs = scalar[CV_FIT_CONCORDANT] + scalar[CV_FIT_DISCORDANT] +
                   scalar[CV_FIT_TIED_X];
    return pairs > 0.0
               ? (scalar[CV_FIT_CONCORDANT] + scalar[CV_FIT_TIED_X] / 2.0) /
                     pairs
               : (double)NAN;
}

static void make_cox(const double *scalar, cv_fit_summary *s)
{
    s->deviance = scalar[CV_FIT_DEVIANCE];
    s->null_deviance = scalar[CV_FIT_NULL_DEVIANCE];
    s->loglik = scalar[CV_FIT_LOGLIK];
    s->aic = -2.0 * s->loglik + 2.0 * scalar[CV_FIT_RANK];
    s->lr = s->null_deviance - s->deviance;
    s->lr_df = scalar[CV_FIT_RANK];
    /* Rounding may leave a little less than nothing. */
    if (s->lr_df > 0.0 && !isnan(s->lr))
        s->lr_p = cv_chisq_upper(fmax(0.0, s->lr), s->lr_df);
    s->concordance = concordance(scalar);
}

void cv_fit_summary_make(const cv_fit_model *m, const cv_job *job,
                         const double *v, cv_fit_summary *s)
{
    const double *scalar = cv_fit_const(m, v, "scalars");
    *s = (cv_fit_summary){.by_t = estimates_dispersion(m),
                          .ratio_name = ratio_name(m),
                          .level = 0.95,
                          .aic = NAN,
                          .loglik = NAN,
                          .deviance = NAN,
                          .null_deviance = NAN,
                          .dispersion = NAN,
                          .df_residual = NAN,
                          .df_null = NAN,
                          .lr = NAN,
                          .lr_df = NAN,
                          .lr_p = NAN,
                          .concordance = NAN,
                          .r_squared = NAN};
    if (m->kind == CV_FIT_GLM)
        make_glm(m, scalar, s);
    else if (m->kind == CV_FIT_COX)
        make_cox(scalar, s);
    else if (m->kind != CV_FIT_PCA && scalar[CV_FIT_TSS] > 0.0)
        s->r_squared = 1.0 - scalar[CV_FIT_RSS] / scalar[CV_FIT_TSS];
    if (job->model.ridge > 0.0)
        s->aic = s->lr = s->lr_df = s->lr_p = NAN;
    if (m->kind != CV_FIT_PCA)
        make_lines(m, job, v, s);
}

void cv_fit_summary_free(cv_fit_summary *s)
{
    CV_FREE(s->line);
    s->n = 0;
}
