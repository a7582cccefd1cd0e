/** The Gaussian mechanism, exactly: one release of sensitivity 1 under noise of
 *  standard deviation `noise`.  k releases under s_1..s_k are one release under
 *  1/sqrt(sum 1/s_i^2).
 *
 *  Scope:   local; noise > 0, epsilon >= 0, 0 <= delta
 *  Source:  Balle and Wang 2018, theorem 8:
 *           delta = Phi(1/(2 noise) - epsilon noise)
 *                   - exp(epsilon) Phi(-1/(2 noise) - epsilon noise)
 */
#ifndef COVEY_PRIVACY_GAUSSIAN_H
#define COVEY_PRIVACY_GAUSSIAN_H

/** ln delta at epsilon; relative error of delta below 1e-9 or above exact. */
double cv_gaussian_log_delta(double noise, double epsilon);

/** Smallest epsilon at delta: within 1e-12 relative and never below. +infinity
 *  at delta = 0. */
double cv_gaussian_epsilon(double noise, double delta);

/** Smallest noise for epsilon > 0 and delta: as above. +infinity at 0. */
double cv_gaussian_noise(double epsilon, double delta);

#endif
