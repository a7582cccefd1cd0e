/* Least squares from a noisy sum of squares.
 *
 * With weights s^2, the sums are A + E, c + e and t + e_t for A = x'x, c = x'y,
 * t = y'y: a symmetric matrix of order q + 1 with N(0, sigma^2) on its
 * diagonal, and N(0, sigma^2 / 2) beside it, for there the noise was divided by
 * sqrt(2). With H the matrix A + E + penalty, its eigenvalues not below the
 * floor (private_eigen.c),
 *     b = H^-1 (c + e).
 *
 * Covariance. If beta is the truth and y = x beta + eps, then c = A beta +
 * x'eps and to first order in the noise
 *     b - beta = A^-1 (x'eps + e - E beta).
 * Given x, cov(x'eps) = phi x' W^2 x <= phi A (weights are at most 1, so this
 * is exact if no row is scaled, and large rather than small if some are). The
 * elements of e - E beta have the covariance
 *     (i, i)  sigma^2 / 2 (1 + |beta|^2 + beta_i^2)
 *     (i, k)  sigma^2 / 2 beta_i beta_k      (E_ik is in both),
 * so N = sigma^2 / 2 [(1 + |b|^2) I + b b'] and
 *     cov = phi H^-1 + H^-1 N H^-1.
 * (phi H^-1 A H^-1 is smaller by the bias of the penalty, had b the prior that
 * the penalty stands for.)
 *
 * What the floor does. In a raised direction b is short of beta by the fraction
 * h = 1 - found / floor. beta is not known there; but a direction explains no
 * more than all of the response, found beta_v^2 <= t. The square
 *     h^2 t / floor
 * of the shortfall of such a beta is added in that direction, where it is much:
 * the data say little there, and that is what the interval says.
 *
 * Dispersion. The residual form t - b'c - penalty b^2 has, as the least value
 * of a quadratic form, noise of deviation sigma (1 + |b|^2) (the form is in
 * (-b, 1), whose svec has the norm 1 + |b|^2), and is too small by tr(H^-1 N)
 * in second order, which is added. It may still come out negative: it is not
 * let below its own noise. It is divided by sum s^2 - q. (E sum s^2 r^2 is
 * phi (sum s^2 - tr A^-1 x'W^2 x), a little more.) */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "solver/private_fit_parts.h"

typedef struct {
    int q;
    double *a; /* (q, q) upper triangle */
    double *c; /* (q) */
    double t, weight;
} gram;

/* The sums of (x, y), taken apart. */
static void unpack(const cv_private_fit *f, const double *sum, gram *g)
{
    size_t q = (size_t)f->q, p = q + 1;
    double *all = CV_NEW(p * p, double);
    cv_private_unpack(sum, f->q + 1, 1.0, all);
    g->q = f->q;
    g->a = CV_NEW(q * q, double);
    g->c = CV_NEW(q, double);
    for (size_t i = 0; i < q; i++) {
        memcpy(g->a + i * q, all + i * p, q * sizeof *g->a);
        g->c[i] = all[i * p + q];
    }
    g->t = all[p * p - 1];
    g->weight = f->intercept ? all[0] : sum[cv_private_fit_words(f) - 1];
    g->weight = fmax(g->weight, f->q + 1.0);
    free(all);
}

static double dot(const double *a, const double *b, int n)
{
    double s = 0.0;
    for (int i = 0; i < n; i++)
        s += a[i] * b[i];
    return s;
}

/* A sum of squares that noise or rounding may have made too small. */
static double at_least(double squares, double noise, double t)
{
    return fmax(fmax(squares, noise), fmax(0x1p-50 * fabs(t), 0x1p-200));
}

static double residual(const gram *g, const double *b, const double *penalty)
{
    double s = g->t - dot(b, g->c, g->q);
    for (int j = 0; j < g->q && penalty; j++)
        s -= penalty[j] * b[j] * b[j];
    return s;
}

static void covariance(const cv_private_eigen *e, const gram *g, double sigma,
                       const double *b, const double *u, double phi,
                       double *cov)
{
    size_t q = (size_t)g->q;
    double half = 0.5 * sigma * sigma, norm = 1.0 + dot(b, b, g->q);
    /* At least what one record may have, lest no data look like certainty. */
    double t = fmax(fmax(g->t, sigma), 1.0);
    double *w = CV_NEW(q, double);
    for (int i = 0; i < g->q; i++) {
        double l = e->value[i], h = cv_private_eigen_short(e, i);
        w[i] = phi / l + half * norm / (l * l) + h * h * t / e->floor;
    }
    cv_private_eigen_form(e, w, cov);
    for (size_t i = 0; i < q; i++)
        for (size_t j = 0; j < q; j++)
            cov[i * q + j] += half * u[i] * u[j];
    free(w);
}

static void solve(const cv_private_fit *f, const cv_private_eigen *e,
                  const gram *g, double sigma, const double *penalty, double *b,
                  double *cov, cv_private_linear *out)
{
    double *u = CV_NEW(g->q, double); /* H^-1 b */
    cv_private_eigen_solve(e, g->c, b);
    cv_private_eigen_solve(e, b, u);
    double norm = 1.0 + dot(b, b, g->q), trace = dot(b, u, g->q);
    for (int i = 0; i < g->q; i++)
        trace += norm / e->value[i];
    double rss = residual(g, b, penalty) + 0.5 * sigma * sigma * trace;
    rss = at_least(rss, sigma * norm, g->t);
    double mean = f->intercept ? g->c[0] / g->weight : 0.0;
    double tss = at_least(g->t - mean * mean * g->weight,
                          sigma * (1.0 + mean * mean), g->t);
    out->dispersion = rss / (g->weight - g->q);
    out->null_dispersion = tss / (g->weight - (f->intercept ? 1.0 : 0.0));
    out->weight = g->weight;
    out->raised = e->raised;
    covariance(e, g, sigma, b, u, out->dispersion, cov);
    free(u);
}

int cv_private_linear_solve(const cv_private_fit *f, const double *sum,
                            double sigma, const double *penalty, double *b,
                            double *cov, cv_private_linear *out)
{
    CV_CHECK(!f->logistic && sigma >= 0.0);
    if (!cv_private_finite(sum, cv_private_fit_words(f)))
        return -1;
    gram g = {0};
    unpack(f, sum, &g);
    cv_private_eigen *e = cv_private_eigen_make(g.a, g.q, sigma, penalty);
    int rc = e ? 0 : -1;
    if (e)
        solve(f, e, &g, sigma, penalty, b, cov, out);
    cv_private_eigen_destroy(&e);
    free(g.a);
    free(g.c);
    return rc;
}
