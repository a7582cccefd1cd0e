#include "privacy/quantise.h"

#include <math.h>
#include <string.h>

#include "core/err.h"
#include "core/simd.h"

/* Bits of |v| order like |v|, and infinities and NaN come last. */
CV_HOT static uint32_t max_abs_bits(const float *v, size_t n)
{
    uint32_t top = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t b;
        memcpy(&b, v + i, sizeof b);
        b &= 0x7fffffffu;
        top = b > top ? b : top;
    }
    return top;
}

float cv_max_abs(const float *v, size_t n)
{
    uint32_t b = max_abs_bits(v, n);
    if (b >= 0x7f800000u)
        return INFINITY;
    float f;
    memcpy(&f, &b, sizeof f);
    return f;
}

/* Largest k with n_silos * 2^k <= 2^31 or 2^63, so |sum| < 2^(word - 1) for
 * values rounded to integers strictly below 2^k. */
static int bits_per_silo(int n_silos, int wide)
{
    int log_n = 0;
    while (log_n < 31 && (1u << log_n) < (unsigned)n_silos)
        log_n++;
    return (wide ? 63 : 31) - log_n;
}

int cv_grid_fits(int exponent, double max_abs, int n_silos, int wide)
{
    int k = bits_per_silo(n_silos, wide);
    /* round(v / grid) <= 2^k - 1, with a float's worth of slack. */
    return max_abs <= ldexp(1.0 - 0x1p-22, exponent + k);
}

int cv_grid_exponent(int previous, double max_abs, int n_silos, int wide)
{
    CV_CHECK(isfinite(max_abs) && max_abs >= 0.0 && n_silos > 0);
    int head = wide ? 12 : 2, slack = wide ? 14 : 4;
    int k = bits_per_silo(n_silos, wide), top;
    if (max_abs == 0.0) /* nothing to resolve: keep what there is */
        return previous == CV_NO_EXPONENT ? -k : previous;
    (void)frexp(max_abs, &top); /* max_abs < 2^top */
    int fresh = top + head - k;
    if (previous == CV_NO_EXPONENT ||
        !cv_grid_fits(previous, max_abs, n_silos, wide) ||
        previous - fresh > slack)
        return fresh;
    return previous;
}

/* Adding 1.5 * 2^52 leaves round-to-nearest-even(x) in the low bits of the
 * mantissa, for |x| < 2^51: branch-free, and the same on every machine. */
#define MAGIC 0x1.8p52

CV_HOT void cv_quantise_add_u32(uint32_t *acc, const float *v, size_t n,
                                double factor, int exponent)
{
    double scale = ldexp(factor, -exponent);
    for (size_t i = 0; i < n; i++) {
        double x = (double)v[i] * scale;
        x = x > 2147483647.0 ? 2147483647.0 : x;
        x = x < -2147483647.0 ? -2147483647.0 : x;
        x += MAGIC;
        uint64_t b;
        memcpy(&b, &x, sizeof b);
        acc[i] += (uint32_t)b;
    }
}

CV_HOT void cv_quantise_add_u64(uint64_t *acc, const float *v, size_t n,
                                double factor, int exponent)
{
    const double top = 9223372036854774784.0; /* largest double < 2^63 */
    double scale = ldexp(factor, -exponent);
    for (size_t i = 0; i < n; i++) {
        double x = (double)v[i] * scale;
        x = x > top ? top : x;
        x = x < -top ? -top : x;
        acc[i] += (uint64_t)(int64_t)nearbyint(x);
    }
}

CV_HOT void cv_decode_u32(float *out, const uint32_t *acc, size_t n,
                          int exponent, double divisor)
{
    double scale = ldexp(1.0, exponent) / divisor;
    for (size_t i = 0; i < n; i++)
        out[i] = (float)((double)(int32_t)acc[i] * scale);
}

CV_HOT void cv_decode_u64(float *out, const uint64_t *acc, size_t n,
                          int exponent, double divisor)
{
    double scale = ldexp(1.0, exponent) / divisor;
    for (size_t i = 0; i < n; i++)
        out[i] = (float)((double)(int64_t)acc[i] * scale);
}
