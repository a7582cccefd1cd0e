/* Private regressions with noise: do intervals hold the truth? */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/solver/private_rows.h"

typedef struct {
    const char *name;
    int logistic, intercept, q, n;
    double clip, spread, size, sigma;
    int rounds;
    double bias;     /* largest mean error, in deviations of the estimate */
    double at_least; /* of replications in which a direction was raised */
    double at_most;
} scene;

/* at_most < 1: the noise is told from information, and intervals must be
 * neither short nor long. Else they are only not to be short. */
static const scene scenes[] = {
    {"linear no noise", 0, 1, 4, 2000, 9, 1, 1, 0, 0, 0.2, 0, 0},
    {"linear", 0, 1, 4, 2000, 9, 1, 1, 2, 0, 0.2, 0, 0},
    {"linear", 0, 1, 4, 2000, 9, 1, 1, 18, 0, 0.2, 0, 0},
    {"linear", 0, 1, 4, 2000, 9, 1, 1, 60, 0, 0.2, 0, 0.05},
    {"linear q 10", 0, 1, 10, 2000, 9, 1, 1, 40, 0, 0.2, 0, 0.05},
    {"linear q 1", 0, 1, 1, 2000, 9, 1, 1, 200, 0, 0.2, 0, 0},
    {"linear no int.", 0, 0, 3, 2000, 9, 1, 1, 30, 0, 0.2, 0, 0},
    {"linear clip 1.3", 0, 1, 4, 2000, 1.3, 1, 1, 8, 0, 0.2, 0, 0},
    {"linear heavy", 0, 1, 4, 2000, 9, 1, 1, 200, 0, 1, 0.9, 1},
    {"linear narrow x", 0, 1, 4, 2000, 9, 0.2, 1, 18, 0, 1, 0.9, 1},
    {"linear steep narrow", 0, 0, 3, 2000, 9, 0.1, 8, 18, 0, 9, 0.9, 1},
    {"linear 50 rows", 0, 1, 3, 50, 9, 1, 1, 40, 0, 1, 0.9, 1},
    {"logistic no noise", 1, 1, 4, 2000, 9, 1, 5, 0, 8, 0.2, 0, 0},
    {"logistic", 1, 1, 4, 2000, 9, 1, 5, 10, 8, 0.2, 0, 0},
    {"logistic", 1, 1, 4, 2000, 9, 1, 5, 30, 8, 0.2, 0, 0},
    {"logistic", 1, 1, 4, 2000, 9, 1, 5, 55, 8, 0.3, 0, 0.3},
    {"logistic q 10", 1, 1, 10, 3000, 9, 1, 5, 30, 12, 0.4, 0, 0.05},
    {"logistic q 1", 1, 1, 1, 2000, 9, 1, 5, 80, 6, 0.2, 0, 0},
    {"logistic no int.", 1, 0, 3, 2000, 9, 1, 5, 30, 8, 0.3, 0, 0},
    {"logistic clip 1.0", 1, 1, 4, 2000, 1, 1, 5, 15, 8, 0.3, 0, 0},
    {"logistic steep", 1, 1, 4, 3000, 9, 1, 15, 15, 14, 0.3, 0, 0.3},
    {"logistic steep", 1, 1, 4, 2000, 9, 1, 15, 60, 12, 1, 0.9, 1},
    {"logistic heavy", 1, 1, 4, 2000, 9, 1, 5, 160, 8, 1, 0.9, 1},
    {"logistic 200 rows", 1, 1, 4, 200, 9, 1, 5, 40, 8, 1, 0.9, 1},
};

enum { REPEATS = 500 };

static void cover(const scene *c, uint64_t seed)
{
    cv_private_fit f = {c->logistic, c->intercept, c->q, c->clip};
    data s = new_data(c->n, c->q);
    double error[MAX_Q] = {0}, square[MAX_Q] = {0}, se[MAX_Q] = {0};
    int hit[MAX_Q] = {0}, raised = 0;
    cv_stream r;
    cv_stream_open(&r, 7, "coverage", seed, 0);
    for (int k = 0; k < REPEATS; k++) {
        result out;
        draw_data(&f, &s, c->spread, c->size, &r);
        fit(&f, &s, -12, c->sigma, c->rounds, NULL, &r, &out);
        raised += out.raised > 0;
        for (int j = 0; j < c->q; j++) {
            double e = out.b[j] - c->size * slopes[j];
            double dev = sqrt(out.cov[j * c->q + j]);
            hit[j] += fabs(e) <= 1.959964 * dev;
            error[j] += e / REPEATS;
            square[j] += e * e / REPEATS;
            se[j] += dev / REPEATS;
        }
    }
    double low = 1, high = 0, bias = 0, ratio = 0;
    for (int j = 0; j < c->q; j++) {
        double sd = sqrt(square[j] - error[j] * error[j]);
        low = fmin(low, (double)hit[j] / REPEATS);
        high = fmax(high, (double)hit[j] / REPEATS);
        bias = fmax(bias, fabs(error[j]) / sd);
        ratio = fmax(ratio, se[j] / sd);
    }
    print_message("%-18s q %2d n %4d sigma %5.0f: coverage %.3f to %.3f, "
                  "bias/sd %.2f, se/sd up to %.2f, raised %.2f\n",
                  c->name, c->q, c->n, c->sigma, low, high, bias, ratio,
                  (double)raised / REPEATS);
    assert_true(low >= 0.90);
    assert_true(high <= (c->at_most < 1 ? 0.99 : 1.0));
    assert_true(bias <= c->bias);
    assert_true(raised >= c->at_least * REPEATS);
    assert_true(raised <= c->at_most * REPEATS);
    cv_stream_close(&r);
    drop_data(&s);
}

static void test_coverage(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof scenes / sizeof *scenes; k++)
        cover(scenes + k, k);
}

/* One data set, many draws of noise: the variance that noise alone makes is
 * N's, and the dispersion is that without noise. */
static void test_noise_alone(void **state)
{
    (void)state;
    enum { DRAWS = 20000 };
    cv_private_fit f = {0, 1, 10, 9.0};
    size_t d = cv_private_fit_words(&f);
    data s = new_data(4000, f.q);
    double sum[MAX_D], noisy[MAX_D], mean[MAX_Q] = {0}, square[MAX_Q] = {0};
    double sigma = 30.0, phi = 0.0, null = 0.0;
    cv_stream r;
    cv_stream_open(&r, 12, "alone", 0, 0);
    draw_data(&f, &s, 1.0, 1.0, &r);
    for (int64_t i = 0; i < s.n; i++) /* a large coefficient */
        s.y[i] = 0.8 * s.x[i * f.q + 1] + 0.2 * cv_stream_normal(&r);
    noisy_sums(&f, &s, NULL, -16, 0.0, &r, sum);
    result exact, out;
    assert_int_equal(cv_private_linear_solve(&f, sum, 0.0, NULL, exact.b,
                                             exact.cov, &exact.linear),
                     0);
    for (int k = 0; k < DRAWS; k++) {
        for (size_t i = 0; i < d; i++)
            noisy[i] = sum[i] + sigma * cv_stream_normal(&r);
        cv_private_linear_solve(&f, noisy, sigma, NULL, out.b, out.cov,
                                &out.linear);
        phi += out.linear.dispersion / DRAWS;
        null += out.linear.null_dispersion / DRAWS;
        for (int j = 0; j < f.q; j++) {
            double e = out.b[j] - exact.b[j];
            mean[j] += e / DRAWS;
            square[j] += e * e / DRAWS;
        }
    }
    assert_true(fabs(phi / exact.linear.dispersion - 1.0) < 0.015);
    assert_true(fabs(null / exact.linear.null_dispersion - 1.0) < 0.02);
    cv_private_linear_solve(&f, sum, sigma, NULL, out.b, out.cov, &out.linear);
    assert_int_equal(out.linear.raised, 0);
    for (int j = 0; j < f.q; j++) {
        double scale = out.linear.dispersion / exact.linear.dispersion;
        double want = out.cov[j * f.q + j] - scale * exact.cov[j * f.q + j];
        double got = square[j] - mean[j] * mean[j];
        assert_true(got > 0.97 * want && got < 1.15 * want);
        assert_true(fabs(mean[j]) < 0.1 * sqrt(want));
    }
    cv_stream_close(&r);
    drop_data(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noise_alone),
        cmocka_unit_test(test_coverage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
