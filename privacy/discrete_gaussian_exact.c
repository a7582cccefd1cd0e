/* Exact discrete Gaussian, and the arithmetic of variances.
 *
 * Canonne, Kamath and Steinke 2020, "The discrete Gaussian for differential
 * privacy", algorithms 1 to 3: rejection from a discrete Laplace of integer
 * scale t = floor(sigma) + 1. Every coin has a rational bias a / b and is
 * tossed by comparing a uniform integer below b with a, so the output has
 * exactly the stated distribution if the bits are uniform. How long it takes
 * depends on the bits drawn, not on any data.
 */
#include <math.h>

#include "privacy/discrete_gaussian.h"
#include "privacy/wide.h"

/* Uniform integer in [0, n), by rejection, n > 0. */
static cv_wide wide_below(const cv_wide *n, cv_stream *s)
{
    int top = CV_LIMBS - 1;
    while (!n->w[top])
        top--;
    uint64_t mask = UINT64_MAX >> __builtin_clzll(n->w[top]);
    for (;;) {
        cv_wide v = {{0}};
        for (int i = 0; i <= top; i++)
            v.w[i] = cv_stream_u64(s);
        v.w[top] &= mask;
        if (cv_wide_cmp(&v, n) < 0)
            return v;
    }
}

/* 1 with probability exp(-a / b), a <= b (algorithm 1, first case): the number
 * of successes of coins a / (b k), k = 1, 2, .., is even. */
static int coin_exp_small(uint64_t a, uint64_t b, cv_stream *s)
{
    uint64_t k = 1;
    while (cv_stream_below(s, b) < a && cv_stream_below(s, k) == 0)
        k++;
    return k % 2 == 1;
}

static int coin_exp_wide(const cv_wide *a, const cv_wide *b, cv_stream *s)
{
    uint64_t k = 1;
    for (;;) {
        cv_wide u = wide_below(b, s);
        if (cv_wide_cmp(&u, a) >= 0 || cv_stream_below(s, k) != 0)
            return k % 2 == 1;
        k++;
    }
}

/* 1 with probability exp(-a / b), any a >= 0 (second case). */
static int coin_exp(const cv_wide *a, const cv_wide *b, cv_stream *s)
{
    cv_wide rest = *a;
    while (cv_wide_cmp(&rest, b) > 0) {
        if (!coin_exp_small(1, 1, s))
            return 0;
        cv_wide_sub(&rest, b);
    }
    return coin_exp_wide(&rest, b, s);
}

/* P(y) prop. to exp(-|y| / t) (algorithm 2 with s = 1). */
static int64_t discrete_laplace(uint64_t t, cv_stream *s)
{
    for (;;) {
        uint64_t u = cv_stream_below(s, t), v = 0;
        if (!coin_exp_small(u, t, s))
            continue;
        while (coin_exp_small(1, 1, s))
            v++;
        CV_CHECK(v < UINT32_MAX);
        int64_t y = (int64_t)(u + t * v);
        int minus = (int)(cv_stream_below(s, 2));
        if (minus && y == 0)
            continue;
        return minus ? -y : y;
    }
}

/* floor(sqrt(num / den)) */
static uint64_t floor_sigma(cv_variance v)
{
    uint64_t q = v.num / v.den, r = (uint64_t)sqrt((double)q);
    while (r * r > q)
        r--;
    while ((r + 1) * (r + 1) <= q)
        r++;
    return r;
}

/* Accept y with probability exp(-(|y| - sigma^2 / t)^2 / (2 sigma^2))
 *   = exp(-(|y| t den - num)^2 / (2 num den t^2)). */
int64_t cv_dgauss_exact(cv_variance v, cv_stream *s)
{
    CV_CHECK(v.num && v.den && v.num >> 62 == 0 && v.den >> 62 == 0);
    CV_CHECK((cv_u128)v.num * 16 >= v.den && v.num >> 60 < v.den);
    uint64_t t = floor_sigma(v) + 1;
    cv_wide num = cv_wide_of(v.num), den = cv_wide_of(v.den);
    cv_wide scale = cv_wide_of(t), two = cv_wide_of(2);
    cv_wide bottom = cv_wide_mul(&num, &den);
    cv_wide den_t = cv_wide_mul(&den, &scale);
    bottom = cv_wide_mul(&bottom, &two);
    bottom = cv_wide_mul(&bottom, &scale);
    bottom = cv_wide_mul(&bottom, &scale);
    for (;;) {
        int64_t y = discrete_laplace(t, s);
        cv_wide far = cv_wide_of((uint64_t)(y < 0 ? -y : y)), off = num;
        far = cv_wide_mul(&far, &den_t);
        if (cv_wide_cmp(&far, &off) >= 0) {
            cv_wide_sub(&far, &num);
            off = far;
        } else {
            cv_wide_sub(&off, &far);
        }
        cv_wide top = cv_wide_mul(&off, &off);
        if (coin_exp(&top, &bottom, s))
            return y;
    }
}

cv_variance cv_variance_at_least(double sigma)
{
    CV_CHECK(sigma >= 0.25 && sigma < 0x1p30);
    int e;
    uint64_t m = (uint64_t)ldexp(frexp(sigma, &e), 53);
    /* sigma = m 2^(e - 53) with 2^52 <= m < 2^53, e in [-1, 30]; the variance
     * is m^2 2^(2 e - 106), kept with `down` bits fewer. */
    int shift = 106 - 2 * e, down = shift - 61;
    if (down < 45)
        down = 45;
    cv_u128 square = (cv_u128)m * m;
    uint64_t num = (uint64_t)(square >> down);
    if (square & (((cv_u128)1 << down) - 1))
        num++;
    int twos = shift - down;
    while (twos > 0 && num % 2 == 0) {
        num /= 2;
        twos--;
    }
    return (cv_variance){num, UINT64_C(1) << twos};
}

cv_variance cv_variance_share(cv_variance v, uint64_t parts)
{
    CV_CHECK(parts >= 1 && v.num && v.den);
    cv_u128 den = (cv_u128)v.den * parts;
    if (den >> 62 == 0)
        return (cv_variance){v.num, (uint64_t)den};
    return (cv_variance){v.num / parts + (v.num % parts != 0), v.den};
}
