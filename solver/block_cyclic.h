/** Symmetric matrices spread block-cyclically over the ranks of a communicator:
 *  Cholesky factor, solve, inverse's diagonal, eigenvectors, by ScaLAPACK.
 *
 *  solver/scalapack.c is the one place that knows ScaLAPACK.
 *
 *  Layout: an r x c grid of ranks (row-major), square blocks of nb; global block
 *  (I, J) lies on grid place (I mod r, J mod c).  Only the upper triangle
 *  (row <= column) is set and used.
 *
 *  Scope: functions that end in _all are collective on the communicator; same
 *  arguments everywhere.
 *  Source: Blackford et al., ScaLAPACK Users' Guide (1997).
 */
#ifndef COVEY_SOLVER_BLOCK_CYCLIC_H
#define COVEY_SOLVER_BLOCK_CYCLIC_H

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

typedef struct cv_dist cv_dist;

/** Matrices of fewer columns are better left to LAPACK on one rank.
 *
 *  Seconds of factor and solve, the best on a shared machine of two cores
 *  (AVX-512), one thread a rank (tests/bench/bench_solver.c):
 *
 *      columns         500    1000    2000   4000   8000
 *      LAPACK       0.0016  0.0098   0.057   0.35   2.32
 *      2 ranks      0.0013  0.0070   0.044   0.33   2.65
 *      4 ranks      0.0020  0.0108   0.061   0.45   2.29
 *
 *  So two ranks break even at 500 columns, and the four at 2000 that share the
 *  cores; below that both take milliseconds, and a matrix 32 MB at most. */
enum { CV_DIST_MIN = 2000 };

typedef struct {
    int rows, cols, nb;
} cv_dist_grid;
/** The grid and block size for a matrix of n over `ranks` ranks: as square as
 *  ranks allow (rows <= cols, rows * cols = ranks); nb a multiple of 8, smaller
 *  where n is, so that every rank has work. Local. */
cv_dist_grid cv_dist_choose(int ranks, int64_t n);

/** A matrix of zeros, n x n.
 *
 *  Scope:    collective on comm, of which it keeps a duplicate
 *  Out:      out  NULL on failure
 *  Returns:  0; CV_ERR_INPUT if n < 1; CV_ERR_ENV if so many columns need more
 *            ranks (the library counts in int); the same on every rank
 *  Memory:   cv_dist_bytes, and for the time of a call: to solve, a share of the
 *            right-hand sides; for eigenvectors, three times the matrix; and
 *            buffers of the library, some nb * n
 */
int cv_dist_create_all(MPI_Comm comm, int64_t n, cv_dist **out, cv_err *err);
void cv_dist_destroy_all(cv_dist **d);

int64_t cv_dist_n(const cv_dist *d);
cv_dist_grid cv_dist_grid_of(const cv_dist *d);
/** Bytes of this rank's part. */
size_t cv_dist_bytes(const cv_dist *d);

/** Column panels: global columns [j0, j1), j0 a multiple of nb and j1 = j0 + nb or
 *  n, lie on one grid column.  Rows 0 .. j1-1 of the panel belong, in blocks of
 *  nb rows, to that grid column's ranks.  For a reduce-scatter the panel is packed
 *  by owner.  Local; the same on every rank.
 *
 *  cv_dist_panel_words   words of the packed panel
 *  cv_dist_panel_counts  counts (ranks): words of each rank of comm, in rank
 *                        order; 0 for those of other grid columns
 *  cv_dist_panel_order   place (j1, j1 - j0), row-major: where element (i, j0 + jj)
 *                        stands in the packed panel; -1 below the diagonal
 */
int64_t cv_dist_panel_words(const cv_dist *d, int64_t j0);
void cv_dist_panel_counts(const cv_dist *d, int64_t j0, int *counts);
void cv_dist_panel_order(const cv_dist *d, int64_t j0, int64_t *place);
/** Put this rank's words of a packed panel (counts[rank] doubles) into the matrix,
 *  over what was there. A matrix that was factored or destroyed is one again when
 *  all its panels have been put. Local, on every rank of comm. */
void cv_dist_panel_put(cv_dist *d, int64_t j0, const double *mine);

/** a_ii += v_i where this rank has it. v (n). Local, on every rank of comm. */
void cv_dist_add_diagonal(cv_dist *d, const double *v);

/** Upper Cholesky factor in place.
 *
 *  Out:      column  the first pivot that is not above 0, or not finite (0-based);
 *                    -1 if there is none; may be NULL
 *  Returns:  0; CV_ERR_NUMERIC if there is one: the matrix is destroyed then; the
 *            same on every rank
 */
int cv_dist_factor_all(cv_dist *d, int64_t *column, cv_err *err);
/** b = A^-1 b, with the factor, which stays; b (n, k), column by column
 *  (b[i + n k]), replicated: given and returned whole on every rank, with the same
 *  bytes. */
void cv_dist_solve_all(cv_dist *d, double *b, int k);
/** Diagonal of the inverse, from the factor, which is destroyed; diag (n) on every
 *  rank, with the same bytes. CV_ERR_NUMERIC if it is not finite. */
int cv_dist_inverse_diagonal_all(cv_dist *d, double *diag, cv_err *err);
/** All eigenvalues (n), largest first, and the first k vectors, 0 <= k <= n: v
 *  (k, n) rows, the first of the largest elements in magnitude positive, on every
 *  rank with the same bytes; the matrix is destroyed.
 *  Returns:  0; CV_ERR_NUMERIC if an element is not finite or cannot be squared
 *            (the matrix is kept), or values were not found; CV_ERR_ENV if the
 *            workspace needs more ranks; the same on every rank
 */
int cv_dist_eigen_all(cv_dist *d, double *values, double *v, int k,
                      cv_err *err);

#endif
