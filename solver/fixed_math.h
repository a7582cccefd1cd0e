/** exp, cos and sin for tables, in double.
 *
 *  libm picks its code by CPU and may differ in the last bit; tables made with
 *  these are the same bytes everywhere. Slow. Error about 1e-13.
 */
#ifndef COVEY_SOLVER_FIXED_MATH_H
#define COVEY_SOLVER_FIXED_MATH_H

#include <stdint.h>

/** exp(x) for x <= 0. */
double cv_fixed_exp(double x);

/** cos(2 pi k / n), sin(2 pi k / n), exact at the axes; n >= 1, any k. */
void cv_fixed_turn(double *c, double *s, int64_t k, int64_t n);

#endif
