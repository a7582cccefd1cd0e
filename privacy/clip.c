/* Clipping, and what it proves.
 *
 * Norm.  N^ is the square root of a sum of squares in double: squares of floats
 * are exact there, and neither over- nor underflow. An element passes at most
 * BLOCK / LANES + 4 roundings inside its block and one for each block, below
 * 2^29 for up to 2^40 elements in all: with u = 2^-53 the sum is within a
 * relative 2^-24 of the exact one, and N^ within 2^-25 of the norm N.
 *
 * Clip.  If N^ <= clip (1 - MARGIN) nothing is done, and N <= N^ (1 + 2^-24)
 * < clip with MARGIN = 2^-20. Else every element is multiplied by
 * s = clip (1 - MARGIN) / N^ in double and rounded to float, or set to 0 where
 * that is below the normal range: its magnitude is at most (1 + 2^-24) times
 * (1 + 2^-50) of s |v_i|. Together
 *     norm <= N s (1 + 2^-24)(1 + 2^-50)
 *          <= clip (1 - 2^-20)(1 + 2^-24)^2 (1 + 2^-50) < clip:
 * the exact norm is at most clip, without any e.
 *
 * Sensitivity.  A null silo adds the zero vector. Any other adds
 * q_i = round(x_i), x_i the double product of v_i and factor 2^-exponent, one
 * rounding. As factor <= 1, |x_i| <= |v_i| 2^-exponent (1 + 2^-53), and
 * |q_i| <= |x_i| + 1/2; saturation only makes |q_i| smaller. So
 *     |q| <= (clip / 2^exponent)(1 + e) + sqrt(d) / 2,   e = 2^-53.
 * (A product in double's subnormal range is rounded to 0, whatever its error.)
 */
#include "privacy/clip.h"

#include <float.h>
#include <math.h>

#include "core/simd.h"

enum { LANES = 16, BLOCK = 4096 };
#define MARGIN 0x1p-20

/* Sum of squares of at most BLOCK elements. */
CV_HOT static double squares(const float *v, size_t n)
{
    double lane[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++)
            lane[k] += (double)v[i + (size_t)k] * (double)v[i + (size_t)k];
    for (int k = 0; i < n; i++, k++)
        lane[k] += (double)v[i] * (double)v[i];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++)
            lane[k] += lane[k + half];
    return lane[0];
}

CV_HOT static void scale_all(float *v, size_t n, double s)
{
    for (size_t i = 0; i < n; i++) {
        float x = (float)((double)v[i] * s);
        v[i] = fabsf(x) >= FLT_MIN ? x : 0.0f;
    }
}

int cv_clip_joint(double *norm, float *const *vectors, size_t n_vectors,
                  size_t n_params, double clip, cv_err *err)
{
    CV_CHECK(clip > 0.0 && isfinite(clip));
    double sum = 0.0;
    for (size_t k = 0; k < n_vectors; k++)
        for (size_t i = 0; i < n_params; i += BLOCK)
            sum += squares(vectors[k] + i,
                           n_params - i < BLOCK ? n_params - i : BLOCK);
    double found = isfinite(sum) ? sqrt(sum) : (double)INFINITY;
    if (norm)
        *norm = found;
    if (!isfinite(sum))
        return cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                          "an update to be clipped is not finite");
    if (found <= clip * (1.0 - MARGIN))
        return 0;
    double s = clip * (1.0 - MARGIN) / found;
    for (size_t k = 0; k < n_vectors; k++)
        scale_all(vectors[k], n_params, s);
    return 0;
}

int cv_clip(double *norm, float *delta, size_t n_params, double clip,
            cv_err *err)
{
    return cv_clip_joint(norm, &delta, 1, n_params, clip, err);
}

double cv_silo_sensitivity(double clip, size_t dimension, int exponent)
{
    double units = ldexp(clip, -exponent), d = (double)dimension;
    /* The last factor is for the roundings of this very line. */
    return (units * (1.0 + 0x1p-52) + 0.5 * sqrt(d)) * (1.0 + 0x1p-50);
}

int cv_clip_bit(double norm, double clip)
{
    return norm <= clip ? 1 : -1;
}

double cv_clip_fraction(double sum, double n)
{
    return 0.5 * (1.0 + sum / n);
}

double cv_clip_next(double clip, double fraction, double quantile, double rate)
{
    return clip * exp(-rate * (fraction - quantile));
}

double cv_clip_joint_sensitivity(double delta, double scale)
{
    return sqrt(delta * delta + 0.25 * scale * scale) * (1.0 + 0x1p-50);
}
