#include "solver/gemm_tile.h"

#include <stddef.h>
#include <string.h>

#if defined(__x86_64__)

#include <immintrin.h>

/* The tile of C lives in registers: 12 x 32 floats are 24 of 32 zmm, 6 x 16
 * are 12 of 16 ymm.  Each k takes one row of the panel and broadcasts one
 * element of A per row of the tile.  The functions below are inlined with
 * constant row counts, so that every loop over rows is unrolled. */

#define INLINE_512                                                             \
    static inline __attribute__((always_inline, target("avx512f")))
#define INLINE_256                                                             \
    static inline __attribute__((always_inline, target("avx2,fma")))

enum { ROWS_512 = 12, ROWS_256 = 6 };

INLINE_512 void store_512(const cv_gemm_strip *s, float *c,
                          __m512 acc[ROWS_512][2], const int rows,
                          const int vecs, __mmask16 tail)
{
    __m512 alpha = _mm512_set1_ps(s->alpha), beta = _mm512_set1_ps(s->beta);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 2
        for (int j = 0; j < vecs; j++) {
            float *p = c + i * s->ldc + 16 * j;
            __mmask16 mask = j == vecs - 1 ? tail : (__mmask16)0xffff;
            __m512 v = _mm512_mul_ps(alpha, acc[i][j]);
            if (s->beta != 0.0f)
                v = _mm512_fmadd_ps(beta, _mm512_maskz_loadu_ps(mask, p), v);
            _mm512_mask_storeu_ps(p, mask, v);
        }
    }
}

/* a_unit: A is contiguous in k, else in i. */
INLINE_512 void tile_512(const cv_gemm_strip *s, const float *panel, float *c,
                         const int rows, const int vecs, const int a_unit,
                         __mmask16 tail)
{
    __m512 acc[ROWS_512][2];
    const float *a = s->a;
    const int64_t row = a_unit ? s->a_row : 1, col = a_unit ? 1 : s->a_col;
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
        acc[i][0] = acc[i][1] = _mm512_setzero_ps();
        /* With few k the tile of C is what has to arrive in time. */
        _mm_prefetch((const char *)(c + i * s->ldc), _MM_HINT_T0);
        if (vecs > 1)
            _mm_prefetch((const char *)(c + i * s->ldc + 16), _MM_HINT_T0);
    }
#pragma GCC unroll 4
    for (int64_t k = 0; k < s->k; k++) {
        __m512 b0 = _mm512_load_ps(panel + k * CV_GEMM_PANEL);
        __m512 b1 =
            vecs > 1 ? _mm512_load_ps(panel + k * CV_GEMM_PANEL + 16) : b0;
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            __m512 x = _mm512_set1_ps(a[i * row + k * col]);
            acc[i][0] = _mm512_fmadd_ps(x, b0, acc[i][0]);
            if (vecs > 1)
                acc[i][1] = _mm512_fmadd_ps(x, b1, acc[i][1]);
        }
    }
    store_512(s, c, acc, rows, vecs, tail);
}

INLINE_512 void strip_512(const cv_gemm_strip *s, const int rows,
                          const int a_unit)
{
    const float *panel = s->panels;
    float *c = s->c;
    int64_t left = s->cols;
    for (; left >= 32; left -= 32) {
        tile_512(s, panel, c, rows, 2, a_unit, 0xffff);
        panel += s->k * CV_GEMM_PANEL;
        c += CV_GEMM_PANEL;
    }
    if (left > 16)
        tile_512(s, panel, c, rows, 2, a_unit,
                 (__mmask16)(0xffff >> (32 - left)));
    else if (left > 0)
        tile_512(s, panel, c, rows, 1, a_unit,
                 (__mmask16)(0xffff >> (16 - left)));
}

INLINE_512 void shape_512(const cv_gemm_strip *s, const int rows)
{
    if (s->a_col == 1)
        strip_512(s, rows, 1);
    else
        strip_512(s, rows, 0);
}

#define CASE_512(n)                                                            \
    case n:                                                                    \
        shape_512(s, n);                                                       \
        break

__attribute__((target("avx512f"))) static void run_512(const cv_gemm_strip *s,
                                                       int rows)
{
    switch (rows) {
        CASE_512(1);
        CASE_512(2);
        CASE_512(3);
        CASE_512(4);
        CASE_512(5);
        CASE_512(6);
        CASE_512(7);
        CASE_512(8);
        CASE_512(9);
        CASE_512(10);
        CASE_512(11);
        CASE_512(12);
    }
}

INLINE_256 void store_256(const cv_gemm_strip *s, float *c,
                          __m256 acc[ROWS_256][2], const int rows, int cols)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256 alpha = _mm256_set1_ps(s->alpha), beta = _mm256_set1_ps(s->beta);
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++) {
            float *p = c + i * s->ldc + 8 * j;
            __m256i mask =
                _mm256_cmpgt_epi32(_mm256_set1_epi32(cols - 8 * j), lane);
            __m256 v = _mm256_mul_ps(alpha, acc[i][j]);
            if (s->beta != 0.0f)
                v = _mm256_fmadd_ps(beta, _mm256_maskload_ps(p, mask), v);
            _mm256_maskstore_ps(p, mask, v);
        }
    }
}

/* Half a panel; cols is 1..16 of its columns. */
INLINE_256 void tile_256(const cv_gemm_strip *s, const float *panel, float *c,
                         const int rows, const int a_unit, int cols)
{
    __m256 acc[ROWS_256][2];
    const float *a = s->a;
    const int64_t row = a_unit ? s->a_row : 1, col = a_unit ? 1 : s->a_col;
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
        acc[i][0] = acc[i][1] = _mm256_setzero_ps();
        _mm_prefetch((const char *)(c + i * s->ldc), _MM_HINT_T0);
    }
#pragma GCC unroll 4
    for (int64_t k = 0; k < s->k; k++) {
        __m256 b0 = _mm256_load_ps(panel + k * CV_GEMM_PANEL);
        __m256 b1 = _mm256_load_ps(panel + k * CV_GEMM_PANEL + 8);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            __m256 x = _mm256_broadcast_ss(a + i * row + k * col);
            acc[i][0] = _mm256_fmadd_ps(x, b0, acc[i][0]);
            acc[i][1] = _mm256_fmadd_ps(x, b1, acc[i][1]);
        }
    }
    store_256(s, c, acc, rows, cols);
}

INLINE_256 void strip_256(const cv_gemm_strip *s, const int rows,
                          const int a_unit)
{
    for (int64_t j = 0; j < s->cols; j += 16) {
        const float *panel = s->panels +
                             j / CV_GEMM_PANEL * CV_GEMM_PANEL * s->k +
                             j % CV_GEMM_PANEL;
        int cols = s->cols - j < 16 ? (int)(s->cols - j) : 16;
        tile_256(s, panel, s->c + j, rows, a_unit, cols);
    }
}

INLINE_256 void shape_256(const cv_gemm_strip *s, const int rows)
{
    if (s->a_col == 1)
        strip_256(s, rows, 1);
    else
        strip_256(s, rows, 0);
}

#define CASE_256(n)                                                            \
    case n:                                                                    \
        shape_256(s, n);                                                       \
        break

__attribute__((target("avx2,fma"))) static void run_256(const cv_gemm_strip *s,
                                                        int rows)
{
    switch (rows) {
        CASE_256(1);
        CASE_256(2);
        CASE_256(3);
        CASE_256(4);
        CASE_256(5);
        CASE_256(6);
    }
}

/* 8 x 8 transposed in registers. */
INLINE_256 void transpose_8(float *out, const float *b, int64_t ldb)
{
    __m256 r[8], t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps(b + i * ldb);
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        _mm256_store_ps(out + i * CV_GEMM_PANEL,
                        _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_store_ps(out + (i + 4) * CV_GEMM_PANEL,
                        _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}

__attribute__((target("avx2,fma"))) static void
pack_n(float *panel, const float *b, int64_t ldb, int cols, int k)
{
    if (cols == CV_GEMM_PANEL) {
        for (int i = 0; i < k; i++, panel += CV_GEMM_PANEL, b += ldb)
#pragma GCC unroll 4
            for (int j = 0; j < CV_GEMM_PANEL; j += 8)
                _mm256_store_ps(panel + j, _mm256_loadu_ps(b + j));
        return;
    }
    memset(panel, 0, (size_t)k * CV_GEMM_PANEL * sizeof *panel);
    for (int i = 0; i < k; i++)
        memcpy(panel + i * CV_GEMM_PANEL, b + i * ldb,
               (size_t)cols * sizeof *b);
}

__attribute__((target("avx2,fma"))) static void
pack_t(float *panel, const float *b, int64_t ldb, int cols, int k)
{
    if (cols < CV_GEMM_PANEL)
        memset(panel, 0, (size_t)k * CV_GEMM_PANEL * sizeof *panel);
    int j = 0;
    for (; j + 8 <= cols; j += 8) {
        int i = 0;
        for (; i + 8 <= k; i += 8)
            transpose_8(panel + i * CV_GEMM_PANEL + j, b + j * ldb + i, ldb);
        for (; i < k; i++)
            for (int jj = j; jj < j + 8; jj++)
                panel[i * CV_GEMM_PANEL + jj] = b[jj * ldb + i];
    }
    for (; j < cols; j++)
        for (int i = 0; i < k; i++)
            panel[i * CV_GEMM_PANEL + j] = b[j * ldb + i];
}

const cv_gemm_ops *cv_gemm_avx512(void)
{
    static const cv_gemm_ops ops = {"avx512", ROWS_512, run_512, pack_n,
                                    pack_t};
    return __builtin_cpu_supports("avx512f") && cv_gemm_avx2() ? &ops : NULL;
}

const cv_gemm_ops *cv_gemm_avx2(void)
{
    static const cv_gemm_ops ops = {"avx2", ROWS_256, run_256, pack_n, pack_t};
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
               ? &ops
               : NULL;
}

#else

const cv_gemm_ops *cv_gemm_avx512(void)
{
    return NULL;
}

const cv_gemm_ops *cv_gemm_avx2(void)
{
    return NULL;
}

#endif
