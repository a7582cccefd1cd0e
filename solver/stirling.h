/** Pieces of log densities that keep their relative accuracy when the counts are
 *  large and log-gammas would cancel.
 *
 *  Scope: local; no state. Absolute error of the order of 1e-15.
 *  Source: Loader (2000), Fast and accurate computation of binomial
 *  probabilities; DLMF 5.11.1.
 */
#ifndef COVEY_SOLVER_STIRLING_H
#define COVEY_SOLVER_STIRLING_H

/** log Gamma(z) - ((z - 1/2) log z - z + log(2 pi) / 2), z > 0;
 *  NaN below 0. */
double cv_stirling_error(double z);

/** x log(x / m) + m - x for x > 0, m > 0, without cancellation at x = m. */
double cv_deviance_part(double x, double m);

/** log of the Poisson mass e^-m m^x / Gamma(x + 1), x >= 0, m >= 0. */
double cv_log_poisson(double x, double m);

/** log of the binomial mass of k of n at probability p, 0 <= k <= n. */
double cv_log_binomial(double k, double n, double p);

#endif
