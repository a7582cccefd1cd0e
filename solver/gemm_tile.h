/** The innermost part of cv_gemm: strips of C. Private to gemm*.c. */
#ifndef COVEY_SOLVER_GEMM_TILE_H
#define COVEY_SOLVER_GEMM_TILE_H

#include <stdint.h>

/** Columns of a packed panel: panel[k][CV_GEMM_PANEL], zero-padded. */
enum { CV_GEMM_PANEL = 32 };

/** A few rows of C, as many as fit the registers, over packed panels. */
typedef struct {
    int k;
    const float *a;       /* A(i, k) = a[i * a_row + k * a_col] */
    int64_t a_row, a_col; /* one of them is 1 */
    const float *panels;  /* [panel](k, CV_GEMM_PANEL), 64-byte aligned */
    float *c;             /* (rows, cols) */
    int64_t ldc;
    int64_t cols;
    float alpha, beta;
} cv_gemm_strip;

typedef struct {
    const char *name;
    int max_rows; /* of a strip */
    /** C = beta C + alpha A B, 1 <= rows <= max_rows. */
    void (*strip)(const cv_gemm_strip *s, int rows);
    /** panel[k][j] = b[k * ldb + j] (t: b[j * ldb + k]) for j < cols, zero
     *  above. */
    void (*pack_n)(float *panel, const float *b, int64_t ldb, int cols, int k);
    void (*pack_t)(float *panel, const float *b, int64_t ldb, int cols, int k);
} cv_gemm_ops;

/** NULL where the CPU (or the compiler's target) lacks the instructions. */
const cv_gemm_ops *cv_gemm_avx512(void);
const cv_gemm_ops *cv_gemm_avx2(void);
/** Everywhere. */
const cv_gemm_ops *cv_gemm_plain(void);

#endif
