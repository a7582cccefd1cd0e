/** Prototypes of the LAPACK routines in use: OpenBLAS exports them, and Debian
 *  has no header for them without LAPACKE.
 *
 *  To be included by solver/spd.c alone.  Fortran passes the length of every
 *  character argument last, by value; a compiler may use those stack slots, so
 *  they must be there.  Matrices are column-major: the upper triangle of a
 *  row-major matrix is "L" here.
 *
 *  Scope: local. One thread unless cv_blas_set_threads says otherwise.
 */
#ifndef COVEY_SOLVER_LAPACK_H
#define COVEY_SOLVER_LAPACK_H

#include <stddef.h>

/** Solve A x = b from the Cholesky factor. */
void dpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a,
             const int *lda, double *b, const int *ldb, int *info,
             size_t uplo_length);
/** Inverse, one triangle, from and in place of the Cholesky factor. */
void dpotri_(const char *uplo, const int *n, double *a, const int *lda,
             int *info, size_t uplo_length);
/** Reciprocal condition number from the Cholesky factor; work (3 n). */
void dpocon_(const char *uplo, const int *n, const double *a, const int *lda,
             const double *anorm, double *rcond, double *work, int *iwork,
             int *info, size_t uplo_length);
/** Eigenvalues, ascending, and vectors (in place of a), divide and conquer;
 *  work (1 + 6 n + 2 n^2), iwork (3 + 5 n). */
void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a,
             const int *lda, double *w, double *work, const int *lwork,
             int *iwork, const int *liwork, int *info, size_t jobz_length,
             size_t uplo_length);

#endif
