/* The linear system of a step: one factorisation, on every leader or over all of
 * them; columns that follow from others, and coefficients without an end. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/fs.h"
#include "core/log.h"
#include "core/mem.h"
#include "jobs/fit_parts.h"
#include "mpi/reduce.h"

/* Growth of a coefficient's variance since the first step that data do not make. */
static const double RUNAWAY_VARIANCE = 1e6;

const char *cv_fit_column(const cv_run *run, int j)
{
    return cv_fit_is(run, "kernel_ridge") ? "a random feature"
                                          : run->fit->model->plan->name[j];
}

int cv_fit_runs_away(const cv_run *run, int j, cv_err *err)
{
    int binomial =
        cv_fit_is(run, "glm") && run->fit->family.kind == CV_FAMILY_BINOMIAL;
    return cv_err_set(
        err, CV_ERR_NUMERIC, NULL, 0,
        "the fit has no finite solution: column '%s' (perhaps with others) "
        "%s, so its coefficient grows without end; leave it out, join "
        "categories, or set model.ridge to a small number",
        cv_fit_column(run, j),
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
                          cv_fit_column(run, first));
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
                       cv_fit_column(run, j));
    return 0;
}

/* What a large system took, and the most memory that any leader has had so far.
 * Collective on fed.leaders. */
static void tell_solve_all(const cv_run *run, cv_dist_grid grid, double seconds,
                           double bytes)
{
    struct rusage usage = {0};
    getrusage(RUSAGE_SELF, &usage);
    double peak = (double)usage.ru_maxrss / 1024.0;
    cv_max_f64_all(run->fed.leaders, &peak, 1);
    if (run->fed.rank != 0)
        return;
    cv_log(CV_LOG_INFO, "fit_solve", "n=%d grid=%dx%d nb=%d seconds=%.3f",
           run->fit->q, grid.rows, grid.cols, grid.nb, seconds);
    cv_log(CV_LOG_INFO, "fit_memory", "ranks=%d matrix_mib=%.1f peak_mib=%.1f",
           run->fed.n_leaders, bytes / 0x1p20, peak);
}

static void variances_of(const cv_spd *factor, size_t q, double *variance)
{
    double *inverse = CV_NEW(q * q, double);
    cv_spd_inverse(factor, inverse);
    for (size_t j = 0; j < q; j++)
        variance[j] = inverse[j * q + j];
    free(inverse);
}

/* Whole matrix: factor, and solve for the step. */
int cv_fit_solve_whole(cv_run *run, const double *g, double *step,
                       double *variance, cv_spd **factor, cv_err *err)
{
    cv_fit *fit = run->fit;
    size_t q = (size_t)fit->q;
    int find = cv_fit_scalars(run)[CV_FIT_ITERATIONS] == 0.0, column = -1;
    double t0 = cv_now();
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
        rc = cv_fit_runs_away(run, column, err);
    if (!rc && find)
        rc = note_dropped(run, dropped, err);
    if (!rc) {
        cv_spd_solve(*factor, g, step);
        if (cv_fit_is(run, "glm") || cv_fit_is(run, "cox"))
            variances_of(*factor, q, variance);
    }
    free(a);
    free(dropped);
    if (fit->q >= CV_DIST_MIN) /* alone, or it would be spread */
        tell_solve_all(run, (cv_dist_grid){1, 1, fit->q}, cv_now() - t0,
                       (double)(q * q) * sizeof *a);
    return rc;
}

/* The same by ScaLAPACK: the matrix is scaled to a unit diagonal. */
int cv_fit_solve_parts_all(cv_run *run, const double *g, const double *diag,
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
            column >= 0 && column < q ? cv_fit_column(run, (int)column) : "?");
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
    tell_solve_all(run, grid, cv_now() - t0, (double)cv_dist_bytes(fit->dist));
    return 0;
}

/* Is some coefficient on its way to infinity? Its column, or -1. */
int cv_fit_find_runaway(const cv_run *run, const double *step,
                        const double *variance)
{
    const double *first = cv_fit_of(run, "first_variance");
    const double *b = cv_fit_of(run, "working");
    int worst = -1;
    double most = RUNAWAY_VARIANCE;
    for (int j = 0; j < run->fit->q; j++)
        if (first[j] > 0.0 && variance[j] > most * first[j] &&
            fabs(b[j]) > CV_FIT_RUNAWAY && fabs(step[j]) > 1e-3 * fabs(b[j])) {
            worst = j;
            most = variance[j] / first[j];
        }
    return worst;
}
