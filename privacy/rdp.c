#include "privacy/rdp.h"

#include <math.h>

#include "core/err.h"
#include "privacy/golden.h"

/* Parts of the integrand below exp of this, of the largest, are left out: of
 * the moment itself, and of its distance from 1, which may be tiny. */
static const double DEEP = -50.0, DEEPER = -200.0;
/* Trapezoid points in a cell of two sigma before we settle for a bound. */
enum { MAX_POINTS = 512 };

double cv_privacy_loss(double noise, double q, double x)
{
    double y = (x - 0.5) / noise / noise;
    if (q >= 1.0)
        return y;
    if (y < 600.0) {
        double t = q * expm1(y);
        if (t > -0.5)
            return log1p(t);
    }
    double a = log1p(-q), b = log(q) + y;
    return a > b ? a + log1p(exp(b - a)) : b + log1p(exp(a - b));
}

/* ---- ln E exp(s L) ------------------------------------------------------ */

/* The trapezoid rule converges faster than any power of the step: the
 * integrand is analytic within |Im x| < pi noise^2, where 1-q+q e^y vanishes,
 * and Gaussian beyond. A step of noise/8, or 3/4 noise^2 if that is less, is
 * as good as exact. The line is cut into cells of two sigma; most of them hold
 * nothing when s is large, and are skipped. */
typedef struct {
    double noise, q, s;
    double from, cell; /* first cell, width */
    double cells;      /* how many */
    int points;        /* per cell */
    double top;        /* largest exponent seen */
} grid;

static double exponent(const grid *g, double x)
{
    double z = x / g->noise;
    return g->s * cv_privacy_loss(g->noise, g->q, x) - 0.5 * z * z;
}

static grid make_grid(double noise, double q, double s, double reach)
{
    /* s > 0 moves the peak up to s; the square of q e^y peaks at 2. */
    double lo = fmax(fmin(s, 0.0) - 12.0 * noise, -reach * noise);
    double hi = fmin(fmax(s, 2.0) + 12.0 * noise, 1.0 + reach * noise);
    double step = fmin(noise / 8.0, 0.75 * noise * noise);
    grid g = {.noise = noise, .q = q, .s = s, .from = lo, .cell = 2.0 * noise};
    g.points = (int)fmin(ceil(g.cell / step), MAX_POINTS + 1.0);
    g.cells = ceil((hi - lo) / g.cell);
    g.cell = (hi - lo) / g.cells;
    g.top = -INFINITY;
    for (double c = 0.0; c <= g.cells; c += 1.0)
        g.top = fmax(g.top, exponent(&g, lo + c * g.cell));
    return g;
}

/* phi(x) (exp(s L) - 1 - s (exp(L) - 1)) in units of phi's constant. It has one
 * sign everywhere, and the terms taken away integrate to 0, so that even a
 * moment that differs from 1 by 1e-30 is right in all its digits. */
static double centred(const grid *g, double x)
{
    double z = x / g->noise, log_phi = -0.5 * z * z;
    double y = (x - 0.5) / g->noise / g->noise, s = g->s;
    if (y < 600.0 && fabs(s * g->q * expm1(y)) < 1e-3) {
        double t = g->q * expm1(y), sum = 0.0, term = s * t;
        if (fabs(t) < 1e-3) {
            for (int k = 2; k <= 7; k++) {
                term *= (s - k + 1) * t / k;
                sum += term;
            }
            return exp(log_phi) * sum;
        }
    }
    double l = cv_privacy_loss(g->noise, g->q, x);
    if (fabs(s * l) < 1.0 && y < 600.0)
        return exp(log_phi) * (expm1(s * l) - s * (g->q * expm1(y)));
    return exp(log_phi + s * l) - exp(log_phi) -
           s * g->q * (exp(log_phi + y) - exp(log_phi));
}

/* Kahan's sum over one cell. */
static void add_cell(double *sum, double *carry, const grid *g, double c,
                     double (*f)(const grid *, double))
{
    for (int i = 0; i < g->points; i++) {
        double x = g->from + (c + (double)i / g->points) * g->cell;
        double v = f(g, x) - *carry, t = *sum + v;
        *carry = (t - *sum) - v;
        *sum = t;
    }
}

/* A cell counts if the exponent is above floor at one of its ends or its
 * neighbours': between the points looked at it rises by no more than 1/2 above
 * a straight line. With middle, so do all cells where phi or phi e^2y is. */
static double integrate(const grid *g, double (*f)(const grid *, double),
                        double floor, int middle)
{
    double sum = 0.0, carry = 0.0;
    double e[4]; /* at the ends of cells c-1, c, c+1 */
    for (int i = 0; i < 4; i++)
        e[i] = exponent(g, g->from + (i - 1) * g->cell);
    for (double c = 0.0; c < g->cells; c += 1.0) {
        double x = g->from + c * g->cell;
        int near = x >= -14.0 * g->noise && x <= 2.0 + 12.0 * g->noise;
        double high = fmax(fmax(e[0], e[1]), fmax(e[2], e[3]));
        if ((near && middle) || high >= floor)
            add_cell(&sum, &carry, g, c, f);
        for (int i = 0; i < 3; i++)
            e[i] = e[i + 1];
        e[3] = exponent(g, g->from + (c + 3.0) * g->cell);
    }
    return sum * (g->cell / g->points) / (g->noise * 2.5066282746310002);
}

static double scaled(const grid *g, double x)
{
    return exp(exponent(g, x) - g->top);
}

/* u -> u^s is convex (s outside (0, 1)): the moment of a mixture is at most the
 * mixture of the moments. */
static double jensen(double q, double s, double full)
{
    if (full > 600.0)
        return full + log(q) + log1p((1.0 - q) / q * exp(-full));
    (void)s;
    return log1p(q * expm1(full));
}

double cv_log_moment_within(double noise, double q, double s, double reach)
{
    if (q <= 0.0 || isinf(noise) || s == 0.0 || s == 1.0)
        return 0.0;
    double full = 0.5 * s * (s - 1.0) / noise / noise; /* q = 1 */
    if (q >= 1.0 || !isfinite(full))
        return full;
    if (0.75 * noise * MAX_POINTS < 2.0) /* noise < 0.005 */
        return jensen(q, s, full);
    grid g = make_grid(noise, q, s, reach);
    /* Cut off where it is steep, all of it may lie between the last points. */
    double sum = fmax(integrate(&g, scaled, g.top + DEEP, 0), 1e-9);
    double log_a = g.top + log(sum);
    if (fabs(log_a) > 0.5)
        return log_a;
    return log1p(integrate(&g, centred, g.top + DEEPER, 1));
}

double cv_log_moment(double noise, double q, double s)
{
    return cv_log_moment_within(noise, q, s, INFINITY);
}

double cv_rdp_gaussian(double noise, double q, double alpha)
{
    CV_CHECK(alpha > 1.0);
    double k = cv_log_moment(noise, q, alpha);
    return k < 0.0 ? 0.0 : k / (alpha - 1.0);
}

double cv_lambda_limit(double noise)
{
    return fmin(fmax(noise * 16384.0, 64.0), 1e15);
}

/* ---- shares on the integers --------------------------------------------- */

double cv_ddg_tau(double sigma, double n)
{
    if (!(sigma >= 0.5))
        return INFINITY;
    /* k/(k+1) grows from 1/2 to 1: past a few terms they are all alike. */
    double sum = 0.0, c = -2.0 * M_PI * M_PI * sigma * sigma;
    double head = fmin(n - 1.0, 4096.0);
    for (double k = 1.0; k <= head; k += 1.0)
        sum += exp(c * k / (k + 1.0));
    if (n - 1.0 > head)
        sum += (n - 1.0 - head) * exp(c * head / (head + 1.0));
    return 10.0 * sum;
}

double cv_ddg_sensitivity(double clip, double dimension, double beta)
{
    double rd = sqrt(dimension);
    double likely = clip * clip + dimension / 4.0 +
                    sqrt(2.0 * log(1.0 / beta)) * (clip + rd / 2.0);
    return fmin(sqrt(likely), clip + rd);
}

double cv_rdp_ddg(double alpha, double s2, double s1, double tau,
                  double dimension)
{
    if (tau == 0.0)
        return 0.5 * alpha * s2 * s2;
    double rd = sqrt(dimension) * tau;
    double a = 0.5 * alpha * s2 * s2 + tau * dimension;
    double b = 0.5 * alpha * (s2 * s2 + 2.0 * s1 * tau + rd * rd);
    double c = 0.5 * alpha * (s2 + rd) * (s2 + rd);
    return fmin(a, fmin(b, c));
}

/* ---- all parts ---------------------------------------------------------- */

/* Subsampled noise on the integers: the binomial sum over moments of whole
 * order, of which the discrete Gaussian's are below the continuous one's, and
 * x -> z - x swaps the two neighbours, so adding is covered by removing. That
 * proof needs whole orders; between them the cumulant is convex, hence below
 * the chord, and 0 at lambda = 0. */
static double chord(const cv_rdp_part *p, double lambda)
{
    double low = floor(lambda), f = lambda - low;
    double a = cv_log_moment(p->noise, p->sampling, low + 1.0);
    if (f == 0.0)
        return a;
    double b = cv_log_moment(p->noise, p->sampling, low + 2.0);
    return (1.0 - f) * a + f * b;
}

double cv_rdp_cumulant(const cv_rdp_part *parts, size_t n, double lambda)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        const cv_rdp_part *p = parts + i;
        if (p->steps <= 0.0 || p->sampling <= 0.0)
            continue;
        double k;
        if (!p->discrete)
            k = cv_log_moment(p->noise, p->sampling, lambda + 1.0);
        else if (p->sampling < 1.0)
            k = chord(p, lambda);
        else
            k = lambda * cv_rdp_ddg(lambda + 1.0, 1.0 / p->noise, p->l1, p->tau,
                                    p->dimension);
        sum += p->steps * (k < 0.0 ? 0.0 : k); /* keeps a NaN */
    }
    return sum;
}

/* ---- conversion --------------------------------------------------------- */

/* lambda ln lambda - (lambda+1) ln(lambda+1): ln of max_s (1-e^-s) e^-(lambda
 * s). Convex, so every search below is over a quasi-convex function. */
static double prefactor(double lambda)
{
    return -lambda * log1p(1.0 / lambda) - log1p(lambda);
}

typedef struct {
    cv_cumulant k;
    void *ctx;
    double log_delta, epsilon;
} chernoff;

static double epsilon_at(void *ctx, double lambda)
{
    chernoff *c = ctx;
    return (c->k(c->ctx, lambda) + prefactor(lambda) - c->log_delta) / lambda;
}

static double log_delta_at(void *ctx, double lambda)
{
    chernoff *c = ctx;
    return c->k(c->ctx, lambda) + prefactor(lambda) - lambda * c->epsilon;
}

static const double LAMBDA_MIN = 1e-6;

double cv_chernoff_epsilon(cv_cumulant k, void *ctx, double limit,
                           double log_delta, double *lambda)
{
    chernoff c = {k, ctx, log_delta, 0.0};
    double at = cv_golden(epsilon_at, &c, LAMBDA_MIN, limit, 1e-4);
    if (lambda != NULL)
        *lambda = at;
    return epsilon_at(&c, at);
}

double cv_chernoff_log_delta(cv_cumulant k, void *ctx, double limit,
                             double epsilon, double *lambda)
{
    chernoff c = {k, ctx, 0.0, epsilon};
    double at = cv_golden(log_delta_at, &c, LAMBDA_MIN, limit, 1e-4);
    if (lambda != NULL)
        *lambda = at;
    return log_delta_at(&c, at);
}

double cv_rdp_to_epsilon(double r, double alpha, double delta)
{
    double lambda = alpha - 1.0;
    /* RDP bounds the Kullback-Leibler divergence, hence total variation. */
    if (delta * delta + expm1(-r) > 0.0)
        return 0.0;
    double e = r + (prefactor(lambda) - log(delta)) / lambda;
    return e < 0.0 ? 0.0 : e;
}

typedef struct {
    const cv_rdp_part *parts;
    size_t n;
} part_list;

static double cumulant_of(void *ctx, double lambda)
{
    part_list *l = ctx;
    return cv_rdp_cumulant(l->parts, l->n, lambda);
}

static double limit_of(const cv_rdp_part *parts, size_t n)
{
    double limit = 1e15;
    for (size_t i = 0; i < n; i++)
        if (parts[i].steps > 0.0 && parts[i].sampling > 0.0 &&
            parts[i].sampling < 1.0)
            limit = fmin(limit, cv_lambda_limit(parts[i].noise));
    return limit;
}

/* A record that is in no step loses nothing. */
static double ever_sampled(const cv_rdp_part *parts, size_t n)
{
    double log_never = 0.0;
    for (size_t i = 0; i < n; i++)
        if (parts[i].steps > 0.0)
            log_never += parts[i].steps * log1p(-parts[i].sampling);
    return -expm1(log_never);
}

double cv_rdp_epsilon(const cv_rdp_part *parts, size_t n, double delta,
                      double *order)
{
    part_list l = {parts, n};
    double lambda = LAMBDA_MIN, eps = INFINITY;
    if (order != NULL)
        *order = 1.0;
    double least = cumulant_of(&l, LAMBDA_MIN) / LAMBDA_MIN;
    if (delta >= 1.0 || delta * delta + expm1(-least) > 0.0 || least == 0.0 ||
        ever_sampled(parts, n) <= delta)
        return 0.0; /* nothing spent, or too little to tell */
    if (delta > 0.0)
        eps = cv_chernoff_epsilon(cumulant_of, &l, limit_of(parts, n),
                                  log(delta), &lambda);
    if (order != NULL)
        *order = 1.0 + lambda;
    return isfinite(eps) ? fmax(eps, 0.0) : INFINITY;
}

double cv_rdp_delta(const cv_rdp_part *parts, size_t n, double epsilon)
{
    part_list l = {parts, n};
    double least = cumulant_of(&l, LAMBDA_MIN) / LAMBDA_MIN;
    if (least == 0.0)
        return 0.0;
    if (!(epsilon >= 0.0) || !(least > 0.0))
        return 1.0;
    double tv = fmin(sqrt(-expm1(-least)), ever_sampled(parts, n));
    if (isinf(epsilon))
        return isfinite(least) ? 0.0 : 1.0;
    double d = cv_chernoff_log_delta(cumulant_of, &l, limit_of(parts, n),
                                     epsilon, NULL);
    return fmin(fmin(exp(d), tv), 1.0);
}
