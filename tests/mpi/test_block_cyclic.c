/* Block-cyclic matrices against a small Cholesky of our own and the definition
 * of eigenvectors; run under mpirun with 1 to 4 ranks. */
#include <math.h>
#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rand.h"
#include "solver/block_cyclic.h"

static int g_rank, g_size;

/* Around one, two and a few blocks of 8 to 128; 1: nearly no rank has any. */
static const int sizes[] = {1, 2, 7, 8, 9, 16, 17, 31, 32, 33, 100, 300, 517};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

/* --- matrices: full (n, n) row-major at every rank, for comparison --- */

/* This rank's summand of a cross-product of small integers: sums of them are
 * exact in any order. */
static double *summand(int n, int rank)
{
    int rows = n / g_size + 2;
    double *x = CV_NEW((size_t)rows * n, double);
    double *a = CV_NEW((size_t)n * n, double);
    cv_stream s;
    cv_stream_open(&s, 5, "block cyclic", (uint64_t)rank, (uint64_t)n);
    for (int i = 0; i < rows * n; i++)
        x[i] = (double)cv_stream_below(&s, 7) - 3;
    cv_stream_close(&s);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                a[(size_t)i * n + j] += x[r * n + i] * x[r * n + j];
    free(x);
    return a;
}

static double *whole(int n)
{
    double *a = CV_NEW((size_t)n * n, double);
    for (int r = 0; r < g_size; r++) {
        double *s = summand(n, r);
        for (size_t i = 0; i < (size_t)n * n; i++)
            a[i] += s[i];
        free(s);
    }
    return a;
}

static double *ridge(int n)
{
    double *v = CV_NEW(n, double);
    for (int i = 0; i < n; i++)
        v[i] = 1 + i % 3 + n / 8.0;
    return v;
}

/* --- a small Cholesky --- */

/* Lower factor in place of the lower triangle. -1, or the pivot that fails. */
static int cholesky(double *a, int n)
{
    for (int j = 0; j < n; j++) {
        for (int i = j; i < n; i++) {
            double s = a[(size_t)i * n + j];
            for (int k = 0; k < j; k++)
                s -= a[(size_t)i * n + k] * a[(size_t)j * n + k];
            if (i == j && !(s > 0 && isfinite(s)))
                return j;
            a[(size_t)i * n + j] = i == j ? sqrt(s) : s / a[(size_t)j * n + j];
        }
    }
    return -1;
}

static void cholesky_solve(const double *l, int n, double *b)
{
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++)
            b[i] -= l[(size_t)i * n + k] * b[k];
        b[i] /= l[(size_t)i * n + i];
    }
    for (int i = n; i-- > 0;) {
        for (int k = i + 1; k < n; k++)
            b[i] -= l[(size_t)k * n + i] * b[k];
        b[i] /= l[(size_t)i * n + i];
    }
}

/* --- helpers --- */

static void assert_near(const double *got, const double *want, size_t n,
                        double tolerance)
{
    double top = 0;
    for (size_t i = 0; i < n; i++)
        top = fmax(top, fabs(want[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= tolerance * top))
            fail_msg("element %zu: %.17g, not %.17g", i, got[i], want[i]);
}

static void assert_same_everywhere(MPI_Comm comm, const void *data, size_t n)
{
    void *first = cv_calloc(n, 1);
    memcpy(first, data, n);
    MPI_Bcast(first, (int)n, MPI_BYTE, 0, comm);
    assert_memory_equal(data, first, n);
    free(first);
}

static void *repeat(const void *data, size_t n)
{
    void *copy = cv_calloc(n, 1);
    memcpy(copy, data, n);
    return copy;
}

static cv_dist *create(MPI_Comm comm, int n)
{
    cv_dist *d;
    cv_err err;
    assert_int_equal(cv_dist_create_all(comm, n, &d, &err), 0);
    assert_int_equal(cv_dist_n(d), n);
    return d;
}

/* The upper triangle of a into d, panel by panel. shared: the sum over the ranks
 * of comm of each one's a, by reduce-scatters; else every rank has the same a
 * and takes its part. */
static void put(MPI_Comm comm, cv_dist *d, const double *a, int shared)
{
    int rank, ranks, n = (int)cv_dist_n(d), nb = cv_dist_grid_of(d).nb;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    int *counts = CV_NEW(ranks, int);
    int64_t *place = CV_NEW((size_t)n * nb, int64_t);
    double *packed = CV_NEW((size_t)n * nb, double);
    double *mine = CV_NEW((size_t)n * nb, double);
    for (int j0 = 0; j0 < n; j0 += nb) {
        int j1 = j0 + nb < n ? j0 + nb : n, w = j1 - j0;
        cv_dist_panel_counts(d, j0, counts);
        cv_dist_panel_order(d, j0, place);
        for (int i = 0; i < j1; i++)
            for (int j = j0; j < j1; j++)
                if (place[i * w + j - j0] >= 0)
                    packed[place[i * w + j - j0]] = a[(size_t)i * n + j];
        if (shared) {
            MPI_Reduce_scatter(packed, mine, counts, MPI_DOUBLE, MPI_SUM, comm);
            cv_dist_panel_put(d, j0, mine);
        } else {
            int64_t at = 0;
            for (int r = 0; r < rank; r++)
                at += counts[r];
            cv_dist_panel_put(d, j0, packed + at);
        }
    }
    free(counts);
    free(place);
    free(packed);
    free(mine);
}

/* --- tests --- */

static void grids_are_square_and_leave_nobody_idle(void **state)
{
    (void)state;
    static const struct {
        int ranks, rows, cols;
    } known[] = {{1, 1, 1},  {2, 1, 2},   {3, 1, 3},    {4, 2, 2},
                 {6, 2, 3},  {7, 1, 7},   {12, 3, 4},   {16, 4, 4},
                 {18, 3, 6}, {97, 1, 97}, {100, 10, 10}};
    static const int64_t n[] = {0, 1, 8, 9, 63, 64, 500, 4000, 1000000};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        for (size_t j = 0; j < sizeof n / sizeof *n; j++) {
            cv_dist_grid g = cv_dist_choose(known[i].ranks, n[j]);
            assert_int_equal(g.rows, known[i].rows);
            assert_int_equal(g.cols, known[i].cols);
            assert_true(g.nb >= 8 && g.nb % 8 == 0 && g.nb <= 256);
            /* As many blocks as places, once there are 8 columns for each. */
            if (n[j] >= 8 * g.cols)
                assert_true(n[j] > (int64_t)g.nb * (g.cols - 1));
        }
}

/* Every element of the upper triangle has one place, in the part of the rank
 * that the layout names. */
static void panels_are_packed_by_owner(void **state)
{
    (void)state;
    for (int s = 0; s < N_SIZES; s++) {
        int n = sizes[s];
        cv_dist *d = create(MPI_COMM_WORLD, n);
        cv_dist_grid g = cv_dist_grid_of(d);
        assert_int_equal(g.rows * g.cols, g_size);
        int *counts = CV_NEW(g_size, int);
        int64_t total = 0, own = 0;
        for (int j0 = 0; j0 < n; j0 += g.nb) {
            int j1 = j0 + g.nb < n ? j0 + g.nb : n, w = j1 - j0;
            int64_t words = cv_dist_panel_words(d, j0), sum = 0;
            int64_t *place = CV_NEW((size_t)j1 * w, int64_t);
            int *owner = CV_NEW(words, int);
            char *taken = CV_NEW(words, char);
            memset(counts, 0xff, (size_t)g_size * sizeof *counts);
            memset(place, 0x7f, (size_t)j1 * w * sizeof *place);
            cv_dist_panel_counts(d, j0, counts);
            cv_dist_panel_order(d, j0, place);
            for (int r = 0; r < g_size; r++) {
                assert_in_range(counts[r], 0, words - sum);
                for (int i = 0; i < counts[r]; i++)
                    owner[sum++] = r;
            }
            assert_int_equal(sum, words);
            for (int i = 0; i < j1; i++)
                for (int j = j0; j < j1; j++) {
                    int64_t at = place[i * w + j - j0];
                    if (i > j) {
                        assert_int_equal(at, -1);
                        continue;
                    }
                    assert_true(at >= 0 && at < words && !taken[at]);
                    taken[at] = 1;
                    int row = i / g.nb % g.rows, col = j / g.nb % g.cols;
                    assert_int_equal(owner[at], row * g.cols + col);
                }
            assert_null(memchr(taken, 0, (size_t)words));
            total += words;
            own += counts[g_rank];
            free(place);
            free(owner);
            free(taken);
        }
        assert_int_equal(total, (int64_t)n * (n + 1) / 2);
        assert_true((int64_t)cv_dist_bytes(d) >= own * 8);
        int64_t bytes = (int64_t)cv_dist_bytes(d);
        MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_SUM,
                      MPI_COMM_WORLD);
        assert_int_equal(bytes, (int64_t)n * n * 8);
        free(counts);
        cv_dist_destroy_all(&d);
        assert_null(d);
    }
}

/* Factor, solve k right-hand sides and invert, against l, the local factor. */
static void check_solve(MPI_Comm comm, cv_dist *d, const double *l, int k)
{
    int n = (int)cv_dist_n(d);
    int64_t column = 77;
    cv_err err;
    assert_int_equal(cv_dist_factor_all(d, &column, &err), 0);
    assert_int_equal(column, -1);
    size_t words = (size_t)n * k;
    double *b = CV_NEW(words, double);
    for (size_t i = 0; i < words; i++)
        b[i] = sin((double)i) + 0.25 * (double)(i % 5);
    double *want = repeat(b, words * sizeof *b);
    for (int j = 0; j < k; j++)
        cholesky_solve(l, n, want + (size_t)j * n);
    cv_dist_solve_all(d, b, k);
    assert_near(b, want, words, 1e-11);
    assert_same_everywhere(comm, b, words * sizeof *b);
    cv_dist_solve_all(d, b, k); /* the factor is still there */
    for (int j = 0; j < k; j++)
        cholesky_solve(l, n, want + (size_t)j * n);
    assert_near(b, want, words, 1e-11);
    cv_dist_solve_all(d, b, 0);
    free(b);
    free(want);

    double *diag = CV_NEW(n, double), *inverse = CV_NEW(n, double);
    memset(diag, 0x55, (size_t)n * sizeof *diag);
    double *e = CV_NEW(n, double);
    assert_int_equal(cv_dist_inverse_diagonal_all(d, diag, &err), 0);
    for (int i = 0; i < n; i += n / 40 + 1) { /* some, for a quick test */
        memset(e, 0, (size_t)n * sizeof *e);
        e[i] = 1;
        cholesky_solve(l, n, e);
        assert_near(&diag[i], &e[i], 1, 1e-11);
    }
    assert_same_everywhere(comm, diag, (size_t)n * sizeof *diag);
    free(diag);
    free(inverse);
    free(e);
}

static void systems_are_solved(void **state)
{
    (void)state;
    for (int s = 0; s < N_SIZES; s++) {
        int n = sizes[s];
        size_t bytes = (size_t)n * n * sizeof(double);
        double *mine = summand(n, g_rank), *all = whole(n), *v = ridge(n);
        double *l = repeat(all, bytes);
        for (int i = 0; i < n; i++)
            l[(size_t)i * n + i] += v[i];
        double *sum = repeat(l, bytes);
        assert_int_equal(cholesky(l, n), -1);

        cv_dist *d = create(MPI_COMM_WORLD, n);
        put(MPI_COMM_WORLD, d, mine, 1);
        cv_dist_add_diagonal(d, v);
        check_solve(MPI_COMM_WORLD, d, l, 1);
        put(MPI_COMM_WORLD, d, sum, 0); /* the same object once more */
        check_solve(MPI_COMM_WORLD, d, l, 2 + s % 4);
        cv_dist_destroy_all(&d);
        free(mine);
        free(all);
        free(v);
        free(l);
        free(sum);
    }
}

/* a with one column spoilt: the factor stops there, and every rank says so. */
static void check_named(int n, int row, int bad, double value)
{
    double *a = whole(n), *v = ridge(n);
    for (int i = 0; i < n; i++)
        a[(size_t)i * n + i] += v[i];
    a[(size_t)row * n + bad] = a[(size_t)bad * n + row] = value;
    cv_dist *d = create(MPI_COMM_WORLD, n);
    put(MPI_COMM_WORLD, d, a, 0);
    int64_t column = 77;
    cv_err err = {0};
    assert_int_equal(cv_dist_factor_all(d, &column, &err), CV_ERR_NUMERIC);
    assert_int_equal(column, cholesky(a, n));
    assert_int_equal(column, bad);
    assert_true(err.text[0] != 0);
    assert_same_everywhere(MPI_COMM_WORLD, &err, sizeof err);
    cv_dist_destroy_all(&d);
    free(a);
    free(v);
}

static void the_pivot_that_fails_is_named(void **state)
{
    (void)state;
    static const double values[] = {0, -1, -1e300, (double)NAN, INFINITY};
    for (int s = 0; s < N_SIZES; s++) {
        int n = sizes[s];
        if (n > 300)
            continue;
        int at[] = {0, n / 2, n - 1};
        for (int i = 0; i < 3; i++)
            check_named(n, at[i], at[i], values[(s + i) % 5]);
        if (n > 1) { /* beside the diagonal */
            check_named(n, n / 3, n - 1, (double)NAN);
            check_named(n, 0, n / 2, -INFINITY);
            check_named(n, 0, n - 1, 1e6);
        }
    }
}

/* a v = lambda v, v orthonormal, signs, order, and the same bytes. */
static void check_vectors(const double *a, int n, const double *values,
                          const double *v, int k)
{
    double scale = 0;
    for (int i = 0; i < n; i++)
        scale += fabs(a[(size_t)i * n + i]); /* trace: above every value */
    for (int i = 1; i < n; i++)
        assert_true(values[i - 1] >= values[i]);
    double trace = 0, want = 0;
    for (int i = 0; i < n; i++) {
        trace += values[i];
        want += a[(size_t)i * n + i];
    }
    assert_true(fabs(trace - want) <= 1e-12 * scale);
    int step = k / 20 + 1;
    for (int r = 0; r < k; r += step) {
        const double *x = v + (size_t)r * n;
        int top = 0;
        for (int i = 0; i < n; i++) {
            double s = 0;
            for (int j = 0; j < n; j++)
                s += a[(size_t)i * n + j] * x[j];
            assert_true(fabs(s - values[r] * x[i]) <= 1e-13 * scale);
            if (fabs(x[i]) > fabs(x[top]))
                top = i;
        }
        assert_true(x[top] > 0);
        for (int q = 0; q < k; q++) {
            double s = 0;
            for (int j = 0; j < n; j++)
                s += x[j] * v[(size_t)q * n + j];
            assert_true(fabs(s - (q == r)) <= 1e-12);
        }
    }
    assert_same_everywhere(MPI_COMM_WORLD, values, (size_t)n * 8);
    assert_same_everywhere(MPI_COMM_WORLD, v, (size_t)k * n * 8);
}

static void check_eigen(const double *a, int n, int k, double *values)
{
    cv_dist *d = create(MPI_COMM_WORLD, n);
    put(MPI_COMM_WORLD, d, a, 0);
    double *v = CV_NEW((size_t)k * n + 1, double);
    memset(v, 0x55, (size_t)k * n * sizeof *v);
    v[(size_t)k * n] = 99;
    cv_err err;
    assert_int_equal(cv_dist_eigen_all(d, values, v, k, &err), 0);
    assert_true(v[(size_t)k * n] == 99);
    check_vectors(a, n, values, v, k);
    free(v);
    cv_dist_destroy_all(&d);
}

static void eigenvectors_are_eigenvectors(void **state)
{
    (void)state;
    for (int s = 0; s < N_SIZES; s++) {
        int n = sizes[s];
        double *a = whole(n), *values = CV_NEW(n, double);
        check_eigen(a, n, n, values);
        check_eigen(a, n, (n + 2) / 3, values);
        check_eigen(a, n, 0, values);
        /* Second differences: values that a formula gives. */
        memset(a, 0, (size_t)n * n * sizeof *a);
        for (int i = 0; i < n; i++) {
            a[(size_t)i * n + i] = 2;
            if (i > 0)
                a[(size_t)i * n + i - 1] = a[(size_t)(i - 1) * n + i] = -1;
        }
        check_eigen(a, n, n, values);
        for (int i = 0; i < n; i++) {
            double want = 2 + 2 * cos(acos(-1) * (i + 1) / (n + 1));
            assert_true(fabs(values[i] - want) < 1e-13);
        }
        /* All values the same, and all 0: nothing to tell vectors by. */
        memset(a, 0, (size_t)n * n * sizeof *a);
        check_eigen(a, n, n, values);
        for (int i = 0; i < n; i++)
            a[(size_t)i * n + i] = 3;
        check_eigen(a, n, n, values);
        free(a);
        free(values);
    }
}

static void what_is_not_finite_has_no_eigenvectors(void **state)
{
    (void)state;
    static const double values[] = {(double)NAN, INFINITY, -1e200};
    enum { N = 70 };
    double *w = CV_NEW(N, double), *v = CV_NEW(N * N, double);
    for (int i = 0; i < 9; i++) {
        double *a = whole(N);
        int row = i / 3 * 30, col = row + (i % 3 == 1 ? 9 : 0);
        a[row * N + col] = values[i % 3];
        cv_dist *d = create(MPI_COMM_WORLD, N);
        put(MPI_COMM_WORLD, d, a, 0);
        cv_err err = {0};
        assert_int_equal(cv_dist_eigen_all(d, w, v, 2, &err), CV_ERR_NUMERIC);
        assert_true(err.text[0] != 0);
        cv_dist_destroy_all(&d);
        free(a);
    }
    free(w);
    free(v);
}

static void sizes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t n;
        int code;
    } cases[] = {{0, CV_ERR_INPUT},          {-3, CV_ERR_INPUT},
                 {INT64_MIN, CV_ERR_INPUT},  {200000, CV_ERR_ENV},
                 {INT32_MAX, CV_ERR_ENV},    {(int64_t)1 << 32, CV_ERR_ENV},
                 {INT64_MAX / 2, CV_ERR_ENV}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cv_dist *d = (cv_dist *)&g_rank;
        cv_err err = {0};
        assert_int_equal(
            cv_dist_create_all(MPI_COMM_WORLD, cases[i].n, &d, &err),
            cases[i].code);
        assert_null(d);
        assert_true(err.text[0] != 0);
        cv_dist_destroy_all(&d);
    }
}

/* Two halves of the ranks, in the other order, each with a matrix of its own;
 * many times: communicators must not run out. */
static void communicators_do_not_meet(void **state)
{
    (void)state;
    MPI_Comm half;
    MPI_Comm_split(MPI_COMM_WORLD, g_rank % 2, -g_rank, &half);
    int n = g_rank % 2 ? 50 : 77;
    double *a = whole(n), *v = ridge(n);
    for (int i = 0; i < n; i++)
        a[(size_t)i * n + i] += v[i];
    double *l = repeat(a, (size_t)n * n * sizeof *a);
    assert_int_equal(cholesky(l, n), -1);
    for (int i = 0; i < 200; i++) {
        cv_dist *d = create(half, n);
        if (i % 50 == 49) {
            put(half, d, a, 0);
            check_solve(half, d, l, 2);
        }
        cv_dist_destroy_all(&d);
    }
    free(a);
    free(v);
    free(l);
    MPI_Comm_free(&half);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &g_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &g_size);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grids_are_square_and_leave_nobody_idle),
        cmocka_unit_test(panels_are_packed_by_owner),
        cmocka_unit_test(systems_are_solved),
        cmocka_unit_test(the_pivot_that_fails_is_named),
        cmocka_unit_test(eigenvectors_are_eigenvectors),
        cmocka_unit_test(what_is_not_finite_has_no_eigenvectors),
        cmocka_unit_test(sizes_that_do_not_fit_are_refused),
        cmocka_unit_test(communicators_do_not_meet),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
