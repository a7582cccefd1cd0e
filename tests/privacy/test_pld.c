/* Privacy loss distributions against reference values, closed forms, and
 * quadrature: never below the truth, and close to it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rand.h"
#include "privacy/gaussian.h"
#include "privacy/pld.h"
#include "privacy/pld_step.h"
#include "privacy/pld_sum.h"
#include "privacy/rdp.h"
#include "tests/privacy/vectors.h"

#ifdef __SANITIZE_ADDRESS__
enum { EVERY = 5 }; /* rows: a tenth of the speed */
#else
enum { EVERY = 1 };
#endif

static double epsilon_of(const cv_pld_part *parts, size_t n, double delta)
{
    cv_pld *p;
    cv_pld_create(&p, parts, n, delta);
    double e = cv_pld_epsilon(p, delta);
    cv_pld_destroy(&p);
    return e;
}

static double delta_of(const cv_pld_part *parts, size_t n, double epsilon)
{
    cv_pld *p;
    cv_pld_create_at(&p, parts, n, epsilon);
    double d = cv_pld_delta(p, epsilon);
    cv_pld_destroy(&p);
    return d;
}

/* low <= got <= high, and a word if not. */
static int between(double got, double low, double high)
{
    if (got >= low && got <= high)
        return 1;
    fprintf(stderr, "%.12g is not in [%.12g, %.12g]\n", got, low, high);
    return 0;
}

/* ---- the truth, one and two steps --------------------------------------- */

static double phi(double x)
{
    return 0.5 * erfc(-x * M_SQRT1_2);
}

static double x_of(double s, double q, double loss)
{
    double r = loss < -0.5 ? exp(loss) - (1.0 - q) : expm1(loss) + q;
    if (!(r > 0.0))
        return -INFINITY;
    return s * s * (loss < -0.5 ? log(r / q) : log1p(expm1(loss) / q)) + 0.5;
}

/* Hockey stick of one step at any real e, exactly. */
static double stick(cv_direction dir, double s, double q, double e)
{
    if (dir == CV_REMOVE) {
        double x = x_of(s, q, e);
        if (isinf(x)) /* every loss is above e */
            return -expm1(e);
        return q * (phi((1.0 - x) / s) - phi(-x / s)) - expm1(e) * phi(-x / s);
    }
    double x = x_of(s, q, -e);
    double p0 = phi(x / s), p1 = phi((x - 1.0) / s);
    return -expm1(e) * p0 - exp(e) * q * (p1 - p0);
}

/* The same for two steps: integrate over the first. */
static double stick2(cv_direction dir, const cv_pld_part *a,
                     const cv_pld_part *b, double e)
{
    enum { N = 6000 };
    double s = a->noise, q = a->sampling, sum = 0.0;
    double lo = -14.0 * s, hi = 1.0 + 14.0 * s, h = (hi - lo) / N;
    for (int i = 0; i <= N; i++) {
        double x = lo + i * h, y = (x - 1.0) / s, l = cv_privacy_loss(s, q, x);
        double p0 = exp(-0.5 * x * x / s / s), p1 = exp(-0.5 * y * y);
        if (dir == CV_REMOVE)
            sum += ((1.0 - q) * p0 + q * p1) *
                   stick(dir, b->noise, b->sampling, e - l);
        else
            sum += p0 * stick(dir, b->noise, b->sampling, e + l);
    }
    return sum * h / (s * sqrt(2.0 * M_PI));
}

static double stick_of(cv_direction dir, const cv_pld_part *p, size_t n,
                       double e)
{
    return n == 1 ? stick(dir, p[0].noise, p[0].sampling, e)
                  : stick2(dir, p, p + 1, e);
}

static double truth(const cv_pld_part *p, size_t n, double delta)
{
    double lo = 0.0, hi = 1.0;
    for (int d = 0; d < 2; d++)
        while (stick_of((cv_direction)d, p, n, hi) > delta)
            hi *= 2.0;
    for (int i = 0; i < 60; i++) {
        double mid = 0.5 * (lo + hi);
        if (fmax(stick_of(CV_REMOVE, p, n, mid), stick_of(CV_ADD, p, n, mid)) <=
            delta)
            hi = mid;
        else
            lo = mid;
    }
    return hi;
}

/* ---- reference values --------------------------------------------------- */

static void epsilon_matches_the_reference(void **state)
{
    (void)state;
    vectors v;
    vectors_open(&v, "epsilon");
    double worst = 0.0;
    while (vectors_next(&v)) {
        cv_pld_part p = {vectors_get(&v, "noise_multiplier"),
                         vectors_get(&v, "sampling_probability"),
                         vectors_get(&v, "steps")};
        double delta = vectors_get(&v, "delta");
        double high = vectors_get(&v, "eps_pld_pessimistic");
        double low = vectors_get(&v, "eps_pld_optimistic");
        double exact = vectors_get(&v, "eps_exact_q1");
        double prv = vectors_get(&v, "eps_prv_lower");
        if (v.rows % EVERY != 0)
            continue;
        double e = epsilon_of(&p, 1, delta);
        worst = fmax(worst, fabs(e - high));
        assert_true(between(e, fmax(high - 1e-4, low - 1e-6), high + 1e-4));
        assert_false(e < exact - 1e-6);
        assert_false(e < prv);
        if (p.sampling == 1.0) { /* and by the transform */
            cv_pld_part mixed[] = {{1.0, 1e-12, 1.0}, p};
            e = epsilon_of(mixed, 2, delta);
            exact = cv_gaussian_epsilon(p.noise / sqrt(p.steps), delta);
            assert_true(between(e, exact, exact * (1.0 + 2e-5)));
        }
    }
    printf("largest distance from the pessimistic column %.2e\n", worst);
    assert_true(v.rows > 70);
}

static void anchors_match_the_reference(void **state)
{
    (void)state;
    vectors v;
    vectors_open(&v, "anchors");
    while (vectors_next(&v)) {
        cv_pld_part p = {vectors_get(&v, "sigma"), vectors_get(&v, "q"),
                         vectors_get(&v, "T")};
        size_t n;
        if (v.rows % EVERY != 0)
            continue;
        double e = epsilon_of(&p, 1, vectors_get(&v, "delta"));
        double want = vectors_get(&v, "pld_pess_h1e-5");
        const char *prv = vectors_text(&v, "prv_lo/est/up", &n);
        assert_true(between(e, want - 1e-4, want + 1e-4));
        assert_true(e > strtod(prv, NULL));
    }
    assert_int_equal(v.rows, 12);
}

/* ---- one and two steps -------------------------------------------------- */

static const cv_pld_part SINGLE[] = {
    {0.3, 0.9, 1.0},    {0.5, 0.1, 1.0},        {1.0, 0.5, 1.0},
    {1.0, 1e-3, 1.0},   {0.7, 1e-5, 1.0},       {4.0, 0.02, 1.0},
    {30.0, 0.3, 1.0},   {10.0, 1e-4, 1.0},      {2.0, 1.0 - 1e-9, 1.0},
    {100.0, 0.01, 1.0}, {0.7, 1.0 - 1e-14, 1.0}};
static const double DELTA[] = {0.3, 1e-2, 1e-5, 1e-9, 1e-15, 1e-40, 1e-150};

static void one_step_is_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof SINGLE / sizeof SINGLE[0]; i++)
        for (size_t j = 0; j < sizeof DELTA / sizeof DELTA[0]; j++) {
            if ((i + j) % EVERY != 0 || (i == 4 && DELTA[j] < 1e-12))
                continue; /* see rare_and_large_losses_are_safe */
            const cv_pld_part *p = SINGLE + i;
            double want = truth(p, 1, DELTA[j]);
            double e = epsilon_of(p, 1, DELTA[j]);
            /* Or the delta of a neighbour that cannot be told apart. */
            double slack = truth(p, 1, DELTA[j] * (1.0 - 1e-4)) - want;
            assert_true(between(e, want * (1.0 - 1e-9) - 1e-15,
                                want * (1.0 + 2e-5) + slack));
            if (want > 1e-9) {
                double d = delta_of(p, 1, want);
                assert_true(between(d, DELTA[j] * (1.0 - 1e-6),
                                    DELTA[j] * (1.0 + 1e-2)));
            }
        }
}

/* Where no tilt makes the losses around epsilon common, because either nothing
 * happens or far too much, doubles cannot resolve delta = 1e-15: the bound on
 * their rounding shows. */
static void rare_and_large_losses_are_safe(void **state)
{
    (void)state;
    for (size_t j = 4; j < 7; j++) {
        double want = truth(SINGLE + 4, 1, DELTA[j]);
        double e = epsilon_of(SINGLE + 4, 1, DELTA[j]);
        assert_true(between(e, want * (1.0 - 1e-9), want * 1.2));
    }
}

static void two_steps_match_quadrature(void **state)
{
    (void)state;
    static const cv_pld_part c[][2] = {{{1.0, 0.1, 1.0}, {1.0, 0.1, 1.0}},
                                       {{0.6, 0.01, 1.0}, {2.0, 0.5, 1.0}},
                                       {{3.0, 0.3, 1.0}, {0.8, 0.001, 1.0}},
                                       {{1.5, 0.9, 1.0}, {20.0, 0.2, 1.0}}};
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 1; j < 5; j++) {
            if ((i + j) % EVERY != 0)
                continue;
            double want = truth(c[i], 2, DELTA[j]);
            double slack = truth(c[i], 2, DELTA[j] * (1.0 - 1e-4)) - want;
            double e = epsilon_of(c[i], 2, DELTA[j]);
            assert_true(
                between(e, want * (1.0 - 1e-6), want * (1.0 + 2e-5) + slack));
        }
}

/* ---- far tails: the tilt ------------------------------------------------ */

static void delta_has_no_floor(void **state)
{
    (void)state;
    for (double delta = 1e-3; delta > 1e-180; delta *= 1e-8 * delta) {
        /* 400 steps of 20 are one of 1, plus a step that does not matter. */
        cv_pld_part p[] = {{20.0, 1.0, 400.0}, {5.0, 1e-14, 1.0}};
        double want = cv_gaussian_epsilon(1.0, delta);
        assert_true(between(epsilon_of(p, 2, delta), want, want * (1 + 1e-5)));
        /* Sampling close to 1 goes through the transform 400 times. */
        cv_pld_part near[] = {{20.0, 1.0 - 1e-13, 400.0}};
        assert_true(between(epsilon_of(near, 1, delta), want * (1.0 - 1e-10),
                            want * (1 + 2e-5)));
        assert_true(between(delta_of(near, 1, want), delta * (1.0 - 1e-7),
                            delta * (1 + 1e-2)));
    }
}

/* ---- segments ----------------------------------------------------------- */

static void segments_merge_and_commute(void **state)
{
    (void)state;
    cv_pld_part whole[] = {{1.1, 0.01, 3000.0}, {4.0, 1.0, 10.0}};
    cv_pld_part pieces[] = {{4.0, 1.0, 4.0},      {1.1, 0.01, 1000.0},
                            {7.0, 0.5, 0.0},      {1.1, 0.01, 2000.0},
                            {INFINITY, 0.5, 9.0}, {4.0, 1.0, 6.0},
                            {2.0, 0.0, 100.0}};
    double a = epsilon_of(whole, 2, 1e-6), b = epsilon_of(pieces, 7, 1e-6);
    assert_true(between(b, a * (1.0 - 1e-5), a * (1.0 + 1e-5)));
    /* Apart, the same mechanism composes to the same. */
    cv_pld_part apart[] = {{1.1, 0.01, 1000.0}, {1.1 + 1e-13, 0.01, 2000.0}};
    a = epsilon_of(whole, 1, 1e-6), b = epsilon_of(apart, 2, 1e-6);
    assert_true(between(b, a * (1.0 - 1e-5), a * (1.0 + 1e-5)));
    /* Anything more costs more. */
    cv_pld_part more[] = {{1.1, 0.01, 3000.0}, {1.0, 0.002, 500.0}};
    assert_true(epsilon_of(more, 2, 1e-6) > a * 1.001);
    /* A mixture lies between its members. */
    cv_pld_part mild = {1.2, 0.01, 3000.0}, harsh = {1.0, 0.01, 3000.0};
    cv_pld_part mixed[] = {{1.2, 0.01, 1500.0}, {1.0, 0.01, 1500.0}};
    assert_true(between(epsilon_of(mixed, 2, 1e-6), epsilon_of(&mild, 1, 1e-6),
                        epsilon_of(&harsh, 1, 1e-6)));
}

/* ---- the parts inside --------------------------------------------------- */

/* The grid keeps both masses, and its hockey stick touches that of the step at
 * grid points and lies above in between. */
static void grids_dominate_one_step(void **state)
{
    (void)state;
    static const double h[] = {0.5, 0.03, 1e-3}, reach[] = {12.0, 2.5};
    for (int i = 0; i < 108; i++) {
        const cv_pld_part *c = SINGLE + i / 12;
        cv_direction dir = (cv_direction)(i / 6 % 2);
        double far = reach[i / 3 % 2], gap = h[i % 3];
        cv_loss_grid g;
        cv_loss_grid_create(&g, dir, c->noise, c->sampling, gap, far);
        double mass = g.infinite;
        for (size_t k = 0; k < g.n; k++) {
            assert_true(g.p[k] >= 0.0);
            mass += g.p[k];
        }
        assert_true(fabs(mass - 1.0) < 1e-12);
        assert_true((double)g.n <=
                    cv_loss_grid_size(c->noise, c->sampling, far, gap));
        size_t step = g.n / 100 + 1;
        for (size_t k = 0; k < g.n; k += step)
            for (double at = 0.0; at < 1.0; at += 0.35) {
                double first = (double)g.first, sum = g.infinite;
                double e = (first + (double)k + at) * gap;
                for (size_t j = k; j < g.n; j++) {
                    double over = (first + (double)j) * gap - e;
                    sum += g.p[j] * fmax(-expm1(-over), 0.0);
                }
                double want = stick(dir, c->noise, c->sampling, e);
                assert_true(sum >= want - 1e-13 * (1.0 + exp(e) * want));
                if (at == 0.0 && far > 9.0)
                    assert_true(sum <= want + 1e-12);
            }
        cv_loss_grid_free(&g);
    }
}


/* However bad the plan, the curve stays above the truth: window too small or in
 * the wrong place, tilt too strong, grid too coarse, reach too short. */
static void no_plan_reports_too_little(void **state)
{
    (void)state;
    cv_stream r;
    cv_stream_open(&r, 5, "test", 0, 0);
    for (int i = 0; i < 1500 / EVERY; i++) {
        size_t n = 1 + (size_t)(i % 2), k = cv_stream_below(&r, 9);
        cv_pld_part p[2] = {SINGLE[k], SINGLE[cv_stream_below(&r, 7)]};
        cv_direction dir = (cv_direction)(i / 2 % 2);
        double e = 8.0 * cv_stream_uniform(&r);
        cv_loss_plan w = {
            .lambda =
                i % 3 == 0 ? 0.0 : pow(10.0, 3.0 * cv_stream_uniform(&r) - 2.0),
            .h = pow(10.0, -0.5 - 2.5 * cv_stream_uniform(&r)),
            .n = (size_t)64 << cv_stream_below(&r, 8),
            .reach = 2.0 + 10.0 * cv_stream_uniform(&r),
            .mu = pow(10.0, 3.0 * cv_stream_uniform(&r) - 1.0)};
        w.first =
            (int64_t)(e / w.h) - (int64_t)(cv_stream_uniform(&r) * (double)w.n);
        cv_loss_sum s;
        cv_loss_sum_create(&s, dir, p, n, &w);
        double want = stick_of(dir, p, n, e);
        double got = cv_loss_sum_delta(&s, e);
        assert_true(between(got, want * (1.0 - 1e-7), 1.0));
        if (want > 1e-12 && want < 1.0) {
            double back = cv_loss_sum_epsilon(&s, want);
            assert_true(back >= e * (1.0 - 1e-6) - 1e-9);
        }
        cv_loss_sum_free(&s);
    }
    cv_stream_close(&r);
    cv_loss_sum none = {0};
    assert_true(cv_loss_sum_delta(&none, 1.0) == 1.0);
    assert_true(isinf(cv_loss_sum_epsilon(&none, 0.5)));
}

/* ---- rows that are not listed ------------------------------------------- */

static void the_ends_of_the_ranges_are_sound(void **state)
{
    (void)state;
    static const double noise[] = {1e-200, 1e-3, 0.02, 0.3, 5.0, 1e4, 1e9};
    static const double q[] = {1e-15, 1e-6, 0.01, 0.5, 1.0 - 1e-15, 1.0};
    static const double steps[] = {1.0, 1e3, 1e7, 1e14};
    static const double delta[] = {0.9, 1e-6, 1e-30, 1e-250, 5e-324};
    int row = 0;
    for (int i = 0; i < 7; i++)
        for (int j = 0; j < 6; j++)
            for (int k = 0; k < 4; k++)
                for (int l = 0; l < 5; l++) {
                    if (row++ % (7 * EVERY) != 0) /* a sample */
                        continue;
                    cv_pld_part p = {noise[i], q[j], steps[k]};
                    cv_rdp_part r = {
                        .noise = noise[i], .sampling = q[j], .steps = steps[k]};
                    double e = epsilon_of(&p, 1, delta[l]);
                    double most = cv_rdp_epsilon(&r, 1, delta[l], NULL);
                    /* RDP takes 0 where total variation is below delta. */
                    assert_true(e >= 0.0 && (e <= most * (1.0 + 1e-9) ||
                                             (most == 0.0 && e < 1e-2)));
                }
    cv_pld_part p = {1.0, 0.1, 10.0};
    assert_true(epsilon_of(NULL, 0, 1e-5) == 0.0);
    assert_true(delta_of(NULL, 0, 0.0) == 0.0);
    assert_true(isinf(epsilon_of(&p, 1, 0.0)));
    assert_true(epsilon_of(&p, 1, 1.0) == 0.0);
    assert_true(delta_of(&p, 1, INFINITY) == 0.0);
    assert_true(delta_of(&p, 1, 0.0) < 1.0);
    assert_true(delta_of(&p, 1, 1e4) >= 0.0);
}

/* More noise, fewer steps, less sampling or more delta: never more epsilon, but
 * for the error of the grid. */
static void epsilon_is_monotone(void **state)
{
    (void)state;
    cv_stream r;
    cv_stream_open(&r, 6, "test", 0, 0);
    for (int i = 0; i < 60 / EVERY; i++) {
        double q = exp(-10.0 * cv_stream_uniform(&r)), up = 1.03;
        double s = 0.4 * exp(4.0 * cv_stream_uniform(&r));
        double t = floor(exp(10.0 * cv_stream_uniform(&r)));
        double delta = exp(-1.0 - 30.0 * cv_stream_uniform(&r));
        cv_pld_part a = {s, q, t};
        cv_pld_part worse[] = {{s / up, q, t},
                               {s, fmin(q * up, 1.0), t},
                               {s, q, ceil(t * up) + 1.0}};
        double e = epsilon_of(&a, 1, delta);
        for (int k = 0; k < 3; k++)
            assert_true(epsilon_of(worse + k, 1, delta) >=
                        e * (1.0 - 1e-5) - 1e-5 * q);
        assert_true(epsilon_of(&a, 1, delta / up) >= e * (1.0 - 1e-5));
        assert_true(delta_of(&a, 1, e) <= delta * 1.1);
    }
    cv_stream_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epsilon_matches_the_reference),
        cmocka_unit_test(anchors_match_the_reference),
        cmocka_unit_test(one_step_is_exact),
        cmocka_unit_test(rare_and_large_losses_are_safe),
        cmocka_unit_test(two_steps_match_quadrature),
        cmocka_unit_test(delta_has_no_floor),
        cmocka_unit_test(segments_merge_and_commute),
        cmocka_unit_test(grids_dominate_one_step),
        cmocka_unit_test(no_plan_reports_too_little),
        cmocka_unit_test(the_ends_of_the_ranges_are_sound),
        cmocka_unit_test(epsilon_is_monotone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
