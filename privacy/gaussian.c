#include "privacy/gaussian.h"

#include <math.h>

/* Mills' ratio: the upper tail of the normal over its density. */
static double mills(double x)
{
    if (x < 12.0)
        return sqrt(M_PI / 2.0) * exp(0.5 * x * x) * erfc(x * M_SQRT1_2);
    double r = x; /* Laplace's continued fraction, from the inside */
    for (int k = 60; k >= 1; k--)
        r = x + k / r;
    return 1.0 / r;
}

/* With mu = 1/noise, a = epsilon/mu - mu/2 and b = a + mu,
 * exp(epsilon) phi(b) = phi(a), hence delta = phi(a) (mills(a) - mills(b)). */
double cv_gaussian_log_delta(double noise, double epsilon)
{
    double mu = 1.0 / noise, a = epsilon * noise - 0.5 * mu, b = a + mu;
    if (mu == 0.0)
        return -INFINITY;
    if (isinf(mu))
        return isinf(epsilon) ? -INFINITY : 0.0;
    /* exp(epsilon) Phi(-b) = phi(a) mills(b): no overflow in either. */
    double log_phi = -0.5 * a * a - 0.9189385332046727;
    if (a < -5.0) {
        double lost = exp(log_phi + log(mills(b)));
        return log1p(-(0.5 * erfc(-a * M_SQRT1_2) + lost));
    }
    double gap;
    if (mu > 1e-5 * fmax(1.0, a))
        gap = mills(a) - mills(b);
    else /* 1 - exp(-mu t) <= mu t under the integral; off by mu/2 at most */
        gap = mu * (1.0 - a * mills(a));
    if (!(gap > 0.0)) /* a so large that the difference is lost */
        gap = a > 1.0 ? mu / (a * a) : mu;
    return log_phi + log(gap);
}

/* Smallest x in (lo, hi] with value(x) <= target, value decreasing; hi must
 * satisfy it. */
static double bisect(double (*value)(double x, double fixed), double fixed,
                     double target, double lo, double hi)
{
    for (int i = 0; i < 200 && hi - lo > 4e-16 * hi; i++) {
        double mid = 0.5 * (lo + hi);
        if (value(mid, fixed) <= target)
            hi = mid;
        else
            lo = mid;
    }
    return hi;
}

static double by_epsilon(double epsilon, double noise)
{
    return cv_gaussian_log_delta(noise, epsilon);
}

static double by_noise(double noise, double epsilon)
{
    return cv_gaussian_log_delta(noise, epsilon);
}

double cv_gaussian_epsilon(double noise, double delta)
{
    if (isinf(noise) || delta >= 1.0)
        return 0.0;
    if (!(delta > 0.0) || !(noise > 0.0))
        return INFINITY;
    double target = log(delta), mu = 1.0 / noise;
    if (cv_gaussian_log_delta(noise, 0.0) <= target)
        return 0.0;
    /* delta <= Phi(-a) <= exp(-a^2/2) at this epsilon. */
    double hi = 0.5 * mu * mu + mu * sqrt(-2.0 * target);
    return isfinite(hi) ? bisect(by_epsilon, noise, target, 0.0, hi) : INFINITY;
}

double cv_gaussian_noise(double epsilon, double delta)
{
    if (delta >= 1.0)
        return 0.0;
    if (!(delta > 0.0) || !(epsilon >= 0.0))
        return INFINITY;
    double target = log(delta), hi = 1.0;
    while (cv_gaussian_log_delta(hi, epsilon) > target && hi < 1e300)
        hi *= 2.0;
    while (cv_gaussian_log_delta(0.5 * hi, epsilon) <= target && hi > 1e-300)
        hi *= 0.5;
    return bisect(by_noise, epsilon, target, 0.5 * hi, hi);
}
