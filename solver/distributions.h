/** Distribution functions that a table of coefficients needs.
 *
 *  Scope: local. Relative error below 1e-12 where the result is above 1e-300.
 *  Source: normal: erfc; quantile: Wichura (1988), AS 241; t and chi squared by
 *  the incomplete beta and gamma functions (DLMF 8.17, 8.2; DiDonato and
 *  Morris (1992), equation 9; continued fractions by modified Lentz).
 */
#ifndef COVEY_SOLVER_DISTRIBUTIONS_H
#define COVEY_SOLVER_DISTRIBUTIONS_H

/** P(|Z| > |z|). */
double cv_normal_two_sided(double z);
/** Quantile of the standard normal; p in (0, 1). */
double cv_normal_quantile(double p);
/** P(|T| > |t|), df > 0 (may be infinite). */
double cv_t_two_sided(double t, double df);
/** Quantile of Student's t; p in (0, 1). */
double cv_t_quantile(double p, double df);
/** P(X > x), chi squared with df degrees of freedom, at most 1e12 (its time goes
 *  with sqrt(df) where x is near df). */
double cv_chisq_upper(double x, double df);

#endif
