#include "solver/gemm.h"

#include <string.h>

#include "solver/blas.h"
#include "solver/gemm_tile.h"

enum {
    PANEL = CV_GEMM_PANEL,
    PACK_FLOATS = 192 * 1024, /* packed at a time: most of a core's L2 */
    THREAD_MIN = 1 << 20      /* products below this stay on one thread */
};

/* Without kernels of its own the product is BLAS's. */
static const cv_gemm_ops by_blas = {.name = "blas"};

/* NULL until the first product or cv_gemm_use. Threads that come at the same
 * time choose the same. */
static const cv_gemm_ops *_Atomic chosen;

static const cv_gemm_ops *kernels(void)
{
    const cv_gemm_ops *ops = chosen;
    if (ops)
        return ops;
    ops = cv_gemm_avx512();
    if (!ops)
        ops = cv_gemm_avx2();
    if (!ops)
        ops = &by_blas;
    chosen = ops;
    return ops;
}

const char *cv_gemm_kernels(void)
{
    return kernels()->name;
}

int cv_gemm_use(const char *name)
{
    const cv_gemm_ops *found = NULL;
    if (strcmp(name, "avx512") == 0)
        found = cv_gemm_avx512();
    else if (strcmp(name, "avx2") == 0)
        found = cv_gemm_avx2();
    else if (strcmp(name, "blas") == 0)
        found = &by_blas;
    else if (strcmp(name, "plain") == 0)
        found = cv_gemm_plain();
    if (!found)
        return -1;
    chosen = found;
    return 0;
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t n)
{
    return (n + PANEL - 1) / PANEL * PANEL;
}

/* Columns packed at a time when a block has k rows. */
static int64_t block_cols(int64_t n, int64_t k)
{
    int64_t cols = PACK_FLOATS / (k > 0 ? k : 1) / PANEL * PANEL;
    return min64(cols > PANEL ? cols : PANEL, round_up(n));
}

size_t cv_gemm_pack_size(int64_t n, int64_t k)
{
    /* Not below what any smaller n or k needs: last batches are short. */
    return (size_t)min64(round_up(n) * min64(k, CV_GEMM_BLOCK), PACK_FLOATS);
}

/* One block: C(m, n) += or = A(m, k) B(k, n) with k and n as packed. */
typedef struct {
    const cv_gemm_ops *ops;
    int b_t;
    int64_t m, n;
    int64_t a_row, a_col, ldb, ldc;
    const float *a, *b;
    float *c, *pack;
    float alpha, beta;
    int k;
} block;

static int panel_cols(const block *p, int64_t panel)
{
    return (int)min64(PANEL, p->n - panel * PANEL);
}

static void pack_panel(const block *p, int64_t panel)
{
    int64_t j = panel * PANEL;
    if (p->b_t)
        p->ops->pack_t(p->pack + j * p->k, p->b + j * p->ldb, p->ldb,
                       panel_cols(p, panel), p->k);
    else
        p->ops->pack_n(p->pack + j * p->k, p->b + j, p->ldb,
                       panel_cols(p, panel), p->k);
}

/* Panels [from, to) of one strip of C. */
static void run_strip(const block *p, int64_t strip, int64_t n_strips,
                      int64_t from, int64_t to)
{
    /* Strips of even height: 13 rows are 7 and 6, not 12 and 1. */
    int64_t i0 = strip * p->m / n_strips, i1 = (strip + 1) * p->m / n_strips;
    cv_gemm_strip s = {.k = p->k,
                       .a = p->a + i0 * p->a_row,
                       .a_row = p->a_row,
                       .a_col = p->a_col,
                       .panels = p->pack + from * PANEL * p->k,
                       .c = p->c + i0 * p->ldc + from * PANEL,
                       .ldc = p->ldc,
                       .cols = min64(p->n, to * PANEL) - from * PANEL,
                       .alpha = p->alpha,
                       .beta = p->beta};
    p->ops->strip(&s, (int)(i1 - i0));
}

/* Each element of C is made by one thread, in the same way by any of them. */
static void run_block_threads(const block *p, int64_t n_panels,
                              int64_t n_strips, int64_t threads)
{
    /* Few strips: cut them, so that every thread has work. */
    int64_t cuts = min64((threads + n_strips - 1) / n_strips, n_panels);
#pragma omp parallel num_threads((int)threads)
    {
#pragma omp for schedule(static)
        for (int64_t panel = 0; panel < n_panels; panel++)
            pack_panel(p, panel);
#pragma omp for schedule(static)
        for (int64_t at = 0; at < n_strips * cuts; at++)
            run_strip(p, at / cuts, n_strips, at % cuts * n_panels / cuts,
                      (at % cuts + 1) * n_panels / cuts);
    }
    (void)threads;
}

static void run_block(const block *p)
{
    int64_t n_panels = (p->n + PANEL - 1) / PANEL;
    int64_t n_strips = (p->m + p->ops->max_rows - 1) / p->ops->max_rows;
    int threads = cv_blas_threads();
    if (threads > 1 && p->m * p->n * p->k >= THREAD_MIN) {
        run_block_threads(p, n_panels, n_strips, threads);
        return;
    }
    /* Entering a parallel region costs a microsecond even for one thread. */
    for (int64_t panel = 0; panel < n_panels; panel++)
        pack_panel(p, panel);
    for (int64_t strip = 0; strip < n_strips; strip++)
        run_strip(p, strip, n_strips, 0, n_panels);
}

static void scale(float *c, int64_t m, int64_t n, int64_t ldc, float beta)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            c[i * ldc + j] = beta == 0.0f ? 0.0f : beta * c[i * ldc + j];
}

static void multiply(const cv_gemm_ops *ops, int a_t, int b_t, int64_t m,
                     int64_t n, int64_t k, float alpha, const float *a,
                     int64_t lda, const float *b, int64_t ldb, float beta,
                     float *c, int64_t ldc, float *pack)
{
    if (m <= 0 || n <= 0)
        return;
    if (k <= 0) {
        scale(c, m, n, ldc, beta);
        return;
    }
    if (ops == &by_blas) {
        cv_blas_sgemm(a_t, b_t, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        return;
    }
    int64_t cols = block_cols(n, min64(k, CV_GEMM_BLOCK));
    block p = {
        .ops = ops, .b_t = b_t, .m = m, .ldb = ldb, .ldc = ldc, .pack = pack};
    p.a_row = a_t ? 1 : lda;
    p.a_col = a_t ? lda : 1;
    p.alpha = alpha;
    for (int64_t j = 0; j < n; j += cols) {
        p.n = min64(cols, n - j);
        p.c = c + j;
        for (int64_t i = 0; i < k; i += CV_GEMM_BLOCK) {
            p.k = (int)min64(CV_GEMM_BLOCK, k - i);
            p.beta = i > 0 ? 1.0f : beta;
            p.a = a + i * p.a_col;
            p.b = b_t ? b + j * ldb + i : b + i * ldb + j;
            run_block(&p);
        }
    }
}

void cv_gemm(int a_t, int b_t, int64_t m, int64_t n, int64_t k, float alpha,
             const float *a, int64_t lda, const float *b, int64_t ldb,
             float beta, float *c, int64_t ldc, float *pack)
{
    multiply(kernels(), a_t, b_t, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc,
             pack);
}

void cv_gemm_chain(int a_t, int b_t, int64_t m, int64_t n, int64_t k,
                   float alpha, const float *a, int64_t lda, const float *b,
                   int64_t ldb, float beta, float *c, int64_t ldc, float *pack)
{
    const cv_gemm_ops *ops = kernels();
    multiply(ops == &by_blas ? cv_gemm_plain() : ops, a_t, b_t, m, n, k, alpha,
             a, lda, b, ldb, beta, c, ldc, pack);
}
