#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rand.h"
#include "solver/fourier.h"

enum { N = 90, IN = 5 }; /* more than a block of rows */
static const double GAMMA = 0.15;

static void draw(double *x)
{
    cv_stream s;
    cv_stream_open(&s, 3, "test points", 0, 0);
    for (int i = 0; i < N * IN; i++)
        x[i] = cv_stream_normal(&s);
    cv_stream_close(&s);
}

/* Root mean square of z z' less the kernel, over all pairs of rows. */
static double error_of(const double *x, int n_out, uint64_t seed)
{
    cv_fourier *f = cv_fourier_create(IN, n_out, GAMMA, seed);
    double *z = CV_NEW((size_t)N * n_out, double), sum = 0.0;
    cv_fourier_map(f, x, N, z);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < i; j++) {
            double square = 0.0, dot = 0.0;
            for (int k = 0; k < IN; k++)
                square += pow(x[i * IN + k] - x[j * IN + k], 2.0);
            for (int k = 0; k < n_out; k++)
                dot += z[i * n_out + k] * z[j * n_out + k];
            sum += pow(dot - exp(-GAMMA * square), 2.0);
        }
    free(z);
    cv_fourier_destroy(&f);
    assert_null(f);
    return sqrt(sum / (N * (N - 1) / 2));
}

/* The error of one feature is at most 1 in variance: over n_out of them
 * 1/sqrt(n_out), less what the kernel takes; seeds together, so that the law
 * shows. */
static void test_kernel(void **state)
{
    (void)state;
    enum { SEEDS = 8 };
    double x[N * IN], before = 0.0;
    draw(x);
    for (int n_out = 64; n_out <= 4096; n_out *= 4) {
        double error = 0.0;
        for (uint64_t seed = 0; seed < SEEDS; seed++)
            error += error_of(x, n_out, seed) / SEEDS;
        print_message("%d features: %.5f\n", n_out, error);
        assert_true(error < 1.0 / sqrt(n_out));
        assert_true(error > 0.5 / sqrt(n_out));
        if (before > 0.0)
            assert_true(before / error > 1.7 && before / error < 2.3);
        before = error;
    }
}

static void test_seed(void **state)
{
    (void)state;
    enum { OUT = 33 };
    double x[N * IN], z[3][N * OUT];
    draw(x);
    for (int i = 0; i < 3; i++) {
        cv_fourier *f = cv_fourier_create(IN, OUT, GAMMA, i == 2 ? 8 : 7);
        cv_fourier_map(f, x, N, z[i]);
        cv_fourier_destroy(&f);
    }
    assert_memory_equal(z[0], z[1], sizeof z[0]);
    int same = 0;
    for (int i = 0; i < N * OUT; i++)
        same += z[0][i] == z[2][i];
    assert_int_equal(same, 0);
}

/* The first features do not depend on how many there are. */
static void test_prefix(void **state)
{
    (void)state;
    double x[N * IN], small[N * 4], large[N * 9];
    draw(x);
    cv_fourier *f = cv_fourier_create(IN, 4, GAMMA, 1);
    cv_fourier *g = cv_fourier_create(IN, 9, GAMMA, 1);
    cv_fourier_map(f, x, N, small);
    cv_fourier_map(g, x, N, large);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 4; k++)
            assert_true(fabs(small[i * 4 + k] * sqrt(4.0) -
                             large[i * 9 + k] * sqrt(9.0)) < 1e-13);
    cv_fourier_map(f, x, 0, small); /* no rows */
    cv_fourier_destroy(&f);
    cv_fourier_destroy(&g);
    cv_fourier_destroy(&g);
    cv_fourier_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernel),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
