/** The calls of ScaLAPACK and BLACS that solver/block_cyclic.c needs; nobody
 *  else includes this.
 *
 *  solver/scalapack.c is the one place that knows their symbols: neither library
 *  has headers.
 *
 *  Scope:   all are collective on the grid, with the same arguments everywhere
 *           except local parts.
 *  Returns: the library's info where it can be positive; a negative one (an
 *           argument that it does not take) is a bug, and aborts.
 *  Source:  Blackford et al., ScaLAPACK Users' Guide (1997), chapters 4 to 6.
 */
#ifndef COVEY_SOLVER_SCALAPACK_H
#define COVEY_SOLVER_SCALAPACK_H

#include <mpi.h>
#include <stddef.h>

typedef struct {
    int handle, context;      /* BLACS's, for the ranks and for their grid */
    int rows, cols, row, col; /* its size, and this rank's place on it */
} cv_scalapack_grid;

/** rows * cols must be the ranks of comm, which must outlive the grid; rank i
 *  stands at (i / cols, i mod cols). */
cv_scalapack_grid cv_scalapack_grid_all(MPI_Comm comm, int rows, int cols);
void cv_scalapack_grid_free_all(cv_scalapack_grid *g);

/** A matrix of rows x cols in blocks of mb x nb, the first on place (0, 0).
 *  local: column-major, one column after another without gaps; borrowed. */
typedef struct {
    const cv_scalapack_grid *grid;
    int rows, cols, mb, nb;
    int local_rows, local_cols;
    double *local;
} cv_scalapack_matrix;

/** Everything but local. */
cv_scalapack_matrix cv_scalapack_shape(const cv_scalapack_grid *g, int rows,
                                       int cols, int mb, int nb);

/** Upper Cholesky factor in place. > 0: that pivot (1-based) is not above 0.
 *  It does not look for numbers that are not finite. */
int cv_scalapack_potrf_all(cv_scalapack_matrix *a);
/** b = A^-1 b, from the factor. */
void cv_scalapack_potrs_all(const cv_scalapack_matrix *a,
                            cv_scalapack_matrix *b);
/** Upper triangle of the inverse over the factor. > 0: that diagonal element of
 *  the factor is 0. */
int cv_scalapack_potri_all(cv_scalapack_matrix *a);

/** Doubles that cv_scalapack_syevd_all works with on the rank that needs most,
 *  beyond a and z; the library counts them in int. */
double cv_scalapack_syevd_work(const cv_scalapack_matrix *a);
/** Eigenvalues w (n), smallest first, and vectors in the columns of z; a, whose
 *  upper triangle is used, is destroyed. w is right on place (0, 0); with one
 *  block it is not on the others. > 0: did not converge; the library may also
 *  keep that to itself. Its numbers must be finite: else it may never return. */
int cv_scalapack_syevd_all(cv_scalapack_matrix *a, double *w,
                           cv_scalapack_matrix *z);

#endif
