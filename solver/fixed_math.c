#include "solver/fixed_math.h"

#include "core/err.h"

double cv_fixed_exp(double x)
{
    enum { HALVINGS = 10, TERMS = 18 };
    CV_CHECK(x <= 0.0);
    if (x < -740.0) /* below the smallest number */
        return 0.0;
    double y = x / (1 << HALVINGS), e = 1.0;
    for (int i = TERMS; i > 0; i--)
        e = 1.0 + e * y / i;
    for (int i = 0; i < HALVINGS; i++)
        e *= e;
    return e;
}

/* Taylor series for 0 <= a <= pi / 4: the first term left out is 1e-20. */
static void small_turn(double *c, double *s, double a)
{
    double p = 1.0, q = 1.0;
    for (int i = 18; i > 0; i -= 2) {
        p = 1.0 - p * a * a / (i * (i - 1));
        q = 1.0 - q * a * a / (i * (i + 1));
    }
    *c = p;
    *s = q * a;
}

void cv_fixed_turn(double *c, double *s, int64_t k, int64_t n)
{
    const double tau = 6.283185307179586476925;
    CV_CHECK(n >= 1 && n <= INT64_MAX / 16);
    k = (k % n + n) % n;
    /* k / n = quarter / 4 + rest / (4 n), rest < n: the quarter turn is done by
     * exchanging, the upper half of the rest by mirroring. */
    int64_t quarter = 4 * k / n, rest = 4 * k % n;
    double a, b, swap;
    int mirror = 2 * rest > n;
    small_turn(&a, &b,
               tau * (double)(mirror ? n - rest : rest) / (4.0 * (double)n));
    if (mirror) {
        swap = a;
        a = b;
        b = swap;
    }
    const double cosine[4] = {a, -b, -a, b}, sine[4] = {b, a, -b, -a};
    *c = cosine[quarter];
    *s = sine[quarter];
}
