/* RDP of the subsampled Gaussian, of discrete noise, and the exact Gaussian,
 * against reference values and closed forms. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "privacy/gaussian.h"
#include "privacy/rdp.h"
#include "tests/privacy/vectors.h"

static int is_near(double a, double b, double relative)
{
    if (fabs(a - b) <= relative * fabs(b))
        return 1;
    fprintf(stderr, "%.15g instead of %.15g (%.2e)\n", a, b, a / b - 1.0);
    return 0;
}

/* ---- reference values --------------------------------------------------- */

static void orders_match_the_reference(void **state)
{
    (void)state;
    vectors v;
    vectors_open(&v, "rdp_orders");
    while (vectors_next(&v)) {
        double q = vectors_get(&v, "q");
        /* 1e-6 is asked for; q is rounded to 10 digits in the last rows. */
        assert_true(is_near(cv_rdp_gaussian(vectors_get(&v, "sigma"), q,
                                            vectors_get(&v, "alpha")),
                            vectors_get(&v, "rdp_exact_mpmath"),
                            q < 0.005 ? 3e-10 : 1e-10));
    }
    assert_int_equal(v.rows, 88);
}

static void epsilon_matches_the_reference(void **state)
{
    (void)state;
    vectors v;
    vectors_open(&v, "epsilon");
    while (vectors_next(&v)) {
        cv_rdp_part p = {.noise = vectors_get(&v, "noise_multiplier"),
                         .sampling = vectors_get(&v, "sampling_probability"),
                         .steps = vectors_get(&v, "steps")};
        double delta = vectors_get(&v, "delta"), order;
        double want = vectors_get(&v, "eps_rdp_exact_series");
        double alpha = vectors_get(&v, "order_exact");
        double e = cv_rdp_epsilon(&p, 1, delta, &order);
        assert_true(e <= want + 1e-6);
        /* All real orders are ours, the reference has a grid of them: where we
         * are lower, its own order gives its value. */
        double r = p.steps * cv_rdp_gaussian(p.noise, p.sampling, alpha);
        assert_true(fabs(cv_rdp_to_epsilon(r, alpha, delta) - want) <
                    1e-6 + 1e-6 * want);
        assert_true(e > want * (1.0 - 5e-4) || fabs(order - alpha) > 1e-3);
        assert_true(is_near(e, want, 0.012));
        r = p.steps * cv_rdp_gaussian(p.noise, p.sampling, order);
        assert_true(is_near(e, cv_rdp_to_epsilon(r, order, delta), 1e-12));
        assert_true(cv_rdp_delta(&p, 1, e) <= delta * (1.0 + 1e-6));
    }
    assert_true(v.rows > 70);
}

static void anchors_match_the_reference(void **state)
{
    (void)state;
    vectors v;
    size_t n;
    vectors_open(&v, "anchors");
    while (vectors_next(&v)) {
        cv_rdp_part p = {.noise = vectors_get(&v, "sigma"),
                         .sampling = vectors_get(&v, "q"),
                         .steps = vectors_get(&v, "T")};
        double delta = vectors_get(&v, "delta");
        double want = vectors_get(&v, "rdp_CKS_dpaccounting0.6");
        double e = cv_rdp_epsilon(&p, 1, delta, NULL);
        assert_true(e <= want + 6e-5); /* four digits given */
        const char *at = vectors_text(&v, "rdp_CKS_dpaccounting0.6", &n);
        double alpha = strtod(strstr(at, "(a=") + 3, NULL);
        double r = p.steps * cv_rdp_gaussian(p.noise, p.sampling, alpha);
        double there = cv_rdp_to_epsilon(r, alpha, delta);
        /* Its series adds absolute values at broken orders: a bit high. */
        assert_true(there <= want + 6e-5 && there >= want * (1.0 - 9e-4));
    }
    assert_int_equal(v.rows, 12);
}

static void analytic_gaussian_matches_the_reference(void **state)
{
    (void)state;
    vectors v;
    vectors_open(&v, "analytic_gaussian");
    while (vectors_next(&v)) {
        double eps = vectors_get(&v, "eps"), delta = vectors_get(&v, "delta");
        double want = vectors_get(&v, "sigma_mpmath40");
        assert_true(is_near(cv_gaussian_noise(eps, delta), want, 1e-11));
        assert_true(is_near(cv_gaussian_epsilon(want, delta), eps, 1e-10));
    }
    assert_int_equal(v.rows, 7);
    vectors_open(&v, "epsilon");
    while (vectors_next(&v)) {
        double want = vectors_get(&v, "eps_exact_q1");
        double noise = vectors_get(&v, "noise_multiplier");
        double steps = vectors_get(&v, "steps");
        if (!isnan(want))
            assert_true(fabs(cv_gaussian_epsilon(noise / sqrt(steps),
                                                 vectors_get(&v, "delta")) -
                             want) < 1e-6);
    }
    vectors_open(&v, "skellam"); /* its column for continuous noise */
    while (vectors_next(&v)) {
        double noise = vectors_get(&v, "central_stddev(unscaled)") /
                       vectors_get(&v, "l2_clip");
        double e =
            cv_gaussian_epsilon(noise / sqrt(vectors_get(&v, "T")), 1e-5);
        assert_true(
            is_near(e, vectors_get(&v, "eps_continuous_gaussian"), 1e-6));
    }
}

static void discrete_gaussian_matches_the_reference(void **state)
{
    (void)state;
    vectors v;
    vectors_open(&v, "discrete_gaussian");
    while (vectors_next(&v)) {
        double sigma = vectors_get(&v, "sigma"),
               steps = vectors_get(&v, "steps");
        double delta = vectors_get(&v, "delta");
        double alpha = vectors_get(&v, "order");
        double want = vectors_get(&v, "eps_rdp_cks");
        cv_rdp_part p = {
            .noise = sigma, .sampling = 1.0, .steps = steps, .discrete = 1};
        double e = cv_rdp_epsilon(&p, 1, delta, NULL);
        assert_true(e <= want + 1e-6 && e >= want * (1.0 - 1e-3));
        double r = steps * cv_rdp_ddg(alpha, 1.0 / sigma, 1.0 / sigma, 0.0, 1);
        assert_true(is_near(cv_rdp_to_epsilon(r, alpha, delta), want, 1e-6));
        /* RDP bounds the mechanism itself: never below its exact epsilon. */
        assert_true(e > vectors_get(&v, "eps_pld_discrete_gaussian"));
    }
    assert_int_equal(v.rows, 10);
}

static void shares_match_the_reference(void **state)
{
    (void)state;
    vectors v;
    vectors_open(&v, "ddg");
    while (vectors_next(&v)) {
        double n = vectors_get(&v, "n"), grid = vectors_get(&v, "gamma");
        double d = vectors_get(&v, "d"), steps = vectors_get(&v, "T");
        double sigma = vectors_get(&v, "sigma_local") / grid;
        double s = cv_ddg_sensitivity(vectors_get(&v, "c") / grid, d,
                                      vectors_get(&v, "beta"));
        double tau = cv_ddg_tau(sigma, n), total = sqrt(n) * sigma;
        double alpha = vectors_get(&v, "order");
        assert_true(
            is_near(s * grid, vectors_get(&v, "Delta2_after_rounding"), 1e-6));
        assert_true(fabs(tau - vectors_get(&v, "tau")) <=
                    1e-6 * vectors_get(&v, "tau") + 1e-100);
        double l1 = fmin(sqrt(d) * s, s * s);
        double r = steps * cv_rdp_ddg(alpha, s / total, l1 / total, tau, d);
        double want = vectors_get(&v, "eps_at_1e-5_google_code_prop14");
        assert_true(is_near(cv_rdp_to_epsilon(r, alpha, 1e-5), want, 1e-5));
        cv_rdp_part p = {.noise = total / s,
                         .sampling = 1.0,
                         .steps = steps,
                         .discrete = 1,
                         .tau = tau,
                         .dimension = d,
                         .l1 = l1 / total};
        assert_true(cv_rdp_epsilon(&p, 1, 1e-5, NULL) <= want * (1 + 1e-6));
    }
    assert_int_equal(v.rows, 20);
}

/* ---- closed forms ------------------------------------------------------- */

/* ln sum_k C(a,k) (1-q)^(a-k) q^k exp(k(k-1)/2s^2), whole a. */
static double binomial(double s, double q, int a)
{
    double top = -INFINITY, sum = 0.0;
    for (int pass = 0; pass < 2; pass++)
        for (int k = 0; k <= a; k++) {
            double t = lgamma(a + 1.0) - lgamma(k + 1.0) - lgamma(a - k + 1.0) +
                       (a - k) * log1p(-q) + k * log(q) +
                       k * (k - 1.0) / (2.0 * s * s);
            if (pass == 0)
                top = fmax(top, t);
            else
                sum += exp(t - top);
        }
    return top + log(sum);
}

static void whole_orders_are_binomial_sums(void **state)
{
    (void)state;
    static const double noise[] = {0.006, 0.02, 0.05, 0.1,  0.2,
                                   0.5,   1.0,  3.0,  20.0, 300.0};
    static const double q[] = {0.999, 0.7, 0.3, 0.02, 1e-3, 1e-5};
    for (size_t i = 0; i < 10; i++)
        for (size_t j = 0; j < 6; j++)
            for (int a = 2; a <= 400; a = a < 8 ? a + 1 : a * 2) {
                double want = binomial(noise[i], q[j], a);
                double got = cv_log_moment(noise[i], q[j], a);
                /* The sum itself is only good to 1e-13 or so around 1. */
                assert_true(fabs(got - want) <= 1e-9 * want + 2e-12);
            }
}

/* Order 2 is ln(1 + q^2 (exp(1/s^2) - 1)) however small: taking the logarithm
 * of a rounded moment would lose it. */
static void tiny_losses_keep_their_digits(void **state)
{
    (void)state;
    static const double noise[] = {0.3, 1.0, 5.0, 100.0, 1e4};
    for (size_t i = 0; i < 5; i++)
        for (double q = 0.5; q > 1e-30; q *= 0.01) {
            double g = expm1(1.0 / noise[i] / noise[i]);
            assert_true(is_near(cv_log_moment(noise[i], q, 2.0),
                                log1p(q * q * g), 1e-9));
            /* Order 3: 3 q^2 (1-q) e^1 + q^3 e^3 less their share of 1. */
            double h = expm1(3.0 / noise[i] / noise[i]);
            if (isfinite(h))
                assert_true(is_near(
                    cv_log_moment(noise[i], q, 3.0),
                    log1p(3.0 * q * q * (1.0 - q) * g + q * q * q * h), 1e-9));
        }
}

/* Simpson's rule on the definition, in long double, for any real exponent. */
static double direct(double s, double q, double power)
{
    enum { N = 400000 };
    long double lo = fmin(power, 0.0) - 14.0 * s, sum = 0.0L;
    long double hi = fmax(power, 2.0) + 14.0 * s, h = (hi - lo) / N;
    for (int i = 0; i <= N; i++) {
        long double x = lo + h * i, z = x / s;
        long double l = logl(1.0L - q + q * expl((x - 0.5L) / s / s));
        long double w = i == 0 || i == N ? 1.0L : i % 2 ? 4.0L : 2.0L;
        sum += w * (expl(power * l - 0.5L * z * z) -
                    (1.0L + power * (q * expm1l((x - 0.5L) / s / s))) *
                        expl(-0.5L * z * z));
    }
    return (double)log1pl(sum * h / 3.0L / (s * sqrtl(2.0L * M_PIl)));
}

static void any_real_exponent_is_right(void **state)
{
    (void)state;
    static const double c[][3] = {
        {1.0, 0.01, -0.5},  {1.0, 0.01, -7.3},   {0.7, 0.3, -2.2},
        {4.0, 0.1, -60.0},  {2.0, 1e-4, -300.0}, {0.5, 0.9, -1.5},
        {1.0, 0.01, 1.001}, {1.0, 0.01, 1e-3},   {3.0, 0.2, 0.5},
        {1.5, 0.05, 2.7},   {0.4, 0.02, 1.3},    {10.0, 0.5, 33.3},
        {0.1, 0.01, 1.1},   {0.1, 1e-4, 1.3},    {0.05, 0.3, 1.05},
        {0.02, 0.01, 1.02}, {0.15, 0.05, -0.7},  {0.25, 1e-6, 1.6}};
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++)
        assert_true(is_near(cv_log_moment(c[i][0], c[i][1], c[i][2]),
                            direct(c[i][0], c[i][1], c[i][2]), 1e-9));
    assert_true(
        is_near(cv_log_moment(2.0, 1.0, -3.5), 0.5 * 3.5 * 4.5 / 4.0, 1e-15));
}

static void privacy_loss_is_accurate(void **state)
{
    (void)state;
    for (double q = 1.0; q > 1e-12; q *= 0.1)
        for (double x = -40.0; x <= 40.0; x += 0.37) {
            long double want =
                q == 1.0 ? (long double)x - 0.5L
                         : logl(1.0L - q + q * expl((long double)x - 0.5L));
            assert_true(fabs(cv_privacy_loss(1.0, q, x) - (double)want) <=
                        4e-16 * (1.0 + fabs((double)want)) *
                            (q < 1.0 && q > 0.9 ? 1e3 : 1.0));
        }
    /* Small losses keep their relative accuracy; large ones do not overflow. */
    assert_true(is_near(cv_privacy_loss(1.0, 1e-12, 1.5),
                        log1p(1e-12 * expm1(1.0)), 1e-14));
    assert_true(
        is_near(cv_privacy_loss(0.01, 0.5, 1.0), 5000.0 - log(2.0), 1e-15));
}

/* ---- behaviour ---------------------------------------------------------- */

static void discrete_noise_uses_whole_orders(void **state)
{
    (void)state;
    cv_rdp_part c = {.noise = 1.0, .sampling = 0.01, .steps = 100.0};
    cv_rdp_part d = c;
    d.discrete = 1;
    for (double lambda = 0.25; lambda < 12.0; lambda += 0.25) {
        double k = cv_rdp_cumulant(&c, 1, lambda);
        double chord = cv_rdp_cumulant(&d, 1, lambda);
        if (lambda == floor(lambda))
            assert_true(is_near(chord, k, 1e-12));
        else
            assert_true(chord > k);
    }
    double a = cv_rdp_epsilon(&c, 1, 1e-5, NULL);
    double b = cv_rdp_epsilon(&d, 1, 1e-5, NULL);
    assert_true(b >= a && b < 1.01 * a);
}

static void parts_add_up(void **state)
{
    (void)state;
    cv_rdp_part one = {.noise = 1.0, .sampling = 0.02, .steps = 700.0};
    cv_rdp_part two[] = {one, one, {.noise = 9.0, .sampling = 0.0}};
    two[0].steps = 300.0;
    two[1].steps = 400.0;
    two[2].steps = 5.0;
    assert_true(is_near(cv_rdp_epsilon(two, 3, 1e-6, NULL),
                        cv_rdp_epsilon(&one, 1, 1e-6, NULL), 1e-12));
}

static void the_ends_of_the_ranges_are_sound(void **state)
{
    (void)state;
    cv_rdp_part none = {.noise = 1.0, .sampling = 0.1, .steps = 0.0};
    cv_rdp_part never = {.noise = 1.0, .sampling = 0.0, .steps = 10.0};
    cv_rdp_part quiet = {.noise = INFINITY, .sampling = 1.0, .steps = 10.0};
    cv_rdp_part some = {.noise = 1.0, .sampling = 0.1, .steps = 10.0};
    assert_true(cv_rdp_epsilon(NULL, 0, 1e-5, NULL) == 0.0);
    assert_true(cv_rdp_epsilon(&none, 1, 0.0, NULL) == 0.0);
    assert_true(cv_rdp_epsilon(&never, 1, 0.0, NULL) == 0.0);
    assert_true(cv_rdp_epsilon(&quiet, 1, 1e-300, NULL) == 0.0);
    assert_true(isinf(cv_rdp_epsilon(&some, 1, 0.0, NULL)));
    assert_true(cv_rdp_epsilon(&some, 1, 1.0, NULL) == 0.0);
    assert_true(cv_rdp_delta(&some, 1, 0.0) < 1.0);
    assert_true(cv_rdp_delta(&some, 1, INFINITY) == 0.0);
    assert_true(isinf(cv_ddg_tau(0.4, 2.0)));
    assert_true(cv_ddg_tau(6.0, 8.0) < 1e-150);
    assert_true(cv_ddg_tau(1.0, 1.0) == 0.0);
    assert_true(isinf(cv_gaussian_epsilon(1.0, 0.0)));
    assert_true(cv_gaussian_epsilon(INFINITY, 1e-9) == 0.0);
    assert_true(isinf(cv_gaussian_noise(1.0, 0.0)));
}

static void nothing_is_nan_and_all_is_monotone(void **state)
{
    (void)state;
    for (double q = 1e-12; q <= 1.0; q *= 1e3)
        for (double steps = 1.0; steps < 1e16; steps *= 1e5)
            for (double delta = 1e-300; delta < 1.0; delta *= 1e74) {
                double before = INFINITY;
                for (double noise = 1e-200; noise < 1e200;
                     noise *= noise < 1e-3 || noise > 1e4 ? 1e20 : 3.0) {
                    cv_rdp_part p = {
                        .noise = noise, .sampling = q, .steps = steps};
                    double e = cv_rdp_epsilon(&p, 1, delta, NULL);
                    assert_true(e >= 0.0);
                    assert_true(e <= before * (1.0 + 1e-6));
                    before = e;
                }
            }
}

/* delta of the Gaussian in long double where that is enough, to 1e-300 in
 * log space by Laplace's continued fraction for both tails. */
static void gaussian_holds_in_the_far_tail(void **state)
{
    (void)state;
    static const double noise[] = {1e-3, 0.05, 0.3, 1.0, 7.0, 400.0, 1e6};
    for (size_t i = 0; i < 7; i++)
        for (double delta = 0.3; delta > 1e-290; delta *= 1e-9) {
            double e = cv_gaussian_epsilon(noise[i], delta), mu = 1 / noise[i];
            assert_true(e >= 0.0 && isfinite(e));
            double back = exp(cv_gaussian_log_delta(noise[i], e));
            assert_true(back <= delta * (1.0 + 1e-12));
            if (e > 0.0)
                assert_true(back >= delta * (1.0 - 1e-8));
            long double a = e / mu - mu / 2.0L, b = a + mu;
            long double want =
                0.5L * erfcl(a * M_SQRT1_2) -
                expl((long double)e) * 0.5L * erfcl(b * M_SQRT1_2);
            if (mu > 0.01 && mu < 100.0)
                assert_true(is_near(back, (double)want, 1e-7));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_match_the_reference),
        cmocka_unit_test(epsilon_matches_the_reference),
        cmocka_unit_test(anchors_match_the_reference),
        cmocka_unit_test(analytic_gaussian_matches_the_reference),
        cmocka_unit_test(discrete_gaussian_matches_the_reference),
        cmocka_unit_test(shares_match_the_reference),
        cmocka_unit_test(whole_orders_are_binomial_sums),
        cmocka_unit_test(tiny_losses_keep_their_digits),
        cmocka_unit_test(any_real_exponent_is_right),
        cmocka_unit_test(privacy_loss_is_accurate),
        cmocka_unit_test(discrete_noise_uses_whole_orders),
        cmocka_unit_test(parts_add_up),
        cmocka_unit_test(the_ends_of_the_ranges_are_sound),
        cmocka_unit_test(nothing_is_nan_and_all_is_monotone),
        cmocka_unit_test(gaussian_holds_in_the_far_tail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
