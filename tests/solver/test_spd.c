#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rand.h"
#include "solver/blas.h"
#include "solver/spd.h"

enum { ROWS = 40, COLUMNS = 8 };

/* Not true for NaN. */
#define assert_close(value, want, eps)                                         \
    assert_true(fabs((value) - (want)) <= (eps))

/* The generator of make_spd_values.R. */
static double next(double *state)
{
    *state = fmod(*state * 16807.0, 2147483647.0);
    return *state / 2147483647.0;
}

static double column(const char *design, int j, int row, const double *z)
{
    double d[] = {row % 3 == 0, row % 3 == 1, row % 3 == 2};
    if (strcmp(design, "plain") == 0)
        return j == 0 ? 1.0 : z[j - 1];
    if (strcmp(design, "sum") == 0)
        return (double[]){1.0, z[0], z[1], z[0] + z[1], z[2]}[j];
    if (strcmp(design, "copies") == 0)
        return (double[]){1.0, z[0], 2 * z[0], z[0] - 1, z[1], 0.0, z[2]}[j];
    if (strcmp(design, "dummies") == 0)
        return (double[]){1.0,  d[0],        d[1],        d[2],
                          z[0], d[0] * z[0], d[1] * z[0], d[2] * z[0]}[j];
    if (strcmp(design, "zero_first") == 0)
        return (double[]){0.0, z[0], z[0], 1.0, 3.0, z[1]}[j];
    if (strcmp(design, "near") == 0)
        return (double[]){z[0], z[0] + 1e-5 * z[1], z[2]}[j];
    if (strcmp(design, "units") == 0)
        return (double[]){1e9 * z[0], 1e-9 * z[1], z[0] + z[1], 1e-9 * z[0],
                          1.0}[j];
    assert_string_equal(design, "late");
    return (double[]){z[0] + z[1], z[0] - z[1], z[2], z[0], z[1], z[3]}[j];
}

/* What R's lm says: make_spd_values.R. */
static const struct {
    const char *name;
    int p;
    uint8_t dropped[COLUMNS];
} designs[] = {
    {"plain", 5, {0}},
    {"sum", 5, {0, 0, 0, 1, 0}},
    {"copies", 7, {0, 0, 1, 1, 0, 1, 0}},
    {"dummies", 8, {0, 0, 0, 1, 0, 0, 0, 1}},
    {"zero_first", 6, {1, 0, 1, 0, 1, 0}},
    {"near", 3, {0, 0, 0}},
    {"units", 5, {0, 0, 1, 1, 0}},
    {"late", 6, {0, 0, 0, 1, 1, 0}},
};
enum { N_DESIGNS = sizeof designs / sizeof *designs };

/* a = x'x, upper triangle; what must not be read is not a number. */
static void gram(const double *x, int n, int p, double *a)
{
    for (int i = 0; i < p; i++)
        for (int j = 0; j < p; j++) {
            double sum = j < i ? NAN : 0.0;
            for (int r = 0; r < n; r++)
                sum += x[r * p + i] * x[r * p + j];
            a[i * p + j] = sum;
        }
}

static void make_design(int which, double a[COLUMNS * COLUMNS])
{
    double state = 12345.0, x[ROWS * COLUMNS];
    int p = designs[which].p;
    for (int r = 0; r < ROWS; r++) {
        double z[4];
        for (int k = 0; k < 4; k++)
            z[k] = next(&state);
        for (int j = 0; j < p; j++)
            x[r * p + j] = column(designs[which].name, j, r, z);
    }
    gram(x, ROWS, p, a);
}

static void test_dropped_as_lm(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_DESIGNS; i++) {
        double a[COLUMNS * COLUMNS];
        uint8_t dropped[COLUMNS] = {0};
        int p = designs[i].p, column_at = -1, rank = p, first = -1;
        make_design(i, a);
        cv_spd *s = cv_spd_factor(a, p, CV_SPD_TOLERANCE, 1, dropped, NULL);
        assert_non_null(s);
        assert_memory_equal(dropped, designs[i].dropped, p);
        for (int j = p - 1; j >= 0; j--) {
            rank -= dropped[j];
            first = dropped[j] ? j : first;
        }
        assert_int_equal(cv_spd_rank(s), rank);
        cv_spd_destroy(&s);
        assert_null(s);

        /* Without the search the first of them is named; those known on entry
         * are no failure. */
        uint8_t none[COLUMNS] = {0};
        s = cv_spd_factor(a, p, CV_SPD_TOLERANCE, 0, none, &column_at);
        assert_int_equal(s == NULL, first >= 0);
        assert_int_equal(column_at, first);
        cv_spd_destroy(&s);
        s = cv_spd_factor(a, p, CV_SPD_TOLERANCE, 0, dropped, NULL);
        assert_non_null(s);
        assert_memory_equal(dropped, designs[i].dropped, p);
        cv_spd_destroy(&s);
    }
}

/* Columns of independent noise, each in its own unit. */
static double *noise(int n, int p, uint64_t seed)
{
    double *x = CV_NEW(n * p, double);
    cv_stream s;
    cv_stream_open(&s, seed, "test spd", (uint64_t)p, 0);
    for (int i = 0; i < n * p; i++)
        x[i] = cv_stream_normal(&s) + 0.5;
    cv_stream_close(&s);
    return x;
}

/* Sizes on both sides of a panel. */
static const int sizes[] = {1, 2, 3, 63, 64, 65, 130, 200};

static void test_solve_and_inverse(void **unused)
{
    (void)unused;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int p = sizes[k], n = 3 * p + 5;
        double *x = noise(n, p, 1), *a = CV_NEW(p * p, double);
        double *inv = CV_NEW(p * p, double), *b = CV_NEW(p, double);
        double *want = noise(p, 1, 2);
        uint8_t *dropped = CV_NEW(p, uint8_t);
        gram(x, n, p, a);
        cv_spd *s = cv_spd_factor(a, p, CV_SPD_TOLERANCE, 0, dropped, NULL);
        assert_non_null(s);
        assert_int_equal(cv_spd_rank(s), p);
        for (int i = 0; i < p; i++)
            for (int j = 0; j < p; j++)
                b[i] += a[i < j ? i * p + j : j * p + i] * want[j];
        cv_spd_solve(s, b, b);
        cv_spd_inverse(s, inv);
        for (int i = 0; i < p; i++) {
            assert_close(b[i], want[i], 1e-11);
            for (int j = 0; j < p; j++) {
                double sum = 0.0;
                for (int m = 0; m < p; m++)
                    sum += a[i < m ? i * p + m : m * p + i] * inv[m * p + j];
                assert_close(sum, i == j, 1e-10);
                assert_true(inv[i * p + j] == inv[j * p + i]);
            }
        }
        cv_spd_destroy(&s);
        free(x);
        free(a);
        free(inv);
        free(b);
        free(want);
        free(dropped);
    }
}

/* Dropped columns on both sides of panels are 0; the others are those of the
 * matrix without them. */
static void test_dropped_are_left_out(void **unused)
{
    (void)unused;
    enum { P = 150, N = 400 };
    double *x = noise(N, P, 3), *a = CV_NEW(P * P, double);
    double *few = CV_NEW(N * P, double), *small = CV_NEW(P * P, double);
    double *inv = CV_NEW(P * P, double), *want = CV_NEW(P * P, double);
    int out[P] = {0}, kept[P], rank = 0;
    out[0] = out[63] = out[64] = out[65] = out[100] = out[149] = 1;
    for (int j = 0; j < P; j++)
        if (!out[j])
            kept[rank++] = j;
    for (int r = 0; r < N; r++) {
        x[r * P] = 0.0;
        x[r * P + 63] = x[r * P + 62];
        x[r * P + 64] = x[r * P + 1] - 3.0 * x[r * P + 62];
        x[r * P + 65] = 7.0 * x[r * P + 64];
        x[r * P + 100] = 1e20 * x[r * P + 99];
        x[r * P + 149] = x[r * P + 2] + x[r * P + 148];
        for (int j = 0; j < rank; j++)
            few[r * rank + j] = x[r * P + kept[j]];
    }
    gram(x, N, P, a);
    gram(few, N, rank, small);
    uint8_t dropped[P] = {0}, none[P] = {0};
    double b[P], y[P], z[P];
    cv_spd *s = cv_spd_factor(a, P, CV_SPD_TOLERANCE, 1, dropped, NULL);
    cv_spd *t = cv_spd_factor(small, rank, CV_SPD_TOLERANCE, 0, none, NULL);
    assert_non_null(s);
    assert_non_null(t);
    assert_int_equal(cv_spd_rank(s), rank);
    for (int j = 0; j < P; j++) {
        assert_int_equal(dropped[j], out[j]);
        y[j] = sin(j);
    }
    for (int j = 0; j < rank; j++)
        b[j] = y[kept[j]];
    cv_spd_solve(s, y, y);
    cv_spd_solve(t, b, z);
    cv_spd_inverse(s, inv);
    cv_spd_inverse(t, want);
    for (int i = 0, k = 0; i < P; i++) {
        assert_close(y[i], out[i] ? 0.0 : z[k], 1e-14);
        for (int j = 0, m = 0; j < P; j++) {
            int zero = out[i] || out[j];
            assert_close(inv[i * P + j], zero ? 0.0 : want[k * rank + m],
                         1e-14);
            m += !out[j];
        }
        k += !out[i];
    }
    assert_close(cv_spd_rcond(s), cv_spd_rcond(t), 1e-12);
    cv_spd_destroy(&s);
    cv_spd_destroy(&t);
    free(x);
    free(a);
    free(few);
    free(small);
    free(inv);
    free(want);
}

/* Solutions follow the units of columns, from 1e-150 to 1e150. */
static void test_units(void **unused)
{
    (void)unused;
    enum { P = 7 };
    static const double unit[P] = {1e150, 1e-150, 1.0, 1e75, 1e-75, 1e149, 3.0};
    double *x = noise(50, P, 4), a[P * P], scaled[P * P], b[P], c[P];
    double inv[P * P], other[P * P];
    uint8_t dropped[P] = {0};
    gram(x, 50, P, a);
    for (int i = 0; i < P; i++) {
        b[i] = i - 2.5;
        c[i] = b[i] * unit[i];
        for (int j = 0; j < P; j++)
            scaled[i * P + j] = a[i * P + j] * unit[i] * unit[j];
    }
    cv_spd *s = cv_spd_factor(a, P, CV_SPD_TOLERANCE, 1, dropped, NULL);
    cv_spd *t = cv_spd_factor(scaled, P, CV_SPD_TOLERANCE, 1, dropped, NULL);
    assert_non_null(s);
    assert_non_null(t);
    assert_int_equal(cv_spd_rank(t), P);
    assert_close(cv_spd_rcond(s), cv_spd_rcond(t), 1e-13);
    cv_spd_solve(s, b, b);
    cv_spd_solve(t, c, c);
    cv_spd_inverse(s, inv);
    cv_spd_inverse(t, other);
    for (int i = 0; i < P; i++) {
        assert_close(c[i] * unit[i], b[i], 1e-13);
        for (int j = 0; j < P; j++)
            assert_close(other[i * P + j] * unit[i] * unit[j], inv[i * P + j],
                         1e-13);
    }
    cv_spd_destroy(&s);
    cv_spd_destroy(&t);
    free(x);
}

/* {matrix, without search: the column that fails or -1, with search: rank or
 * -1} */
static const struct {
    int p;
    double a[9];
    int column, rank;
} odd[] = {
    {0, {0}, -1, 0},
    {1, {4.0}, -1, 1},
    {1, {0.0}, 0, 0},
    {1, {-1.0}, 0, 0},
    {1, {5e-324}, -1, 1},
    {1, {NAN}, 0, -1},
    {1, {INFINITY}, 0, -1},
    {2, {1.0, NAN, 0.0, 1.0}, 1, -1},
    {2, {1.0, INFINITY, 0.0, 1.0}, 1, -1},
    {2, {1.0, 0.5, NAN, -2.0}, 1, 1},
    /* Not positive: the later column goes. */
    {2, {1.0, 2.0, NAN, 1.0}, 1, 1},
    {2, {1e-300, 1e300, NAN, 1e-300}, 1, -1},
    {3, {1.0, 1.0, 0.0, NAN, 1.0, 1.0, NAN, NAN, 1.0}, 1, 2},
};

static void test_odd_matrices(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        uint8_t dropped[3] = {0};
        int at = -1;
        cv_spd *s = cv_spd_factor(odd[i].a, odd[i].p, 1e-11, 0, dropped, &at);
        assert_int_equal(at, odd[i].column);
        assert_int_equal(s == NULL, odd[i].column >= 0);
        cv_spd_destroy(&s);
        memset(dropped, 0, sizeof dropped);
        s = cv_spd_factor(odd[i].a, odd[i].p, 1e-11, 1, dropped, &at);
        assert_int_equal(s ? cv_spd_rank(s) : -1, odd[i].rank);
        if (s) {
            double x[3] = {1.0, 1.0, 1.0}, inv[9];
            cv_spd_solve(s, x, x);
            cv_spd_inverse(s, inv);
            assert_true(cv_spd_rcond(s) > 0.0);
        }
        cv_spd_destroy(&s);
        cv_spd_destroy(&s);
    }
    cv_spd_destroy(NULL);
}

static void test_rcond(void **unused)
{
    (void)unused;
    /* 1-norms of [[1, r], [r, 1]] and its inverse: 1 + r and 1 / (1 - r). */
    double a[4] = {9.0, 3.0 * 0.9, 0.0, 1.0};
    uint8_t dropped[2] = {0};
    cv_spd *s = cv_spd_factor(a, 2, CV_SPD_TOLERANCE, 0, dropped, NULL);
    assert_non_null(s);
    assert_close(cv_spd_rcond(s), 0.1 / 1.9, 1e-14);
    cv_spd_destroy(&s);
}

static void test_eigen(void **unused)
{
    (void)unused;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int p = sizes[k];
        double *x = noise(p + 9, p, 5), *a = CV_NEW(p * p, double);
        double *v = CV_NEW(p * p, double), *w = CV_NEW(p, double);
        gram(x, p + 9, p, a);
        a[0] -= 50.0; /* not positive */
        assert_int_equal(cv_sym_eigen(a, p, w, v), 0);
        for (int i = 0; i < p; i++) {
            double largest = 0.0;
            assert_true(i == 0 || w[i] <= w[i - 1]);
            for (int j = 0; j < p; j++) {
                double sum = 0.0, dot = 0.0;
                for (int m = 0; m < p; m++) {
                    sum += a[j < m ? j * p + m : m * p + j] * v[i * p + m];
                    dot += v[i * p + m] * v[j * p + m];
                }
                assert_close(sum, w[i] * v[i * p + j],
                             1e-10 + 1e-13 * fabs(w[0]));
                assert_close(dot, i == j, 1e-12);
                if (fabs(v[i * p + j]) > fabs(largest))
                    largest = v[i * p + j];
            }
            assert_true(largest > 0.0);
        }
        free(x);
        free(a);
        free(v);
        free(w);
    }
    double values[2], v[4], bad[4] = {1.0, NAN, 0.0, 1.0};
    assert_int_equal(cv_sym_eigen(bad, 2, values, v), -1);
    assert_int_equal(cv_sym_eigen(bad, 0, values, v), 0);
    /* Both elements are as large: the first is positive. */
    double even[4] = {1.0, -0.5, NAN, 1.0};
    assert_int_equal(cv_sym_eigen(even, 2, values, v), 0);
    assert_close(values[0], 1.5, 1e-15);
    assert_close(v[0], sqrt(0.5), 1e-15);
    assert_close(v[1], -sqrt(0.5), 1e-15);
}

/* The products of solver/blas against plain sums, with room between rows. */
static void test_products(void **unused)
{
    (void)unused;
    enum { M = 3, N = 4, K = 5, LD = 7 };
    double *a = noise(LD, LD, 6), *b = noise(LD, LD, 7), c[LD * LD], y[LD];
    for (int t = 0; t < 4; t++) {
        int a_t = t & 1, b_t = t >> 1;
        for (int i = 0; i < LD * LD; i++)
            c[i] = i;
        cv_blas_dgemm(a_t, b_t, M, N, K, 2.0, a, LD, b, LD, 0.5, c, LD);
        for (int i = 0; i < LD; i++)
            for (int j = 0; j < LD; j++) {
                double want = i * LD + j;
                if (i < M && j < N) {
                    want *= 0.5;
                    for (int k = 0; k < K; k++)
                        want += 2.0 * a[a_t ? k * LD + i : i * LD + k] *
                                b[b_t ? j * LD + k : k * LD + j];
                }
                assert_close(c[i * LD + j], want, 1e-13);
            }
        for (int i = 0; i < LD * LD; i++)
            c[i] = i;
        cv_blas_dsyrk(a_t, N, K, 2.0, a, LD, 0.5, c, LD);
        for (int i = 0; i < LD; i++)
            for (int j = 0; j < LD; j++) {
                double want = i * LD + j;
                if (i <= j && j < N) {
                    want *= 0.5;
                    for (int k = 0; k < K; k++)
                        want += 2.0 * a[a_t ? k * LD + i : i * LD + k] *
                                a[a_t ? k * LD + j : j * LD + k];
                }
                assert_close(c[i * LD + j], want, 1e-13);
            }
        for (int i = 0; i < LD; i++)
            y[i] = i;
        cv_blas_dgemv(a_t, M, N, 2.0, a, LD, b, 0.5, y);
        for (int i = 0; i < LD; i++) {
            double want = i;
            if (i < (a_t ? N : M)) {
                want *= 0.5;
                for (int k = 0; k < (a_t ? M : N); k++)
                    want += 2.0 * a[a_t ? k * LD + i : i * LD + k] * b[k];
            }
            assert_close(y[i], want, 1e-13);
        }
    }
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dropped_as_lm),
        cmocka_unit_test(test_solve_and_inverse),
        cmocka_unit_test(test_dropped_are_left_out),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_odd_matrices),
        cmocka_unit_test(test_rcond),
        cmocka_unit_test(test_eigen),
        cmocka_unit_test(test_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
