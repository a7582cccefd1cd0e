#include "solver/family.h"

#include <math.h>
#include <string.h>

#include "solver/stirling.h"

static const char *const link_names[] = {
    [CV_LINK_IDENTITY] = "identity", [CV_LINK_LOG] = "log",
    [CV_LINK_LOGIT] = "logit",       [CV_LINK_PROBIT] = "probit",
    [CV_LINK_CLOGLOG] = "cloglog",   [CV_LINK_CAUCHIT] = "cauchit",
    [CV_LINK_INVERSE] = "inverse",   [CV_LINK_SQRT] = "sqrt",
};

/* The first link is the canonical one. */
static const struct {
    const char *name;
    int n_links;
    cv_link_kind links[5];
} families[] = {
    [CV_FAMILY_GAUSSIAN] = {"gaussian",
                            3,
                            {CV_LINK_IDENTITY, CV_LINK_LOG, CV_LINK_INVERSE}},
    [CV_FAMILY_BINOMIAL] = {"binomial",
                            5,
                            {CV_LINK_LOGIT, CV_LINK_PROBIT, CV_LINK_CAUCHIT,
                             CV_LINK_LOG, CV_LINK_CLOGLOG}},
    [CV_FAMILY_POISSON] = {"poisson",
                           3,
                           {CV_LINK_LOG, CV_LINK_IDENTITY, CV_LINK_SQRT}},
    [CV_FAMILY_GAMMA] = {"gamma",
                         3,
                         {CV_LINK_INVERSE, CV_LINK_IDENTITY, CV_LINK_LOG}},
};
enum { N_FAMILIES = sizeof families / sizeof *families };

int cv_family_find(cv_family *f, const char *family, const char *link)
{
    if (strcmp(family, "Gamma") == 0)
        family = "gamma";
    for (int i = 0; i < N_FAMILIES; i++) {
        if (strcmp(families[i].name, family) != 0)
            continue;
        for (int j = 0; j < families[i].n_links; j++) {
            cv_link_kind k = families[i].links[j];
            if (link && strcmp(link_names[k], link) != 0)
                continue;
            *f = (cv_family){(cv_family_kind)i, k};
            return 0;
        }
        return -2;
    }
    return -1;
}

const char *cv_family_name(const cv_family *f)
{
    return families[f->kind].name;
}

const char *cv_link_name(const cv_family *f)
{
    return link_names[f->link];
}

int cv_family_fixed_dispersion(const cv_family *f)
{
    return f->kind == CV_FAMILY_BINOMIAL || f->kind == CV_FAMILY_POISSON;
}

const char *cv_family_fault(const cv_family *f, double y, double w)
{
    if (!(w >= 0.0 && isfinite(w)))
        return "expected finite weights of 0 or more";
    if (w == 0.0)
        return NULL;
    switch (f->kind) {
    case CV_FAMILY_BINOMIAL:
        return y >= 0.0 && y <= 1.0 ? NULL : "expected numbers from 0 to 1";
    case CV_FAMILY_POISSON:
        return y >= 0.0 && isfinite(y) ? NULL
                                       : "expected finite numbers of 0 or more";
    case CV_FAMILY_GAMMA:
        return y > 0.0 && isfinite(y) ? NULL
                                      : "expected finite numbers above 0";
    case CV_FAMILY_GAUSSIAN:
        break;
    }
    return isfinite(y) ? NULL : "expected finite numbers";
}

void cv_family_variance(const cv_family *f, const double *mu, double *v,
                        size_t n)
{
    switch (f->kind) {
    case CV_FAMILY_GAUSSIAN:
        for (size_t i = 0; i < n; i++)
            v[i] = 1.0;
        break;
    case CV_FAMILY_BINOMIAL:
        for (size_t i = 0; i < n; i++)
            v[i] = mu[i] * (1.0 - mu[i]);
        break;
    case CV_FAMILY_POISSON:
        memcpy(v, mu, n * sizeof *v);
        break;
    case CV_FAMILY_GAMMA:
        for (size_t i = 0; i < n; i++)
            v[i] = mu[i] * mu[i];
        break;
    }
}

static double weight(const double *w, size_t i)
{
    return w ? w[i] : 1.0;
}

void cv_family_start(const cv_family *f, const double *y, const double *w,
                     double *mu, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double m = weight(w, i);
        mu[i] = y[i];
        if (f->kind == CV_FAMILY_BINOMIAL)
            mu[i] = m > 0.0 ? (m * y[i] + 0.5) / (m + 1.0) : 0.5;
        if (f->kind == CV_FAMILY_POISSON)
            mu[i] = y[i] + 0.1;
    }
}

/* y log(y / mu), and its limit 0. */
static double y_log(double y, double mu)
{
    return y != 0.0 ? y * log(y / mu) : 0.0;
}

/* dev.resids of weight 1. */
static double deviance_of(cv_family_kind kind, double y, double mu)
{
    switch (kind) {
    case CV_FAMILY_BINOMIAL:
        return 2.0 * (y_log(y, mu) + y_log(1.0 - y, 1.0 - mu));
    case CV_FAMILY_POISSON:
        return 2.0 * (y_log(y, mu) - (y - mu));
    case CV_FAMILY_GAMMA:
        return -2.0 * (log(y / mu) - (y - mu) / mu);
    case CV_FAMILY_GAUSSIAN:
        break;
    }
    return (y - mu) * (y - mu);
}

double cv_family_deviance(const cv_family *f, const double *y, const double *mu,
                          const double *w, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        if (weight(w, i) > 0.0)
            sum += weight(w, i) * deviance_of(f->kind, y[i], mu[i]);
    return sum;
}

static double binomial_row(double y, double mu, double w, double *broken)
{
    double k = rint(w * y);
    *broken += fabs(w * y - k) > 0.001; /* R's warning */
    return cv_log_binomial(k, rint(w), mu);
}

static double poisson_row(double y, double mu, double w, double *broken)
{
    if (fabs(y - rint(y)) > 1e-7 * fmax(1.0, y)) { /* R's dpois: mass 0 */
        *broken += 1.0;
        return 0.0;
    }
    return w * cv_log_poisson(rint(y), mu);
}

void cv_family_sums(const cv_family *f, const double *y, const double *mu,
                    const double *w, size_t n, double sums[CV_FAMILY_SUMS])
{
    double sum = 0.0, broken = 0.0;
    for (size_t i = 0; i < n; i++) {
        double m = weight(w, i);
        if (!(m > 0.0))
            continue;
        switch (f->kind) {
        case CV_FAMILY_BINOMIAL:
            sum += binomial_row(y[i], mu[i], m, &broken);
            break;
        case CV_FAMILY_POISSON:
            sum += poisson_row(y[i], mu[i], m, &broken);
            break;
        case CV_FAMILY_GAUSSIAN:
            sum += w ? 0.5 * log(m) : 0.0;
            break;
        case CV_FAMILY_GAMMA:
            sum -= m * log(y[i]);
            break;
        }
    }
    sums[0] = sum;
    sums[1] = broken;
}

double cv_family_loglik(const cv_family *f, const double sums[CV_FAMILY_SUMS],
                        double deviance, double n_rows, double weight_sum)
{
    const double log_2pi = 1.83787706640934548356;
    if (!(n_rows > 0.0))
        return 0.0;
    if (f->kind == CV_FAMILY_POISSON && sums[1] > 0.0)
        return -INFINITY;
    if (cv_family_fixed_dispersion(f))
        return sums[0];
    if (deviance <= 0.0) /* below 0 by rounding alone */
        return INFINITY;
    if (f->kind == CV_FAMILY_GAUSSIAN)
        return sums[0] -
               0.5 * n_rows * (log(deviance / n_rows) + log_2pi + 1.0);
    /* Shape a = weight_sum / deviance. The rows' sum of
     *     w (a log a - log Gamma(a) - a log mu + (a - 1) log y - a y / mu)
     * holds log(y/mu) and y/mu as in the deviance, which gives -weight_sum/2;
     * Stirling's formula takes the cancellation out of the rest. */
    double a = weight_sum / deviance;
    return sums[0] +
           weight_sum * (0.5 * (log(a) - log_2pi - 1.0) - cv_stirling_error(a));
}

double cv_family_loglik_rows(const cv_family *f, const double *y,
                             const double *mu, const double *w, size_t n)
{
    double sums[CV_FAMILY_SUMS];
    cv_family_sums(f, y, mu, w, n, sums);
    return f->kind == CV_FAMILY_POISSON && sums[1] > 0.0 ? -INFINITY : sums[0];
}
