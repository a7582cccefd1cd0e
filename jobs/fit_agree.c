/* What the leaders have come to: the root's numbers are everyone's, after each
 * leader has held them against its own.  Only the last bits may differ, for they
 * depend on the machine; so every number is measured by its own size, and by that
 * of others only where rounding really is of their size.  A coefficient of a
 * column in millions is small beside that of one in millionths, and no less a
 * result. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/fit_parts.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"

/* Rounding: relative to a number, and to the size that it is made from. */
static const double OWN = 1e-6, MADE_FROM = 1e-9;

static int about(double a, double b, double size)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b))
        return a == b;
    return fabs(a - b) <= OWN * fabs(a) + MADE_FROM * size;
}

static double largest(const double *v, size_t n)
{
    double most = 0.0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(v[i]))
            most = fmax(most, fabs(v[i]));
    return most;
}

static size_t n_of(const cv_view *view)
{
    return (size_t)view->dims[0] * (size_t)(view->rank > 1 ? view->dims[1] : 1);
}

/* ---- sizes ------------------------------------------------------------------ */

/* A working coefficient's size in the units of the data; the intercept is made
 * from all of them. */
static void sizes_of_coefficients(const cv_run *run, const double *mine,
                                  double *size)
{
    const cv_fit_model *m = run->fit->model;
    const double *centre = cv_fit_const(m, mine, "centre");
    const double *unit = cv_fit_const(m, mine, "unit");
    double most = largest(cv_fit_const(m, mine, "working"), (size_t)m->q);
    double shifts = most;
    for (int j = 0; j < m->q; j++) {
        size[j] = most;
        if (m->kind == CV_FIT_KERNEL_RIDGE || cv_fit_is_intercept(run, j))
            continue;
        size[j] = most / unit[j];
        shifts += fabs(centre[j]) * size[j];
    }
    for (int j = 0; j < m->q; j++)
        if (m->kind != CV_FIT_KERNEL_RIDGE && cv_fit_is_intercept(run, j))
            size[j] = shifts;
}

/* Where terms of the deviance's size, or of one a row, cancel. */
static void sizes_of_scalars(const double *s, double *size)
{
    double terms = fabs(s[CV_FIT_DEVIANCE]) + s[CV_FIT_ROWS];
    size[CV_FIT_LOGLIK] = terms;
    size[CV_FIT_DECREMENT] = 1e-3 * fabs(s[CV_FIT_DEVIANCE]);
}

/* size (n), of zeros: what rounding of each number of a view is measured by,
 * beside the number itself. */
static void sizes_of(const cv_run *run, const cv_view *view, const double *mine,
                     double *size)
{
    static const char *const exact[] = {"standard_errors", "centre", "norm",
                                        "dropped"};
    const double *v = mine + view->offset;
    size_t n = n_of(view), q = (size_t)run->fit->q;
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        if (strcmp(view->name, exact[i]) == 0)
            return;
    if (strcmp(view->name, "scalars") == 0) {
        sizes_of_scalars(v, size);
        return;
    }
    if (strcmp(view->name, "coefficients") == 0) {
        sizes_of_coefficients(run, mine, size);
        return;
    }
    double most = largest(v, n);
    const double *centre = cv_fit_const(run->fit->model, mine, "centre");
    for (size_t i = 0; i < n; i++) {
        size[i] = most;
        if (strcmp(view->name, "unit") == 0)
            size[i] = fabs(centre[i]);
        else if (strcmp(view->name, "covariance") == 0)
            size[i] = sqrt(fabs(v[i / q * q + i / q])) *
                      sqrt(fabs(v[i % q * q + i % q]));
    }
}

static int differ(const cv_run *run, const char *what, cv_err *err)
{
    return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                      "round %lld: rank 0 came to other %s than this rank from "
                      "the same sums; a node or library of one of them is at "
                      "fault",
                      (long long)run->round + 1, what);
}

/* With privacy everything is made from one vector of noisy sums, and differences
 * of them may cancel: there the view's largest number measures all. */
static int compare_vectors(const cv_run *run, const double *mine,
                           const double *root, cv_err *err)
{
    const cv_params *p = &run->fit->model->params;
    int rc = 0;
    for (int v = 0; v < p->n_views && !rc; v++) {
        const cv_view *view = &p->views[v];
        const double *a = mine + view->offset, *b = root + view->offset;
        size_t n = n_of(view);
        double *size = CV_NEW(n, double), most = largest(a, n);
        if (!run->job->privacy.enabled)
            sizes_of(run, view, mine, size);
        for (size_t i = 0; i < n && !rc; i++)
            if (!about(a[i], b[i], run->job->privacy.enabled ? most : size[i]))
                rc = differ(run, view->name, err);
        free(size);
    }
    return rc;
}

int cv_fit_agree_all(cv_run *run, cv_err *err)
{
    size_t bytes = run->n * sizeof(double);
    double *v = run->fit->v;
    int rc = 0;
    if (cv_fed_is_leader(&run->fed)) {
        double *mine = CV_NEW(run->n, double);
        memcpy(mine, v, bytes);
        cv_bcast_bytes_all(run->fed.leaders, v, bytes, 0);
        if (memcmp(mine, v, bytes) != 0)
            rc = compare_vectors(run, mine, v, err);
        free(mine);
    }
    rc = cv_agree_all(run->fed.world, rc, err);
    cv_bcast_bytes_all(run->fed.silo, v, bytes, 0);
    return rc;
}

/* ---- components --------------------------------------------------------------- */

static double dot(const double *a, const double *b, int n)
{
    double sum = 0.0;
    for (int j = 0; j < n; j++)
        sum += a[j] * b[j];
    return sum;
}

/* The largest element of A v - value v, of a symmetric A (upper triangle). */
static double residual(const double *a, const double *v, double value, int q)
{
    double *r = CV_NEW(q, double), most = 0.0;
    for (int i = 0; i < q; i++) {
        const double *row = a + (size_t)i * (size_t)q;
        r[i] += (row[i] - value) * v[i];
        for (int j = i + 1; j < q; j++) {
            r[i] += row[j] * v[j];
            r[j] += row[j] * v[i];
        }
    }
    for (int i = 0; i < q; i++)
        most = fabs(r[i]) <= most ? most : fabs(r[i]); /* also NaN */
    free(r);
    return most;
}

/* The sign is fixed by the largest element, where it is one. */
static int has_sign(const double *v, int q)
{
    double high = 0.0, low = 0.0;
    for (int j = 0; j < q; j++) {
        high = fmax(high, v[j]);
        low = fmax(low, -v[j]);
    }
    return high >= low * (1.0 - MADE_FROM);
}

/* Vectors of values that are nearly equal are not determined, so the root's need
 * not be this rank's: they must be eigenvectors of the same matrix. */
static int are_components(const cv_run *run, const double *values,
                          const double *loadings)
{
    int q = run->fit->q, k = run->fit->model->components;
    double top = largest(values, (size_t)q) * MADE_FROM;
    for (int c = 0; c < k; c++) {
        const double *v = loadings + (size_t)c * (size_t)q;
        for (int b = 0; b <= c; b++)
            if (!(fabs(dot(v, loadings + (size_t)b * (size_t)q, q) -
                       (b == c)) <= MADE_FROM))
                return 0;
        if (!has_sign(v, q) ||
            !(residual(run->fit->info, v, values[c], q) <= top))
            return 0;
    }
    return 1;
}

int cv_fit_agree_components_all(cv_run *run, double *values, double *loadings,
                                cv_err *err)
{
    size_t q = (size_t)run->fit->q;
    size_t n = q * (size_t)run->fit->model->components;
    double *mine = CV_NEW(q + n, double), *vectors = mine + q;
    memcpy(mine, values, q * sizeof *mine);
    memcpy(vectors, loadings, n * sizeof *mine);
    cv_bcast_bytes_all(run->fed.leaders, values, q * sizeof *mine, 0);
    cv_bcast_bytes_all(run->fed.leaders, loadings, n * sizeof *mine, 0);
    double most = MADE_FROM * largest(mine, q);
    int same = 1;
    for (size_t j = 0; j < q; j++)
        same &= fabs(values[j] - mine[j]) <= most;
    /* In parts all have worked on the same vectors; else each has the matrix. */
    if (same && cv_fit_is_distributed(run))
        for (size_t i = 0; i < n; i++)
            same &= fabs(loadings[i] - vectors[i]) <= MADE_FROM;
    else if (same && memcmp(loadings, vectors, n * sizeof *mine) != 0)
        same = are_components(run, values, loadings);
    free(mine);
    return cv_agree_all(run->fed.leaders,
                        same ? 0 : differ(run, "components", err), err);
}
