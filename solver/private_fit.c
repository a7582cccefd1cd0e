/* How much one record can change the sum.
 *
 * Linear. |z|^2 = s^2 (|x|^2 + y^2) <= s^2 (|x|^2 + 1) <= clip^2, as |y| <= 1,
 * and |svec(z z')| = |z|^2. Without an intercept the word s^2 is added:
 * |v|^2 = |z|^4 + s^4 <= s^4 ((|x|^2 + 1)^2 + 1) <= clip^4.
 *
 * Logistic. With m = |r|, w = m (1 - m) when y is 0 or 1: r and w come from one
 * mu. With |x|^2 <= q, and s |x| <= clip,
 *     |v|^2 = s^2 |x|^2 (m^2 + kappa^2 m^2 (1 - m)^2 |x|^2)
 *          <= clip^2 (m^2 + kappa^2 q m^2 (1 - m)^2),
 * which is at most clip^2 for all m in [0, 1] if and only if
 *     kappa^2 q <= (1 - m^2) / (m^2 (1 - m)^2) = (1 + m) / (m^2 (1 - m)).
 * The derivative of the right side has the sign of m^2 + m - 1, so its least
 * value is at m = 1/phi, where 1 + m = phi and m^2 = 1 - m = phi^-2: phi^5.
 * (y = 0, mu -> 1 reaches the bound by the gradient alone.)
 *
 * No scaling is needed from |x|^2 = q on: a clip above that of such a row is
 * taken for it.
 *
 * Rounding to integers moves v / 2^exponent by at most 1/2 a word, sqrt(d) / 2
 * in L2. Before that, with u = 2^-53: a sum of q + 1 squares has a relative
 * error of (q + 2) u, s of (q + 2)/2 u + 4 u, z_i one u more, and a word is the
 * product of two z (or of s x_i, w and x_j) and three factors: (q + 20) u in
 * all, with the factor 2^exponent exact. For q <= 32000 that is below 2^-37,
 * and
 *     Delta_int = bound / 2^exponent (1 + 2^-36) + sqrt(d) / 2.
 * mu may be as wrong as exp is: nothing but 0 <= mu <= 1 was used.
 *
 * None of this has to be believed: the squared norm of each record's integers
 * is computed exactly, and a record above Delta_int^2 is left out. What the
 * proof is needed for is that this happens to no honest record. */
#include "solver/private_fit.h"

#include <math.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/simd.h"
#include "solver/private_fit_parts.h"

#define SLACK 0x1p-36
/* Of a word that is none: NaN, or more than any honest record has. */
#define OVER 2147483647.0

/* What is constant over rows. */
typedef struct {
    const cv_private_fit *f;
    double clip, kappa, unit; /* unit = 2^-exponent */
    uint64_t limit;           /* of squared norms */
    size_t d;
    double *z;          /* (q + 1) */
    int32_t *out;       /* (d) one record's integers */
    uint64_t high, low; /* squared norm of out: 2^32 high + low */
} pass;

static size_t triangle(int p)
{
    return (size_t)p * ((size_t)p + 1) / 2;
}

static void check(const cv_private_fit *f)
{
    CV_CHECK(f->q >= 1 && f->q <= CV_PRIVATE_FIT_MAX_Q);
    CV_CHECK(f->clip > 0.0 && isfinite(f->clip));
}

size_t cv_private_fit_words(const cv_private_fit *f)
{
    check(f);
    if (f->logistic)
        return (size_t)f->q + triangle(f->q);
    return triangle(f->q + 1) + !f->intercept;
}

double cv_private_kappa(int q)
{
    double phi = 0.5 * (1.0 + sqrt(5.0));
    /* The last factor: roundings of this line must not make it too large. */
    return sqrt(phi * phi * phi * phi * phi / q) * (1.0 - 0x1p-48);
}

/* Norm of a row x with x^2 = square that s keeps below the clip. */
static double row_norm(const cv_private_fit *f, double square)
{
    if (f->logistic)
        return sqrt(square);
    double one = square + 1.0;
    return f->intercept ? sqrt(one) : sqrt(sqrt(one * one + 1.0));
}

double cv_private_fit_no_clip(const cv_private_fit *f)
{
    check(f);
    return row_norm(f, f->q);
}

double cv_private_fit_bound(const cv_private_fit *f)
{
    double c = fmin(f->clip, cv_private_fit_no_clip(f));
    return f->logistic ? c : c * c;
}

double cv_private_fit_sensitivity(double bound, size_t d, int exponent)
{
    double units = ldexp(bound, -exponent);
    return units * (1.0 + SLACK) + 0.5 * sqrt((double)d) * (1.0 + 0x1p-50);
}

/* out = round(a z[0], a sqrt(2) z[1..n)). The squared norm is kept in two
 * halves, which d < 2^32 words cannot make too large. */
CV_HOT static void put_row(pass *p, int32_t *out, double a, double off,
                           const double *z, int n)
{
    uint64_t high = 0, low = 0;
    for (int j = 0; j < n; j++) {
        double t = rint((j ? a * off : a) * z[j]);
        t = t <= OVER ? t : OVER; /* NaN as well */
        t = t >= -OVER ? t : OVER;
        int32_t k = (int32_t)t;
        uint64_t square = (uint64_t)((int64_t)k * (int64_t)k);
        high += square >> 32;
        low += square & UINT32_MAX;
        out[j] = k;
    }
    p->high += high;
    p->low += low;
}

CV_HOT static void add_words(int64_t *sum, const int32_t *out, size_t d)
{
    for (size_t i = 0; i < d; i++)
        sum[i] += out[i];
}

/* out = round(factor svec(z z')), n the size of z. */
static int32_t *put_square(pass *p, int32_t *out, double factor,
                           const double *z, int n)
{
    for (int i = 0; i < n; i++) {
        put_row(p, out, factor * z[i], sqrt(2.0), z + i, n - i);
        out += n - i;
    }
    return out;
}

static void put_linear(pass *p, const double *x, double y, double s)
{
    int q = p->f->q;
    for (int j = 0; j < q; j++)
        p->z[j] = s * x[j];
    p->z[q] = s * y;
    int32_t *end = put_square(p, p->out, p->unit, p->z, q + 1);
    double weight = s * s;
    if (!p->f->intercept)
        put_row(p, end, p->unit, 1.0, &weight, 1);
}

static void put_logistic(pass *p, const double *x, double y, double s,
                         const double *b)
{
    int q = p->f->q;
    double eta = 0.0;
    for (int j = 0; j < q; j++)
        eta += b[j] * x[j];
    double mu = 1.0 / (1.0 + exp(-eta)), w = mu * (1.0 - mu);
    put_row(p, p->out, p->unit * s * (y - mu), 1.0, x, q);
    put_square(p, p->out + q, p->unit * p->kappa * s * w, x, q);
}

static int within(const pass *p)
{
    /* low < 2^61: the sum cannot pass 2^64. */
    return p->high < UINT64_C(1) << 31 && (p->high << 32) + p->low <= p->limit;
}

void cv_private_fit_add(const cv_private_fit *f, const double *x,
                        const double *y, int64_t n, const double *b,
                        int exponent, int64_t *sum)
{
    size_t d = cv_private_fit_words(f);
    double delta =
        cv_private_fit_sensitivity(cv_private_fit_bound(f), d, exponent);
    CV_CHECK(delta < OVER && n >= 0 && n <= INT32_MAX);
    pass p = {.f = f,
              .clip = f->clip,
              .kappa = cv_private_kappa(f->q),
              .unit = ldexp(1.0, -exponent),
              .limit = (uint64_t)(delta * delta * (1.0 - 0x1p-51)),
              .d = d,
              .z = CV_NEW(f->q + 1, double),
              .out = CV_NEW(d, int32_t)};
    for (int64_t i = 0; i < n; i++) {
        const double *row = x + (size_t)i * (size_t)f->q;
        double square = 0.0;
        for (int j = 0; j < f->q; j++)
            square += row[j] * row[j];
        double norm = row_norm(f, square);
        double s = norm <= p.clip ? 1.0 : p.clip / norm;
        p.high = p.low = 0;
        if (f->logistic)
            put_logistic(&p, row, y[i], s, b);
        else
            put_linear(&p, row, y[i], s);
        if (within(&p))
            add_words(sum, p.out, d);
    }
    free(p.z);
    free(p.out);
}
