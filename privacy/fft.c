#include "privacy/fft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/simd.h"

struct cv_fft {
    size_t m;         /* complex points: half the real length */
    cv_complex *root; /* (3m/4 + 1) exp(-2 pi i k / m) */
    cv_complex *half; /* (m/2 + 1) exp(-2 pi i k / 2m) */
    cv_complex *work; /* (m) */
};

/* exp(-2 pi i k / n) from an angle of at most pi/4, so that the table is right
 * to the last bit or so. */
static cv_complex unit_root(size_t k, size_t n)
{
    size_t eighth = 8 * k / n, r = 8 * k % n; /* angle = eighth + r/n */
    int odd = (int)(eighth & 1);
    double a = M_PI / 4 * ((double)(odd ? n - r : r) / (double)n);
    double c = odd ? sin(a) : cos(a), s = odd ? cos(a) : sin(a);
    switch ((eighth / 2) & 3) {
    case 0:
        return (cv_complex){c, -s};
    case 1:
        return (cv_complex){-s, -c};
    case 2:
        return (cv_complex){-c, s};
    default:
        return (cv_complex){s, c};
    }
}

cv_fft *cv_fft_create(size_t n)
{
    CV_CHECK(n >= 4 && (n & (n - 1)) == 0);
    cv_fft *f = CV_NEW(1, cv_fft);
    f->m = n / 2;
    f->root = CV_NEW(3 * f->m / 4 + 1, cv_complex);
    f->half = CV_NEW(f->m / 2 + 1, cv_complex);
    f->work = CV_NEW(f->m, cv_complex);
    for (size_t k = 0; k <= 3 * f->m / 4; k++)
        f->root[k] = unit_root(k, f->m);
    for (size_t k = 0; k <= f->m / 2; k++)
        f->half[k] = unit_root(k, n);
    return f;
}

void cv_fft_destroy(cv_fft **f)
{
    if (*f == NULL)
        return;
    free((*f)->root);
    free((*f)->half);
    free((*f)->work);
    CV_FREE(*f);
}

static inline cv_complex add(cv_complex a, cv_complex b)
{
    return (cv_complex){a.re + b.re, a.im + b.im};
}

static inline cv_complex sub(cv_complex a, cv_complex b)
{
    return (cv_complex){a.re - b.re, a.im - b.im};
}

static inline cv_complex mul(cv_complex a, cv_complex b)
{
    return (cv_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* One radix-4 pass of Stockham's algorithm: m/4 groups of s columns from x to
 * y, each written where the next pass wants it, so there is no bit reversal
 * and every access runs along memory. */
CV_HOT static void pass4(cv_complex *restrict y, const cv_complex *restrict x,
                         size_t groups, size_t s, const cv_complex *root)
{
    for (size_t p = 0; p < groups; p++) {
        cv_complex w1 = root[p * s], w2 = root[2 * p * s], w3 = root[3 * p * s];
        const cv_complex *x0 = x + s * p, *x1 = x0 + s * groups,
                         *x2 = x1 + s * groups, *x3 = x2 + s * groups;
        cv_complex *o = y + 4 * s * p;
        for (size_t q = 0; q < s; q++) {
            cv_complex ac = add(x0[q], x2[q]), am = sub(x0[q], x2[q]);
            cv_complex bd = add(x1[q], x3[q]), bm = sub(x1[q], x3[q]);
            cv_complex jb = {-bm.im, bm.re};
            o[q] = add(ac, bd);
            o[q + s] = mul(w1, sub(am, jb));
            o[q + 2 * s] = mul(w2, sub(ac, bd));
            o[q + 3 * s] = mul(w3, add(am, jb));
        }
    }
}

CV_HOT static void pass2(cv_complex *restrict y, const cv_complex *restrict x,
                         size_t s)
{
    for (size_t q = 0; q < s; q++) {
        y[q] = add(x[q], x[q + s]);
        y[q + s] = sub(x[q], x[q + s]);
    }
}

static void swap_parts(cv_complex *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (cv_complex){x[i].im, x[i].re};
}

/* Forward transform of m points in place. */
static void transform(cv_fft *f, cv_complex *x)
{
    cv_complex *from = x, *to = f->work, *t;
    size_t left = f->m, s = 1;
    for (; left >= 4; left /= 4, s *= 4) {
        pass4(to, from, left / 4, s, f->root);
        t = from, from = to, to = t;
    }
    if (left == 2) {
        pass2(to, from, s);
        t = from, from = to, to = t;
    }
    if (from != x)
        memcpy(x, from, f->m * sizeof *x);
}

void cv_fft_complex(cv_fft *f, cv_complex *x, int inverse)
{
    if (!inverse) {
        transform(f, x);
        return;
    }
    /* conj(FFT(conj x)) with conj = swap of the parts, up to a factor i. */
    swap_parts(x, f->m);
    transform(f, x);
    double scale = 1.0 / (double)f->m;
    for (size_t i = 0; i < f->m; i++)
        x[i] = (cv_complex){x[i].im * scale, x[i].re * scale};
}

/* Even and odd samples ride as real and imaginary part of m points; the two
 * spectra are told apart by their symmetry. */
void cv_fft_forward(cv_fft *f, cv_complex *out, const double *in)
{
    size_t m = f->m;
    memcpy(out, in, 2 * m * sizeof *in);
    transform(f, out);
    cv_complex z = out[0];
    out[0] = (cv_complex){z.re + z.im, 0.0};
    out[m] = (cv_complex){z.re - z.im, 0.0};
    for (size_t k = 1; k <= m / 2; k++) {
        cv_complex a = out[k], b = {out[m - k].re, -out[m - k].im};
        cv_complex even = {0.5 * (a.re + b.re), 0.5 * (a.im + b.im)};
        cv_complex odd = {0.5 * (a.im - b.im), -0.5 * (a.re - b.re)};
        cv_complex t = mul(f->half[k], odd);
        out[k] = add(even, t);
        out[m - k] = (cv_complex){even.re - t.re, t.im - even.im};
    }
}

void cv_fft_inverse(cv_fft *f, double *out, const cv_complex *in)
{
    size_t m = f->m;
    cv_complex *z = (cv_complex *)(void *)out;
    z[0] =
        (cv_complex){0.5 * (in[0].re + in[m].re), 0.5 * (in[0].re - in[m].re)};
    for (size_t k = 1; k <= m / 2; k++) {
        cv_complex a = in[k], b = {in[m - k].re, -in[m - k].im};
        cv_complex even = {0.5 * (a.re + b.re), 0.5 * (a.im + b.im)};
        cv_complex t = {0.5 * (a.re - b.re), 0.5 * (a.im - b.im)};
        cv_complex w = {f->half[k].re, -f->half[k].im};
        cv_complex odd = mul(w, t);
        z[k] = (cv_complex){even.re - odd.im, even.im + odd.re};
        z[m - k] = (cv_complex){even.re + odd.im, odd.re - even.im};
    }
    cv_fft_complex(f, z, 1);
}
