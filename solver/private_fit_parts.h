/** Shared by solver/private_fit*.c, private_linear.c and private_newton.c.
 *
 *  Scope: local.
 */
#ifndef COVEY_SOLVER_PRIVATE_FIT_PARTS_H
#define COVEY_SOLVER_PRIVATE_FIT_PARTS_H

#include "solver/private_fit.h"

/** Factor of the information's words against the score's. */
double cv_private_kappa(int q);

/** Eigenvalues that noise cannot have made, by a floor: a symmetric matrix with
 *  noise of deviation sigma on the diagonal and sigma / sqrt(2) beside it. */
typedef struct {
    int q, raised;
    double floor;
    double *found;   /* (q) eigenvalues, largest first */
    double *value;   /* (q) max(found, floor) */
    double *v;       /* (q, q) vectors in rows */
    double *rotated; /* (q) scratch */
} cv_private_eigen;

/** Of a + penalty; a (q, q) upper triangle. NULL if not finite or no
 *  convergence. */
cv_private_eigen *cv_private_eigen_make(const double *a, int q, double sigma,
                                        const double *penalty);
void cv_private_eigen_destroy(cv_private_eigen **e);
/** out = sum_i v_i v_i' x / value_i. */
void cv_private_eigen_solve(const cv_private_eigen *e, const double *x,
                            double *out);
/** out (q, q) = sum_i w_i v_i v_i', exactly symmetric. */
void cv_private_eigen_form(const cv_private_eigen *e, const double *w,
                           double *out);
/** 1 - found / floor of a raised direction, within [0, 1]; else 0. */
double cv_private_eigen_short(const cv_private_eigen *e, int i);

/** a (p, p), upper triangle, from svec(a) / factor. */
void cv_private_unpack(const double *svec, int p, double factor, double *a);
/** Are all n finite? */
int cv_private_finite(const double *v, size_t n);

#endif
