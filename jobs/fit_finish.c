/* The result of a fit: coefficients on the scale of the data, their covariance. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/fit_parts.h"

/* Coefficients, errors and covariance from working units to the data's: the
 * intercept takes up the centres. cov (q, q) is changed in place. */
void cv_fit_to_data_scale(const cv_run *run, double *b, double *cov)
{
    const cv_fit *fit = run->fit;
    const double *centre = cv_fit_of(run, "centre");
    const double *unit = cv_fit_of(run, "unit");
    size_t q = (size_t)fit->q;
    int at = -1;
    if (cv_fit_is(run, "kernel_ridge"))
        return;
    for (size_t j = 0; j < q; j++)
        if (cv_fit_is_intercept(run, (int)j))
            at = (int)j;
        else
            b[j] /= unit[j];
    for (size_t j = 0; j < q && at >= 0; j++)
        if ((int)j != at)
            b[at] -= centre[j] * b[j];
    if (!cov)
        return;
    for (size_t i = 0; i < q; i++) /* rows, then columns, of T V T' */
        for (size_t j = 0; j < q; j++)
            cov[i * q + j] /= unit[i] * unit[j];
    if (at < 0)
        return;
    size_t a = (size_t)at;
    for (int pass = 0; pass < 2; pass++)
        for (size_t j = 0; j < q; j++) {
            double v = 0.0;
            for (size_t k = 0; k < q; k++)
                if (k != a)
                    v += centre[k] * (pass ? cov[j * q + k] : cov[k * q + j]);
            if (pass)
                cov[j * q + a] -= v;
            else
                cov[a * q + j] -= v;
        }
}

/* phi H^-1, or with a penalty phi A^-1 H A^-1. */
static void covariance(const cv_run *run, const cv_spd *factor, double *cov)
{
    const cv_fit *fit = run->fit;
    size_t q = (size_t)fit->q;
    double phi = cv_fit_scalars(run)[CV_FIT_DISPERSION];
    cv_spd_inverse(factor, cov);
    if (run->job->model.ridge > 0.0) {
        double *half = CV_NEW(q * q, double), *inv = CV_NEW(q * q, double);
        memcpy(inv, cov, q * q * sizeof *cov);
        for (size_t i = 0; i < q; i++)
            for (size_t k = 0; k < q; k++) {
                double v = inv[i * q + k];
                for (size_t j = 0; j < q && v != 0.0; j++)
                    half[i * q + j] += v * (j >= k ? fit->info[k * q + j]
                                                   : fit->info[j * q + k]);
            }
        memset(cov, 0, q * q * sizeof *cov);
        for (size_t i = 0; i < q; i++)
            for (size_t k = 0; k < q; k++)
                for (size_t j = 0; j < q; j++)
                    cov[i * q + j] += half[i * q + k] * inv[k * q + j];
        free(half);
        free(inv);
    }
    for (size_t i = 0; i < q * q; i++)
        cov[i] *= phi;
}

static void set_scalars(const cv_run *run, const double *m)
{
    double *s = cv_fit_scalars(run);
    const cv_fit *fit = run->fit;
    int cox = cv_fit_is(run, "cox");
    s[CV_FIT_DF_RESIDUAL] =
        s[CV_FIT_POSITIVE_ROWS] - s[CV_FIT_RANK] - s[CV_FIT_INTERCEPTS];
    s[CV_FIT_PEARSON] = m[CV_E_PEARSON];
    s[CV_FIT_EXTREME] = m[CV_E_EXTREME];
    if (!cox && !cv_family_fixed_dispersion(&fit->family))
        s[CV_FIT_DISPERSION] = s[CV_FIT_DF_RESIDUAL] > 0.0
                                   ? m[CV_E_PEARSON] / s[CV_FIT_DF_RESIDUAL]
                                   : (double)NAN;
    s[CV_FIT_LOGLIK] =
        cox ? -0.5 * s[CV_FIT_DEVIANCE]
            : cv_family_loglik(&fit->family, m + CV_E_FAMILY,
                               s[CV_FIT_DEVIANCE], s[CV_FIT_POSITIVE_ROWS],
                               s[CV_FIT_WEIGHT_SUM]);
}

/* Standard errors where no rank holds the inverse: of the columns from its
 * diagonal, of the intercept a = b_0 - sum_j (c_j / u_j) b_j from one more
 * solve. */
static int errors_of_parts_all(cv_run *run, const double *diag, cv_err *err)
{
    cv_fit *fit = run->fit;
    size_t q = (size_t)fit->q;
    const double *centre = cv_fit_of(run, "centre");
    const double *unit = cv_fit_of(run, "unit");
    double *se = cv_fit_of(run, "standard_errors");
    double phi = cv_fit_scalars(run)[CV_FIT_DISPERSION], intercept = 0.0;
    double *t = CV_NEW(2 * q, double), *v = t + q;
    for (size_t j = 0; j < q; j++) {
        double root = diag[j] > 0.0 ? sqrt(diag[j]) : INFINITY;
        t[j] = (cv_fit_is_intercept(run, (int)j) ? 1.0 : -centre[j] / unit[j]) /
               root;
    }
    memcpy(v, t, q * sizeof *t);
    cv_dist_solve_all(fit->dist, v, 1);
    for (size_t j = 0; j < q; j++)
        intercept += t[j] * v[j];
    int rc = cv_dist_inverse_diagonal_all(fit->dist, v, err);
    for (size_t j = 0; j < q && !rc; j++) {
        double variance = cv_fit_is_intercept(run, (int)j)
                              ? intercept
                              : v[j] / diag[j] / (unit[j] * unit[j]);
        se[j] = diag[j] > 0.0 ? sqrt(phi * variance) : (double)NAN;
    }
    free(t);
    return rc;
}

int cv_fit_finish_all(cv_run *run, const double *m, const cv_spd *factor,
                      const double *diag, int converged, cv_err *err)
{
    cv_fit *fit = run->fit;
    size_t q = (size_t)fit->q;
    double *s = cv_fit_scalars(run), *b = cv_fit_of(run, "coefficients");
    const double *dropped = cv_fit_of(run, "dropped");
    double *cov =
        fit->model->has_covariance ? cv_fit_of(run, "covariance") : NULL;
    double *own = NULL;
    int rc = 0;
    s[CV_FIT_STAGE] = 3;
    s[CV_FIT_CONVERGED] = converged;
    set_scalars(run, m);
    memcpy(b, cv_fit_of(run, "working"), q * sizeof *b);
    if (factor && (cv_fit_is(run, "glm") || cv_fit_is(run, "cox"))) {
        if (!cov)
            cov = own = CV_NEW(q * q, double);
        covariance(run, factor, cov);
        cv_fit_to_data_scale(run, b, cov);
        double *se = cv_fit_of(run, "standard_errors");
        for (size_t j = 0; j < q; j++)
            se[j] = dropped[j] != 0.0 ? (double)NAN : sqrt(cov[j * q + j]);
        for (size_t i = 0; i < q && !own; i++)
            for (size_t j = 0; j < q; j++)
                if (dropped[i] != 0.0 || dropped[j] != 0.0)
                    cov[i * q + j] = (double)NAN;
    } else {
        cv_fit_to_data_scale(run, b, NULL);
        if (fit->dist && cv_fit_is(run, "glm"))
            rc = errors_of_parts_all(run, diag, err);
    }
    for (size_t j = 0; j < q; j++)
        if (dropped[j] != 0.0)
            b[j] = (double)NAN;
    free(own);
    return rc;
}
