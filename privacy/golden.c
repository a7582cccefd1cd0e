#include "privacy/golden.h"

#include <math.h>

#include "core/err.h"

double cv_golden(cv_real_fn f, void *ctx, double lo, double hi, double within)
{
    CV_CHECK(lo > 0.0 && lo <= hi);
    const double ratio = 0.6180339887498949;
    double a = log(lo), b = log(hi);
    double x1 = b - ratio * (b - a), x2 = a + ratio * (b - a);
    double f1 = f(ctx, exp(x1)), f2 = f(ctx, exp(x2));
    while (b - a > within) {
        if (f1 <= f2) { /* both infinite: the minimum is on the left */
            b = x2, x2 = x1, f2 = f1;
            x1 = b - ratio * (b - a);
            f1 = f(ctx, exp(x1));
        } else {
            a = x1, x1 = x2, f1 = f2;
            x2 = a + ratio * (b - a);
            f2 = f(ctx, exp(x2));
        }
    }
    return exp(f1 <= f2 ? x1 : x2); /* one that was tried: f may jump */
}
