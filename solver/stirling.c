#include "solver/stirling.h"

#include <math.h>

static const double HALF_LOG_2PI = 0.91893853320467274178;

/* From here on six terms of the series leave less than 2e-18. */
static const double LARGE = 16.0;

double cv_stirling_error(double z)
{
    /* Counts are mostly small whole numbers. */
    static const double whole[] = {0.0,
                                   0.08106146679532725822,
                                   0.041340695955409294094,
                                   0.027677925684998339149,
                                   0.020790672103765093112,
                                   0.016644691189821192163,
                                   0.013876128823070747999,
                                   0.011896709945891770095,
                                   0.010411265261972096497,
                                   0.0092554621827127329177,
                                   0.0083305634333628712565,
                                   0.007573675487951840795,
                                   0.0069428401072095298657,
                                   0.0064089941880042070684,
                                   0.0059513701127588477356,
                                   0.005554733551962801371};
    if (z < 0.0) /* a step up from -1e17 leads nowhere */
        return NAN;
    if (z >= 1.0 && z < LARGE && z == floor(z))
        return whole[(int)z];
    /* error(z) = error(z + 1) + (z + 1/2) log(1 + 1/z) - 1 */
    double up = 0.0;
    for (; z < LARGE; z += 1.0)
        up += (z + 0.5) * log1p(1.0 / z) - 1.0;
    double i = 1.0 / z, s = i * i;
    return up + i * (1.0 / 12 -
                     s * (1.0 / 360 -
                          s * (1.0 / 1260 -
                               s * (1.0 / 1680 -
                                    s * (1.0 / 1188 - s * (691.0 / 360360))))));
}

double cv_deviance_part(double x, double m)
{
    double gap = x - m, both = x + m;
    if (!(fabs(gap) < 0.1 * both))
        return x * log(x / m) + m - x;
    /* log(x/m) = 2 artanh v with v = gap/both: the first term, 2 v x, joins
     * m - x to gap v. */
    double v = gap / both, s = v * v, power = 2.0 * x * v, sum = gap * v;
    for (int j = 3; j < 50; j += 2) {
        power *= s;
        double next = sum + power / j;
        if (next == sum)
            break;
        sum = next;
    }
    return sum;
}

double cv_log_poisson(double x, double m)
{
    if (x == 0.0)
        return -m;
    if (m == 0.0)
        return -INFINITY;
    /* log Gamma(x + 1) = log x + log Gamma(x) */
    return -cv_stirling_error(x) - cv_deviance_part(x, m) - HALF_LOG_2PI -
           0.5 * log(x);
}

double cv_log_binomial(double k, double n, double p)
{
    if (k == 0.0)
        return n == 0.0 ? 0.0 : n * log1p(-p);
    if (k == n)
        return n * log(p);
    double rest = n - k;
    return cv_stirling_error(n) - cv_stirling_error(k) -
           cv_stirling_error(rest) - cv_deviance_part(k, n * p) -
           cv_deviance_part(rest, n * (1.0 - p)) - HALF_LOG_2PI -
           0.5 * log(k * (rest / n));
}
