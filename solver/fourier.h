/** Random Fourier features: a map whose inner products come near the Gaussian
 *  kernel exp(-gamma |x - x'|^2).
 *
 *      z_k(x) = sqrt(2 / n_out) cos(w_k' x + b_k),
 *      w_k ~ N(0, 2 gamma I),  b_k ~ uniform [0, 2 pi)
 *
 *  Frequencies come from the job's seed: all silos have the same map, and it may be
 *  public.
 *
 *  Scope: local.
 *  Source: Rahimi and Recht (2007), algorithm 1.
 */
#ifndef COVEY_SOLVER_FOURIER_H
#define COVEY_SOLVER_FOURIER_H

#include <stdint.h>

typedef struct cv_fourier cv_fourier;

cv_fourier *cv_fourier_create(int n_in, int n_out, double gamma, uint64_t seed);
void cv_fourier_destroy(cv_fourier **f);
/** x (n, n_in) row-major, z (n, n_out). */
void cv_fourier_map(const cv_fourier *f, const double *x, int64_t n, double *z);

#endif
