/* Private regressions: what one record can change, what comes out without
 * noise, and what bad input does. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/solver/private_rows.h"

static double norm_of(const int64_t *v, size_t d)
{
    long double s = 0;
    for (size_t i = 0; i < d; i++)
        s += (long double)v[i] * (long double)v[i];
    return (double)sqrtl(s);
}

static double sensitivity(const cv_private_fit *f, int exponent)
{
    return cv_private_fit_sensitivity(cv_private_fit_bound(f),
                                      cv_private_fit_words(f), exponent);
}

/* ---- contributions ---- */

/* The header's definition, word by word, in long double. */
static void reference(const cv_private_fit *f, const double *x, double y,
                      const double *b, int exponent, long double *out)
{
    int q = f->q;
    long double z[MAX_Q + 1], square = 0, eta = 0, s, w = 1;
    long double root2 = sqrtl(2), golden = (1 + sqrtl(5)) / 2;
    for (int j = 0; j < q; j++) {
        square += (long double)x[j] * x[j];
        eta += f->logistic ? (long double)b[j] * x[j] : 0;
        z[j] = x[j];
    }
    z[q] = y;
    long double one = square + 1, norm = sqrtl(square);
    if (!f->logistic)
        norm = f->intercept ? sqrtl(one) : sqrtl(sqrtl(one * one + 1));
    s = norm > f->clip ? f->clip / norm : 1;
    long double unit = ldexpl(1, -exponent), mu = 1 / (1 + expl(-eta));
    for (int j = 0; j < q && f->logistic; j++)
        *out++ = s * (y - mu) * x[j] * unit;
    w = f->logistic ? powl(golden, 2.5L) / sqrtl(q) * s * mu * (1 - mu) : s * s;
    for (int i = 0; i < q + !f->logistic; i++)
        for (int j = i; j < q + !f->logistic; j++)
            *out++ = w * z[i] * z[j] * (i == j ? 1 : root2) * unit;
    if (!f->logistic && !f->intercept)
        *out = s * s * unit;
}

/* Rows of the cube, often at corners, edges and 0; b that puts mu anywhere. */
static void draw_row(cv_stream *r, const cv_private_fit *f, double *x,
                     double *y, double *b)
{
    int kind = (int)cv_stream_below(r, 4);
    double size = pow(10.0, 2.0 * cv_stream_uniform(r) - 1.0);
    for (int j = 0; j < f->q; j++) {
        double u = 2.0 * cv_stream_uniform(r) - 1.0;
        x[j] = kind == 0   ? u
               : kind == 1 ? (u > 0 ? 1.0 : -1.0)
               : kind == 2 ? (double)cv_stream_below(r, 3) - 1.0
                           : (j ? 0.0 : 1.0);
        b[j] = size * cv_stream_normal(r) * x[j];
    }
    if (f->intercept)
        x[0] = 1.0;
    double u = 2.0 * cv_stream_uniform(r) - 1.0;
    *y = kind == 0 ? u : u > 0 ? 1.0 : -1.0;
    if (f->logistic)
        *y = u > 0;
}

/* One configuration: largest norm of a record's integers over Delta_int. */
static double worst(const cv_private_fit *f, int exponent, uint64_t seed)
{
    cv_stream r;
    cv_stream_open(&r, seed, "records", (uint64_t)f->q, (uint64_t)f->logistic);
    double x[MAX_Q], y, b[MAX_Q], delta = sensitivity(f, exponent), most = 0;
    size_t d = cv_private_fit_words(f);
    assert_true(d <= MAX_D);
    for (int k = 0; k < 3000; k++) {
        long double want[MAX_D] = {0};
        int64_t sum[MAX_D] = {0};
        draw_row(&r, f, x, &y, b);
        cv_private_fit_add(f, x, &y, 1, b, exponent, sum);
        reference(f, x, y, b, exponent, want);
        for (size_t i = 0; i < d; i++)
            assert_true(fabsl((long double)sum[i] - want[i]) <= 0.5001L);
        double norm = norm_of(sum, d);
        assert_true(norm <= delta);
        most = fmax(most, norm / delta);
    }
    cv_stream_close(&r);
    return most;
}

static void test_sensitivity(void **state)
{
    (void)state;
    static const int qs[] = {1, 2, 3, 5, 10};
    static const double clips[] = {0.25, 0.6, 0.9, 1.0, 100.0};
    static const int units[] = {1, 3, 10, 22}; /* bound / 2^exponent */
    for (int kind = 0; kind < 3; kind++)
        for (int a = 0; a < 5; a++) {
            double reached = 0;
            for (int c = 0; c < 5; c++)
                for (int e = 0; e < 4; e++) {
                    cv_private_fit f = {kind == 2, kind > 0, qs[a], 1.0};
                    f.clip = clips[c] * cv_private_fit_no_clip(&f);
                    int exponent = ilogb(cv_private_fit_bound(&f)) - units[e];
                    reached = fmax(reached, worst(&f, exponent, 1));
                }
            /* Not loose: some record has nearly all of it. */
            assert_true(reached > 0.95);
        }
}

/* The logistic bound is met within 1e-6 by the gradient alone, and by both
 * parts together where |y - mu| is 1/phi: neither can be given more. */
static void test_both_ends_of_the_logistic_bound(void **state)
{
    (void)state;
    static const double etas[] = {40.0, 0.48121182505960347}; /* ln phi */
    for (int k = 0; k < 2; k++) {
        cv_private_fit f = {1, 1, 4, 2.0};
        double x[4] = {1, -1, 1, 1}, b[4] = {etas[k], 0, 0, 0}, y = 0;
        int64_t sum[14] = {0};
        assert_int_equal(cv_private_fit_words(&f), 14);
        cv_private_fit_add(&f, x, &y, 1, b, -26, sum);
        assert_true(fabs(ldexp(norm_of(sum, 14), -26) / 2.0 - 1.0) < 1e-6);
    }
}

static void test_bound(void **state)
{
    (void)state;
    cv_private_fit f = {0, 1, 3, 1.5};
    assert_int_equal(cv_private_fit_words(&f), 10);
    assert_true(cv_private_fit_no_clip(&f) == 2.0);
    assert_true(cv_private_fit_bound(&f) == 2.25);
    f.clip = 7.0;
    assert_true(cv_private_fit_bound(&f) == 4.0);
    f.intercept = 0;
    assert_int_equal(cv_private_fit_words(&f), 11);
    assert_true(fabs(cv_private_fit_bound(&f) - sqrt(17.0)) < 1e-12);
    f.logistic = 1;
    assert_int_equal(cv_private_fit_words(&f), 9);
    assert_true(fabs(cv_private_fit_bound(&f) - sqrt(3.0)) < 1e-12);
    double delta = cv_private_fit_sensitivity(3.0, 25, -10);
    assert_true(delta > 3072.0 + 2.5 && delta < 3072.0 + 2.5 + 1e-6);
}

/* A row's weight must not look at y: that would bias b. */
static void test_weight_is_of_x_alone(void **state)
{
    (void)state;
    cv_private_fit f = {0, 1, 2, 0.7};
    double x[2] = {1.0, 0.5}, ys[3] = {0.0, 0.9, -1.0};
    int64_t first[6] = {0};
    cv_private_fit_add(&f, x, ys, 1, NULL, -20, first);
    for (int k = 1; k < 3; k++) {
        int64_t sum[6] = {0};
        cv_private_fit_add(&f, x, ys + k, 1, NULL, -20, sum);
        assert_int_equal(sum[0], first[0]);
        assert_int_equal(sum[1], first[1]);
        assert_int_equal(sum[3], first[3]);
        assert_int_not_equal(sum[5], first[5]);
    }
}

static void test_hostile_rows(void **state)
{
    (void)state;
    static const double odd[] = {NAN, INFINITY, -INFINITY, 1e300, -1e200, 50.0};
    for (int kind = 0; kind < 3; kind++)
        for (int k = 0; k < 6 * 4; k++) {
            cv_private_fit f = {kind == 2, kind > 0, 3, 100.0};
            size_t d = cv_private_fit_words(&f);
            double rows[9] = {1, 0.5, -1, 1, -0.25, 0.75, 1, -1, 0.5};
            double y[3] = {1, 0, 1}, b[3] = {0.3, -2, 1};
            double keep_x[6] = {1, 0.5, -1, 1, -1, 0.5}, keep_y[2] = {1, 1};
            int64_t sum[MAX_D] = {0}, want[MAX_D] = {0};
            double *at = k % 4 < 3 ? rows + 3 + k % 4 : y + 1;
            *at = odd[k / 4];
            cv_private_fit_add(&f, rows, y, 3, b, -20, sum);
            cv_private_fit_add(&f, keep_x, keep_y, 2, b, -20, want);
            double finite = norm_of(want, d);
            for (size_t i = 0; i < d; i++)
                want[i] = sum[i] - want[i];
            assert_true(norm_of(want, d) <= sensitivity(&f, -20));
            /* A logistic row beyond the bounds may just be clipped. */
            if (!isfinite(odd[k / 4]) || !f.logistic)
                assert_true(norm_of(want, d) == 0.0);
            assert_true(finite > 0.0);
        }
}

static void test_hostile_coefficients(void **state)
{
    (void)state;
    static const double odd[] = {NAN, INFINITY, 1e308, -1e308};
    for (int k = 0; k < 4; k++) {
        cv_private_fit f = {1, 1, 2, 1.0};
        double x[4] = {1, 1, 1, -1}, y[2] = {0, 1}, b[2] = {odd[k], odd[k]};
        int64_t sum[5] = {0};
        cv_private_fit_add(&f, x, y, 2, b, -20, sum);
        assert_true(norm_of(sum, 5) <= 2.0 * sensitivity(&f, -20));
        /* Infinite ones give some rows mu = 0 or 1, and others NaN. */
        if (isnan(odd[k]))
            assert_true(norm_of(sum, 5) == 0.0);
    }
}

/* ---- without noise ---- */

/* a (q, q) to its inverse, by Gauss and Jordan. */
static void invert(double *a, int q)
{
    for (int k = 0; k < q; k++) {
        double pivot = a[k * q + k];
        a[k * q + k] = 1.0;
        for (int j = 0; j < q; j++)
            a[k * q + j] /= pivot;
        for (int i = 0; i < q; i++) {
            double m = a[i * q + k];
            if (i == k)
                continue;
            a[i * q + k] = 0.0;
            for (int j = 0; j < q; j++)
                a[i * q + j] -= m * a[k * q + j];
        }
    }
}

/* Weighted least squares, or maximum weighted likelihood, with penalty; inv
 * (q, q) the inverse of the information with penalty; rss and weight. */
static void direct(const cv_private_fit *f, const data *s,
                   const double *penalty, double *b, double *inv, double *rss,
                   double *weight)
{
    int q = f->q;
    double g[MAX_Q];
    for (int j = 0; j < q; j++)
        b[j] = 0.0;
    for (int t = 0; t < (f->logistic ? 30 : 2); t++) {
        *rss = *weight = 0;
        for (int j = 0; j < q; j++)
            g[j] = -penalty[j] * b[j];
        for (int j = 0; j < q * q; j++)
            inv[j] = j % (q + 1) ? 0.0 : penalty[j / (q + 1)];
        for (int64_t i = 0; i < s->n; i++) {
            const double *x = s->x + i * q;
            double square = 0, eta = 0;
            for (int j = 0; j < q; j++) {
                square += x[j] * x[j];
                eta += b[j] * x[j];
            }
            double one = square + 1.0;
            double norm = f->logistic    ? sqrt(square)
                          : f->intercept ? sqrt(one)
                                         : pow(one * one + 1.0, 0.25);
            double k = fmin(1.0, f->clip / norm);
            double mu = f->logistic ? 1 / (1 + exp(-eta)) : eta;
            double w = f->logistic ? k * mu * (1 - mu) : k * k;
            double res = (f->logistic ? k : k * k) * (s->y[i] - mu);
            *rss += res * (s->y[i] - mu);
            *weight += k * k;
            for (int j = 0; j < q; j++) {
                g[j] += res * x[j];
                for (int l = 0; l < q; l++)
                    inv[j * q + l] += w * x[j] * x[l];
            }
        }
        invert(inv, q);
        for (int j = 0; j < q; j++)
            for (int l = 0; l < q; l++)
                b[j] += inv[j * q + l] * g[l];
    }
}

static void test_exact_without_noise(void **state)
{
    (void)state;
    static const struct {
        int logistic, intercept, q;
        double clip, penalty, tolerance;
    } t[] = {
        {0, 1, 4, 100.0, 0, 1e-5},  {0, 1, 4, 1.2, 0, 1e-5},
        {0, 0, 3, 100.0, 0, 1e-5},  {0, 0, 3, 0.8, 0, 1e-5},
        {0, 1, 1, 100.0, 0, 1e-5},  {0, 0, 1, 1.0, 0, 1e-5},
        {0, 1, 4, 100.0, 30, 1e-5}, {1, 1, 4, 100.0, 0, 1e-5},
        {1, 1, 4, 1.1, 0, 1e-5},    {1, 0, 3, 0.8, 0, 1e-5},
        {1, 1, 1, 100.0, 0, 1e-5},  {1, 1, 4, 100.0, 30, 1e-5},
    };
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        cv_private_fit f = {t[k].logistic, t[k].intercept, t[k].q, t[k].clip};
        data s = new_data(2000, f.q);
        double b[MAX_Q], inv[MAX_Q * MAX_Q], rss, weight, penalty[MAX_Q];
        cv_stream r;
        cv_stream_open(&r, 5, "exact", k, 0);
        draw_data(&f, &s, 1.0, f.logistic ? 6.0 : 1.0, &r);
        for (int j = 0; j < f.q; j++)
            penalty[j] = j ? t[k].penalty : 0.0;
        result out;
        fit(&f, &s, -20, 0.0, 16, t[k].penalty > 0 ? penalty : NULL, &r, &out);
        direct(&f, &s, penalty, b, inv, &rss, &weight);
        double phi = f.logistic ? 1.0 : rss / (weight - f.q);
        assert_int_equal(out.raised, 0);
        for (int j = 0; j < f.q; j++)
            assert_true(fabs(out.b[j] - b[j]) < t[k].tolerance);
        for (int j = 0; j < f.q * f.q; j++)
            assert_true(fabs(out.cov[j] - phi * inv[j]) <
                        1e-4 * fabs(phi * inv[0]));
        if (!f.logistic) {
            assert_true(fabs(out.linear.weight - weight) < 1e-5 * weight);
            assert_true(fabs(out.linear.dispersion - phi) < 1e-5 * phi);
            assert_true(out.linear.null_dispersion >
                        (f.q > f.intercept ? 1.05 : 0.99) * phi);
        }
        cv_stream_close(&r);
        drop_data(&s);
    }
}

/* Clipped rows: still the truth, also where the spread follows x. */
static void test_clipping_does_not_bias(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        cv_private_fit f = {kind == 2, kind > 0, 3, 0.6};
        data s = new_data(200000, f.q);
        cv_stream r;
        cv_stream_open(&r, 6, "clipped", (uint64_t)kind, 0);
        double size = f.logistic ? 5.0 : 1.0;
        draw_data(&f, &s, 1.0, size, &r);
        result out;
        fit(&f, &s, -20, 0.0, 12, NULL, &r, &out);
        for (int j = 0; j < f.q; j++) {
            double se = sqrt(out.cov[j * f.q + j]);
            assert_true(se < 0.02);
            assert_true(fabs(out.b[j] - size * slopes[j]) < 3.5 * se);
        }
        cv_stream_close(&r);
        drop_data(&s);
    }
}

/* ---- edges ---- */

static void check_finite(const result *out, int q, double least_se)
{
    for (int j = 0; j < q; j++) {
        assert_true(isfinite(out->b[j]) && fabs(out->b[j]) < 100.0);
        double v = out->cov[j * q + j];
        assert_true(isfinite(v) && sqrt(v) >= least_se);
    }
}

/* No rows, with noise and without: numbers, intervals that say nothing. */
static void test_no_rows(void **state)
{
    (void)state;
    static const double sigmas[] = {0.0, 0.5, 20.0, 1e6};
    for (int kind = 0; kind < 3; kind++)
        for (int k = 0; k < 4; k++)
            for (int q = 1; q <= 3; q++) {
                cv_private_fit f = {kind == 2, kind > 0, q, 9.0};
                data s = new_data(0, q);
                cv_stream r;
                cv_stream_open(&r, 8, "none", (uint64_t)k, (uint64_t)kind);
                result out;
                fit(&f, &s, -10, sigmas[k], 8, NULL, &r, &out);
                check_finite(&out, q, 1e-4);
                if (k == 0) {
                    assert_true(out.b[0] == 0.0);
                    assert_true(out.cov[0] > 1e10);
                    assert_int_equal(out.raised, q);
                }
                cv_stream_close(&r);
                drop_data(&s);
            }
}

/* A column twice: no crash, the sum of both is right, each alone unknown. */
static void test_collinear(void **state)
{
    (void)state;
    for (int logistic = 0; logistic < 2; logistic++) {
        cv_private_fit f = {logistic, 1, 3, 9.0};
        data s = new_data(4000, 3);
        cv_stream r;
        cv_stream_open(&r, 9, "twice", (uint64_t)logistic, 0);
        draw_data(&f, &s, 1.0, 1.0, &r);
        for (int64_t i = 0; i < s.n; i++)
            s.x[3 * i + 2] = s.x[3 * i + 1];
        result out;
        fit(&f, &s, -14, 1.0, 10, NULL, &r, &out);
        assert_int_equal(out.raised, 1);
        double both = out.cov[4] + out.cov[8] + 2 * out.cov[5];
        assert_true(out.cov[4] > 20.0 * both && both > 0.0);
        cv_stream_close(&r);
        drop_data(&s);
    }
}

/* Separated classes: every round a bounded step, finite numbers. */
static void test_separated(void **state)
{
    (void)state;
    cv_private_fit f = {1, 1, 2, 9.0};
    data s = new_data(1000, 2);
    for (int64_t i = 0; i < s.n; i++) {
        s.x[2 * i] = 1.0;
        s.x[2 * i + 1] = (double)i / 499.5 - 1.0;
        s.y[i] = i >= 500;
    }
    for (int k = 0; k < 2; k++) {
        cv_stream r;
        cv_stream_open(&r, 10, "separated", 0, 0);
        result out;
        fit(&f, &s, -14, k ? 20.0 : 0.0, 10, NULL, &r, &out);
        check_finite(&out, 2, 0.01);
        assert_true(out.b[1] > 3.0 && out.b[1] <= 2.0 * 11);
        cv_stream_close(&r);
    }
    drop_data(&s);
}

static void test_sums_that_are_not_finite(void **state)
{
    (void)state;
    double sum[6] = {10, 1, 1, 10, 2, 5}, b[2], cov[4];
    double newton[22], before[22];
    int raised;
    cv_private_linear out;
    cv_private_fit linear = {0, 1, 2, 9.0}, logistic = {1, 1, 2, 9.0};
    assert_int_equal(cv_private_newton_words(2), 22);
    cv_private_newton_start(newton, 2);
    memcpy(before, newton, sizeof before);
    for (int i = 0; i < 6; i++) {
        double keep = sum[i];
        sum[i] = i % 2 ? NAN : INFINITY;
        assert_int_equal(
            cv_private_linear_solve(&linear, sum, 1.0, NULL, b, cov, &out), -1);
        if (i < 5)
            assert_int_equal(
                cv_private_newton_step(newton, &logistic, sum, 1.0, NULL, 1),
                -1);
        assert_memory_equal(newton, before, sizeof before);
        sum[i] = keep;
    }
    assert_int_equal(
        cv_private_linear_solve(&linear, sum, 1.0, NULL, b, cov, &out), 0);
    assert_int_equal(
        cv_private_newton_step(newton, &logistic, sum, 1.0, NULL, 1), 0);
    assert_int_equal(cv_private_newton_result(newton, &logistic, 1.0, NULL, 1,
                                              b, cov, &raised),
                     0);
}

/* Hostile noise makes sums that no data have: still numbers. */
static void test_any_sums(void **state)
{
    (void)state;
    cv_stream r;
    cv_stream_open(&r, 11, "any", 0, 0);
    for (int k = 0; k < 2000; k++) {
        cv_private_fit f = {k % 2, k / 2 % 2, 1 + k % 3, 9.0};
        double sum[MAX_D], newton[64], scale = pow(10.0, k % 13 - 4);
        result out;
        size_t d = cv_private_fit_words(&f);
        for (size_t i = 0; i < d; i++)
            sum[i] = scale * cv_stream_normal(&r);
        int rc = 0;
        cv_private_newton_start(newton, f.q);
        for (int t = 0; t < 6 && f.logistic; t++)
            rc |= cv_private_newton_step(newton, &f, sum, 1.0, NULL, 6);
        rc |= f.logistic ? cv_private_newton_result(newton, &f, 1.0, NULL, 6,
                                                    out.b, out.cov, &out.raised)
                         : cv_private_linear_solve(&f, sum, 1.0, NULL, out.b,
                                                   out.cov, &out.linear);
        assert_int_equal(rc, 0);
        for (int j = 0; j < f.q; j++) {
            assert_true(isfinite(out.b[j]));
            assert_true(isfinite(out.cov[j * f.q + j]));
            assert_true(out.cov[j * f.q + j] > 0.0);
        }
        if (!f.logistic)
            assert_true(out.linear.dispersion > 0.0 &&
                        out.linear.null_dispersion > 0.0);
    }
    cv_stream_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_sensitivity),
        cmocka_unit_test(test_both_ends_of_the_logistic_bound),
        cmocka_unit_test(test_weight_is_of_x_alone),
        cmocka_unit_test(test_hostile_rows),
        cmocka_unit_test(test_hostile_coefficients),
        cmocka_unit_test(test_exact_without_noise),
        cmocka_unit_test(test_clipping_does_not_bias),
        cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_collinear),
        cmocka_unit_test(test_separated),
        cmocka_unit_test(test_sums_that_are_not_finite),
        cmocka_unit_test(test_any_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
