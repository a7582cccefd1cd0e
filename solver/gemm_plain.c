#include <math.h>
#include <string.h>

#include "solver/gemm_tile.h"
#include "solver/simd.h"

/* Plain C for CPUs without kernels of their own: half a panel of C at a time,
 * every element a chain of fmaf, so the bytes are those of the x86 kernels.
 * Compilers make vectors of it where the CPU has fused multiply-adds (all of
 * aarch64); where it has not, fmaf is a slow function, but still right. */

enum { ROWS = 4, HALF = CV_GEMM_PANEL / 2 };

CV_INLINE void tile(const cv_gemm_strip *s, const float *panel, float *c,
                    const int rows, int cols)
{
    float acc[ROWS][HALF] = {{0}};
    for (int64_t k = 0; k < s->k; k++, panel += CV_GEMM_PANEL)
        for (int i = 0; i < rows; i++) {
            float x = s->a[i * s->a_row + k * s->a_col];
            for (int j = 0; j < HALF; j++)
                acc[i][j] = fmaf(x, panel[j], acc[i][j]);
        }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) {
            float *p = c + i * s->ldc + j, v = s->alpha * acc[i][j];
            *p = s->beta == 0.0f ? v : fmaf(s->beta, *p, v);
        }
}

CV_INLINE void run_rows(const cv_gemm_strip *s, const int rows)
{
    for (int64_t j = 0; j < s->cols; j += HALF) {
        const float *panel = s->panels +
                             j / CV_GEMM_PANEL * CV_GEMM_PANEL * s->k +
                             j % CV_GEMM_PANEL;
        int cols = s->cols - j < HALF ? (int)(s->cols - j) : HALF;
        tile(s, panel, s->c + j, rows, cols);
    }
}

CV_HOT static void run(const cv_gemm_strip *s, int rows)
{
    if (rows == 4)
        run_rows(s, 4);
    else if (rows == 3)
        run_rows(s, 3);
    else if (rows == 2)
        run_rows(s, 2);
    else
        run_rows(s, 1);
}

static void pack_n(float *panel, const float *b, int64_t ldb, int cols, int k)
{
    for (int i = 0; i < k; i++, panel += CV_GEMM_PANEL, b += ldb) {
        memcpy(panel, b, (size_t)cols * sizeof *b);
        memset(panel + cols, 0, (size_t)(CV_GEMM_PANEL - cols) * sizeof *b);
    }
}

static void pack_t(float *panel, const float *b, int64_t ldb, int cols, int k)
{
    for (int i = 0; i < k; i++, panel += CV_GEMM_PANEL)
        for (int j = 0; j < CV_GEMM_PANEL; j++)
            panel[j] = j < cols ? b[j * ldb + i] : 0.0f;
}

const cv_gemm_ops *cv_gemm_plain(void)
{
    static const cv_gemm_ops ops = {"plain", ROWS, run, pack_n, pack_t};
    return &ops;
}
