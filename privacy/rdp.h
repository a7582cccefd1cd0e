/** Renyi differential privacy of the Gaussian mechanism: Poisson-subsampled,
 *  discrete, and as a sum of discrete shares.
 *
 *  Adjacency: one record is replaced by null (add/remove).  noise = sigma over
 *  the L2 sensitivity.  With x the noisy sum along the record's direction, in
 *  units of the sensitivity, the privacy loss of one step is
 *
 *      L(x) = ln(1 - q + q exp((2x - 1) / (2 noise^2)))
 *
 *  under x ~ N(0, noise^2) without the record, and the mixture
 *  (1-q) N(0, noise^2) + q N(1, noise^2) with it.
 *
 *  All functions are local, allocate nothing and return no NaN for arguments
 *  in their range; +infinity means "no bound".
 */
#ifndef COVEY_PRIVACY_RDP_H
#define COVEY_PRIVACY_RDP_H

#include <stddef.h>

/** L(x) of one step. noise > 0, q in (0, 1]. */
double cv_privacy_loss(double noise, double q, double x);

/** ln E_{x ~ N(0, noise^2)} exp(s L(x)).
 *
 *  RDP of order a is cv_log_moment(a) / (a - 1); the cumulant of the loss is
 *  cv_log_moment(l + 1) when the record is removed and cv_log_moment(-l) when
 *  it is added.
 *
 *  In:       noise > 0 (may be infinite), q in [0, 1], any real s
 *  Returns:  relative error below 1e-9 for noise >= 0.006; below that an upper
 *            bound (for s outside (0, 1))
 *  Source:   Mironov, Talwar, Zhang 2019, section 3.3, by the trapezoid rule
 */
double cv_log_moment(double noise, double q, double s);

/** The same over x in [-reach noise, 1 + reach noise] only, reach >= 8: for
 *  planning, not a bound. */
double cv_log_moment_within(double noise, double q, double s, double reach);

/** RDP of order alpha > 1 of one step. */
double cv_rdp_gaussian(double noise, double q, double alpha);

/** Several steps of one mechanism. */
typedef struct {
    double noise;    /* sigma / sensitivity, > 0 */
    double sampling; /* q in [0, 1] */
    double steps;    /* whole number >= 0 */
    /* Noise on the integers: only bounds that hold for it are used. */
    int discrete;
    /* Unsampled sum of discrete shares (Kairouz, Liu, Steinke 2021); 0 for one
     * draw. l1 = sensitivity in L1 over sigma. */
    double tau, dimension, l1;
} cv_rdp_part;

/** (alpha - 1) times the RDP of order alpha = lambda + 1 of all parts. */
double cv_rdp_cumulant(const cv_rdp_part *parts, size_t n, double lambda);

/** Smallest epsilon at delta over all real orders.
 *
 *  Out:      order  the best one (may be NULL)
 *  Returns:  epsilon >= 0, or +infinity (delta <= 0 and not private for free)
 *  Source:   Canonne, Kamath, Steinke 2020, proposition 12; 0 where the total
 *            variation, at most sqrt(1 - exp(-RDP)) and at most the chance to
 *            be sampled at all, is below delta
 */
double cv_rdp_epsilon(const cv_rdp_part *parts, size_t n, double delta,
                      double *order);

/** Smallest delta at epsilon >= 0, at most 1. */
double cv_rdp_delta(const cv_rdp_part *parts, size_t n, double epsilon);

/** One order: epsilon at delta in (0, 1), from RDP r of order alpha > 1. */
double cv_rdp_to_epsilon(double r, double alpha, double delta);

/** The same search for any cumulant K of a privacy loss:
 *  min over lambda in (0, limit] of
 *  (K(lambda) + lambda ln lambda - (lambda+1) ln(lambda+1) - ln delta)/lambda.
 *
 *  Out:  lambda  where it is (may be NULL)
 */
typedef double (*cv_cumulant)(void *ctx, double lambda);
double cv_chernoff_epsilon(cv_cumulant k, void *ctx, double limit,
                           double log_delta, double *lambda);
/** ln of the smallest delta at epsilon from the same bound (may be > 0). */
double cv_chernoff_log_delta(cv_cumulant k, void *ctx, double limit,
                             double epsilon, double *lambda);
/** A lambda beyond which cv_log_moment would take too long. */
double cv_lambda_limit(double noise);

/* Sums of discrete Gaussian shares, all in grid units. */

/** Bound on |ln ratio| per coordinate between the sum of n discrete Gaussians
 *  of standard deviation sigma >= 1/2 each and one of sqrt(n) sigma; infinite
 *  for smaller sigma.  Source: Kairouz, Liu, Steinke 2021, theorem 5. */
double cv_ddg_tau(double sigma, double n);

/** L2 norm after randomised rounding of a vector of norm clip to the grid,
 *  conditioned on the draws whose norm is likely (probability >= beta).
 *  Source: Kairouz, Liu, Steinke 2021, theorem 1. */
double cv_ddg_sensitivity(double clip, double dimension, double beta);

/** RDP of order alpha of the unsampled sum: s2, s1 = sensitivity in L2 and L1
 *  over the sigma of the sum. Source: proposition 14, least of three. */
double cv_rdp_ddg(double alpha, double s2, double s1, double tau,
                  double dimension);

#endif
