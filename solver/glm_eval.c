/* One block of rows at given eta: everything but the products with x. */
#include <float.h>
#include <math.h>

#include "solver/glm_parts.h"

/* Rows of weight 0 must not make a pass bad: they get an eta that is valid. */
static void settle_empty(const cv_glm_rows *g, const double *w, size_t m,
                         double *eta)
{
    const double mu = 0.5; /* a mean of every family */
    double calm;
    cv_link_apply(&g->family, &mu, &calm, 1);
    for (size_t i = 0; i < m; i++)
        eta[i] = w[i] > 0.0 ? eta[i] : calm;
}

static double count_extreme(cv_family_kind kind, const double *mu, size_t m)
{
    const double end = 10.0 * DBL_EPSILON;
    double count = 0.0;
    if (cv_family_fixed_dispersion(&(cv_family){.kind = kind}))
        for (size_t i = 0; i < m; i++)
            count += mu[i] < end;
    if (kind == CV_FAMILY_BINOMIAL)
        for (size_t i = 0; i < m; i++)
            count += mu[i] > 1.0 - end;
    return count;
}

/* W and r, and Pearson's sum. A derivative of 0 makes both 0; V of 0 does not
 * come out finite. */
static double working(const cv_glm_lane *k, const double *y, const double *w,
                      size_t m, int *finite)
{
    double pearson = 0.0;
    for (size_t i = 0; i < m; i++) {
        double c = w ? w[i] : 1.0, gap = y[i] - k->mu[i];
        double ratio = k->d[i] / k->v[i];
        k->work[i] = c > 0.0 ? c * (k->d[i] * ratio) : 0.0;
        k->resid[i] = c > 0.0 ? c * (gap * ratio) : 0.0;
        pearson += c > 0.0 ? c * (gap * gap / k->v[i]) : 0.0;
        *finite &= isfinite(k->work[i]) && isfinite(k->resid[i]);
    }
    *finite &= isfinite(pearson) != 0;
    return pearson;
}

/* Of ones and zeros without weights the log-likelihood is -deviance/2. */
static int binary(const cv_glm_rows *g, const double *y, size_t m)
{
    int yes = g->family.kind == CV_FAMILY_BINOMIAL && !g->weights;
    for (size_t i = 0; yes && i < m; i++)
        yes = y[i] == 0.0 || y[i] == 1.0;
    return yes;
}

void cv_glm_eval(const cv_glm_rows *g, int first, const double *offset,
                 int likelihood, int64_t i0, int64_t rows, cv_glm_lane *k)
{
    const cv_family *f = &g->family;
    const double *y = g->y + i0, *w = g->weights ? g->weights + i0 : NULL;
    size_t m = (size_t)rows;
    cv_glm_sums *s = &k->sums;
    if (first) {
        cv_family_start(f, y, w, k->mu, m);
        cv_link_apply(f, k->mu, k->eta, m);
    }
    if (w)
        settle_empty(g, w, m, k->eta);
    cv_link_inverse(f, k->eta, k->mu, k->d, m);
    int finite = cv_family_valid(f, k->eta, k->mu, m);
    cv_family_variance(f, k->mu, k->v, m);
    s->pearson += working(k, y, w, m, &finite);
    for (size_t i = 0; first && i < m; i++)
        if (k->work[i] > 0.0) /* an empty row's offset may be anything */
            k->resid[i] +=
                k->work[i] * (k->eta[i] - (offset ? offset[i] : 0.0));
    double deviance = cv_family_deviance(f, y, k->mu, w, m);
    s->deviance += deviance;
    s->extreme += count_extreme(f->kind, k->mu, m);
    if (likelihood && binary(g, y, m))
        s->family[0] -= 0.5 * deviance;
    else if (likelihood && finite) {
        double sums[CV_FAMILY_SUMS];
        cv_family_sums(f, y, k->mu, w, m, sums);
        for (int i = 0; i < CV_FAMILY_SUMS; i++)
            s->family[i] += sums[i];
    }
    if (!finite || !isfinite(deviance))
        s->bad = 1.0;
}
