#include "privacy/accountant.h"

#include <math.h>
#include <stdlib.h>

#include "core/mem.h"
#include "privacy/pld.h"
#include "privacy/rdp.h"

/* The discrete Gaussian and the continuous one.
 *
 * Let G = N_Z(0, sigma^2) and R = round(N(0, sigma^2 - 1/12)). Adding R to an
 * integer vector is rounding after adding continuous noise: post-processing,
 * so a mechanism with R is no worse than the continuous one, whose PLD we know.
 *
 * Claim: chi^2(R || G) = E_G[(R/G - 1)^2] <= 2.9e-6 / sigma^8 for sigma >= 16.
 * Proof. R(k) = f(k), f the density of N(0, s^2) + U(-1/2, 1/2), s^2 = sigma^2 -
 * 1/12; G(k) = phi(k) / Theta, phi that of N(0, sigma^2), Theta = 1 + 2 sum
 * exp(-2 pi^2 sigma^2 m^2). Hence 1 + chi^2 = Theta sum_k f(k)^2 / phi(k).
 * f^2/phi is a mixture of Gaussians of variance s^2/(1 + 1/(12 sigma^2)) times
 * constants, so by Poisson summation the sum is the integral within a factor 1
 * +- 3 exp(-2 pi^2 (sigma^2 - 1/4)), as is Theta: both are below 1e-2000 here.
 * In the integral write f/phi = sum c_n He_n(x/sigma) / n!, c_n = E_f He_n. Its
 * generating function is E_f exp(t x/sigma - t^2/2) = g(t / 2 sigma),
 *     g(u) = exp(-u^2/6) sinh(u)/u = 1 - u^4/180 + u^6/2835 - ...
 * so with g_n the coefficients of g, chi^2 = sum_{n >= 4} n! g_n^2 / (4
 * sigma^2)^n. First term: 24 / (180^2 256 sigma^8) = 2.8936e-6 / sigma^8. For
 * the others Cauchy on |u| = r, r^2 = 3n: |g_n| <= exp(r^2/6) sinh(r)/(r r^n),
 * with Stirling n! g_n^2 / 4^n <= 1.02 sqrt(2 pi n)/(12 n) exp(2 sqrt(3n))
 * 12^-n: 1.5e-4 for n = 6, and less than a tenth of the term before (over
 * sigma^4) for each next even n. So chi^2 sigma^8 <= 2.8936e-6 + 1.7e-4 /
 * sigma^4 < 2.9e-6. (Half of it, 1.4468e-6 / sigma^8, is the Kullback-Leibler
 * divergence to leading order: 60-digit sums give 1.44676e-6 at sigma 16,
 * 1.4488e-6 at 2, but 1.478e-6 at 1.)
 *
 * Renyi-2 divergence ln(1 + chi^2) adds up over independent coordinates and
 * adaptive steps, whatever was sampled, and total variation is at most
 * sqrt(chi^2)/2. Over N coordinates and steps: sqrt(expm1(N 2.9e-6 /
 * sigma^8))/2, which is sqrt(N KL / 2) with KL = 1.45e-6 / sigma^8.
 *
 * If the mechanism M is within v of M' in total variation, and M' is (epsilon,
 * delta): M(D) <= M'(D) + v <= e^eps M'(D') + delta + v <= e^eps (M(D') + v) +
 * delta + v. Hence the charge of (1 + e^eps) v. */
static const double CHI2 = 2.9e-6;
/* PROTOCOL: below this the charge would be felt, and RDP does as well. */
static const double LEAST_SIGMA = 256.0;

struct cv_accountant {
    cv_segment *segment;
    size_t n;
};

void cv_accountant_create(cv_accountant **out)
{
    *out = CV_NEW(1, cv_accountant);
}

void cv_accountant_destroy(cv_accountant **a)
{
    if (*a == NULL)
        return;
    free((*a)->segment);
    CV_FREE(*a);
}

/* ---- segments ----------------------------------------------------------- */

static double total_sigma(const cv_segment *s) /* grid units */
{
    return s->noise_multiplier * s->integers.sensitivity;
}

static double share_sigma(const cv_segment *s)
{
    return total_sigma(s) / sqrt((double)s->integers.shares);
}

static int check_segment(const cv_segment *s, cv_err *err)
{
    const cv_integer_noise *d = &s->integers;
    if (!(s->noise_multiplier >= 0.0))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "noise multiplier must be 0 or more, found %g",
                          s->noise_multiplier);
    if (!(s->sampling >= 0.0 && s->sampling <= 1.0))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "sampling must be between 0 and 1, found %g",
                          s->sampling);
    if (s->steps < 0 || s->steps > CV_MAX_STEPS)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "steps must be between 0 and %lld, found %lld",
                          (long long)CV_MAX_STEPS, (long long)s->steps);
    if (d->sensitivity == 0.0)
        return 0;
    if (!(d->sensitivity > 0.0) || isinf(d->sensitivity) || d->shares < 1 ||
        d->dimension < 1)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "integer noise needs a positive sensitivity, shares "
                          "and dimension, found %g, %lld, %lld",
                          d->sensitivity, (long long)d->shares,
                          (long long)d->dimension);
    if (!(d->sampler >= 0.0))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "the distance of the sampler must be 0 or more, "
                          "found %g",
                          d->sampler);
    if (d->shares > 1 && !(share_sigma(s) >= 0.5))
        return cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                          "a share of noise has sigma %.3g grid units, and at "
                          "least 0.5 is needed; use a finer grid, more noise "
                          "or fewer shares",
                          share_sigma(s));
    return 0;
}

static int same_kind(const cv_segment *a, const cv_segment *b)
{
    const cv_integer_noise *x = &a->integers, *y = &b->integers;
    return a->noise_multiplier == b->noise_multiplier &&
           a->sampling == b->sampling && x->sensitivity == y->sensitivity &&
           (x->sensitivity == 0.0 ||
            (x->shares == y->shares && x->dimension == y->dimension &&
             x->sampler == y->sampler));
}

int cv_accountant_add(cv_accountant *a, const cv_segment *s, cv_err *err)
{
    int rc = check_segment(s, err);
    if (rc != 0 || s->steps == 0)
        return rc;
    for (size_t i = 0; i < a->n; i++)
        if (same_kind(a->segment + i, s) &&
            a->segment[i].steps <= CV_MAX_STEPS - s->steps) {
            a->segment[i].steps += s->steps;
            return 0;
        }
    a->segment = cv_realloc(a->segment, a->n + 1, sizeof *a->segment);
    a->segment[a->n++] = *s;
    return 0;
}

const cv_segment *cv_accountant_segments(const cv_accountant *a, size_t *n)
{
    *n = a->n;
    return a->segment;
}

/* ---- the terms of each method ------------------------------------------- */

static int is_discrete(const cv_segment *s)
{
    return s->integers.sensitivity > 0.0;
}

static double tau_of(const cv_segment *s)
{
    if (!is_discrete(s) || s->integers.shares == 1)
        return 0.0;
    return cv_ddg_tau(share_sigma(s), (double)s->integers.shares);
}

static cv_rdp_part rdp_part(const cv_segment *s)
{
    cv_rdp_part p = {.noise = s->noise_multiplier,
                     .sampling = s->sampling,
                     .steps = (double)s->steps};
    if (!is_discrete(s))
        return p;
    p.discrete = 1;
    if (s->sampling < 1.0)
        return p;
    /* Entries are integers: |v|_1 <= |v|_2^2, and <= sqrt(d) |v|_2. */
    p.tau = tau_of(s);
    p.dimension = (double)s->integers.dimension;
    p.l1 =
        fmin(sqrt(p.dimension), s->integers.sensitivity) / s->noise_multiplier;
    return p;
}

static cv_pld_part pld_part(const cv_segment *s)
{
    cv_pld_part p = {s->noise_multiplier, s->sampling, (double)s->steps};
    if (is_discrete(s))
        p.noise *= sqrt(1.0 - 1.0 / (12.0 * total_sigma(s) * total_sigma(s)));
    return p;
}

static cv_extra_delta extra_of(const cv_accountant *a, cv_account_method method)
{
    cv_extra_delta e = {0};
    double renyi = 0.0;
    for (size_t i = 0; i < a->n; i++) {
        const cv_segment *s = a->segment + i;
        if (!is_discrete(s))
            continue;
        double draws = (double)s->steps * (double)s->integers.dimension;
        e.sampler += draws * (double)s->integers.shares * s->integers.sampler;
        /* |ln ratio| <= tau; unsampled, RDP knows the sum itself. */
        if (method == CV_ACCOUNT_PLD || s->sampling < 1.0)
            e.shares += draws * tau_of(s);
        if (method == CV_ACCOUNT_PLD)
            renyi += draws * CHI2 / pow(total_sigma(s), 8.0);
    }
    e.rounding = 0.5 * sqrt(expm1(renyi));
    e.total = e.rounding + e.shares + e.sampler;
    return e;
}

static int pld_applies(const cv_accountant *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (is_discrete(a->segment + i) &&
            !(total_sigma(a->segment + i) >= LEAST_SIGMA))
            return 0;
    return 1;
}

/* Nothing hides the record: no noise, in a step that may hold it. */
static int is_bare(const cv_accountant *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->segment[i].noise_multiplier == 0.0 &&
            a->segment[i].sampling > 0.0)
            return 1;
    return 0;
}

/* ---- epsilon ------------------------------------------------------------ */

typedef struct {
    cv_rdp_part *rdp;
    cv_pld *pld; /* one of the two */
    size_t n;
    double order;
} curve;

static double curve_epsilon(curve *c, double delta)
{
    return c->pld != NULL ? cv_pld_epsilon(c->pld, delta)
                          : cv_rdp_epsilon(c->rdp, c->n, delta, &c->order);
}

/* Smallest epsilon with curve(epsilon) + (1 + e^epsilon) v <= delta. The left
 * side is convex in e^epsilon; we climb to where it first meets delta. */
static double solve(curve *c, double delta, double v)
{
    if (v == 0.0)
        return curve_epsilon(c, delta);
    double e = 0.0;
    for (int i = 0; i < 100; i++) {
        double left = delta - (1.0 + exp(e)) * v;
        double next = left > 0.0 ? curve_epsilon(c, left) : INFINITY;
        if (next <= e || isinf(next))
            return next <= e ? e : INFINITY;
        e = next * (1.0 + 1e-10);
    }
    return INFINITY;
}

/* For the neighbourhood of delta, or if that is NAN of epsilon. */
static void open_curve(curve *c, const cv_accountant *a,
                       cv_account_method method, double delta, double epsilon)
{
    *c = (curve){.n = a->n, .order = 1.0};
    if (method == CV_ACCOUNT_RDP) {
        c->rdp = CV_NEW(a->n, cv_rdp_part);
        for (size_t i = 0; i < a->n; i++)
            c->rdp[i] = rdp_part(a->segment + i);
        return;
    }
    cv_pld_part *p = CV_NEW(a->n, cv_pld_part);
    for (size_t i = 0; i < a->n; i++)
        p[i] = pld_part(a->segment + i);
    if (isnan(delta))
        cv_pld_create_at(&c->pld, p, a->n, epsilon);
    else
        cv_pld_create(&c->pld, p, a->n, delta);
    free(p);
}

static void close_curve(curve *c)
{
    CV_FREE(c->rdp);
    cv_pld_destroy(&c->pld);
}

static cv_spent spent_by(const cv_accountant *a, cv_account_method method,
                         double delta)
{
    cv_spent s = {.method = method, .extra = extra_of(a, method)};
    curve c;
    open_curve(&c, a, method, delta, 0.0);
    s.epsilon = solve(&c, delta, s.extra.total);
    s.order = c.order;
    close_curve(&c);
    return s;
}

static int spends(const cv_accountant *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->segment[i].sampling > 0.0 &&
            !isinf(a->segment[i].noise_multiplier))
            return 1;
    return 0;
}

void cv_accountant_epsilon(const cv_accountant *a, cv_spent *out,
                           cv_account_method method, double delta)
{
    *out = (cv_spent){.method = method, .order = 1.0};
    if (!spends(a) || delta >= 1.0)
        return;
    out->epsilon = INFINITY;
    if (!(delta > 0.0) || is_bare(a))
        return;
    *out = spent_by(a, CV_ACCOUNT_RDP, delta);
    if (method != CV_ACCOUNT_PLD || !pld_applies(a))
        return;
    cv_spent pld = spent_by(a, CV_ACCOUNT_PLD, delta);
    if (pld.epsilon <= out->epsilon)
        *out = pld;
}

/* ---- delta -------------------------------------------------------------- */

static double delta_by(const cv_accountant *a, cv_account_method method,
                       double epsilon)
{
    curve c;
    double v = extra_of(a, method).total;
    open_curve(&c, a, method, NAN, epsilon);
    double d = c.pld != NULL ? cv_pld_delta(c.pld, epsilon)
                             : cv_rdp_delta(c.rdp, c.n, epsilon);
    close_curve(&c);
    if (v > 0.0)
        d += (1.0 + exp(epsilon)) * v;
    return d < 1.0 ? d : 1.0;
}

double cv_accountant_delta(const cv_accountant *a, cv_account_method method,
                           double epsilon)
{
    if (!spends(a))
        return 0.0;
    if (!(epsilon >= 0.0) || is_bare(a))
        return 1.0;
    if (isinf(epsilon)) /* the noise reaches everywhere */
        return 0.0;
    double rdp = delta_by(a, CV_ACCOUNT_RDP, epsilon);
    if (method != CV_ACCOUNT_PLD || !pld_applies(a))
        return rdp;
    return fmin(rdp, delta_by(a, CV_ACCOUNT_PLD, epsilon));
}
