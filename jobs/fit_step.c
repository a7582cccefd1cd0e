/* From the sums of a round to the next coefficients, and at the end to the result.
 *
 * Every leader holds the same sums, and takes the step itself; fit_agree.c
 * holds what they come to against the root's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/fit_parts.h"
#include "mpi/agree.h"

/* The next step would change the deviance by less than its own rounding. */
static const double NO_STEP = 1e-22;

/* With tolerance 1e-10: a step of 1e-8 standard errors. */
static const double STEP = 1e-6;

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
            cv_fit_is_intercept(run, j) ? 0.0 : run->job->model.ridge / (u * u);
    }
}

static double penalised(const cv_run *run, double deviance, const double *b)
{
    double d = deviance;
    for (int j = 0; j < run->fit->q; j++)
        d += run->fit->penalty[j] * b[j] * b[j];
    return d;
}

static int largest(const cv_run *run, const double *b)
{
    int at = 0;
    for (int j = 1; j < run->fit->q; j++)
        if (!cv_fit_is_intercept(run, j) &&
            (cv_fit_is_intercept(run, at) || fabs(b[j]) > fabs(b[at])))
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
        fabs(previous[j]) > CV_FIT_RUNAWAY)
        return cv_fit_runs_away(run, j, err);
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
        if (cv_fit_is_intercept(run, j))
            cv_link_apply(&run->fit->family, &mean, &previous[j], 1);
}

static void take_next(cv_run *run, const double *step, double decrement)
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
}

static double dot(const double *a, const double *b, int n)
{
    double d = 0.0;
    for (int j = 0; j < n; j++)
        d += a[j] * b[j];
    return d;
}

/* The dispersion as far as it is known: squares of steps are measured by it. */
static double scale_of(const cv_run *run, double deviance)
{
    double n = cv_fit_scalars(run)[CV_FIT_POSITIVE_ROWS] - run->fit->q;
    if (cv_fit_is(run, "cox") || cv_family_fixed_dispersion(&run->fit->family))
        return 1.0;
    return n > 0.0 ? deviance / n : 0.0;
}

/* The next step is nothing against the standard errors (its length in them is the
 * root of the decrement), or against rounding.  R's rule, of the deviance alone,
 * leaves coefficients of other than canonical links with five digits; it serves
 * where there is no round left. */
static int has_converged(const cv_run *run, double now, double decrement)
{
    const double *s = cv_fit_scalars(run);
    double tol = run->job->training.tolerance;
    double change = fabs(now - s[CV_FIT_PREVIOUS]);
    int last = run->round + 1 >= run->job->training.rounds;
    if (s[CV_FIT_ITERATIONS] == 0.0 && !cv_fit_is(run, "cox"))
        return 0;
    if (decrement <= NO_STEP * (fabs(now) + 0.1) ||
        decrement <= STEP * tol * scale_of(run, now))
        return 1;
    return last && change < tol * (fabs(now) + 0.1) &&
           s[CV_FIT_DECREMENT] <= sqrt(tol) * fmax(scale_of(run, now), 1.0);
}

static int step_known_all(cv_run *run, const double *m, const double *g,
                          const double *diag, double *step, double *variance,
                          cv_err *err)
{
    cv_fit *fit = run->fit;
    double *s = cv_fit_scalars(run);
    cv_spd *factor = NULL;
    int parts = cv_fit_is_distributed(run), last, converged;
    int rc = parts ? cv_fit_solve_parts_all(run, g, diag, step, err)
                   : cv_fit_solve_whole(run, g, step, variance, &factor, err);
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
        int j = cv_fit_find_runaway(run, step, variance);
        rc = j >= 0 ? cv_fit_runs_away(run, j, err) : 0;
    }
    if (rc)
        goto out;
    if (began && (converged || last)) {
        s[CV_FIT_ITERATIONS] += 1.0;
        double *b = cv_fit_of(run, "working");
        for (int j = 0; j < fit->q && converged; j++)
            b[j] += step[j]; /* known already, and nearer still */
        rc = cv_fit_finish_all(run, m, factor, diag, converged, err);
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

static void make_bins_info(cv_run *run, double *m, double **score)
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
    m[CV_E_BAD] += sums.bad;
}

/* Ridge: one step is the solution, and the score there, which all silos have
 * added up, shows that it is: whoever solved the system.  What a score is measured
 * by: the spread of the response, and the rounding of residuals, which are of its
 * own size (all there is where it is constant). */
static int check_solution(cv_run *run, const double *m, const double *g,
                          cv_err *err)
{
    double *s = cv_fit_scalars(run);
    const double *size = cv_fit_of(run, "norm");
    double scale =
        1e-7 * sqrt(s[CV_FIT_TSS]) +
        1e-13 * fabs(s[CV_FIT_RESPONSE_MEAN]) * sqrt(s[CV_FIT_WEIGHT_SUM]);
    for (int j = 0; j < run->fit->q; j++)
        if (!(fabs(g[j]) <= sqrt(size[j]) * scale + 1e-290))
            return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                              "the coefficients do not solve the equations "
                              "that the silos have summed (column '%s'); a "
                              "rank's solver is at fault, or the columns are "
                              "too nearly collinear: raise model.ridge",
                              cv_fit_column(run, j));
    s[CV_FIT_DEVIANCE] = m[CV_E_DEVIANCE];
    s[CV_FIT_RSS] = m[CV_E_DEVIANCE];
    s[CV_FIT_ITERATIONS] += 1.0;
    return cv_fit_finish_all(run, m, NULL, NULL, 1, err);
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
    rc = cv_agree_all(run->fed.leaders, rc, err);
    if (!rc)
        rc = cv_fit_agree_components_all(run, values, loadings, err);
    if (rc)
        return rc;
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
