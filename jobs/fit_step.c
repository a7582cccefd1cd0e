/* From the sums of a round to the next coefficients, and at the end to the result.
 *
 * Every leader holds the same sums, and takes the step itself; round_fit.c holds
 * what they come to against one another. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "jobs/fit.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"
#include "solver/spd.h"

/* A coefficient whose variance has grown by so much since the first step, and
 * which is itself large, has no finite estimate. */
static const double RUNAWAY_VARIANCE = 1e6, RUNAWAY_STEP = 5.0;

/* The next step would change the deviance by less than its own rounding. */
static const double NO_STEP = 1e-22;

/* ---- round 1 ---------------------------------------------------------------
 */

/* Columns that people call constant have a spread by rounding alone. */
static double spread(double sum, double square, double n, double mean)
{
    double v = square / n - mean * mean;
    (void)sum;
    return v > 1e-14 * mean * mean ? sqrt(v) : 0.0;
}

/* Is coefficient j that of the constant? */
static int is_intercept(const cv_run *run, int j)
{
    return cv_fit_is(run, "kernel_ridge") ? j == 0
                                          : run->fit->model->plan->term[j] < 0;
}

/* Is there a constant that takes up the means: an intercept, of all or of each
 * silo, or a baseline hazard? */
static int has_constant(const cv_run *run)
{
    return run->fit->model->formula->intercept || cv_fit_is(run, "cox") ||
           cv_fit_is(run, "pca");
}

static void set_units(const cv_run *run, const double *m)
{
    const cv_job *job = run->job;
    double *centre = cv_fit_of(run, "centre"), *unit = cv_fit_of(run, "unit");
    int p = run->fit->model->p, constant = has_constant(run);
    int kernel = cv_fit_is(run, "kernel_ridge"), pca = cv_fit_is(run, "pca");
    int pooled = job->data.standardize == CV_STANDARDIZE_POOLED;
    const double *sum = m + CV_M_FIXED, *square = sum + p;
    double n = m[CV_M_ROWS];
    for (int j = 0; j < p; j++) {
        double mean = sum[j] / n, sd = spread(sum[j], square[j], n, mean);
        double size = sqrt(square[j] / n);
        centre[j] = 0.0;
        unit[j] = 1.0;
        if ((!kernel && is_intercept(run, j)) || (kernel && !pooled))
            continue;
        if (constant)
            centre[j] = mean;
        unit[j] = constant && sd > 0.0 ? sd : size > 0.0 ? size : 1.0;
        if (pca)
            unit[j] = job->model.scale && sd > 0.0
                          ? sd * sqrt(n / fmax(n - 1.0, 1.0))
                          : 1.0;
    }
}

int cv_fit_take_moments(cv_run *run, cv_err *err)
{
    double *s = cv_fit_scalars(run);
    const double *m = run->fit->numbers;
    if (!(m[CV_M_POSITIVE] >= 1.0))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "no silo has a row without missing values");
    if (cv_fit_is(run, "cox") && !(m[CV_M_EVENTS] >= 1.0))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "no row of any silo has an event");
    s[CV_FIT_ROWS] = m[CV_M_ROWS];
    s[CV_FIT_POSITIVE_ROWS] = m[CV_M_POSITIVE];
    s[CV_FIT_WEIGHT_SUM] = m[CV_M_WEIGHT];
    s[CV_FIT_EVENTS] = m[CV_M_EVENTS];
    s[CV_FIT_RESPONSE_MEAN] = m[CV_M_WEIGHTED_Y] / m[CV_M_WEIGHT];
    s[CV_FIT_STAGE] = 1;
    s[CV_FIT_PREVIOUS] = INFINITY;
    s[CV_FIT_DISPERSION] = 1.0;
    if (run->job->model.strata == CV_STRATA_SILO && cv_fit_is(run, "glm"))
        s[CV_FIT_INTERCEPTS] = run->fed.n_silos;
    set_units(run, m);
    return 0;
}

/* ---- penalty ---------------------------------------------------------------
 */

/* ridge |b|^2 on the data's scale, for the working coefficients. */
void cv_fit_set_penalty(const cv_run *run)
{
    cv_fit *fit = run->fit;
    const double *unit = cv_fit_of(run, "unit");
    int kernel = cv_fit_is(run, "kernel_ridge");
    int pooled = run->job->data.standardize == CV_STANDARDIZE_POOLED;
    if (!fit->penalty)
        fit->penalty = CV_NEW(fit->q, double);
    for (int j = 0; j < fit->q; j++) {
        double u = kernel || pooled ? 1.0 : unit[j];
        fit->penalty[j] =
            is_intercept(run, j) ? 0.0 : run->job->model.ridge / (u * u);
    }
}

static double penalised(const cv_run *run, double deviance, const double *b)
{
    double d = deviance;
    for (int j = 0; j < run->fit->q; j++)
        d += run->fit->penalty[j] * b[j] * b[j];
    return d;
}

/* ---- the step --------------------------------------------------------------
 */

static const char *name_of(const cv_run *run, int j)
{
    return cv_fit_is(run, "kernel_ridge") ? "a random feature"
                                          : run->fit->model->plan->name[j];
}

static int runs_away(const cv_run *run, int j, cv_err *err)
{
    int binomial =
        cv_fit_is(run, "glm") && run->fit->family.kind == CV_FAMILY_BINOMIAL;
    return cv_err_set(
        err, CV_ERR_NUMERIC, NULL, 0,
        "the fit has no finite solution: column '%s' (perhaps with others) "
        "%s, so its coefficient grows without end; leave it out, join "
        "categories, or set model.ridge to a small number",
        name_of(run, j),
        binomial ? "separates the outcomes"
                 : "predicts where nothing happens at all");
}

/* H + penalty, upper triangle; fit->info itself stays as it was summed. */
static double *penalised_info(const cv_run *run)
{
    size_t q = (size_t)run->fit->q;
    double *a = CV_NEW(q * q, double);
    memcpy(a, run->fit->info, q * q * sizeof *a);
    for (size_t j = 0; j < q; j++)
        a[j * q + j] += run->fit->penalty[j];
    return a;
}

static int note_dropped(const cv_run *run, const uint8_t *dropped, cv_err *err)
{
    cv_fit *fit = run->fit;
    double *view = cv_fit_of(run, "dropped");
    int first = -1, rank = 0;
    for (int j = 0; j < fit->q; j++) {
        view[j] = dropped[j];
        rank += !dropped[j];
        if (dropped[j] && first < 0)
            first = j;
    }
    cv_fit_scalars(run)[CV_FIT_RANK] = rank;
    if (first >= 0 && run->job->model.collinear == CV_COLLINEAR_REFUSE)
        return cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                          "column '%s' is constant, or follows from the "
                          "columns before it (model.collinear: refuse); leave "
                          "it out",
                          name_of(run, first));
    if (rank == 0)
        return cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                          "no column of the formula varies: there is nothing "
                          "to estimate");
    if (first >= 0 && run->fed.rank == 0)
        for (int j = 0; j < fit->q; j++)
            if (dropped[j])
                cv_log(CV_LOG_WARN, "column_dropped",
                       "column=\"%s\" reason=\"constant, or follows from the "
                       "columns before it\"",
                       name_of(run, j));
    return 0;
}

/* Whole matrix: factor, and solve for the step. */
static int solve_whole(cv_run *run, const double *g, double *step,
                       double *variance, cv_spd **factor, cv_err *err)
{
    cv_fit *fit = run->fit;
    size_t q = (size_t)fit->q;
    int find = cv_fit_scalars(run)[CV_FIT_ITERATIONS] == 0.0, column = -1;
    double *a = penalised_info(run);
    uint8_t *dropped = CV_NEW(q, uint8_t);
    const double *view = cv_fit_of(run, "dropped");
    for (size_t j = 0; j < q; j++)
        dropped[j] = view[j] != 0.0;
    *factor =
        cv_spd_factor(a, fit->q, CV_SPD_TOLERANCE, find, dropped, &column);
    int rc = 0;
    if (!*factor && (find || column < 0))
        rc = cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                        "the information matrix is not finite; bring the "
                        "columns to a smaller scale");
    else if (!*factor)
        rc = runs_away(run, column, err);
    if (!rc && find)
        rc = note_dropped(run, dropped, err);
    if (!rc) {
        cv_spd_solve(*factor, g, step);
        double *inverse = CV_NEW(q * q, double);
        cv_spd_inverse(*factor, inverse);
        for (size_t j = 0; j < q; j++)
            variance[j] = inverse[j * q + j];
        free(inverse);
    }
    free(a);
    free(dropped);
    return rc;
}

/* The same by ScaLAPACK: the matrix is scaled to a unit diagonal. */
static int solve_parts_all(cv_run *run, const double *g, const double *diag,
                           double *step, cv_err *err)
{
    cv_fit *fit = run->fit;
    int64_t q = fit->q, column = -1;
    double t0 = cv_now();
    double *add = CV_NEW(q, double);
    for (int64_t j = 0; j < q; j++) { /* a column of zeros has coefficient 0 */
        add[j] = diag[j] > 0.0 ? fit->penalty[j] / diag[j] : 1.0;
        step[j] = diag[j] > 0.0 ? g[j] / sqrt(diag[j]) : 0.0;
    }
    cv_dist_add_diagonal(fit->dist, add);
    free(add);
    int rc = cv_dist_factor_all(fit->dist, &column, err);
    if (rc == CV_ERR_NUMERIC)
        return cv_err_set(
            err, CV_ERR_NUMERIC, NULL, 0,
            "column '%s' is constant, or follows from the columns "
            "before it; leave it out, or set model.ridge",
            column >= 0 && column < q ? name_of(run, (int)column) : "?");
    if (rc)
        return rc;
    cv_dist_solve_all(fit->dist, step, 1);
    double *dropped = cv_fit_of(run, "dropped");
    int64_t rank = q;
    for (int64_t j = 0; j < q; j++) {
        step[j] = diag[j] > 0.0 ? step[j] / sqrt(diag[j]) : 0.0;
        dropped[j] = !(diag[j] > 0.0) && fit->penalty[j] == 0.0;
        rank -= dropped[j] != 0.0;
    }
    cv_fit_scalars(run)[CV_FIT_RANK] = (double)rank;
    cv_dist_grid grid = cv_dist_grid_of(fit->dist);
    fit->seconds_solve = cv_now() - t0;
    if (run->fed.rank == 0)
        cv_log(CV_LOG_INFO, "fit_solve", "n=%lld grid=%dx%d nb=%d seconds=%.3f",
               (long long)q, grid.rows, grid.cols, grid.nb, fit->seconds_solve);
    return 0;
}

/* ---- the result ------------------------------------------------------------
 */

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
        if (is_intercept(run, (int)j))
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

/* Is some coefficient on its way to infinity? Its column, or -1. */
static int find_runaway(const cv_run *run, const double *variance)
{
    const double *first = cv_fit_of(run, "first_variance");
    const double *b = cv_fit_of(run, "working");
    int worst = -1;
    double most = RUNAWAY_VARIANCE;
    for (int j = 0; j < run->fit->q; j++)
        if (first[j] > 0.0 && variance[j] > most * first[j] &&
            fabs(b[j]) > RUNAWAY_STEP) {
            worst = j;
            most = variance[j] / first[j];
        }
    return worst;
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
        t[j] = (is_intercept(run, (int)j) ? 1.0 : -centre[j] / unit[j]) / root;
    }
    memcpy(v, t, q * sizeof *t);
    cv_dist_solve_all(fit->dist, v, 1);
    for (size_t j = 0; j < q; j++)
        intercept += t[j] * v[j];
    int rc = cv_dist_inverse_diagonal_all(fit->dist, v, err);
    for (size_t j = 0; j < q && !rc; j++) {
        double variance = is_intercept(run, (int)j)
                              ? intercept
                              : v[j] / diag[j] / (unit[j] * unit[j]);
        se[j] = diag[j] > 0.0 ? sqrt(phi * variance) : (double)NAN;
    }
    free(t);
    return rc;
}

static int finish_all(cv_run *run, const double *m, const cv_spd *factor,
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

/* ---- the machine -----------------------------------------------------------
 */

static int largest(const cv_run *run, const double *b)
{
    int at = 0;
    for (int j = 1; j < run->fit->q; j++)
        if (!is_intercept(run, j) &&
            (is_intercept(run, at) || fabs(b[j]) > fabs(b[at])))
            at = j;
    return at;
}

/* Back towards the coefficients before, half of the way. */
static int halve(cv_run *run, cv_err *err)
{
    double *s = cv_fit_scalars(run);
    double *b = cv_fit_of(run, "working");
    const double *previous = cv_fit_of(run, "previous");
    s[CV_FIT_HALVINGS] += 1.0;
    for (int j = 0; j < run->fit->q; j++)
        b[j] = 0.5 * (b[j] + previous[j]);
    int j = largest(run, previous);
    if (run->round + 1 >= run->job->training.rounds &&
        fabs(previous[j]) > RUNAWAY_STEP)
        return runs_away(run, j, err);
    if (run->round + 1 >= run->job->training.rounds)
        return cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                          "the fit does not converge: after %d rounds a step "
                          "still leaves the range of the family; try another "
                          "link, or model.ridge",
                          run->job->training.rounds);
    return 0;
}

/* Where the first step leads nowhere, back to the null model, which is somewhere
 * for certain. */
static void set_safe_start(cv_run *run)
{
    double *previous = cv_fit_of(run, "previous");
    double mean = cv_fit_scalars(run)[CV_FIT_RESPONSE_MEAN];
    for (int j = 0; j < run->fit->q; j++)
        if (is_intercept(run, j))
            cv_link_apply(&run->fit->family, &mean, &previous[j], 1);
}

static int take_next(cv_run *run, const double *step, double decrement)
{
    double *s = cv_fit_scalars(run);
    double *b = cv_fit_of(run, "working");
    double *previous = cv_fit_of(run, "previous");
    int q = run->fit->q;
    int first = s[CV_FIT_ITERATIONS] == 0.0 && !cv_fit_is(run, "cox");
    if (!first)
        memcpy(previous, b, (size_t)q * sizeof *b);
    for (int j = 0; j < q; j++)
        b[j] = first ? step[j] : b[j] + step[j];
    if (first)
        set_safe_start(run);
    s[CV_FIT_DECREMENT] = decrement;
    return 0;
}

static double dot(const double *a, const double *b, int n)
{
    double d = 0.0;
    for (int j = 0; j < n; j++)
        d += a[j] * b[j];
    return d;
}

/* R's rule, and the last step was small against the standard errors. */
static int has_converged(const cv_run *run, double now, double decrement)
{
    const double *s = cv_fit_scalars(run);
    double tol = run->job->training.tolerance;
    double change = fabs(now - s[CV_FIT_PREVIOUS]);
    if (s[CV_FIT_ITERATIONS] == 0.0 && !cv_fit_is(run, "cox"))
        return 0;
    if (decrement <= NO_STEP * (fabs(now) + 0.1))
        return 1;
    return change < tol * (fabs(now) + 0.1) && s[CV_FIT_DECREMENT] <= sqrt(tol);
}

static int step_known_all(cv_run *run, const double *m, const double *g,
                          const double *diag, double *step, double *variance,
                          cv_err *err)
{
    cv_fit *fit = run->fit;
    double *s = cv_fit_scalars(run);
    cv_spd *factor = NULL;
    int parts = cv_fit_is_distributed(run), last, converged;
    int rc = parts ? solve_parts_all(run, g, diag, step, err)
                   : solve_whole(run, g, step, variance, &factor, err);
    rc = cv_agree_all(run->fed.leaders, rc, err);
    if (rc)
        goto out;
    double now = penalised(run, m[CV_E_DEVIANCE], cv_fit_of(run, "working"));
    double decrement = dot(step, g, fit->q);
    converged = has_converged(run, now, decrement);
    if (s[CV_FIT_ITERATIONS] == 0.0)
        memcpy(cv_fit_of(run, "first_variance"), variance,
               (size_t)fit->q * sizeof *variance);
    last = run->round + 1 >= run->job->training.rounds;
    s[CV_FIT_DEVIANCE] = m[CV_E_DEVIANCE];
    int began = s[CV_FIT_ITERATIONS] > 0.0 || cv_fit_is(run, "cox");
    if (!parts && began && (converged || last)) {
        int j = find_runaway(run, variance);
        rc = j >= 0 ? runs_away(run, j, err) : 0;
    }
    if (rc)
        goto out;
    if (began && (converged || last)) {
        s[CV_FIT_ITERATIONS] += 1.0;
        rc = finish_all(run, m, factor, diag, converged, err);
        s[CV_FIT_PREVIOUS] = converged ? now : INFINITY;
        goto out;
    }
    s[CV_FIT_STAGE] = 2;
    take_next(run, step, decrement);
    s[CV_FIT_PREVIOUS] =
        s[CV_FIT_ITERATIONS] == 0.0 && !cv_fit_is(run, "cox") ? INFINITY : now;
    s[CV_FIT_ITERATIONS] += 1.0;
out:
    cv_spd_destroy(&factor);
    return rc;
}

/* The deviance went up, or there is none: not a step to go on from. */
static int is_worse(const cv_run *run, const double *m)
{
    const double *s = cv_fit_scalars(run);
    if (s[CV_FIT_ITERATIONS] == 0.0)
        return 0;
    if (m[CV_E_BAD] > 0.0)
        return 1;
    double now = penalised(run, m[CV_E_DEVIANCE], cv_fit_of(run, "working"));
    double rise = now - s[CV_FIT_PREVIOUS];
    return rise / (fabs(now) + 0.1) >= fmax(run->job->training.tolerance, 1e-9);
}

static int make_bins_info(cv_run *run, double *m, double **score)
{
    cv_fit *fit = run->fit;
    size_t q = (size_t)fit->q;
    cv_cox_sums sums;
    if (!fit->info)
        fit->info = CV_NEW(q * q, double);
    *score = CV_NEW(q, double);
    cv_cox_bins_fit(m + CV_E_FIXED, run->job->model.n_bins - 1, fit->q, 0.0,
                    strcmp(run->job->model.ties, "breslow") == 0
                        ? CV_TIES_BRESLOW
                        : CV_TIES_EFRON,
                    &sums, *score, fit->info);
    m[CV_E_DEVIANCE] = -2.0 * sums.loglik;
    m[CV_E_EVENTS] = sums.events;
    m[CV_E_BAD] += sums.bad;
    return 0;
}

/* Ridge: one step is the solution, and the score there, which all silos have
 * added up, shows that it is: whoever solved the system. */
static int check_solution(cv_run *run, const double *m, const double *g,
                          cv_err *err)
{
    double *s = cv_fit_scalars(run);
    const double *size = cv_fit_of(run, "norm");
    double scale = sqrt(s[CV_FIT_TSS]);
    for (int j = 0; j < run->fit->q; j++)
        if (!(fabs(g[j]) <= 1e-7 * sqrt(size[j]) * scale + 1e-290))
            return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                              "the coefficients do not solve the equations "
                              "that the silos have summed (column '%s'); a "
                              "rank's solver is at fault, or the columns are "
                              "too nearly collinear: raise model.ridge",
                              name_of(run, j));
    s[CV_FIT_DEVIANCE] = m[CV_E_DEVIANCE];
    s[CV_FIT_RSS] = m[CV_E_DEVIANCE];
    s[CV_FIT_ITERATIONS] += 1.0;
    return finish_all(run, m, NULL, NULL, 1, err);
}

static int take_components_all(cv_run *run, const double *diag, cv_err *err)
{
    cv_fit *fit = run->fit;
    int q = fit->q, k = fit->model->components, rc = 0;
    double *s = cv_fit_scalars(run), n = s[CV_FIT_ROWS] - 1.0;
    double *values = cv_fit_of(run, "variances");
    double *loadings = cv_fit_of(run, "loadings");
    if (!(n > 0.0))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "pca needs at least two rows");
    if (cv_fit_is_distributed(run)) {
        rc = cv_dist_eigen_all(fit->dist, values, loadings, k, err);
    } else {
        double *v = CV_NEW((size_t)q * (size_t)q, double);
        if (cv_sym_eigen(fit->info, q, values, v))
            rc = cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                            "the eigenvalues did not converge");
        memcpy(loadings, v, (size_t)k * (size_t)q * sizeof *v);
        free(v);
    }
    if (rc)
        return rc;
    cv_bcast_bytes_all(run->fed.leaders, values, (size_t)q * sizeof *values, 0);
    cv_bcast_bytes_all(run->fed.leaders, loadings,
                       (size_t)k * (size_t)q * sizeof *values, 0);
    s[CV_FIT_TOTAL_VARIANCE] = 0.0;
    for (int j = 0; j < q; j++) {
        values[j] = fmax(values[j] / n, 0.0);
        s[CV_FIT_TOTAL_VARIANCE] += diag[j] / n;
    }
    s[CV_FIT_STAGE] = 3;
    s[CV_FIT_CONVERGED] = 1;
    s[CV_FIT_ITERATIONS] = 1;
    s[CV_FIT_RANK] = q;
    return 0;
}

static int step_all(cv_run *run, double *m, const double *score,
                    const double *diag, int with_info, cv_err *err)
{
    cv_fit *fit = run->fit;
    double *s = cv_fit_scalars(run);
    const double *b = cv_fit_of(run, "working");
    int q = fit->q, rc = 0;
    int first = s[CV_FIT_ITERATIONS] == 0.0;
    double *g = CV_NEW(q, double), *step = CV_NEW(q, double);
    double *variance = CV_NEW(q, double);
    for (int j = 0; j < q; j++)
        g[j] = score[j] -
               fit->penalty[j] * (first && !cv_fit_is(run, "cox") ? 0.0 : b[j]);
    if (first && m[CV_E_BAD] > 0.0)
        rc = cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                        "the fit cannot begin: a silo's start is outside of "
                        "what the family and link allow");
    else if (is_worse(run, m))
        rc = halve(run, err);
    else if (!with_info)
        rc = check_solution(run, m, g, err);
    else
        rc = step_known_all(run, m, g, diag, step, variance, err);
    if (!rc && first && with_info) {
        s[CV_FIT_NULL_DEVIANCE] = cv_fit_is(run, "cox") ? m[CV_E_DEVIANCE]
                                  : fit->model->formula->n_offsets
                                      ? (double)NAN
                                      : m[CV_E_NULL];
        s[CV_FIT_TSS] = m[CV_E_NULL];
        if (diag && !cv_fit_is(run, "cox"))
            memcpy(cv_fit_of(run, "norm"), diag, (size_t)q * sizeof *diag);
    }
    free(g);
    free(step);
    free(variance);
    return rc;
}

int cv_fit_step_all(cv_run *run, int with_info, cv_err *err)
{
    cv_fit *fit = run->fit;
    double *m = fit->numbers, *score = m + CV_E_FIXED, *made = NULL;
    const double *diag = score + fit->q;
    int rc;
    cv_fit_set_penalty(run);
    if (cv_fit_is(run, "pca"))
        return take_components_all(run, diag, err);
    if (fit->edges) {
        make_bins_info(run, m, &made);
        score = made;
        diag = NULL;
    }
    rc = step_all(run, m, score, diag, with_info, err);
    free(made);
    return rc;
}
