/* Links. Comparisons are written so that NaN comes through. */
#include <float.h>
#include <math.h>

#include "solver/distributions.h"
#include "solver/family.h"

/* R: -qnorm(eps), -qcauchy(eps). */
static const double PROBIT_END = 0x1.04074bdbf8864p+3;
static const double CAUCHIT_END = 0x1.45f306dc9c883p+50;
static const double LOGIT_END = 30.0;
static const double EPS = DBL_EPSILON;

static double at_least(double x, double low)
{
    return x < low ? low : x;
}

static double within(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static void logit(const double *eta, double *mu, double *d, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int inside = !(fabs(eta[i]) > LOGIT_END);
        double e = inside ? exp(eta[i]) : eta[i] < 0.0 ? EPS : 1.0 / EPS;
        mu[i] = e / (1.0 + e);
        d[i] = inside ? e / ((1.0 + e) * (1.0 + e)) : EPS;
    }
}

static void probit(const double *eta, double *mu, double *d, size_t n)
{
    const double norm = M_2_SQRTPI * M_SQRT1_2 / 2.0; /* 1 / sqrt(2 pi) */
    for (size_t i = 0; i < n; i++) {
        double e = within(eta[i], -PROBIT_END, PROBIT_END);
        mu[i] = 0.5 * erfc(-e * M_SQRT1_2);
        d[i] = at_least(norm * exp(-0.5 * eta[i] * eta[i]), EPS);
    }
}

static double cauchy_cdf(double x)
{
    if (fabs(x) > 1.0) { /* the tail to full relative accuracy */
        double tail = -atan(1.0 / x) / M_PI;
        return x < 0.0 ? tail : 1.0 + tail;
    }
    return 0.5 + atan(x) / M_PI;
}

static void cauchit(const double *eta, double *mu, double *d, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mu[i] = cauchy_cdf(within(eta[i], -CAUCHIT_END, CAUCHIT_END));
        d[i] = at_least(1.0 / (M_PI * (1.0 + eta[i] * eta[i])), EPS);
    }
}

static void cloglog(const double *eta, double *mu, double *d, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double e = exp(eta[i] > 700.0 ? 700.0 : eta[i]);
        mu[i] = within(-expm1(-e), EPS, 1.0 - EPS);
        d[i] = at_least(e * exp(-e), EPS);
    }
}

void cv_link_inverse(const cv_family *f, const double *eta, double *mu,
                     double *d, size_t n)
{
    switch (f->link) {
    case CV_LINK_LOGIT:
        logit(eta, mu, d, n);
        break;
    case CV_LINK_PROBIT:
        probit(eta, mu, d, n);
        break;
    case CV_LINK_CAUCHIT:
        cauchit(eta, mu, d, n);
        break;
    case CV_LINK_CLOGLOG:
        cloglog(eta, mu, d, n);
        break;
    case CV_LINK_IDENTITY:
        for (size_t i = 0; i < n; i++)
            mu[i] = eta[i], d[i] = 1.0;
        break;
    case CV_LINK_LOG:
        for (size_t i = 0; i < n; i++)
            mu[i] = d[i] = at_least(exp(eta[i]), EPS);
        break;
    case CV_LINK_INVERSE:
        for (size_t i = 0; i < n; i++)
            mu[i] = 1.0 / eta[i], d[i] = -1.0 / (eta[i] * eta[i]);
        break;
    case CV_LINK_SQRT:
        for (size_t i = 0; i < n; i++)
            mu[i] = eta[i] * eta[i], d[i] = 2.0 * eta[i];
        break;
    }
}

static double link_of(cv_link_kind link, double mu)
{
    switch (link) {
    case CV_LINK_LOGIT:
        return log(mu / (1.0 - mu));
    case CV_LINK_PROBIT:
        return cv_normal_quantile(mu);
    case CV_LINK_CAUCHIT:
        if (mu == 0.5)
            return 0.0;
        return mu < 0.5 ? -1.0 / tan(M_PI * mu) : 1.0 / tan(M_PI * (1.0 - mu));
    case CV_LINK_CLOGLOG:
        return log(-log1p(-mu));
    case CV_LINK_LOG:
        return log(mu);
    case CV_LINK_INVERSE:
        return 1.0 / mu;
    case CV_LINK_SQRT:
        return sqrt(mu);
    case CV_LINK_IDENTITY:
        break;
    }
    return mu;
}

void cv_link_apply(const cv_family *f, const double *mu, double *eta, size_t n)
{
    for (size_t i = 0; i < n; i++)
        eta[i] = link_of(f->link, mu[i]);
}

int cv_family_valid(const cv_family *f, const double *eta, const double *mu,
                    size_t n)
{
    int finite = 1, above = 1, below = 1, domain = 1;
    for (size_t i = 0; i < n; i++) {
        finite &= isfinite(eta[i]) && isfinite(mu[i]);
        above &= mu[i] > 0.0;
        below &= mu[i] < 1.0;
    }
    if (f->link == CV_LINK_INVERSE)
        for (size_t i = 0; i < n; i++)
            domain &= eta[i] != 0.0;
    if (f->link == CV_LINK_SQRT)
        for (size_t i = 0; i < n; i++)
            domain &= eta[i] > 0.0;
    if (f->kind == CV_FAMILY_GAUSSIAN)
        return finite && domain;
    return finite && domain && above &&
           (f->kind != CV_FAMILY_BINOMIAL || below);
}
