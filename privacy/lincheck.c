#include "privacy/lincheck.h"

#include <math.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/rand.h"
#include "core/simd.h"
#include "privacy/field.h"

struct cv_lincheck {
    size_t n, rows, cols;
    uint64_t *u[CV_CHECK_MAX];                     /* (rows) */
    uint64_t *v[CV_CHECK_MAX];                     /* (cols), whole */
    uint32_t *lo[CV_CHECK_MAX], *hi[CV_CHECK_MAX]; /* (cols) 16-bit halves */
};

static uint64_t draw(cv_stream *s, int wide)
{
    uint64_t x;
    do
        x = wide ? cv_stream_u64(s) & CV_P61 : cv_stream_u32(s);
    while (x >= (wide ? CV_P61 : CV_P32));
    return x;
}

cv_lincheck *cv_lincheck_create(const uint8_t challenge[32], size_t n, int wide)
{
    cv_lincheck *c = CV_NEW(1, cv_lincheck);
    c->n = n;
    c->cols = (size_t)sqrt((double)n);
    while (c->cols * c->cols < n)
        c->cols++;
    c->cols = c->cols ? c->cols : 1;
    c->rows = (n + c->cols - 1) / c->cols;
    cv_stream s;
    cv_stream_open_key(&s, challenge);
    for (int k = 0; k < (wide ? CV_CHECK_WIDE : CV_CHECK_NARROW); k++) {
        c->u[k] = CV_NEW(c->rows, uint64_t);
        c->v[k] = CV_NEW((c->cols + 7) / 8 * 8, uint64_t); /* zeros behind */
        c->lo[k] = CV_NEW(c->cols, uint32_t);
        c->hi[k] = CV_NEW(c->cols, uint32_t);
        for (size_t a = 0; a < c->rows; a++)
            c->u[k][a] = draw(&s, wide);
        for (size_t b = 0; b < c->cols; b++) {
            c->v[k][b] = draw(&s, wide);
            c->lo[k][b] = (uint32_t)c->v[k][b] & 0xffffu;
            c->hi[k][b] = (uint32_t)c->v[k][b] >> 16;
        }
    }
    cv_stream_close(&s);
    return c;
}

void cv_lincheck_destroy(cv_lincheck **c)
{
    if (!*c)
        return;
    for (int k = 0; k < CV_CHECK_MAX; k++) {
        free((*c)->u[k]);
        free((*c)->v[k]);
        free((*c)->lo[k]);
        free((*c)->hi[k]);
    }
    CV_FREE(*c);
}

/* sum_b v_b x_b mod p for the four v at once. Products with a 16-bit half are
 * below 2^48, so 2^16 of them fit 64 bits: columns go in such blocks. */
CV_HOT static void dot_narrow(uint64_t r[4], uint32_t *const lo[4],
                              uint32_t *const hi[4], const uint32_t *x,
                              size_t at, size_t n)
{
    uint64_t a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
    const uint32_t *l0 = lo[0] + at, *l1 = lo[1] + at, *l2 = lo[2] + at,
                   *l3 = lo[3] + at, *h0 = hi[0] + at, *h1 = hi[1] + at,
                   *h2 = hi[2] + at, *h3 = hi[3] + at;
    for (size_t b = 0; b < n; b++) {
        uint64_t w = x[b];
        a0 += l0[b] * w;
        b0 += h0[b] * w;
        a1 += l1[b] * w;
        b1 += h1[b] * w;
        a2 += l2[b] * w;
        b2 += h2[b] * w;
        a3 += l3[b] * w;
        b3 += h3[b] * w;
    }
    const uint64_t low[4] = {a0, a1, a2, a3}, high[4] = {b0, b1, b2, b3};
    for (int k = 0; k < 4; k++)
        r[k] = (low[k] % CV_P32 + (high[k] % CV_P32 << 16)) % CV_P32;
}

static void add_row(const cv_lincheck *c, uint64_t f[CV_CHECK_NARROW], size_t a,
                    const uint64_t r[CV_CHECK_NARROW])
{
    for (int k = 0; k < CV_CHECK_NARROW; k++)
        f[k] = (f[k] + c->u[k][a] * r[k]) % CV_P32;
}

/* With the multiply-add of AVX-512 IFMA: 2.3 ms for four functions of 10^7
 * words, where dot_narrow takes 10.4 (and its like with AVX2 intrinsics 6.2, so
 * that other processors keep the plain loop). */
#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define IFMA __attribute__((target("avx512f,avx512vl,avx512ifma")))

static int have_ifma(void)
{
    return __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512ifma");
}

/* The library's own reduction adds signed numbers, which may not overflow. */
IFMA static inline uint64_t add_lanes(__m512i v)
{
    uint64_t lane[8], sum = 0;
    _mm512_storeu_si512(lane, v);
    for (int k = 0; k < 8; k++)
        sum += lane[k];
    return sum;
}

/* The sum of products whose low 52 bits add up to lo, and the others to hi. */
IFMA static inline uint64_t from_parts(__m512i lo, __m512i hi)
{
    const uint64_t two_to_52 = (UINT64_C(1) << 52) % CV_P32; /* 23 bits */
    uint64_t low = add_lanes(lo);
    uint64_t high = add_lanes(hi);
    return (low % CV_P32 + high * two_to_52) % CV_P32;
}

/* What dot_narrow does for one row, for two at once that share the loads of v:
 * x and x + cols, columns [at, at + n). A product has 64 bits: the low 52 of
 * 2^12 products add up to less than 2^64, the high 12 to 2^24. */
IFMA static void dot_two_rows(const cv_lincheck *c, uint64_t r[2][4],
                              const uint32_t *x, size_t at, size_t n)
{
    const uint32_t *y = x + c->cols;
    __m512i xlo[4], xhi[4], ylo[4], yhi[4];
    for (int k = 0; k < 4; k++)
        xlo[k] = xhi[k] = ylo[k] = yhi[k] = _mm512_setzero_si512();
    for (size_t b = at; b < at + n; b += 8) {
        size_t left = at + n - b;
        __mmask8 m = (__mmask8)(left < 8 ? (1u << left) - 1 : 0xff);
        __m512i s = _mm512_cvtepu32_epi64(_mm256_maskz_loadu_epi32(m, x + b));
        __m512i t = _mm512_cvtepu32_epi64(_mm256_maskz_loadu_epi32(m, y + b));
        for (int k = 0; k < 4; k++) {
            __m512i v = _mm512_load_si512(c->v[k] + b);
            xlo[k] = _mm512_madd52lo_epu64(xlo[k], v, s);
            xhi[k] = _mm512_madd52hi_epu64(xhi[k], v, s);
            ylo[k] = _mm512_madd52lo_epu64(ylo[k], v, t);
            yhi[k] = _mm512_madd52hi_epu64(yhi[k], v, t);
        }
    }
    /* Unrolled, or gcc 12 keeps all sums in memory throughout. */
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        r[0][k] = from_parts(xlo[k], xhi[k]);
        r[1][k] = from_parts(ylo[k], yhi[k]);
    }
}

/* All whole pairs of rows; returns how many rows that is. */
static size_t add_pairs(const cv_lincheck *c, uint64_t f[CV_CHECK_NARROW],
                        const uint32_t *x)
{
    enum { BLOCK = 4096 };
    size_t a = 0;
    for (; have_ifma() && (a + 2) * c->cols <= c->n; a += 2)
        for (size_t at = 0; at < c->cols; at += BLOCK) {
            uint64_t r[2][4];
            dot_two_rows(c, r, x + a * c->cols, at,
                         c->cols - at < BLOCK ? c->cols - at : BLOCK);
            add_row(c, f, a, r[0]);
            add_row(c, f, a + 1, r[1]);
        }
    return a;
}
#else
static size_t add_pairs(const cv_lincheck *c, uint64_t f[CV_CHECK_NARROW],
                        const uint32_t *x)
{
    (void)c, (void)f, (void)x;
    return 0;
}
#endif

void cv_lincheck_u32(const cv_lincheck *c, uint64_t f[CV_CHECK_NARROW],
                     const uint32_t *x)
{
    for (int k = 0; k < CV_CHECK_NARROW; k++)
        f[k] = 0;
    for (size_t a = add_pairs(c, f, x); a < c->rows; a++) {
        size_t first = a * c->cols, n = c->n - first;
        n = n < c->cols ? n : c->cols;
        for (size_t at = 0; at < n; at += 65536) {
            uint64_t r[4];
            dot_narrow(r, c->lo, c->hi, x + first + at, at,
                       n - at < 65536 ? n - at : 65536);
            add_row(c, f, a, r);
        }
    }
}

/* Products are below 2^122: 32 of them fit 128 bits before a reduction. */
static uint64_t dot_wide(const uint64_t *v, const uint64_t *x, size_t n)
{
    uint64_t r = 0;
    for (size_t at = 0; at < n; at += 32) {
        unsigned __int128 t = 0;
        size_t end = n - at < 32 ? n : at + 32;
        for (size_t b = at; b < end; b++)
            t += (unsigned __int128)v[b] * x[b];
        /* t < 2^127: two folds bring it below 2^62. */
        t = (t & CV_P61) + (t >> 61);
        r = cv_f61_add(
            r, cv_f61_reduce((uint64_t)(t & CV_P61) + (uint64_t)(t >> 61)));
    }
    return r;
}

void cv_lincheck_u64(const cv_lincheck *c, uint64_t f[CV_CHECK_WIDE],
                     const uint64_t *x)
{
    for (int k = 0; k < CV_CHECK_WIDE; k++)
        f[k] = 0;
    for (size_t a = 0; a < c->rows; a++) {
        size_t first = a * c->cols, n = c->n - first;
        n = n < c->cols ? n : c->cols;
        for (int k = 0; k < CV_CHECK_WIDE; k++)
            f[k] = cv_f61_add(
                f[k], cv_f61_mul(c->u[k][a], dot_wide(c->v[k], x + first, n)));
    }
}

int cv_lincheck_holds(const uint64_t *silos, int n_silos, const uint64_t *sum,
                      int wide)
{
    int n = wide ? CV_CHECK_WIDE : CV_CHECK_NARROW, ok = 1;
    uint64_t p = wide ? CV_P61 : CV_P32;
    for (int k = 0; k < n; k++) {
        uint64_t total = 0;
        for (int i = 0; i < n_silos; i++) {
            uint64_t x = silos[i * n + k];
            ok &= x < p;
            total = (total + (x < p ? x : 0)) % p;
        }
        ok &= total == sum[k];
    }
    return ok;
}
