/** Numbers of five 64-bit limbs, for the arithmetic of the discrete Gaussian.
 *
 *  Private to privacy/discrete_gaussian*.c.  Read as an integer, a cv_wide is
 *  sum w[i] 2^(64 i) < 2^320; read as a fixed-point number it is that over
 *  2^256: w[4] is the integer part and one unit u is 2^-256.  Everything is
 *  integer code, so tables come out the same on every machine and compiler.
 */
#ifndef COVEY_PRIVACY_WIDE_H
#define COVEY_PRIVACY_WIDE_H

#include <stdint.h>

#include "core/err.h"

enum { CV_LIMBS = 5 };

typedef unsigned __int128 cv_u128;

typedef struct {
    uint64_t w[CV_LIMBS]; /* least significant first */
} cv_wide;

static inline cv_wide cv_wide_of(uint64_t v)
{
    return (cv_wide){{v}};
}

static inline int cv_wide_cmp(const cv_wide *a, const cv_wide *b)
{
    for (int i = CV_LIMBS - 1; i >= 0; i--)
        if (a->w[i] != b->w[i])
            return a->w[i] < b->w[i] ? -1 : 1;
    return 0;
}

static inline int cv_wide_is_zero(const cv_wide *a)
{
    return !(a->w[0] | a->w[1] | a->w[2] | a->w[3] | a->w[4]);
}

/* a += b */
static inline void cv_wide_add(cv_wide *a, const cv_wide *b)
{
    cv_u128 c = 0;
    for (int i = 0; i < CV_LIMBS; i++) {
        c += (cv_u128)a->w[i] + b->w[i];
        a->w[i] = (uint64_t)c;
        c >>= 64;
    }
    CV_CHECK(c == 0);
}

/* a -= b, for a >= b */
static inline void cv_wide_sub(cv_wide *a, const cv_wide *b)
{
    uint64_t borrow = 0;
    for (int i = 0; i < CV_LIMBS; i++) {
        cv_u128 c = (cv_u128)a->w[i] - b->w[i] - borrow;
        a->w[i] = (uint64_t)c;
        borrow = (uint64_t)(c >> 64) & 1;
    }
    CV_CHECK(borrow == 0);
}

static inline void cv_wide_product(uint64_t out[2 * CV_LIMBS], const cv_wide *a,
                                   const cv_wide *b)
{
    for (int i = 0; i < 2 * CV_LIMBS; i++)
        out[i] = 0;
    for (int i = 0; i < CV_LIMBS; i++) {
        cv_u128 c = 0;
        for (int j = 0; j < CV_LIMBS; j++) {
            c += (cv_u128)a->w[i] * b->w[j] + out[i + j];
            out[i + j] = (uint64_t)c;
            c >>= 64;
        }
        out[i + CV_LIMBS] = (uint64_t)c;
    }
}

/* Integers; a product of 2^320 or more is a bug. */
static inline cv_wide cv_wide_mul(const cv_wide *a, const cv_wide *b)
{
    uint64_t p[2 * CV_LIMBS];
    cv_wide_product(p, a, b);
    CV_CHECK(!(p[5] | p[6] | p[7] | p[8] | p[9]));
    return (cv_wide){{p[0], p[1], p[2], p[3], p[4]}};
}

/* Fixed point, rounded down: the error is in [0, u). */
static inline cv_wide cv_fix_mul(const cv_wide *a, const cv_wide *b)
{
    uint64_t p[2 * CV_LIMBS];
    cv_wide_product(p, a, b);
    CV_CHECK(p[9] == 0);
    return (cv_wide){{p[4], p[5], p[6], p[7], p[8]}};
}

static inline cv_wide cv_fix_one(void)
{
    return (cv_wide){{0, 0, 0, 0, 1}};
}

/* a / n, rounded down */
static inline cv_wide cv_wide_div(const cv_wide *a, uint64_t n)
{
    cv_wide q;
    cv_u128 rem = 0;
    for (int i = CV_LIMBS - 1; i >= 0; i--) {
        rem = rem << 64 | a->w[i];
        q.w[i] = (uint64_t)(rem / n);
        rem %= n;
    }
    return q;
}

/* 1 / a in fixed point, rounded down, for a >= 1: long division by bits. */
static inline cv_wide cv_fix_inverse(const cv_wide *a)
{
    cv_wide rem = cv_fix_one(), q = {{0}};
    for (int bit = 256; bit >= 0; bit--) {
        if (cv_wide_cmp(&rem, a) >= 0) {
            cv_wide_sub(&rem, a);
            q.w[bit / 64] |= UINT64_C(1) << bit % 64;
        }
        cv_wide twice = rem;
        cv_wide_add(&rem, &twice);
    }
    return q;
}

/* To double, within a relative 2^-50. */
static inline double cv_fix_double(const cv_wide *a)
{
    double v = 0.0;
    for (int i = 0; i < CV_LIMBS; i++)
        v = v * 0x1p-64 + (double)a->w[i];
    return v;
}

#endif
