/** Single-precision matrix product for the shapes of local training.
 *
 *  Batches are small and layers wide, so one operand is always a thin panel.
 *  Here that panel is packed once and the other operand is read where it lies,
 *  which a general BLAS does not do (tests/bench/bench_train.c has numbers).
 *
 *  Every element of C is one chain of fused multiply-adds over k in ascending
 *  order, in blocks of CV_GEMM_BLOCK: the bytes do not depend on the number of
 *  threads, on the addresses, on n or m, nor on which of the two x86
 *  instruction sets is used.  CPUs with neither go through BLAS, with its
 *  rounding.
 *
 *  Scope: local; threads as cv_blas_set_threads granted.
 */
#ifndef COVEY_SOLVER_GEMM_H
#define COVEY_SOLVER_GEMM_H

#include <stddef.h>
#include <stdint.h>

enum { CV_GEMM_BLOCK = 1024 };

/** C = beta C + alpha A B.
 *
 *  In:   a   (m, k), lda >= k; with a_t its transpose: (k, m), lda >= m
 *        b   (k, n), ldb >= n; with b_t its transpose: (n, k), ldb >= k
 *        pack  64-byte aligned scratch, cv_gemm_pack_size(n, k) floats
 *  In/Out: c (m, n), ldc >= n; not read if beta is 0; overlaps nothing else
 *  m = 0 or n = 0 does nothing; k = 0 gives beta C.
 */
void cv_gemm(int a_t, int b_t, int64_t m, int64_t n, int64_t k, float alpha,
             const float *a, int64_t lda, const float *b, int64_t ldb,
             float beta, float *c, int64_t ldc, float *pack);

/** The same, but never through BLAS: on every CPU the same bytes, and element
 *  (i, j) depends on row i of A and column j of B alone.  Sensitivity proofs
 *  rest on that (solver/private_gradient.c). */
void cv_gemm_chain(int a_t, int b_t, int64_t m, int64_t n, int64_t k,
                   float alpha, const float *a, int64_t lda, const float *b,
                   int64_t ldb, float beta, float *c, int64_t ldc, float *pack);

/** Floats of scratch for products with up to these n and k. */
size_t cv_gemm_pack_size(int64_t n, int64_t k);

/** Name of the kernels in use: avx512, avx2, blas or plain. */
const char *cv_gemm_kernels(void);
/** Use other ones (tests, benchmarks). Returns -1 if this CPU cannot. */
int cv_gemm_use(const char *name);

#endif
