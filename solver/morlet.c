#include "solver/morlet.h"

#include <math.h>
#include <stdint.h>

#include "core/err.h"
#include "solver/fixed_math.h"

#define PI 3.14159265358979323846

/* Sampling at whole pixels adds up the transform's copies 2 pi apart; further
 * ones are below 1e-20. */
enum { COPIES = 2, FAR = 50 };

typedef struct {
    double along, across;   /* standard deviations of the window, pixels */
    double c, s, frequency; /* direction and length of xi */
} wavelet;

/* Transform of the window at (y, x) off its middle: exp of half the squared
 * distance, measured along and across. */
static double window(const wavelet *w, double y, double x)
{
    double a = (y * w->c + x * w->s) * w->along;
    double b = (x * w->c - y * w->s) * w->across, half = 0.5 * (a * a + b * b);
    return half < FAR ? cv_fixed_exp(-half) : 0.0;
}

/* Of the sampled window times exp(i shift . u). */
static double sampled(const wavelet *w, double y, double x, double shift)
{
    double sum = 0.0;
    for (int i = -COPIES; i <= COPIES; i++)
        for (int j = -COPIES; j <= COPIES; j++)
            sum += window(w, y - shift * w->c + 2.0 * PI * i,
                          x - shift * w->s + 2.0 * PI * j);
    return sum;
}

/* Frequency of bin k of n, in [-pi, pi). */
static double frequency(int k, int n)
{
    return 2.0 * PI * (double)(2 * k < n ? k : k - n) / (double)n;
}

void cv_morlet(float *out, int height, int width, int scale, int angle,
               double factor)
{
    const int half = CV_MORLET_ANGLES / 2;
    const double slant = 4.0 / CV_MORLET_ANGLES;
    CV_CHECK(scale >= 0 && scale < CV_MORLET_SCALES);
    wavelet w = {.along = 0.8 * (1 << scale),
                 .across = 0.8 * (1 << scale) / slant,
                 .frequency = 0.75 * PI / (1 << scale)};
    cv_fixed_turn(&w.c, &w.s, half - 1 - angle, 2 * CV_MORLET_ANGLES);
    double k = sampled(&w, 0.0, 0.0, w.frequency) / sampled(&w, 0.0, 0.0, 0.0);
    for (int i = 0; i < height; i++)
        for (int j = 0; j < width; j++) {
            double y = frequency(i, height), x = frequency(j, width);
            double v =
                sampled(&w, y, x, w.frequency) - k * sampled(&w, y, x, 0.0);
            out[i * width + j] = (float)(factor * v);
        }
}

void cv_morlet_low_pass(double *out, int n, int scale)
{
    const double sigma = 0.8 * (1 << (CV_MORLET_SCALES - 1));
    int kept = n >> scale;
    CV_CHECK(kept << scale == n);
    for (int u = 0; u < kept; u++) {
        double sum = 0.0;
        for (int k = 0; k < kept; k++) {
            double hat = 0.0, c, s;
            for (int i = -COPIES; i <= COPIES; i++) {
                /* Bins of the whole signal, the lowest ones. */
                double a = frequency(k, kept) / (1 << scale) + 2.0 * PI * i;
                hat += cv_fixed_exp(-0.5 * sigma * sigma * a * a);
            }
            cv_fixed_turn(&c, &s, (int64_t)k * u, kept);
            sum += hat * c;
        }
        out[u] = sum / kept;
    }
}
