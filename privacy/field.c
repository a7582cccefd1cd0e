#include "privacy/field.h"

#include <math.h>
#include <string.h>

#include "core/simd.h"

CV_HOT void cv_f32_add_all(uint32_t *acc, const uint32_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        acc[i] = cv_f32_add(acc[i], x[i]);
}

CV_HOT void cv_f61_add_all(uint64_t *acc, const uint64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        acc[i] = cv_f61_add(acc[i], x[i]);
}

void cv_f32_sum(void *acc, const void *x, size_t n)
{
    cv_f32_add_all(acc, x, n);
}

void cv_f61_sum(void *acc, const void *x, size_t n)
{
    cv_f61_add_all(acc, x, n);
}

CV_HOT void cv_f32_sub_all(uint32_t *acc, const uint32_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        acc[i] = cv_f32_sub(acc[i], x[i]);
}

CV_HOT void cv_f61_sub_all(uint64_t *acc, const uint64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        acc[i] = cv_f61_sub(acc[i], x[i]);
}

/* q mod p of any q: 2^32 = 5 (mod p), so a negative q wraps to q + p + 5. */
static inline uint32_t word_of(int32_t q)
{
    return (uint32_t)q - (q < 0 ? 5u : 0u);
}

CV_HOT int cv_f32_canonical(const uint32_t *x, size_t n)
{
    uint32_t top = 0;
    for (size_t i = 0; i < n; i++)
        top = x[i] > top ? x[i] : top;
    return top < CV_P32;
}

CV_HOT int cv_f61_canonical(const uint64_t *x, size_t n)
{
    uint64_t top = 0;
    for (size_t i = 0; i < n; i++)
        top = x[i] > top ? x[i] : top;
    return top < CV_P61;
}

/* Adding 1.5 * 2^52 leaves round-to-nearest-even(x) in the low bits of the
 * mantissa, for |x| < 2^51 (as in quantise.c). */
#define MAGIC 0x1.8p52

static inline int32_t round_to_grid(float v, double scale)
{
    const double top = 2147483647.0;
    double x = (double)v * scale;
    x = x < top ? x : top;
    x = x > -top ? x : -top;
    x += MAGIC;
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return (int32_t)(uint32_t)b;
}

/* In 32 bits from here on: 10^7 words in 4.7 ms, where sums of 64 bits took 8.2
 * (7.3 and 8.6 with noise). */
CV_HOT void cv_f32_encode(uint32_t *out, const float *v, const int32_t *noise,
                          size_t n, double factor, int exponent)
{
    double scale = ldexp(factor, -exponent);
    if (!noise) {
        for (size_t i = 0; i < n; i++)
            out[i] = word_of(round_to_grid(v[i], scale));
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] =
            cv_f32_add(word_of(round_to_grid(v[i], scale)), word_of(noise[i]));
}

CV_HOT void cv_f61_encode(uint64_t *out, const float *v, const int64_t *noise,
                          size_t n, double factor, int exponent)
{
    const double top = 1152921504606846720.0; /* largest double < 2^60 */
    double scale = ldexp(factor, -exponent);
    for (size_t i = 0; i < n; i++) {
        double x = (double)v[i] * scale;
        x = x > top ? top : x;
        x = x < -top ? -top : x;
        int64_t q = (int64_t)nearbyint(x) + (noise ? noise[i] : 0);
        q += q < 0 ? (int64_t)CV_P61 : 0;
        out[i] = cv_f61_reduce((uint64_t)q);
    }
}

/* Scales that are powers of two, as without weights: products are exact in
 * float, and an integer comes in one instruction. */
CV_HOT static void encode_add_exact(uint32_t *restrict acc,
                                    const float *restrict v, size_t n,
                                    float scale)
{
    const float top = 2147483520.0f; /* largest float < 2^31 */
    for (size_t i = 0; i < n; i++) {
        float x = v[i] * scale, y = x > top ? top : x;
        y = y < -top ? -top : y;
        int32_t q = (int32_t)rintf(y);
        q += x > top ? 127 : 0; /* to 2^31 - 1 */
        q -= x < -top ? 127 : 0;
        acc[i] = cv_f32_add(acc[i], (uint32_t)q - (q < 0 ? 5u : 0u));
    }
}

CV_HOT static void encode_add(uint32_t *restrict acc, const float *restrict v,
                              size_t n, double scale)
{
    const double top = 2147483647.0;
    for (size_t i = 0; i < n; i++) {
        double x = (double)v[i] * scale;
        x = x > top ? top : x;
        x = x < -top ? -top : x;
        x += MAGIC;
        uint64_t b;
        memcpy(&b, &x, sizeof b);
        int32_t q = (int32_t)(uint32_t)b;
        acc[i] = cv_f32_add(acc[i], (uint32_t)q - (q < 0 ? 5u : 0u));
    }
}

void cv_f32_encode_add(uint32_t *acc, const float *v, size_t n, double factor,
                       int exponent)
{
    double scale = ldexp(factor, -exponent);
    int power;
    if (frexp(scale, &power) == 0.5 && power > -125 && power < 127)
        encode_add_exact(acc, v, n, (float)scale);
    else
        encode_add(acc, v, n, scale);
}

CV_HOT void cv_f61_encode_add(uint64_t *acc, const float *v, size_t n,
                              double factor, int exponent)
{
    const double top = 1152921504606846720.0; /* largest double < 2^60 */
    double scale = ldexp(factor, -exponent);
    for (size_t i = 0; i < n; i++) {
        double x = (double)v[i] * scale;
        x = x > top ? top : x;
        x = x < -top ? -top : x;
        int64_t q = (int64_t)nearbyint(x);
        q += q < 0 ? (int64_t)CV_P61 : 0;
        acc[i] = cv_f61_add(acc[i], (uint64_t)q);
    }
}

CV_HOT void cv_f32_add_signed(uint32_t *acc, const int32_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        /* As unsigned 2^32 too much below zero: p + 5. */
        uint32_t q = (uint32_t)x[i] - (x[i] < 0 ? 5u : 0u);
        acc[i] = cv_f32_add(acc[i], q);
    }
}

CV_HOT void cv_f61_add_signed(uint64_t *acc, const int64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t q = x[i] < 0 ? x[i] + (int64_t)CV_P61 : x[i];
        acc[i] = cv_f61_add(acc[i], (uint64_t)q);
    }
}

CV_HOT void cv_f32_decode(float *out, const uint32_t *x, size_t n, int exponent,
                          double divisor)
{
    double scale = ldexp(1.0, exponent) / divisor;
    for (size_t i = 0; i < n; i++) {
        /* Centred: p/2 < 2^31, so wrapping x + 5 gives x - p as signed. */
        int32_t q = (int32_t)(x[i] > CV_P32 / 2 ? x[i] + 5u : x[i]);
        out[i] = (float)((double)q * scale);
    }
}

CV_HOT void cv_f61_decode(float *out, const uint64_t *x, size_t n, int exponent,
                          double divisor)
{
    double scale = ldexp(1.0, exponent) / divisor;
    for (size_t i = 0; i < n; i++)
        out[i] = (float)((double)cv_f61_centre(x[i]) * scale);
}
