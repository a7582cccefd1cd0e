/* Transforms of lanes against the definition in double. */
#include <complex.h>
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
#include "solver/fixed_math.h"
#include "solver/lane_fft.h"

#define TAU 6.283185307179586476925

/* All radices, in every order they come in, and primes without one. */
static const int sizes[][2] = {{8, 8},   {4 * 3, 10}, {14, 18}, {16, 20},
                               {22, 25}, {27, 9},     {36, 36}, {40, 26},
                               {35, 44}, {100, 6}};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static double complex root(int64_t k, int n)
{
    return cexp(-I * TAU * (double)(k % n) / n);
}

static double complex lane(const float *x, int point, int l)
{
    return (double)x[point * CV_POINT + l] +
           I * (double)x[point * CV_POINT + CV_LANES + l];
}

/* One lane's transform, one axis after the other. */
static void reference(double complex *out, const float *x, int m, int n, int l,
                      int sign)
{
    double complex *half = CV_NEW(m * n, double complex);
    for (int i = 0; i < m; i++)
        for (int k = 0; k < n; k++)
            for (int j = 0; j < n; j++) {
                double complex w = root((int64_t)j * k, n);
                half[i * n + k] +=
                    lane(x, i * n + j, l) * (sign < 0 ? w : conj(w));
            }
    for (int k = 0; k < n; k++)
        for (int p = 0; p < m; p++) {
            out[p * n + k] = 0;
            for (int i = 0; i < m; i++) {
                double complex w = root((int64_t)i * p, m);
                out[p * n + k] += half[i * n + k] * (sign < 0 ? w : conj(w));
            }
        }
    free(half);
}

static void fill(float *x, size_t n)
{
    cv_stream s;
    cv_stream_open(&s, 1, "test lane fft", n, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)cv_stream_normal(&s);
    cv_stream_close(&s);
}

static void check_size(int m, int n, int inverse)
{
    cv_lane_fft rows, columns;
    size_t size = (size_t)m * (size_t)n * CV_POINT;
    float *x = CV_NEW(size, float), *y = CV_NEW(size, float);
    float *room = CV_NEW(2 * (m > n ? m : n) * CV_POINT, float);
    double complex *want = CV_NEW(m * n, double complex);
    cv_lane_fft_init(&rows, m);
    cv_lane_fft_init(&columns, n);
    fill(x, size);
    memcpy(y, x, size * sizeof *x);
    cv_lane_fft_2d(&rows, &columns, y, inverse, room);
    for (int l = 0; l < CV_LANES; l += 5) {
        double worst = 0;
        reference(want, x, m, n, l, inverse ? 1 : -1);
        for (int p = 0; p < m * n; p++)
            worst = fmax(worst, cabs(lane(y, p, l) - want[p]));
        if (worst > 2e-6 * sqrt((double)m * n))
            fail_msg("%d x %d, lane %d, inverse %d: off by %g", m, n, l,
                     inverse, worst);
    }
    cv_lane_fft_free(&rows);
    cv_lane_fft_free(&columns);
    free(x);
    free(y);
    free(room);
    free(want);
}

static void test_sizes(void **state)
{
    (void)state;
    for (int i = 0; i < N_SIZES; i++)
        for (int inverse = 0; inverse < 2; inverse++) {
            check_size(sizes[i][0], sizes[i][1], inverse);
            check_size(sizes[i][1], sizes[i][0], inverse);
        }
}

static void test_turn(void **state)
{
    (void)state;
    for (int n = 1; n < 200; n++)
        for (int k = -n; k <= 2 * n; k++) {
            double c, s;
            cv_fixed_turn(&c, &s, k, n);
            assert_true(fabs(c - cos(TAU * k / n)) < 2e-14);
            assert_true(fabs(s - sin(TAU * k / n)) < 2e-14);
            if (4 * k % n == 0)
                assert_true(c == nearbyint(c) && s == nearbyint(s));
        }
}

static void test_exp(void **state)
{
    (void)state;
    assert_true(cv_fixed_exp(0.0) == 1.0);
    assert_true(cv_fixed_exp(-1e6) == 0.0);
    for (double x = 0; x > -700; x -= 0.37)
        assert_true(fabs(cv_fixed_exp(x) / exp(x) - 1.0) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_turn),
        cmocka_unit_test(test_exp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
