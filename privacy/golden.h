/** One-dimensional minimisation, for the accountant. */
#ifndef COVEY_PRIVACY_GOLDEN_H
#define COVEY_PRIVACY_GOLDEN_H

typedef double (*cv_real_fn)(void *ctx, double x);

/** Golden-section search on a logarithmic axis.
 *
 *  In:      f       quasi-convex on [lo, hi], may be +infinity on the right,
 *                   never NaN;  0 < lo <= hi
 *           within   relative precision of the answer
 *  Returns: the better of two points within that distance of the minimum
 */
double cv_golden(cv_real_fn f, void *ctx, double lo, double hi, double within);

#endif
