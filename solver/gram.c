/* Panels of x' diag(w) x, for matrices that no rank holds whole. */
#include <string.h>

#include "solver/blas.h"
#include "solver/glm.h"

/* Rows of a block: enough that the panel, which every block reads and writes,
 * costs little; fewer when they are long, so that scratch stays small. */
static int64_t block_rows(int p)
{
    enum { MOST = 256, LEAST = 64, WORDS = 1 << 20 };
    int64_t rows = WORDS / (p > 0 ? p : 1);
    return rows < LEAST ? LEAST : rows > MOST ? MOST : rows;
}

size_t cv_gram_scratch(int p)
{
    /* A weighted copy of a block, and a centred one. */
    return 2 * (size_t)block_rows(p) * (size_t)p;
}

static void panel(const double *x, int64_t n, int p, const double *w,
                  const double *mean, int j0, int j1, double *out,
                  double *scratch)
{
    int64_t rows = block_rows(p), width = j1 - j0;
    double *scaled = scratch, *centred = scratch + rows * p;
    memset(out, 0, (size_t)j1 * (size_t)width * sizeof *out);
    if (width == 0)
        return;
    for (int64_t i = 0; i < n; i += rows) {
        int64_t m = n - i < rows ? n - i : rows, lda = p;
        const double *a = x + i * p;
        if (mean) {
            for (int64_t r = 0; r < m; r++)
                for (int j = 0; j < j1; j++)
                    centred[r * j1 + j] = a[r * p + j] - mean[j];
            a = centred;
            lda = j1;
        }
        for (int64_t r = 0; r < m; r++) {
            double s = w ? w[i + r] : 1.0;
            for (int64_t j = 0; j < width; j++)
                scaled[r * width + j] = s * a[r * lda + j0 + j];
        }
        cv_blas_dgemm(1, 0, j1, width, m, 1.0, a, lda, scaled, width, 1.0, out,
                      width);
    }
}

void cv_gram_panel(const double *x, int64_t n, int p, const double *w, int j0,
                   int j1, double *out, double *scratch)
{
    panel(x, n, p, w, NULL, j0, j1, out, scratch);
}

void cv_glm_profile_means(const double *x, int64_t n, int p, const double *work,
                          double *mean)
{
    int64_t rows = block_rows(p);
    double total = 0.0;
    memset(mean, 0, (size_t)p * sizeof *mean);
    for (int64_t i = 0; i < n && p > 0; i += rows) {
        int64_t m = n - i < rows ? n - i : rows;
        for (int64_t r = 0; r < m; r++)
            total += work[i + r];
        cv_blas_dgemv(1, m, p, 1.0, x + i * p, p, work + i, 1.0, mean);
    }
    for (int j = 0; j < p; j++)
        mean[j] = total > 0.0 ? mean[j] / total : 0.0;
}

void cv_glm_profile_panel(const double *x, int64_t n, int p, const double *work,
                          const double *mean, int j0, int j1, double *out,
                          double *scratch)
{
    panel(x, n, p, work, mean, j0, j1, out, scratch);
}
