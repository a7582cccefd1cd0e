/* The floor under eigenvalues.
 *
 * A noisy A + E, E symmetric with N(0, sigma^2) on the diagonal and
 * N(0, sigma^2 / 2) beside it, has eigenvalues within |E| of A's (Weyl), and
 * |E| is sigma sqrt(2 q) for large q, hardly more for small. Below the floor
 *     2 sigma sqrt(q) = sqrt(2) sigma sqrt(2 q)
 * an eigenvalue may be one of 0 with noise, or negative, and its inverse may be
 * anything. It is raised to the floor: a ridge, in that direction alone, and
 * post-processing. An eigenvalue above the floor is, in the worst case, still
 * (sqrt(2) - 1) / sqrt(2) = 0.3 of itself without the noise, and rarely the
 * worst case.
 *
 * Without noise the floor is that of rounding. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "solver/private_fit_parts.h"
#include "solver/spd.h"

/* Least floor, relative to the largest eigenvalue (sums of rounded squares are
 * no better) and absolute: what no record adds. */
#define ROUNDING 0x1p-40
#define NOTHING  0x1p-60

int cv_private_finite(const double *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return 0;
    return 1;
}

void cv_private_unpack(const double *svec, int p, double factor, double *a)
{
    size_t n = (size_t)p;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i; j < n; j++)
            a[i * n + j] = *svec++ / (i == j ? factor : factor * sqrt(2.0));
}

cv_private_eigen *cv_private_eigen_make(const double *a, int q, double sigma,
                                        const double *penalty)
{
    CV_CHECK(sigma >= 0.0);
    size_t n = (size_t)q;
    cv_private_eigen *e = CV_NEW(1, cv_private_eigen);
    e->q = q;
    e->found = CV_NEW(n, double);
    e->value = CV_NEW(n, double);
    e->v = CV_NEW(n * n, double);
    e->rotated = CV_NEW(n, double);
    double *h = CV_NEW(n * n, double);
    memcpy(h, a, n * n * sizeof *h);
    for (size_t i = 0; i < n && penalty; i++)
        h[i * n + i] += penalty[i];
    int rc = cv_sym_eigen(h, q, e->found, e->v);
    free(h);
    if (rc) {
        cv_private_eigen_destroy(&e);
        return NULL;
    }
    double largest = fmax(fabs(e->found[0]), fabs(e->found[n - 1]));
    e->floor = fmax(fmax(2.0 * sigma * sqrt(q), ROUNDING * largest), NOTHING);
    for (size_t i = 0; i < n; i++) {
        e->raised += e->found[i] < e->floor;
        e->value[i] = fmax(e->found[i], e->floor);
    }
    return e;
}

void cv_private_eigen_destroy(cv_private_eigen **e)
{
    if (!*e)
        return;
    free((*e)->found);
    free((*e)->value);
    free((*e)->v);
    free((*e)->rotated);
    CV_FREE(*e);
}

void cv_private_eigen_solve(const cv_private_eigen *e, const double *x,
                            double *out)
{
    size_t n = (size_t)e->q;
    for (size_t i = 0; i < n; i++) {
        double dot = 0.0;
        for (size_t j = 0; j < n; j++)
            dot += e->v[i * n + j] * x[j];
        e->rotated[i] = dot / e->value[i];
    }
    for (size_t j = 0; j < n; j++)
        out[j] = 0.0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            out[j] += e->rotated[i] * e->v[i * n + j];
}

void cv_private_eigen_form(const cv_private_eigen *e, const double *w,
                           double *out)
{
    size_t n = (size_t)e->q;
    for (size_t k = 0; k < n * n; k++)
        out[k] = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double *v = e->v + i * n;
        for (size_t j = 0; j < n; j++)
            for (size_t k = j; k < n; k++)
                out[j * n + k] += w[i] * v[j] * v[k];
    }
    for (size_t j = 0; j < n; j++)
        for (size_t k = 0; k < j; k++)
            out[j * n + k] = out[k * n + j];
}

double cv_private_eigen_short(const cv_private_eigen *e, int i)
{
    return 1.0 - fmin(fmax(e->found[i], 0.0), e->floor) / e->floor;
}
