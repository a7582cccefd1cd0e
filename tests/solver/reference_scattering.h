/* The scattering transform in double, from the definitions: filters sampled in
 * space and wrapped round, convolutions as sums. No Fourier transform but the
 * one that cuts phi's band. */
#ifndef COVEY_TESTS_SOLVER_REFERENCE_SCATTERING_H
#define COVEY_TESTS_SOLVER_REFERENCE_SCATTERING_H

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { REF_J = 2, REF_L = 8, REF_CHANNELS = 81 };

#define REF_PI 3.14159265358979323846

/* A Gaussian window times a wave along (cos t, sin t), summed over the images
 * of a torus of (m, n) pixels. */
static inline double complex ref_gabor(int m, int n, int y, int x, double sigma,
                                       double slant, double t, double xi)
{
    double complex sum = 0;
    for (int a = -3; a <= 3; a++)
        for (int b = -3; b <= 3; b++) {
            double dy = y + a * m, dx = x + b * n;
            double u = dy * cos(t) + dx * sin(t), v = dx * cos(t) - dy * sin(t);
            sum += exp(-(u * u + slant * slant * v * v) / (2 * sigma * sigma)) *
                   cexp(I * xi * u);
        }
    return sum * slant / (2 * REF_PI * sigma * sigma);
}

/* psi_{j, t} on the torus, at every pixel: (m, n). */
static inline double complex *ref_psi(int m, int n, int j, int t)
{
    double sigma = 0.8 * (1 << j), angle = (3 - t) * REF_PI / 8;
    double complex *psi = calloc((size_t)(m * n), sizeof *psi), wave = 0, k;
    double window = 0;
    for (int i = 0; i < m * n; i++) {
        psi[i] = ref_gabor(m, n, i / n, i % n, sigma, 0.5, angle,
                           0.75 * REF_PI / (1 << j));
        wave += psi[i];
        window += creal(ref_gabor(m, n, i / n, i % n, sigma, 0.5, angle, 0));
    }
    k = wave / window;
    for (int i = 0; i < m * n; i++)
        psi[i] -= k * ref_gabor(m, n, i / n, i % n, sigma, 0.5, angle, 0);
    return psi;
}

/* phi along one axis of n pixels, for signals at every 2^j-th of them. */
static inline double *ref_phi(int n, int j)
{
    int kept = n >> j;
    double *g = calloc((size_t)n, sizeof *g), *out = calloc((size_t)kept, 8);
    for (int u = 0; u < n; u++)
        for (int a = -3; a <= 3; a++)
            g[u] += exp(-pow(u + a * n, 2) / (2 * 1.6 * 1.6)) /
                    (1.6 * sqrt(2 * REF_PI));
    for (int k = -kept / 2; k < kept - kept / 2; k++) {
        double hat = 0;
        for (int u = 0; u < n; u++)
            hat += g[u] * cos(2 * REF_PI * k * u / n);
        for (int u = 0; u < kept; u++)
            out[u] += hat * cos(2 * REF_PI * k * u / kept) / kept;
    }
    free(g);
    return out;
}

typedef struct {
    int h, w, m, n; /* image, padded */
    double complex *psi[REF_J][REF_L];
    double *phi_y[REF_J], *phi_x[REF_J];
} ref_scattering;

static inline int ref_padded(int n)
{
    return ((n + 4) / 4 + 1) * 4;
}

static inline ref_scattering ref_scattering_make(int h, int w)
{
    ref_scattering s = {h, w, ref_padded(h), ref_padded(w), {{0}}, {0}, {0}};
    for (int j = 0; j < REF_J; j++) {
        s.phi_y[j] = ref_phi(s.m, j);
        s.phi_x[j] = ref_phi(s.n, j);
        for (int t = 0; t < REF_L; t++)
            s.psi[j][t] = ref_psi(s.m, s.n, j, t);
    }
    return s;
}

static inline void ref_scattering_free(ref_scattering *s)
{
    for (int j = 0; j < REF_J; j++) {
        free(s->phi_y[j]);
        free(s->phi_x[j]);
        for (int t = 0; t < REF_L; t++)
            free(s->psi[j][t]);
    }
}

/* |u * psi| at every step-th pixel. */
static inline double *ref_modulus(const ref_scattering *s, const double *u,
                                  const double complex *psi, int step)
{
    int m = s->m, n = s->n;
    double *out = calloc((size_t)(m * n / step / step), sizeof *out);
    for (int y = 0; y < m; y += step)
        for (int x = 0; x < n; x += step) {
            double complex sum = 0;
            for (int i = 0; i < m; i++)
                for (int k = 0; k < n; k++)
                    sum += u[i * n + k] *
                           psi[(y - i + m) % m * n + (x - k + n) % n];
            out[y / step * (n / step) + x / step] = cabs(sum);
        }
    return out;
}

/* u * phi at every fourth pixel of the image, u at every 2^j-th. */
static inline void ref_smooth(const ref_scattering *s, const double *u, int j,
                              double *out)
{
    int m = s->m >> j, n = s->n >> j, step = 4 >> j;
    for (int y = 0; y < s->h / 4; y++)
        for (int x = 0; x < s->w / 4; x++, out++) {
            *out = 0;
            for (int i = 0; i < m; i++)
                for (int k = 0; k < n; k++)
                    *out += u[i * n + k] *
                            s->phi_y[j][((y + 1) * step - i + m) % m] *
                            s->phi_x[j][((x + 1) * step - k + n) % n];
        }
}

static inline double *ref_pad(const ref_scattering *s, const float *image)
{
    double *out = calloc((size_t)(s->m * s->n), sizeof *out);
    for (int y = 0; y < s->m; y++)
        for (int x = 0; x < s->n; x++) {
            int i = abs(y - (s->m - s->h) / 2), k = abs(x - (s->n - s->w) / 2);
            i = i < s->h ? i : 2 * s->h - 2 - i;
            k = k < s->w ? k : 2 * s->w - 2 - k;
            out[y * s->n + x] = (double)image[i * s->w + k];
        }
    return out;
}

/* out (81, h / 4, w / 4) */
static inline void ref_scatter(const ref_scattering *s, const float *image,
                               double *out)
{
    int p = s->h / 4 * (s->w / 4);
    double *x = ref_pad(s, image);
    ref_smooth(s, x, 0, out);
    for (int j = 0; j < REF_J; j++)
        for (int t = 0; t < REF_L; t++) {
            double *u = ref_modulus(s, x, s->psi[j][t], 1 << j);
            ref_smooth(s, u, j, out + p * (1 + j * REF_L + t));
            for (int v = 0; v < REF_L && j == 0; v++) {
                double *u2 = ref_modulus(s, u, s->psi[1][v], 2);
                ref_smooth(s, u2, 1, out + p * (17 + t * REF_L + v));
                free(u2);
            }
            free(u);
        }
    free(x);
}

/* Mean 0, variance 1 in each of 27 groups. */
static inline void ref_normalise(double *x, int n_out)
{
    int n = n_out / 27;
    for (int g = 0; g < 27; g++, x += n) {
        double mean = 0, variance = 0;
        for (int i = 0; i < n; i++)
            mean += x[i] / n;
        for (int i = 0; i < n; i++)
            variance += (x[i] - mean) * (x[i] - mean) / n;
        for (int i = 0; i < n; i++)
            x[i] = (x[i] - mean) / sqrt(variance + 1e-5);
    }
}

#endif
