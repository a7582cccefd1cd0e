#include "privacy/pld_sum.h"

#include <math.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/simd.h"
#include "privacy/fft.h"

/* ---- powers of a spectrum ----------------------------------------------- */

enum { BLOCK = 64 };

typedef struct {
    double re[BLOCK], im[BLOCK];
} block;

/* a *= b; values whose square would be denormal become 0. */
static inline void block_mul(block *a, const block *b)
{
    for (int i = 0; i < BLOCK; i++) {
        double re = a->re[i] * b->re[i] - a->im[i] * b->im[i];
        double im = a->re[i] * b->im[i] + a->im[i] * b->re[i];
        double keep = re * re + im * im > 1e-280 ? 1.0 : 0.0;
        a->re[i] = re * keep;
        a->im[i] = im * keep;
    }
}

/* r = z^k (z is spent): about 2 log2(k) products, each with a relative error of
 * 3 u, which grow to at most 3 k u. */
CV_HOT static void block_power(block *r, block *z, uint64_t k)
{
    for (int i = 0; i < BLOCK; i++)
        r->re[i] = 1.0, r->im[i] = 0.0;
    for (; k != 0; k >>= 1) {
        if (k & 1)
            block_mul(r, z);
        block z2 = *z;
        block_mul(z, &z2);
    }
}

/* total *= f^steps and room *= |f|^(steps-1), element by element: an error of
 * one unit in f is one of at most steps * room in the product. */
static void multiply_power(cv_complex *total, double *room, const cv_complex *f,
                           size_t n, double steps)
{
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t m = n - at < BLOCK ? n - at : BLOCK;
        block z = {0}, r;
        for (size_t i = 0; i < m; i++) {
            z.re[i] = f[at + i].re;
            z.im[i] = f[at + i].im;
        }
        block_power(&r, &z, (uint64_t)steps - 1);
        for (size_t i = 0; i < m; i++) {
            cv_complex a = f[at + i], b = {r.re[i], r.im[i]},
                       *t = total + at + i;
            room[at + i] *= sqrt(b.re * b.re + b.im * b.im);
            b = (cv_complex){a.re * b.re - a.im * b.im,
                             a.re * b.im + a.im * b.re};
            *t = (cv_complex){t->re * b.re - t->im * b.im,
                              t->re * b.im + t->im * b.re};
        }
    }
}

/* ---- one part ----------------------------------------------------------- */

/* p exp(x) where exp(x) alone might overflow. */
static double weight(double p, double x)
{
    if (x < 600.0)
        return p * exp(x);
    return p > 0.0 ? exp(x + log(p)) : 0.0;
}

/* ln sum p exp(s loss), s >= 0. What underflows is below the last term. */
static double grid_moment(const cv_loss_grid *g, double h, double s)
{
    size_t n = g->n;
    while (n > 1 && g->p[n - 1] == 0.0)
        n--;
    double top = s * (double)(g->first + (int64_t)n - 1) * h, sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += g->p[i] * exp(s * (double)(g->first + (int64_t)i) * h - top);
    return top + log(sum);
}

typedef struct {
    cv_loss_sum *s;
    const cv_loss_plan *w;
    cv_direction dir;
    cv_fft *fft;
    double *x;         /* (n) */
    cv_complex *f;     /* (n/2 + 1) */
    cv_complex *total; /* (n/2 + 1) */
    double *room;      /* (n/2 + 1) */
    double steps;
    double log_finite; /* ln of the mass that is not at +infinity */
    double log_above;  /* ln of the exp(mu loss) moment */
} composition;

static void compose_part(composition *c, const cv_pld_part *a)
{
    const cv_loss_plan *w = c->w;
    cv_loss_grid g;
    cv_loss_grid_create(&g, c->dir, a->noise, a->sampling, w->h, w->reach);
    c->log_above += a->steps * grid_moment(&g, w->h, w->mu);
    double k = grid_moment(&g, w->h, w->lambda);
    c->s->log_moment += a->steps * k;
    c->log_finite += a->steps * log1p(-g.infinite);
    c->steps += a->steps;
    for (size_t i = 0; i < w->n; i++)
        c->x[i] = 0.0;
    for (size_t i = 0; i < g.n; i++) { /* a circle: what is out wraps around */
        int64_t at = g.first + (int64_t)i;
        c->x[(uint64_t)at & (w->n - 1)] +=
            weight(g.p[i], w->lambda * (double)at * w->h - k);
    }
    cv_loss_grid_free(&g);
    cv_fft_forward(c->fft, c->f, c->x);
    multiply_power(c->total, c->room, c->f, w->n / 2 + 1, a->steps);
}

/* A bound on the error of every tail below. The forward transforms err by less
 * than 8 u log2(n) at each frequency (the tilted masses add up to 1), a power
 * by 3 u per step. By Parseval the root of the sum of squares of the errors of
 * the masses is the root mean square of those over frequencies; by Cauchy and
 * Schwarz a tail errs by no more than that times the norm of its weights
 * c_m = r^m (1 - e^-mh) <= r^m min(1, mh), m <= n. */
static double rounding(const composition *c)
{
    const double u = 0x1p-53;
    double n = (double)c->w->n, h = c->w->h, sum = 0.0;
    for (size_t k = 0; k <= c->w->n / 2; k++)
        sum += 2.0 * c->room[k] * c->room[k];
    double gap = -expm1(-2.0 * c->w->lambda * h); /* 1 - r^2 */
    double norm = fmin(2.0 * h * h / (gap * gap * gap), fmin(1.0 / gap, n));
    return (8.0 * log2(n) + 4.0) * (c->steps + 2.0) * u * sqrt(sum / n * norm);
}

/* Masses p of the tilted sum to d_k = sum_{j>k} p_j r^(j-k) (1 - e^-(j-k)h),
 * r = exp(-lambda h): delta at loss kh is exp(log_moment - lambda k h) d_k.
 * With a_k = p_k + r a_{k+1} every term is positive: nothing cancels. */
static void masses_to_tails(double *p, size_t n, double lambda, double h,
                            double error)
{
    double r = exp(-lambda * h), e = exp(-h), gap = -expm1(-h);
    double a = 0.0, d = 0.0;
    for (size_t k = n; k-- > 0;) {
        double mass = p[k] < 0.0 ? 0.0 : p[k]; /* keeps a NaN */
        p[k] = d + error;
        a = mass + r * a;
        d = r * (gap * a + e * d);
    }
}

void cv_loss_sum_create(cv_loss_sum *s, cv_direction dir,
                        const cv_pld_part *parts, size_t n,
                        const cv_loss_plan *w)
{
    size_t half = w->n / 2 + 1;
    *s = (cv_loss_sum){
        .lambda = w->lambda, .h = w->h, .first = w->first, .n = w->n};
    s->tail = CV_NEW(w->n, double);
    composition c = {.s = s, .w = w, .dir = dir};
    c.fft = cv_fft_create(w->n);
    c.x = CV_NEW(w->n, double);
    c.f = CV_NEW(half, cv_complex);
    c.total = CV_NEW(half, cv_complex);
    c.room = CV_NEW(half, double);
    for (size_t k = 0; k < half; k++) {
        c.total[k] = (cv_complex){1.0, 0.0};
        c.room[k] = 1.0;
    }
    for (size_t i = 0; i < n; i++)
        compose_part(&c, parts + i);
    double error = rounding(&c);
    cv_fft_inverse(c.fft, c.x, c.total);
    for (size_t k = 0; k < w->n; k++) /* unroll the circle */
        s->tail[k] = c.x[(uint64_t)(w->first + (int64_t)k) & (w->n - 1)];
    masses_to_tails(s->tail, w->n, w->lambda, w->h, error);
    double top = (double)(w->first + (int64_t)w->n - 1) * w->h;
    s->fixed = -expm1(c.log_finite) + exp(c.log_above - w->mu * top);
    free(c.x);
    free(c.f);
    free(c.total);
    free(c.room);
    cv_fft_destroy(&c.fft);
}

void cv_loss_sum_free(cv_loss_sum *s)
{
    CV_FREE(s->tail);
    s->n = 0;
}

/* ---- the curve ---------------------------------------------------------- */

static double loss_at(const cv_loss_sum *s, size_t k)
{
    return (double)(s->first + (int64_t)k) * s->h;
}

static double delta_at(const cv_loss_sum *s, size_t k)
{
    return exp(s->log_moment - s->lambda * loss_at(s, k) + log(s->tail[k])) +
           s->fixed;
}

double cv_loss_sum_low(const cv_loss_sum *s)
{
    return s->n == 0 ? -INFINITY : loss_at(s, 0);
}

/* Between grid points delta is linear in exp(epsilon). */
double cv_loss_sum_delta(const cv_loss_sum *s, double epsilon)
{
    if (s->n == 0 || !(epsilon >= loss_at(s, 0)))
        return 1.0;
    if (epsilon >= loss_at(s, s->n - 1))
        return fmin(s->fixed, 1.0);
    size_t k = (size_t)((int64_t)floor(epsilon / s->h) - s->first);
    k = k > s->n - 2 ? s->n - 2 : k;
    double f = expm1(epsilon - loss_at(s, k)) / expm1(s->h);
    double a = delta_at(s, k), b = delta_at(s, k + 1);
    double d = a + fmin(fmax(f, 0.0), 1.0) * (b - a);
    return d < 1.0 ? d : 1.0; /* and 1 if it is not a number */
}

double cv_loss_sum_slope(const cv_loss_sum *s, double epsilon)
{
    if (s->n == 0 || !(epsilon >= loss_at(s, 0)) ||
        epsilon >= loss_at(s, s->n - 2))
        return 0.0;
    size_t k = (size_t)((int64_t)floor(epsilon / s->h) - s->first);
    double a = delta_at(s, k), b = delta_at(s, k + 1);
    return a > b ? (a - b) / (a * s->h) : 0.0;
}

double cv_loss_sum_epsilon(const cv_loss_sum *s, double delta)
{
    if (s->n == 0 || !(delta_at(s, s->n - 1) <= delta))
        return INFINITY;
    if (delta_at(s, 0) <= delta)
        return fmax(loss_at(s, 0), 0.0);
    size_t lo = 0, hi = s->n - 1; /* lo above delta, hi not */
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (delta_at(s, mid) <= delta)
            hi = mid;
        else
            lo = mid;
    }
    double a = delta_at(s, lo), b = delta_at(s, hi);
    double f = a > b ? fmin((a - delta) / (a - b), 1.0) : 1.0;
    return fmax(loss_at(s, lo) + log1p(f * expm1(s->h)), 0.0);
}
