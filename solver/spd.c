#include "solver/spd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "solver/blas.h"
#include "solver/lapack.h"

/* Rows of the factor between updates of the rest; and the largest matrix whose
 * work space LAPACK's int can count. */
enum { PANEL = 64, MAX_P = 32000 };

struct cv_spd {
    int p, rank;
    int *kept;     /* (rank) columns, ascending */
    double *scale; /* (rank) 1 / sqrt of the diagonal */
    double *u;     /* (rank, rank) upper factor, row-major: scaled A = U' U */
    double norm;   /* 1-norm of the scaled matrix */
};

static int fail(int *column, int j)
{
    if (column)
        *column = j;
    return -1;
}

/* m = a with a unit diagonal. A column without a positive diagonal is zero, or
 * not of a positive matrix: its pivot will be 0. */
static int scale_matrix(const double *a, int p, double *m, double *scale,
                        int *column)
{
    for (int j = 0; j < p; j++) {
        double d = a[(size_t)j * (size_t)p + (size_t)j];
        if (!isfinite(d))
            return fail(column, j);
        scale[j] = d > 0.0 ? 1.0 / sqrt(d) : 0.0;
    }
    for (int i = 0; i < p; i++) {
        size_t row = (size_t)i * (size_t)p;
        m[row + (size_t)i] = scale[i] > 0.0;
        for (int j = i + 1; j < p; j++) {
            double v = a[row + (size_t)j] * scale[i] * scale[j];
            if (!isfinite(a[row + (size_t)j]) || !isfinite(v))
                return fail(column, j);
            m[row + (size_t)j] = v;
        }
    }
    return 0;
}

/* Row i of the factor from what is left in it. The row of a dropped column is
 * zeroed, so that nothing is taken from the rows after it. */
static void finish_row(double *m, int p, int i, int drop)
{
    double *row = m + (size_t)i * (size_t)p;
    double pivot = drop ? 0.0 : 1.0 / sqrt(row[i]);
    for (int j = i; j < p; j++)
        row[j] = drop ? 0.0 : row[j] * pivot;
}

/* U in place of m's upper triangle, row by row, in panels. */
static int factor(double *m, int p, double tolerance, int find,
                  uint8_t *dropped, int *column)
{
    for (int k = 0; k < p; k += PANEL) {
        int end = k + PANEL < p ? k + PANEL : p;
        for (int i = k; i < end; i++) {
            double *row = m + (size_t)i * (size_t)p;
            for (int r = k; r < i; r++) {
                const double *above = m + (size_t)r * (size_t)p;
                double f = above[i];
                for (int j = i; j < p && f != 0.0; j++)
                    row[j] -= f * above[j];
            }
            int singular = !(row[i] > tolerance);
            if (singular && !dropped[i] && !find)
                return fail(column, i);
            if (singular)
                dropped[i] = 1;
            finish_row(m, p, i, dropped[i]);
        }
        size_t next = (size_t)end * (size_t)p + (size_t)end;
        if (end < p)
            cv_blas_dsyrk(1, p - end, end - k, -1.0,
                          m + (size_t)k * (size_t)p + (size_t)end, p, 1.0,
                          m + next, p);
    }
    return 0;
}

/* Largest absolute column sum of the kept part of the scaled matrix. */
static double norm_1(const double *m, int p, const uint8_t *dropped)
{
    double *sum = CV_NEW(p, double), norm = 0.0;
    for (int i = 0; i < p; i++)
        for (int j = i; j < p && !dropped[i]; j++) {
            double v = fabs(m[(size_t)i * (size_t)p + (size_t)j]);
            sum[i] += dropped[j] ? 0.0 : v;
            sum[j] += i == j ? 0.0 : v;
        }
    for (int j = 0; j < p; j++)
        norm = !dropped[j] && sum[j] > norm ? sum[j] : norm;
    free(sum);
    return norm;
}

/* The part of factor and scale that belongs to kept columns. */
static cv_spd *keep(const double *m, const double *scale, int p,
                    const uint8_t *dropped)
{
    cv_spd *s = CV_NEW(1, cv_spd);
    s->p = p;
    s->kept = CV_NEW(p, int);
    for (int j = 0; j < p; j++)
        if (!dropped[j])
            s->kept[s->rank++] = j;
    size_t rank = (size_t)s->rank;
    s->scale = CV_NEW(rank, double);
    s->u = CV_NEW(rank * rank, double);
    for (size_t i = 0; i < rank; i++) {
        const double *row = m + (size_t)s->kept[i] * (size_t)p;
        s->scale[i] = scale[s->kept[i]];
        for (size_t j = i; j < rank; j++)
            s->u[i * rank + j] = row[s->kept[j]];
    }
    return s;
}

cv_spd *cv_spd_factor(const double *a, int p, double tolerance, int find,
                      uint8_t *dropped, int *column)
{
    CV_CHECK(p >= 0 && p <= MAX_P && tolerance >= 0.0);
    size_t size = (size_t)p * (size_t)p;
    double *m = CV_NEW(size, double), *whole = CV_NEW(size, double);
    double *scale = CV_NEW(p, double);
    cv_spd *s = NULL;
    if (scale_matrix(a, p, m, scale, column))
        goto out;
    if (size)
        memcpy(whole, m, size * sizeof *m);
    if (factor(m, p, tolerance, find, dropped, column))
        goto out;
    s = keep(m, scale, p, dropped);
    s->norm = norm_1(whole, p, dropped);
out:
    free(m);
    free(whole);
    free(scale);
    return s;
}

void cv_spd_destroy(cv_spd **s)
{
    if (!s || !*s)
        return;
    free((*s)->kept);
    free((*s)->scale);
    free((*s)->u);
    CV_FREE(*s);
}

void cv_spd_solve(const cv_spd *s, const double *b, double *x)
{
    int one = 1, info = 0, ld = s->rank > 0 ? s->rank : 1;
    /* Kept columns move to the front and back: x may be b. */
    for (int i = 0; i < s->rank; i++)
        x[i] = b[s->kept[i]] * s->scale[i];
    dpotrs_("L", &s->rank, &one, s->u, &ld, x, &ld, &info, 1);
    CV_CHECK(info == 0);
    for (int j = s->p - 1, i = s->rank - 1; j >= 0; j--) {
        int is_kept = i >= 0 && s->kept[i] == j;
        x[j] = is_kept ? x[i] * s->scale[i] : 0.0;
        i -= is_kept;
    }
}

void cv_spd_inverse(const cv_spd *s, double *inv)
{
    size_t rank = (size_t)s->rank, p = (size_t)s->p;
    double *m = CV_NEW(rank * rank, double);
    if (rank)
        memcpy(m, s->u, rank * rank * sizeof *m);
    int info = 0, ld = s->rank > 0 ? s->rank : 1;
    dpotri_("L", &s->rank, m, &ld, &info, 1);
    CV_CHECK(info == 0);
    for (size_t i = 0; i < p * p; i++)
        inv[i] = 0.0;
    for (size_t i = 0; i < rank; i++)
        for (size_t j = i; j < rank; j++) {
            double v = m[i * rank + j] * s->scale[i] * s->scale[j];
            inv[(size_t)s->kept[i] * p + (size_t)s->kept[j]] = v;
            inv[(size_t)s->kept[j] * p + (size_t)s->kept[i]] = v;
        }
    free(m);
}

int cv_spd_rank(const cv_spd *s)
{
    return s->rank;
}

double cv_spd_rcond(const cv_spd *s)
{
    double rcond = 1.0, *work = CV_NEW(3 * s->rank, double);
    int *iwork = CV_NEW(s->rank, int), info = 0;
    int ld = s->rank > 0 ? s->rank : 1;
    dpocon_("L", &s->rank, s->u, &ld, &s->norm, &rcond, work, iwork, &info, 1);
    CV_CHECK(info == 0);
    free(work);
    free(iwork);
    return rcond;
}

/* Rows of v from the last to the first; a vector's sign is a matter of rounding
 * without a rule. Of elements as large but for rounding the first one counts. */
static void turn(double *v, size_t p)
{
    for (size_t i = 0; i < p / 2; i++)
        for (size_t j = 0; j < p; j++) {
            double t = v[i * p + j];
            v[i * p + j] = v[(p - 1 - i) * p + j];
            v[(p - 1 - i) * p + j] = t;
        }
    for (size_t i = 0; i < p; i++) {
        double largest = 0.0, *row = v + i * p;
        size_t at = 0;
        for (size_t j = 0; j < p; j++)
            if (fabs(row[j]) > largest * (1.0 + 1e-10)) {
                largest = fabs(row[j]);
                at = j;
            }
        double sign = row[at] < 0.0 ? -1.0 : 1.0;
        for (size_t j = 0; j < p; j++)
            row[j] *= sign;
    }
}

int cv_sym_eigen(const double *a, int p, double *values, double *v)
{
    CV_CHECK(p >= 0 && p <= MAX_P);
    if (p == 0)
        return 0;
    size_t n = (size_t)p;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            v[i * n + j] = j < i ? 0.0 : a[i * n + j];
            if (!isfinite(v[i * n + j]))
                return -1;
        }
    int info = 0, lwork = 1 + 6 * p + 2 * p * p, liwork = 3 + 5 * p;
    double *work = CV_NEW(lwork, double);
    int *iwork = CV_NEW(liwork, int);
    cv_blas_threads();
    dsyevd_("V", "L", &p, v, &p, values, work, &lwork, iwork, &liwork, &info, 1,
            1);
    free(work);
    free(iwork);
    if (info)
        return -1;
    for (size_t i = 0; i < n / 2; i++) {
        double t = values[i];
        values[i] = values[n - 1 - i];
        values[n - 1 - i] = t;
    }
    turn(v, n);
    return 0;
}
