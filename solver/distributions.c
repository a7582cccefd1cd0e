#include "solver/distributions.h"

#include <float.h>
#include <math.h>

#include "solver/stirling.h"

static const double HALF_LOG_2PI = 0.91893853320467274178;
/* Only the incomplete gamma function needs many, some multiple of sqrt(df): this
 * is for a df of 1e12. */
enum { MOST_TERMS = 20000000 };

double cv_normal_two_sided(double z)
{
    return erfc(fabs(z) * M_SQRT1_2);
}

/* ---- quantile of the normal, AS 241 (PPND16) ---- */

static double ratio(const double *a, const double *b, double r)
{
    double p = a[7], q = b[7];
    for (int i = 6; i >= 0; i--) {
        p = p * r + a[i];
        q = q * r + b[i];
    }
    return p / q;
}

double cv_normal_quantile(double p)
{
    static const double a[] = {
        3.3871328727963666080e0,  1.3314166789178437745e+2,
        1.9715909503065514427e+3, 1.3731693765509461125e+4,
        4.5921953931549871457e+4, 6.7265770927008700853e+4,
        3.3430575583588128105e+4, 2.5090809287301226727e+3};
    static const double b[] = {1.0,
                               4.2313330701600911252e+1,
                               6.8718700749205790830e+2,
                               5.3941960214247511077e+3,
                               2.1213794301586595867e+4,
                               3.9307895800092710610e+4,
                               2.8729085735721942674e+4,
                               5.2264952788528545610e+3};
    static const double c[] = {
        1.42343711074968357734e0,  4.63033784615654529590e0,
        5.76949722146069140550e0,  3.64784832476320460504e0,
        1.27045825245236838258e0,  2.41780725177450611770e-1,
        2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double d[] = {1.0,
                               2.05319162663775882187e0,
                               1.67638483018380384940e0,
                               6.89767334985100004550e-1,
                               1.48103976427480074590e-1,
                               1.51986665636164571966e-2,
                               5.47593808499534494600e-4,
                               1.05075007164441684324e-9};
    static const double e[] = {
        6.65790464350110377720e0,  5.46378491116411436990e0,
        1.78482653991729133580e0,  2.96560571828504891230e-1,
        2.65321895265761230930e-2, 1.24266094738807843860e-3,
        2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static const double f[] = {1.0,
                               5.99832206555887937690e-1,
                               1.36929880922735805310e-1,
                               1.48753612908506148525e-2,
                               7.86869131145613259100e-4,
                               1.84631831751005468180e-5,
                               1.42151175831644588870e-7,
                               2.04426310338993978564e-15};
    if (!(p >= 0.0 && p <= 1.0))
        return NAN;
    if (p == 0.0 || p == 1.0)
        return p == 0.0 ? -INFINITY : INFINITY;
    double q = p - 0.5;
    if (fabs(q) <= 0.425)
        return q * ratio(a, b, 0.180625 - q * q);
    double r = sqrt(-log(q < 0.0 ? p : 1.0 - p));
    double z = r <= 5.0 ? ratio(c, d, r - 1.6) : ratio(e, f, r - 5.0);
    return q < 0.0 ? -z : z;
}

/* ---- Student's t ---- */

/* What the functions of t need: a = df/2, and of s = t/sqrt(df)
 * x = 1/(1 + s^2), y = 1 - x, each without cancellation. */
typedef struct {
    double a, x, y, log_x, log_t;
} t_point;

static t_point t_point_of(double t, double df)
{
    double s = t / sqrt(df), square = s * s;
    t_point q = {.a = df / 2.0, .log_t = log(t)};
    q.x = 1.0 / (1.0 + square);
    q.log_x = -log1p(square);
    q.y = square > 1.0 ? 1.0 / (1.0 + 1.0 / square) : square * q.x;
    if (s > 1e100) /* s^2 may overflow */
        q.log_x = -2.0 * log(s);
    return q;
}

/* log(Gamma(a + 1/2) / Gamma(a) / sqrt(a)), which goes to 0. */
static double log_gamma_step(double a)
{
    return a * log1p(0.5 / a) - 0.5 + cv_stirling_error(a + 0.5) -
           cv_stirling_error(a);
}

/* log of t times the density. */
static double log_t_density(const t_point *q)
{
    /* sqrt(a) / sqrt(pi df) = 1 / sqrt(2 pi) */
    return q->log_t + log_gamma_step(q->a) - HALF_LOG_2PI +
           (q->a + 0.5) * q->log_x;
}

/* P(|T| < t) = I_y(1/2, a), by its power series, whose terms are positive. The
 * factor before it, 2 y^(1/2) x^a / B(1/2, a), is twice t times the density. */
static double t_inner(const t_point *q)
{
    double sum = 1.0, term = 1.0;
    for (int n = 0; n < MOST_TERMS; n++) {
        term *= (q->a + 0.5 + n) / (1.5 + n) * q->y;
        sum += term;
        if (term < sum * (DBL_EPSILON / 8.0) * (1.0 - q->y))
            break;
    }
    return 2.0 * exp(log_t_density(q)) * sum;
}

/* P(|T| > t) = I_x(a, 1/2) by the continued fraction of DiDonato and Morris
 * (1992), equation 9, the even part of DLMF 8.17.22: for large a it goes over
 * into that of the incomplete gamma function, so the number of terms does not
 * grow with df. */
static double t_outer(const t_point *q)
{
    const double tiny = 1e-300, a = q->a, b = 0.5, x = q->x, y = q->y;
    double f = a * (a * y - b * x + 1.0) / (a + 1.0), c, d = 0.0;
    f = fabs(f) < tiny ? tiny : f;
    c = f;
    for (int i = 1; i < MOST_TERMS; i++) {
        double n = i, k = a + 2.0 * n - 1.0;
        double up =
            (a + n - 1.0) / k * ((a + b + n - 1.0) / k) * n * (b - n) * x * x;
        double down =
            n + n * (b - n) * x / k +
            (a + n) / (k + 2.0) * (a * y - b * x + 1.0 + n * (1.0 + y));
        d = down + up * d;
        d = 1.0 / (fabs(d) < tiny ? tiny : d);
        c = down + up / c;
        c = fabs(c) < tiny ? tiny : c;
        f *= c * d;
        if (fabs(c * d - 1.0) < DBL_EPSILON)
            break;
    }
    /* x^a y^(1/2) / B(a, 1/2) */
    double log_front =
        a * q->log_x + 0.5 * log(y) + log_gamma_step(a) + 0.5 * log(a / M_PI);
    return exp(log_front) / f;
}

/* Where the series is short and its complement does not cancel. */
static int near_centre(const t_point *q, double t)
{
    return t * t < 3.0 && q->x > 0.1;
}

double cv_t_two_sided(double t, double df)
{
    t = fabs(t);
    if (isnan(t) || !(df > 0.0))
        return NAN;
    if (isinf(df))
        return cv_normal_two_sided(t);
    if (t == 0.0 || isinf(t))
        return t == 0.0 ? 1.0 : 0.0;
    t_point q = t_point_of(t, df);
    return near_centre(&q, t) ? 1.0 - t_inner(&q) : t_outer(&q);
}

/* P(|T| < t). */
static double t_central(double t, double df)
{
    t_point q = t_point_of(t, df);
    return near_centre(&q, t) ? t_inner(&q) : 1.0 - t_outer(&q);
}

/* t > 0 with P(|T| < t) = c, c < 1/2: Newton on t from the left, where the
 * probability is concave. */
static double t_from_centre(double c, double df)
{
    t_point one = t_point_of(1.0, df);
    double top = exp(log_gamma_step(one.a) - HALF_LOG_2PI);
    double t = c / (2.0 * top);
    for (int i = 0; i < 100; i++) {
        t_point q = t_point_of(t, df);
        double step =
            (c - t_central(t, df)) / (2.0 * exp(log_t_density(&q))) * t;
        t += step;
        if (fabs(step) < 1e-15 * t)
            break;
    }
    return t;
}

/* t with P(|T| > t) = c, c <= 1/2: Newton on log P against log t, which is
 * concave, and a straight line in the tail. */
static double t_from_tail(double c, double df)
{
    double u = log(-cv_normal_quantile(c / 2.0)), goal = log(c);
    for (int i = 0; i < 200; i++) {
        double t = exp(u);
        if (isinf(t))
            return t;
        t_point q = t_point_of(t, df);
        double p = cv_t_two_sided(t, df);
        if (p == 0.0) /* overshot to where nothing is left */
            u -= 0.5;
        else {
            double slope = 2.0 * exp(log_t_density(&q) - log(p));
            double step = (log(p) - goal) / slope;
            u += step;
            if (fabs(step) < 1e-15)
                break;
        }
    }
    return exp(u);
}

double cv_t_quantile(double p, double df)
{
    if (!(p >= 0.0 && p <= 1.0) || !(df > 0.0))
        return NAN;
    if (p == 0.0 || p == 1.0 || p == 0.5)
        return p == 0.5 ? 0.0 : p == 0.0 ? -INFINITY : INFINITY;
    if (isinf(df))
        return cv_normal_quantile(p);
    double tail = p < 0.5 ? 2.0 * p : 2.0 * (1.0 - p), centre = 1.0 - tail;
    double t = centre < 0.5 ? t_from_centre(centre, df) : t_from_tail(tail, df);
    return p < 0.5 ? -t : t;
}

/* ---- chi squared: the incomplete gamma function ---- */

/* P(a, x) by its power series, DLMF 8.7.1. */
static double gamma_lower(double a, double x, double mass)
{
    double sum = 1.0, term = 1.0;
    for (int n = 1; n < MOST_TERMS; n++) {
        term *= x / (a + n);
        sum += term;
        if (term < sum * (DBL_EPSILON / 8.0))
            break;
    }
    return mass * sum;
}

/* Q(a, x) by Legendre's continued fraction, DLMF 8.9.2, modified Lentz. */
static double gamma_upper(double a, double x, double mass)
{
    const double tiny = 1e-300;
    double b = x + 1.0 - a, f = fabs(b) < tiny ? tiny : b, c = f, d = 0.0;
    for (int i = 1; i < MOST_TERMS; i++) {
        double n = i, up = n * (a - n), down = b + 2.0 * n;
        d = down + up * d;
        d = 1.0 / (fabs(d) < tiny ? tiny : d);
        c = down + up / c;
        c = fabs(c) < tiny ? tiny : c;
        f *= c * d;
        if (fabs(c * d - 1.0) < DBL_EPSILON)
            break;
    }
    return mass * a / f;
}

double cv_chisq_upper(double x, double df)
{
    if (isnan(x) || !(df > 0.0))
        return NAN;
    if (x <= 0.0 || isinf(x))
        return x <= 0.0 ? 1.0 : 0.0;
    double a = df / 2.0, h = x / 2.0;
    /* x^a e^-x / Gamma(a + 1) */
    double mass = exp(cv_log_poisson(a, h));
    return h < 1.0 || h < a ? 1.0 - gamma_lower(a, h, mass)
                            : gamma_upper(a, h, mass);
}
