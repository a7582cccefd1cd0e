/** Symmetric positive (semi)definite systems of a size that one rank holds.
 *
 *  A matrix is scaled to a unit diagonal first, so that units of columns do not
 *  matter.  Columns that are linear combinations of those before them, up to
 *  `tolerance`, are found as R's lm and coxph do: in order, the later one is
 *  dropped, and its coefficient is NA.
 *
 *  Scope: local.
 *  Source: Golub and Van Loan (2013), sections 4.2 and 4.2.8; Higham (2002),
 *  section 10.3.
 */
#ifndef COVEY_SOLVER_SPD_H
#define COVEY_SOLVER_SPD_H

#include <stdint.h>

typedef struct cv_spd cv_spd;

/** Squared norm that is left of a column of norm 1 after projection on those
 *  before it, below which it counts as one of their combinations. R's 1e-7 for
 *  norms cannot be told from rounding in cross-products. */
#define CV_SPD_TOLERANCE 1e-11

/** Factor a (p, p): upper triangle (row <= column), row-major.
 *  In/Out: dropped (p): 1 where the column is left out; those set on entry stay
 *          out; more are found if find != 0
 *  Returns: the factor; NULL if an entry is not finite, or (without find) a
 *           pivot is not above tolerance: then *column says which
 */
cv_spd *cv_spd_factor(const double *a, int p, double tolerance, int find,
                      uint8_t *dropped, int *column);
void cv_spd_destroy(cv_spd **s);
/** x (p) = A^-1 b, 0 for dropped columns. x may be b. */
void cv_spd_solve(const cv_spd *s, const double *b, double *x);
/** inv (p, p), both triangles; rows and columns of dropped ones are 0. */
void cv_spd_inverse(const cv_spd *s, double *inv);
int cv_spd_rank(const cv_spd *s);
/** Reciprocal condition number (1-norm estimate) of the scaled matrix. */
double cv_spd_rcond(const cv_spd *s);

/** Eigenvalues, largest first (p), and vectors in the rows of v (p, p) with the
 *  largest element in magnitude positive, of a (upper triangle, row-major).
 *  Returns 0, or -1 if it did not converge. */
int cv_sym_eigen(const double *a, int p, double *values, double *v);

#endif
