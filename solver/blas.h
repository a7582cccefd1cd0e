/** The one place that knows which BLAS is linked (OpenBLAS).
 *
 *  Scope: local.
 */
#ifndef COVEY_SOLVER_BLAS_H
#define COVEY_SOLVER_BLAS_H

#include <stdint.h>

/** Name of OpenBLAS's kernels, e.g. "SkylakeX". */
const char *cv_blas_core(void);

/** Let BLAS and cv_gemm use up to `asked` threads.
 *
 *  Never more than the affinity mask and SLURM_CPUS_PER_TASK allow, nor more
 *  than this rank's share where ranks of a node are not bound to cores: threads
 *  that fight for a core wait for each other at every product.
 *  Returns: the number granted, >= 1. Until the first call it is 1.
 */
int cv_blas_set_threads(int asked);
/** The number granted. */
int cv_blas_threads(void);

/** cblas_sgemm in row-major order; arguments as cv_gemm. */
void cv_blas_sgemm(int a_t, int b_t, int64_t m, int64_t n, int64_t k,
                   float alpha, const float *a, int64_t lda, const float *b,
                   int64_t ldb, float beta, float *c, int64_t ldc);

/** The same in double precision. */
void cv_blas_dgemm(int a_t, int b_t, int64_t m, int64_t n, int64_t k,
                   double alpha, const double *a, int64_t lda, const double *b,
                   int64_t ldb, double beta, double *c, int64_t ldc);
/** C (n, n) = alpha op(A) op(A)' + beta C, upper triangle, row-major: A is
 *  (n, k), or (k, n) with a_t. */
void cv_blas_dsyrk(int a_t, int64_t n, int64_t k, double alpha, const double *a,
                   int64_t lda, double beta, double *c, int64_t ldc);
/** y = alpha op(A) x + beta y, A (m, n) row-major. */
void cv_blas_dgemv(int a_t, int64_t m, int64_t n, double alpha, const double *a,
                   int64_t lda, const double *x, double beta, double *y);

#endif
