/* The accountant: composition, budgets, calibration, and what integer noise
 * costs on top, against exact sums over the integers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "privacy/accountant.h"
#include "privacy/gaussian.h"
#include "privacy/rdp.h"
#include "tests/privacy/vectors.h"

/* Continuous noise. */
#define REAL                                                                   \
    {                                                                          \
        0.0, 0, 0, 0.0                                                         \
    }

static const cv_account_method METHODS[] = {CV_ACCOUNT_RDP, CV_ACCOUNT_PLD};

static cv_spent spent(const cv_segment *s, size_t n, cv_account_method method,
                      double delta)
{
    cv_accountant *a;
    cv_spent out;
    cv_accountant_create(&a);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(cv_accountant_add(a, s + i, NULL), 0);
    cv_accountant_epsilon(a, &out, method, delta);
    cv_accountant_destroy(&a);
    assert_null(a);
    return out;
}

static double epsilon_of(cv_segment s, cv_account_method method, double delta)
{
    return spent(&s, 1, method, delta).epsilon;
}

/* ---- reference values --------------------------------------------------- */

static void both_methods_match_the_reference(void **state)
{
    (void)state;
    vectors v;
    vectors_open(&v, "epsilon");
    while (vectors_next(&v)) {
        if (v.rows % 7 != 0) /* all of them: test_rdp, test_pld */
            continue;
        cv_segment s = {.noise_multiplier = vectors_get(&v, "noise_multiplier"),
                        .sampling = vectors_get(&v, "sampling_probability"),
                        .steps = (int64_t)vectors_get(&v, "steps")};
        double delta = vectors_get(&v, "delta");
        cv_spent r = spent(&s, 1, CV_ACCOUNT_RDP, delta);
        cv_spent p = spent(&s, 1, CV_ACCOUNT_PLD, delta);
        assert_true(r.epsilon <=
                    vectors_get(&v, "eps_rdp_exact_series") + 1e-6);
        assert_true(fabs(p.epsilon - vectors_get(&v, "eps_pld_pessimistic")) <=
                    1e-4);
        assert_true(p.epsilon >= vectors_get(&v, "eps_pld_optimistic") - 1e-6);
        assert_true(r.method == CV_ACCOUNT_RDP && p.method == CV_ACCOUNT_PLD);
        assert_true(r.order > 1.0 && r.extra.total == 0.0);
    }
}

/* ---- composition -------------------------------------------------------- */

static void rounds_and_restarts_add_up(void **state)
{
    (void)state;
    cv_segment whole = {1.1, 0.01, 1200, REAL};
    cv_accountant *a;
    cv_accountant_create(&a);
    for (int round = 0; round < 40; round++) {
        cv_segment r = {1.1, 0.01, 30, REAL}, unused = {0.5, 0.3, 0, REAL};
        assert_int_equal(cv_accountant_add(a, &r, NULL), 0);
        assert_int_equal(cv_accountant_add(a, &unused, NULL), 0);
    }
    size_t n;
    const cv_segment *s = cv_accountant_segments(a, &n);
    assert_int_equal(n, 1);
    assert_int_equal(s->steps, 1200);
    for (int m = 0; m < 2; m++) {
        cv_spent out;
        cv_accountant_epsilon(a, &out, METHODS[m], 1e-5);
        assert_true(out.epsilon == epsilon_of(whole, METHODS[m], 1e-5));
        double d = cv_accountant_delta(a, METHODS[m], out.epsilon);
        assert_true(d <= 1.001e-5 && d >= 0.999e-5);
    }
    /* Another noise is another segment, and costs more. */
    cv_segment other = {0.9, 0.01, 30, REAL};
    double before = epsilon_of(whole, CV_ACCOUNT_PLD, 1e-5);
    assert_int_equal(cv_accountant_add(a, &other, NULL), 0);
    (void)cv_accountant_segments(a, &n);
    assert_int_equal(n, 2);
    cv_spent out;
    cv_accountant_epsilon(a, &out, CV_ACCOUNT_PLD, 1e-5);
    assert_true(out.epsilon > before * 1.001);
    cv_accountant_destroy(&a);
}

static void pld_is_never_above_rdp(void **state)
{
    (void)state;
    static const cv_segment s[] = {{0.01, 0.5, 3, REAL},
                                   {1.0, 0.01, (int64_t)1 << 45, REAL},
                                   {0.3, 1e-15, 10000000, REAL},
                                   {1e5, 0.1, 1, REAL},
                                   {2.0, 1.0, 17, REAL}};
    for (size_t i = 0; i < 5; i++) {
        double r = epsilon_of(s[i], CV_ACCOUNT_RDP, 1e-6);
        double p = epsilon_of(s[i], CV_ACCOUNT_PLD, 1e-6);
        assert_true(p >= 0.0 && p <= r && !isnan(r));
    }
}

static void nothing_and_everything(void **state)
{
    (void)state;
    cv_segment bare = {0.0, 0.1, 1, REAL}, never = {0.0, 0.0, 5, REAL};
    cv_segment silent = {INFINITY, 1.0, 5, REAL}, some = {1.0, 0.1, 5, REAL};
    for (int m = 0; m < 2; m++) {
        assert_true(isinf(epsilon_of(bare, METHODS[m], 1e-5)));
        assert_true(epsilon_of(never, METHODS[m], 0.0) == 0.0);
        assert_true(epsilon_of(silent, METHODS[m], 0.0) == 0.0);
        assert_true(spent(NULL, 0, METHODS[m], 0.0).epsilon == 0.0);
        assert_true(isinf(epsilon_of(some, METHODS[m], 0.0)));
        assert_true(isinf(epsilon_of(some, METHODS[m], NAN)));
        assert_true(epsilon_of(some, METHODS[m], 1.0) == 0.0);
        cv_accountant *a;
        cv_accountant_create(&a);
        assert_true(cv_accountant_delta(a, METHODS[m], 0.0) == 0.0);
        assert_int_equal(cv_accountant_add(a, &some, NULL), 0);
        assert_true(cv_accountant_delta(a, METHODS[m], -1.0) == 1.0);
        assert_true(cv_accountant_delta(a, METHODS[m], NAN) == 1.0);
        assert_true(cv_accountant_delta(a, METHODS[m], INFINITY) == 0.0);
        assert_int_equal(cv_accountant_add(a, &bare, NULL), 0);
        assert_true(cv_accountant_delta(a, METHODS[m], 3.0) == 1.0);
        cv_accountant_destroy(&a);
    }
}

static void bad_segments_are_refused(void **state)
{
    (void)state;
    static const struct {
        cv_segment s;
        int code;
        const char *word;
    } table[] = {
        {{-1.0, 0.1, 1, REAL}, CV_ERR_INPUT, "noise multiplier"},
        {{NAN, 0.1, 1, REAL}, CV_ERR_INPUT, "noise multiplier"},
        {{1.0, 1.1, 1, REAL}, CV_ERR_INPUT, "sampling"},
        {{1.0, -0.1, 1, REAL}, CV_ERR_INPUT, "sampling"},
        {{1.0, NAN, 1, REAL}, CV_ERR_INPUT, "sampling"},
        {{1.0, 0.1, -1, REAL}, CV_ERR_INPUT, "steps"},
        {{1.0, 0.1, INT64_MAX, REAL}, CV_ERR_INPUT, "steps"},
        {{1.0, 0.1, 1, {-5.0, 3, 7, 0.0}}, CV_ERR_INPUT, "sensitivity"},
        {{1.0, 0.1, 1, {NAN, 3, 7, 0.0}}, CV_ERR_INPUT, "sensitivity"},
        {{1.0, 0.1, 1, {5.0, 0, 7, 0.0}}, CV_ERR_INPUT, "shares"},
        {{1.0, 0.1, 1, {5.0, 3, 0, 0.0}}, CV_ERR_INPUT, "dimension"},
        {{1.0, 0.1, 1, {5.0, 3, 7, -1.0}}, CV_ERR_INPUT, "sampler"},
        {{0.1, 0.1, 1, {5.0, 3, 7, 0.0}}, CV_ERR_PRIVACY, "0.5"},
    };
    cv_accountant *a;
    cv_accountant_create(&a);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cv_err e = {0};
        size_t n;
        assert_int_equal(cv_accountant_add(a, &table[i].s, &e), table[i].code);
        assert_non_null(strstr(e.text, table[i].word));
        (void)cv_accountant_segments(a, &n);
        assert_int_equal(n, 0);
    }
    cv_accountant_destroy(&a);
    cv_segment s = {1.0, 0.1, 1, REAL};
    double z;
    int64_t steps;
    assert_int_equal(
        cv_accountant_noise(NULL, &z, &s, CV_ACCOUNT_RDP, 0.0, 1e-5, NULL),
        CV_ERR_INPUT);
    assert_int_equal(
        cv_accountant_noise(NULL, &z, &s, CV_ACCOUNT_RDP, 1.0, 0.0, NULL),
        CV_ERR_INPUT);
    assert_int_equal(
        cv_accountant_noise(NULL, &z, &s, CV_ACCOUNT_RDP, NAN, NAN, NULL),
        CV_ERR_INPUT);
    assert_int_equal(
        cv_accountant_steps(NULL, &steps, &s, CV_ACCOUNT_PLD, 1.0, 2.0, NULL),
        CV_ERR_INPUT);
}

/* ---- planning ----------------------------------------------------------- */

static const struct {
    double epsilon, delta, sampling;
    int64_t steps;
} BUDGET[] = {{3.0, 1e-5, 0.01, 10000}, {1.0, 1e-6, 1.0, 1},
              {8.0, 1e-5, 0.1, 500},    {0.3, 1e-7, 0.001, 2000},
              {50.0, 1e-5, 0.5, 300},   {0.05, 1e-3, 0.02, 40}};

static void noise_is_the_smallest_that_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof BUDGET / sizeof BUDGET[0]; i++)
        for (int m = 0; m < 2; m++) {
            cv_segment s = {NAN, BUDGET[i].sampling, BUDGET[i].steps, REAL};
            double e = BUDGET[i].epsilon, d = BUDGET[i].delta, z;
            cv_err err = {0};
            assert_int_equal(
                cv_accountant_noise(NULL, &z, &s, METHODS[m], e, d, &err), 0);
            s.noise_multiplier = z;
            assert_true(epsilon_of(s, METHODS[m], d) <= e);
            s.noise_multiplier = z * (1.0 - 1e-4);
            assert_true(epsilon_of(s, METHODS[m], d) > e);
        }
    vectors v; /* one release, no sampling: the analytic Gaussian */
    vectors_open(&v, "analytic_gaussian");
    while (vectors_next(&v)) {
        cv_segment s = {0.0, 1.0, 1, REAL};
        double z, want = vectors_get(&v, "sigma_mpmath40");
        assert_int_equal(cv_accountant_noise(NULL, &z, &s, CV_ACCOUNT_PLD,
                                             vectors_get(&v, "eps"),
                                             vectors_get(&v, "delta"), NULL),
                         0);
        assert_true(z >= want * (1.0 - 1e-12) && z <= want * (1.0 + 2e-5));
    }
}

static void steps_end_just_before_the_budget(void **state)
{
    (void)state;
    for (size_t i = 0; i < 5; i++)
        for (int m = 0; m < 2; m++) {
            cv_segment next = {1.0 + 0.3 * (double)i, BUDGET[i].sampling, 0,
                               REAL};
            cv_segment old = {2.5, BUDGET[i].sampling, 3, REAL};
            double e = BUDGET[i].epsilon, d = BUDGET[i].delta;
            int64_t n = -1;
            cv_accountant *a;
            cv_accountant_create(&a);
            if (i % 2)
                assert_int_equal(cv_accountant_add(a, &old, NULL), 0);
            assert_int_equal(
                cv_accountant_steps(a, &n, &next, METHODS[m], e, d, NULL), 0);
            cv_spent in = {0}, out;
            next.steps = n;
            assert_int_equal(cv_accountant_add(a, &next, NULL), 0);
            cv_accountant_epsilon(a, &in, METHODS[m], d);
            next.steps = 1;
            assert_int_equal(cv_accountant_add(a, &next, NULL), 0);
            cv_accountant_epsilon(a, &out, METHODS[m], d);
            assert_true(out.epsilon > e);
            assert_true(in.epsilon <= e || n == 0);
            cv_accountant_destroy(&a);
        }
}

static void planning_at_the_ends(void **state)
{
    (void)state;
    cv_segment next = {1.0, 0.1, 1, REAL}, huge = {0.5, 0.5, 100, REAL};
    cv_segment never = {1.0, 0.0, 1, REAL}, noisy = {1e9, 1e-6, 1, REAL};
    cv_accountant *a;
    cv_err e = {0};
    int64_t n = -1;
    double z;
    cv_accountant_create(&a);
    assert_int_equal(
        cv_accountant_steps(a, &n, &never, CV_ACCOUNT_PLD, 1.0, 1e-5, &e), 0);
    assert_true(n == CV_MAX_STEPS);
    assert_int_equal(
        cv_accountant_steps(a, &n, &noisy, CV_ACCOUNT_RDP, 1.0, 1e-5, &e), 0);
    assert_true(n == CV_MAX_STEPS);
    assert_int_equal(
        cv_accountant_noise(a, &z, &never, CV_ACCOUNT_RDP, 1.0, 1e-5, &e), 0);
    assert_true(z < 1e-5);
    assert_int_equal(cv_accountant_add(a, &huge, &e), 0);
    for (int m = 0; m < 2; m++) { /* spent already */
        assert_int_equal(
            cv_accountant_steps(a, &n, &next, METHODS[m], 1.0, 1e-5, &e), 0);
        assert_int_equal(n, 0);
        assert_int_equal(
            cv_accountant_noise(a, &z, &next, METHODS[m], 1.0, 1e-5, &e),
            CV_ERR_PRIVACY);
        assert_non_null(strstr(e.text, "no amount of noise"));
    }
    cv_accountant_destroy(&a);
}

/* ---- integer noise ------------------------------------------------------ */

/* N_Z(0, sigma^2) and round(N(0, sigma^2 - 1/12)) at k. */
static long double discrete(long double sigma, long double k)
{
    return expl(-0.5L * k * k / sigma / sigma) /
           (sigma * sqrtl(2.0L * M_PIl) *
            (1.0L + 2.0L * expl(-2.0L * M_PIl * M_PIl * sigma * sigma)));
}

static long double rounded(long double sigma, long double k)
{
    long double s = sqrtl(2.0L * (sigma * sigma - 1.0L / 12.0L));
    k = fabsl(k);
    return 0.5L * (erfcl((k - 0.5L) / s) - erfcl((k + 0.5L) / s));
}

/* What accountant.c claims about the two, and what PROTOCOL states. */
static void rounded_noise_is_as_close_as_claimed(void **state)
{
    (void)state;
    for (long double sigma = 2.0L; sigma < 40.0L; sigma *= 1.5L) {
        long double chi = 0.0L, kl = 0.0L, tv = 0.0L;
        long double s8 = powl(sigma, 8.0L);
        for (int k = (int)(-11.0L * sigma); k <= (int)(11.0L * sigma); k++) {
            long double g = discrete(sigma, k), r = rounded(sigma, k);
            chi += (r - g) * (r - g) / g;
            kl += g * ((r / g - 1.0L) - log1pl(r / g - 1.0L));
            tv += 0.5L * fabsl(r - g);
        }
        assert_true(chi * s8 <= 2.9e-6L && chi * s8 > 2.88e-6L);
        assert_true(kl * s8 <= 1.45e-6L && kl * s8 > 1.446e-6L);
        assert_true(tv <= 0.5L * sqrtl(2.9e-6L / s8));
    }
}

static void extra_terms_are_what_they_should_be(void **state)
{
    (void)state;
    /* sigma 300, 4 shares of 150, 1e6 coordinates, 100 steps. */
    cv_segment s = {3.0, 0.01, 100, {100.0, 4, 1000000, 1e-30}};
    cv_spent p = spent(&s, 1, CV_ACCOUNT_PLD, 1e-5);
    cv_spent r = spent(&s, 1, CV_ACCOUNT_RDP, 1e-5);
    double kl = 1.45e-6 / pow(300.0, 8.0), n = 1e8;
    assert_true(p.method == CV_ACCOUNT_PLD);
    assert_true(fabs(p.extra.rounding / sqrt(n * kl / 2.0) - 1.0) < 1e-6);
    assert_true(fabs(p.extra.sampler / 4e-22 - 1.0) < 1e-12);
    assert_true(p.extra.shares < 1e-100);
    assert_true(p.extra.total >= p.extra.rounding + p.extra.sampler);
    assert_true(r.extra.rounding == 0.0);
    assert_true(r.extra.sampler == p.extra.sampler);
    /* The charge shows: delta and variance both shrink a little. */
    cv_segment c = s;
    c.integers.sensitivity = 0.0;
    double plain = epsilon_of(c, CV_ACCOUNT_PLD, 1e-5);
    assert_true(p.epsilon > plain && p.epsilon < plain * 1.001);
    c.noise_multiplier *= sqrt(1.0 - 1.0 / (12.0 * 300.0 * 300.0));
    double charged = epsilon_of(c, CV_ACCOUNT_PLD,
                                1e-5 - (1.0 + exp(p.epsilon)) * p.extra.total);
    assert_true(fabs(p.epsilon / charged - 1.0) < 2e-5);
    /* The same where the charge is a good part of delta. */
    cv_segment q = {1.0, 0.01, 3000, {400.0, 4, 1000, 1e-14}}; /* v 1.2e-7 */
    cv_segment r0 = {1.0, 0.01, 3000, REAL};
    for (int m = 0; m < 2; m++) {
        p = spent(&q, 1, METHODS[m], 1e-5);
        double left = 1e-5 - (1.0 + exp(p.epsilon)) * p.extra.total;
        assert_true(p.extra.total > 1.19e-7 && left < 0.9e-5 && left > 0.0);
        double e = epsilon_of(r0, METHODS[m], left); /* whole orders: higher */
        assert_true(p.epsilon > e * (1.0 - 1e-5) && p.epsilon < e * 1.005);
        assert_true(p.epsilon > epsilon_of(r0, METHODS[m], 1e-5) * 1.005);
    }
    /* Small sigma: RDP stands in. */
    s.noise_multiplier = 2.5; /* 250 units */
    assert_true(spent(&s, 1, CV_ACCOUNT_PLD, 1e-5).method == CV_ACCOUNT_RDP);
    /* Too much of a charge: no bound, or RDP where that has none to pay. */
    s.noise_multiplier = 3.0;
    s.integers.sampler = 1e-10;
    assert_true(isinf(spent(&s, 1, CV_ACCOUNT_PLD, 1e-5).epsilon));
    s.integers.sampler = 0.0;
    s.integers.dimension = (int64_t)1 << 40;
    s.steps = 1000000;
    p = spent(&s, 1, CV_ACCOUNT_PLD, 1e-9);
    assert_true(isfinite(p.epsilon) && p.method == CV_ACCOUNT_RDP);
}

/* Coarse shares: tau counts, in delta where sampled and in RDP where not. */
static void coarse_shares_are_charged(void **state)
{
    (void)state;
    cv_segment s = {1.0, 0.01, 10, {1.5, 4, 10, 0.0}}; /* share 0.75 */
    double tau = cv_ddg_tau(0.75, 4.0);
    cv_spent r = spent(&s, 1, CV_ACCOUNT_RDP, 0.1);
    assert_true(tau > 1e-5 && tau < 1.0);
    assert_true(fabs(r.extra.shares / (100.0 * tau) - 1.0) < 1e-12);
    cv_segment one = s;
    one.integers.shares = 1;
    assert_true(r.epsilon > spent(&one, 1, CV_ACCOUNT_RDP, 0.1).epsilon);
    s.sampling = one.sampling = 1.0;
    r = spent(&s, 1, CV_ACCOUNT_RDP, 1e-5);
    assert_true(r.extra.total == 0.0);
    assert_true(r.epsilon > spent(&one, 1, CV_ACCOUNT_RDP, 1e-5).epsilon);
    /* Silo level, as in the reference: ddg.csv has whole orders only. */
    vectors v;
    vectors_open(&v, "ddg");
    while (vectors_next(&v)) {
        double n = vectors_get(&v, "n"), grid = vectors_get(&v, "gamma");
        double d = vectors_get(&v, "d");
        double sens = cv_ddg_sensitivity(vectors_get(&v, "c") / grid, d,
                                         vectors_get(&v, "beta"));
        double sigma = vectors_get(&v, "sigma_local") / grid;
        cv_segment t = {sqrt(n) * sigma / sens,
                        1.0,
                        (int64_t)vectors_get(&v, "T"),
                        {sens, (int64_t)n, (int64_t)d, 0.0}};
        double want = vectors_get(&v, "eps_at_1e-5_google_code_prop14");
        double e = epsilon_of(t, CV_ACCOUNT_RDP, 1e-5);
        assert_true(e <= want * (1.0 + 1e-6) && e > want * 0.7);
        assert_true(e > vectors_get(&v, "eps_continuous_gaussian_no_rounding"));
    }
}

/* delta of one step of the real thing in one coordinate: a record of value
 * `shift` is in the sum with chance q, under exact discrete noise. */
static double exact_delta(double sigma, int shift, double q, double epsilon)
{
    double removed = 0.0, added = 0.0;
    for (int k = (int)(-14.0 * sigma); k <= (int)(14.0 * sigma) + shift; k++) {
        double g = (double)discrete(sigma, k);
        double p = (1.0 - q) * g + q * (double)discrete(sigma, k - shift);
        removed += fmax(p - exp(epsilon) * g, 0.0);
        added += fmax(g - exp(epsilon) * p, 0.0);
    }
    return fmax(removed, added);
}

static void discrete_noise_is_never_undercharged(void **state)
{
    (void)state;
    static const struct {
        double sigma;
        int shift;
    } t[] = {{300.0, 300}, {256.0, 100}, {400.0, 1200}, {5.0, 3}, {1.0, 2}};
    static const double q[] = {1.0, 0.3, 0.01};
    static const double delta[] = {1e-2, 1e-5, 1e-8};
    for (int i = 0; i < 45; i++) {
        double sigma = t[i / 9].sigma, d = delta[i % 3];
        int shift = t[i / 9].shift;
        cv_segment s = {sigma / shift, q[i / 3 % 3], 1, {shift, 1, 1, 0.0}};
        cv_spent r = spent(&s, 1, CV_ACCOUNT_RDP, d);
        cv_spent p = spent(&s, 1, CV_ACCOUNT_PLD, d);
        assert_true(exact_delta(sigma, shift, s.sampling, r.epsilon) <= d);
        double got = exact_delta(sigma, shift, s.sampling, p.epsilon);
        assert_true(got <= d);
        if (sigma < 256.0)
            assert_true(p.method == CV_ACCOUNT_RDP);
        if (p.method == CV_ACCOUNT_PLD && p.epsilon > 0.0 && /* and tight */
            (1.0 + exp(p.epsilon)) * p.extra.total < 1e-3 * d)
            assert_true(got >= d * 0.99);
    }
}

static void calibration_knows_integer_noise(void **state)
{
    (void)state;
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < 2; i++) {
            cv_segment s = {
                NAN, i ? 1.0 : 0.02, i ? 20 : 400, {5000.0, 6, 200000, 1e-26}};
            double z;
            assert_int_equal(
                cv_accountant_noise(NULL, &z, &s, METHODS[m], 2.0, 1e-6, NULL),
                0);
            s.noise_multiplier = z;
            assert_true(epsilon_of(s, METHODS[m], 1e-6) <= 2.0);
            s.noise_multiplier = z * (1.0 - 1e-4);
            assert_true(epsilon_of(s, METHODS[m], 1e-6) > 2.0);
        }
    /* A loose budget on a coarse grid: the shares set the limit. */
    cv_segment s = {NAN, 1.0, 1, {3.0, 9, 4, 0.0}};
    double z;
    assert_int_equal(
        cv_accountant_noise(NULL, &z, &s, CV_ACCOUNT_RDP, 1e6, 1e-6, NULL), 0);
    assert_true(z * 3.0 / 3.0 >= 0.5 && z < 0.5001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_methods_match_the_reference),
        cmocka_unit_test(rounds_and_restarts_add_up),
        cmocka_unit_test(pld_is_never_above_rdp),
        cmocka_unit_test(nothing_and_everything),
        cmocka_unit_test(bad_segments_are_refused),
        cmocka_unit_test(noise_is_the_smallest_that_does),
        cmocka_unit_test(steps_end_just_before_the_budget),
        cmocka_unit_test(planning_at_the_ends),
        cmocka_unit_test(rounded_noise_is_as_close_as_claimed),
        cmocka_unit_test(extra_terms_are_what_they_should_be),
        cmocka_unit_test(coarse_shares_are_charged),
        cmocka_unit_test(discrete_noise_is_never_undercharged),
        cmocka_unit_test(calibration_knows_integer_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
