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

/** Below this size LAPACK on one rank is faster than ScaLAPACK on several
 *  (tests/bench/bench_solver.c; the number is measured). */
enum { CV_DIST_MIN = 2000 };

/** The grid and block size for a matrix of n over `ranks` ranks: as square as
 *  ranks allow (r <= c, r c = ranks). */
typedef struct {
    int rows, cols, nb;
} cv_dist_grid;
cv_dist_grid cv_dist_choose(int ranks, int64_t n);

/** A matrix of zeros, and what the library needs. */
int cv_dist_create_all(MPI_Comm comm, int64_t n, cv_dist **out, cv_err *err);
void cv_dist_destroy_all(cv_dist **d);

int64_t cv_dist_n(const cv_dist *d);
cv_dist_grid cv_dist_grid_of(const cv_dist *d);
/** Bytes of this rank's part. */
size_t cv_dist_bytes(const cv_dist *d);

/** Column panels: global columns [j0, j1) with j0 a multiple of nb and j1 - j0 <=
 *  nb lie on one grid column. Rows 0 .. j1-1 of the panel belong, in blocks of
 *  nb rows, to that grid column's ranks. For a reduce-scatter the panel is packed
 *  by owner: cv_dist_panel_counts gives words for each rank of comm (0 for those
 *  of other grid columns), in rank order, and cv_dist_panel_order the place of
 *  element (i, j - j0), i < j1, in the packed panel. Elements below the diagonal
 *  of the last block are not packed (place -1). */
int64_t cv_dist_panel_words(const cv_dist *d, int64_t j0);
void cv_dist_panel_counts(const cv_dist *d, int64_t j0, int *counts);
void cv_dist_panel_order(const cv_dist *d, int64_t j0, int64_t *place);
/** Put this rank's words of a packed panel (counts[rank] doubles) into the
 *  matrix. */
void cv_dist_panel_put(cv_dist *d, int64_t j0, const double *mine);

/** a_ii += v_i where this rank has it. v (n). */
void cv_dist_add_diagonal(cv_dist *d, const double *v);

/** Upper Cholesky factor in place. Collective. CV_ERR_NUMERIC if not positive
 *  definite; *column: the first pivot that is not (0-based), the same on every
 *  rank. */
int cv_dist_factor_all(cv_dist *d, int64_t *column, cv_err *err);
/** Solve with the factor; b (n, k), column by column (b[i + n k]), replicated:
 *  given and returned whole on every rank, with the same bytes. */
void cv_dist_solve_all(cv_dist *d, double *b, int k);
/** Diagonal of the inverse, from the factor, which is overwritten; diag (n) on
 *  every rank, with the same bytes. */
int cv_dist_inverse_diagonal_all(cv_dist *d, double *diag, cv_err *err);
/** All eigenvalues (n), largest first, and the first k vectors: v (k, n) rows,
 *  largest element positive, on every rank; the matrix is destroyed. */
int cv_dist_eigen_all(cv_dist *d, double *values, double *v, int k,
                      cv_err *err);

#endif
