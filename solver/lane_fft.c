#include "solver/lane_fft.h"

#include <stdint.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/mem.h"
#include "solver/fixed_math.h"
#include "solver/simd.h"

/* exp(-2 pi i k / n) */
static void root_of_one(float out[2], int64_t k, int64_t n)
{
    double c, s;
    cv_fixed_turn(&c, &s, k, n);
    out[0] = (float)c;
    out[1] = (float)-s;
}

/* 4 first: it takes the fewest operations a point. */
static int next_radix(int n)
{
    if (n % 4 == 0)
        return 4;
    for (int r = 2; r * r <= n; r++)
        if (n % r == 0)
            return r;
    return n;
}

void cv_lane_fft_init(cv_lane_fft *f, int n)
{
    CV_CHECK(n >= 2 && next_radix(n) < n); /* two stages: see transform */
    *f = (cv_lane_fft){.n = n};
    for (int left = n; left > 1;) {
        int r = next_radix(left), m = left / r, s = f->n_stages++;
        f->radix[s] = r;
        f->twiddle[s] = CV_NEW((size_t)m * (size_t)(r - 1) * 2, float);
        f->root[s] = CV_NEW((size_t)r * 2, float);
        for (int p = 0; p < m; p++)
            for (int k = 1; k < r; k++)
                root_of_one(f->twiddle[s] + 2 * (p * (r - 1) + k - 1),
                            (int64_t)p * k, left);
        for (int k = 0; k < r; k++)
            root_of_one(f->root[s] + 2 * k, k, r);
        left = m;
    }
}

void cv_lane_fft_free(cv_lane_fft *f)
{
    for (int s = 0; s < f->n_stages; s++) {
        free(f->twiddle[s]);
        free(f->root[s]);
    }
    *f = (cv_lane_fft){0};
}

/* ---- butterflies -----------------------------------------------------------
 *
 * y_k = w_k sum_j x_j exp(-2 pi i j k / radix), w_0 = 1. x_j lies at a + j as,
 * y_k at b + k bs; re and im say which half of a point is the real one (they
 * are exchanged for the inverse transform). */

typedef struct {
    ptrdiff_t as, bs, re, im; /* floats */
} shape;

/* Input and output never overlap. */
#define FOR_LANES(l) CV_APART for (int l = 0; l < CV_LANES; l++)

/* Point k of the output: (xr + i xi) (cos + i sin). */
#define PUT(k, xr, xi)                                                         \
    do {                                                                       \
        b[(k)*s.bs + s.re + l] = (xr)*c##k - (xi)*s##k;                        \
        b[(k)*s.bs + s.im + l] = (xr)*s##k + (xi)*c##k;                        \
    } while (0)
#define PUT_0(xr, xi)                                                          \
    do {                                                                       \
        b[s.re + l] = (xr);                                                    \
        b[s.im + l] = (xi);                                                    \
    } while (0)
/* The twiddle factor of output k. */
#define TWIDDLE(k) const float c##k = w[2 * (k)-2], s##k = w[2 * (k)-1]
#define RE(j)      a[(j)*s.as + s.re + l]
#define IM(j)      a[(j)*s.as + s.im + l]

CV_INLINE void butterfly_2(float *restrict b, const float *restrict a,
                           const float *restrict w, shape s)
{
    TWIDDLE(1);
    FOR_LANES(l)
    {
        float ar = RE(0), ai = IM(0), cr = RE(1), ci = IM(1);
        PUT_0(ar + cr, ai + ci);
        PUT(1, ar - cr, ai - ci);
    }
}

CV_INLINE void butterfly_3(float *restrict b, const float *restrict a,
                           const float *restrict w, shape s)
{
    const float half_root_3 = 0.866025403784438646763f;
    TWIDDLE(1);
    TWIDDLE(2);
    FOR_LANES(l)
    {
        float ar = RE(0), ai = IM(0), cr = RE(1), ci = IM(1), dr = RE(2),
              di = IM(2);
        float tr = cr + dr, ti = ci + di;
        float ur = (ci - di) * half_root_3, ui = (dr - cr) * half_root_3;
        float vr = ar - 0.5f * tr, vi = ai - 0.5f * ti;
        PUT_0(ar + tr, ai + ti);
        PUT(1, vr + ur, vi + ui);
        PUT(2, vr - ur, vi - ui);
    }
}

CV_INLINE void butterfly_4(float *restrict b, const float *restrict a,
                           const float *restrict w, shape s)
{
    TWIDDLE(1);
    TWIDDLE(2);
    TWIDDLE(3);
    FOR_LANES(l)
    {
        float ar = RE(0), ai = IM(0), cr = RE(1), ci = IM(1), dr = RE(2),
              di = IM(2), er = RE(3), ei = IM(3);
        float pr = ar + dr, pi = ai + di, qr = ar - dr, qi = ai - di;
        float tr = cr + er, ti = ci + ei, ur = ci - ei, ui = er - cr;
        PUT_0(pr + tr, pi + ti);
        PUT(1, qr + ur, qi + ui);
        PUT(2, pr - tr, pi - ti);
        PUT(3, qr - ur, qi - ui);
    }
}

CV_INLINE void butterfly_5(float *restrict b, const float *restrict a,
                           const float *restrict w, shape s)
{
    /* cos and sin of 2 pi / 5 and 4 pi / 5 */
    const float u1 = 0.309016994374947424102f, u2 = -0.809016994374947424102f;
    const float v1 = 0.951056516295153572116f, v2 = 0.587785252292473129169f;
    TWIDDLE(1);
    TWIDDLE(2);
    TWIDDLE(3);
    TWIDDLE(4);
    FOR_LANES(l)
    {
        float ar = RE(0), ai = IM(0);
        float pr = RE(1) + RE(4), pi = IM(1) + IM(4);
        float qr = RE(2) + RE(3), qi = IM(2) + IM(3);
        float tr = IM(1) - IM(4), ti = RE(4) - RE(1);
        float ur = IM(2) - IM(3), ui = RE(3) - RE(2);
        float er = ar + u1 * pr + u2 * qr, ei = ai + u1 * pi + u2 * qi;
        float fr = ar + u2 * pr + u1 * qr, fi = ai + u2 * pi + u1 * qi;
        float gr = v1 * tr + v2 * ur, gi = v1 * ti + v2 * ui;
        float hr = v2 * tr - v1 * ur, hi = v2 * ti - v1 * ui;
        PUT_0(ar + pr + qr, ai + pi + qi);
        PUT(1, er + gr, ei + gi);
        PUT(2, fr + hr, fi + hi);
        PUT(3, fr - hr, fi - hi);
        PUT(4, er - gr, ei - gi);
    }
}

/* The definition; root (r, 2) holds exp(-2 pi i k / r). */
CV_INLINE void butterfly_any(float *restrict b, const float *restrict a,
                             const float *restrict w, shape s, int r,
                             const float *restrict root)
{
    static const float one[2] = {1.0f, 0.0f};
    for (int k = 0; k < r; k++) {
        float sr[CV_LANES] = {0}, si[CV_LANES] = {0};
        const float *v = k ? w + 2 * k - 2 : one;
        for (int j = 0, at = 0; j < r; j++, at = (at + k) % r) {
            float c = root[2 * at], d = root[2 * at + 1];
            const float *x = a + (ptrdiff_t)j * s.as;
            FOR_LANES(l)
            {
                sr[l] +=
                    x[s.re + (ptrdiff_t)l] * c - x[s.im + (ptrdiff_t)l] * d;
                si[l] +=
                    x[s.re + (ptrdiff_t)l] * d + x[s.im + (ptrdiff_t)l] * c;
            }
        }
        float *y = b + (ptrdiff_t)k * s.bs;
        FOR_LANES(l)
        {
            y[s.re + (ptrdiff_t)l] = sr[l] * v[0] - si[l] * v[1];
            y[s.im + (ptrdiff_t)l] = sr[l] * v[1] + si[l] * v[0];
        }
    }
}

/* ---- transforms ----
 */

typedef struct {
    const float *a;   /* x_j at a + j as */
    float *b;         /* y_k at b + k bs */
    ptrdiff_t as, bs; /* floats */
} ends;

/* One stage of one transform: `left` points remain to be split by the radix,
 * `done` interleaved transforms of that length there are. */
CV_INLINE void stage(const cv_lane_fft *f, int st, ends e, int left, int done,
                     ptrdiff_t re)
{
    int r = f->radix[st], m = left / r;
    shape s = {.as = e.as * (ptrdiff_t)(done * m),
               .bs = e.bs * (ptrdiff_t)done,
               .re = re,
               .im = CV_LANES - re};
    for (int p = 0; p < m; p++) {
        const float *w = f->twiddle[st] + 2 * p * (r - 1);
        for (int q = 0; q < done; q++) {
            const float *a = e.a + (ptrdiff_t)(q + done * p) * e.as;
            float *b = e.b + (ptrdiff_t)(q + done * r * p) * e.bs;
            switch (r) {
            case 2:
                butterfly_2(b, a, w, s);
                break;
            case 3:
                butterfly_3(b, a, w, s);
                break;
            case 4:
                butterfly_4(b, a, w, s);
                break;
            case 5:
                butterfly_5(b, a, w, s);
                break;
            default:
                butterfly_any(b, a, w, s, r, f->root[st]);
            }
        }
    }
}

/* `count` transforms; the points of one lie `step` floats apart, the first
 * ones of two `next` floats apart. The first stage reads x and the last one
 * writes it, so there is no copying, and there must be two. */
CV_INLINE void transform_as(const cv_lane_fft *f, float *x, int count,
                            ptrdiff_t step, ptrdiff_t next, ptrdiff_t re,
                            float *room)
{
    float *half[2] = {room, room + (ptrdiff_t)f->n * CV_POINT};
    for (int i = 0; i < count; i++, x += next) {
        int left = f->n, done = 1;
        ends e = {x, NULL, step, 0};
        for (int st = 0; st < f->n_stages; st++) {
            int last = st + 1 == f->n_stages;
            e.b = last ? x : half[st % 2];
            e.bs = last ? step : CV_POINT;
            stage(f, st, e, left, done, re);
            e.a = e.b;
            e.as = e.bs;
            left /= f->radix[st];
            done *= f->radix[st];
        }
    }
}

/* Twice the code, so that which half is the real one is known in the loops. */
CV_HOT static void transform(const cv_lane_fft *f, float *x, int count,
                             ptrdiff_t step, ptrdiff_t next, int inverse,
                             float *room)
{
    if (inverse)
        transform_as(f, x, count, step, next, CV_LANES, room);
    else
        transform_as(f, x, count, step, next, 0, room);
}

void cv_lane_fft_2d(const cv_lane_fft *rows, const cv_lane_fft *columns,
                    float *x, int inverse, float *room)
{
    transform(columns, x, rows->n, CV_POINT, (ptrdiff_t)columns->n * CV_POINT,
              inverse, room);
    transform(rows, x, columns->n, (ptrdiff_t)columns->n * CV_POINT, CV_POINT,
              inverse, room);
}
