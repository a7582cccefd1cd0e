/** Functions of a vector of floats, one lane at a time: exp, tanh, sigmoid.
 *
 *  Plain C that compilers turn into vector code inside CV_HOT loops.  Unlike
 *  libm's, the results are the same bytes on every CPU.  Error below 2 units in
 *  the last place for exp, 4 for the others (tests/solver/test_vmath.c); NaN
 *  gives NaN, overflow infinity.
 */
#ifndef COVEY_SOLVER_VMATH_H
#define COVEY_SOLVER_VMATH_H

#include <stdint.h>
#include <string.h>

#include "solver/simd.h"

/* x = n ln 2 + r with n whole and |r| <= ln 2 / 2; returns e^r - 1. */
CV_INLINE float cv_exp_reduced(float x, int32_t *n)
{
    /* Adding 1.5 * 2^23 leaves the nearest whole number in the low bits. */
    const float magic = 0x1.8p23f;
    float shifted = x * 0x1.715476p0f + magic, whole = shifted - magic;
    uint32_t bits, zero;
    memcpy(&bits, &shifted, 4);
    memcpy(&zero, &magic, 4);
    *n = (int32_t)(bits - zero);
    /* ln 2 in two parts; the first has few bits, so its product is exact. */
    float r = x - whole * 0x1.62ep-1f - whole * 0x1.0bfbe8p-15f;
    /* Taylor: the first term left out is below 2^-27 of the result. */
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    return p * (r * r) + r;
}

/* 2^n for -126 <= n <= 127; other n give something without meaning. */
CV_INLINE float cv_exp2i(int32_t n)
{
    uint32_t bits = ((uint32_t)n + 127u) << 23;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

/* x cut to [-limit, limit]; NaN stays. One comparison: compilers do not make
 * vectors of two in a row. */
CV_INLINE float cv_limitf(float x, float limit)
{
    float a = __builtin_fabsf(x);
    return __builtin_copysignf(a > limit ? limit : a, x);
}

CV_INLINE float cv_expf(float x)
{
    int32_t n;
    float q = cv_exp_reduced(cv_limitf(x, 110.0f), &n);
    /* In two steps, so that the ends of the range over- and underflow. */
    int32_t half = n >> 1;
    return (1.0f + q) * cv_exp2i(half) * cv_exp2i(n - half);
}

CV_INLINE float cv_sigmoidf(float x)
{
    return 1.0f / (1.0f + cv_expf(-x));
}

CV_INLINE float cv_tanhf(float x)
{
    /* tanh x = (e^2x - 1) / (e^2x + 1) with the numerator computed directly, so
     * small x keep their relative accuracy. */
    int32_t n;
    float q = cv_exp_reduced(2.0f * cv_limitf(x, 10.0f), &n);
    float scale = cv_exp2i(n), e = q * scale + (scale - 1.0f);
    return e / (e + 2.0f);
}

#endif
