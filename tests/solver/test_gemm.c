#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rand.h"
#include "solver/blas.h"
#include "solver/gemm.h"

/* The last one rounds in its own way. */
static const char *const kernels[] = {"avx512", "avx2", "plain", "blas"};
enum { N_KERNELS = sizeof kernels / sizeof *kernels };

typedef struct {
    int64_t m, n, k;
} shape;

/* Every strip height, both sides of panel, vector and block borders, and the
 * shapes of training. */
static const shape shapes[] = {
    {1, 1, 1},     {2, 15, 3},    {3, 16, 4},      {4, 17, 7},
    {5, 31, 8},    {6, 32, 9},    {7, 33, 5},      {8, 47, 16},
    {9, 48, 31},   {10, 49, 2},   {11, 64, 10},    {12, 65, 17},
    {13, 8, 24},   {25, 100, 33}, {200, 32, 784},  {10, 32, 200},
    {200, 784, 3}, {1, 784, 32},  {5, 7, 1024},    {6, 9, 1025},
    {3, 40, 2500}, {7, 20000, 9}, {13, 300, 1030},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* Plain kernels call a function for every multiplication where the compiler
 * may not use the CPU's instructions: not for the largest products. */
static int too_slow(int kernel, shape s)
{
    return strcmp(kernels[kernel], "plain") == 0 && s.m * s.n * s.k > 1500000;
}

static float *noise(size_t n, uint64_t seed)
{
    float *v = CV_NEW(n, float);
    cv_stream s;
    cv_stream_open(&s, seed, "test gemm", n, 0);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)cv_stream_uniform(&s) - 0.5f;
    cv_stream_close(&s);
    return v;
}

/* A product with room between rows, so that strides are seen to be used. */
typedef struct {
    shape s;
    int a_t, b_t;
    int64_t lda, ldb, ldc;
    float *a, *b, *c, *pack;
} product;

static product make(shape s, int a_t, int b_t)
{
    product p = {.s = s, .a_t = a_t, .b_t = b_t};
    p.lda = (a_t ? s.m : s.k) + 3;
    p.ldb = (b_t ? s.k : s.n) + 5;
    p.ldc = s.n + 1;
    p.a = noise((size_t)(p.lda * (a_t ? s.k : s.m)), 1);
    p.b = noise((size_t)(p.ldb * (b_t ? s.n : s.k)), 2);
    p.c = noise((size_t)(p.ldc * s.m), 3);
    p.pack = CV_NEW(cv_gemm_pack_size(s.n, s.k), float);
    return p;
}

static void drop(product *p)
{
    free(p->a);
    free(p->b);
    free(p->c);
    free(p->pack);
}

static void run(product *p, float alpha, float beta)
{
    cv_gemm(p->a_t, p->b_t, p->s.m, p->s.n, p->s.k, alpha, p->a, p->lda, p->b,
            p->ldb, beta, p->c, p->ldc, p->pack);
}

static double expected(const product *p, const float *old, int64_t i, int64_t j,
                       float alpha, float beta)
{
    double sum = 0.0;
    for (int64_t k = 0; k < p->s.k; k++)
        sum += (double)p->a[p->a_t ? k * p->lda + i : i * p->lda + k] *
               (double)p->b[p->b_t ? j * p->ldb + k : k * p->ldb + j];
    double start =
        beta == 0.0f ? 0.0 : (double)beta * (double)old[i * p->ldc + j];
    return start + (double)alpha * sum;
}

/* 1 if all elements (or, of large products, a sample) are right and the space
 * between rows is untouched. */
static int right(const product *p, const float *old, float alpha, float beta)
{
    int64_t n = p->s.n, step = p->s.m * n * p->s.k > 1000000 ? 13 : 1;
    double bound = 1e-6 * (4.0 + sqrt((double)p->s.k));
    for (int64_t at = 0; at < p->s.m * n; at += step) {
        int64_t i = at / n, j = at % n;
        double want = expected(p, old, i, j, alpha, beta);
        if (!(fabs((double)p->c[i * p->ldc + j] - want) < bound)) {
            print_error("m %d n %d k %d at %d %d: %g, expected %g\n",
                        (int)p->s.m, (int)n, (int)p->s.k, (int)i, (int)j,
                        (double)p->c[i * p->ldc + j], want);
            return 0;
        }
    }
    for (int64_t i = 0; i < p->s.m; i++)
        if (p->c[i * p->ldc + n] != old[i * p->ldc + n])
            return 0;
    return 1;
}

static void test_values(void **state)
{
    (void)state;
    static const float scales[][2] = {{1, 0}, {-0.1f, 1}, {2, 0.9f}};
    for (int kernel = 0; kernel < N_KERNELS; kernel++) {
        if (cv_gemm_use(kernels[kernel])) {
            print_message("no %s here\n", kernels[kernel]);
            continue;
        }
        assert_string_equal(cv_gemm_kernels(), kernels[kernel]);
        for (int i = 0; i < N_SHAPES * 4 * 3; i++) {
            if (too_slow(kernel, shapes[i / 12]))
                continue;
            product p = make(shapes[i / 12], i & 1, i >> 1 & 1);
            const float *scale = scales[i % 3];
            size_t size = (size_t)(p.ldc * p.s.m);
            float *old = CV_NEW(size, float);
            memcpy(old, p.c, size * sizeof *old);
            if (scale[1] == 0.0f) /* must not be read */
                for (int64_t j = 0; j < p.s.m * p.s.n; j++)
                    p.c[j / p.s.n * p.ldc + j % p.s.n] = NAN;
            run(&p, scale[0], scale[1]);
            assert_true(right(&p, old, scale[0], scale[1]));
            free(old);
            drop(&p);
        }
    }
}

/* The same bytes on all instruction sets, with any number of threads, at any
 * address, and for a column whatever stands beside it. */
static void test_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES * 4; i++) {
        product p = make(shapes[i / 4], i & 1, i >> 1 & 1);
        size_t size = (size_t)(p.ldc * p.s.m);
        float *start = CV_NEW(size, float), *want = CV_NEW(size, float);
        memcpy(start, p.c, size * sizeof *start);
        int have_want = 0;
        for (int how = 0; how < 2 * N_KERNELS; how++) {
            if (cv_gemm_use(kernels[how / 2]) ||
                too_slow(how / 2 < N_KERNELS - 1 ? how / 2 : 2, p.s))
                continue;
            cv_blas_set_threads(how % 2 ? 3 : 1);
            memcpy(p.c, start, size * sizeof *start);
            /* In the place of BLAS cv_gemm_chain has the bytes, too. */
            (how / 2 == N_KERNELS - 1 ? cv_gemm_chain : cv_gemm)(
                p.a_t, p.b_t, p.s.m, p.s.n, p.s.k, -0.3f, p.a, p.lda, p.b,
                p.ldb, 0.7f, p.c, p.ldc, p.pack);
            if (have_want)
                assert_memory_equal(p.c, want, size * sizeof *want);
            memcpy(want, p.c, size * sizeof *want);
            have_want = 1;
        }
        cv_blas_set_threads(1);
        if (have_want && p.s.n > 1) {
            float *moved = CV_NEW(size + 1, float);
            memcpy(moved + 1, start, size * sizeof *start);
            cv_gemm_chain(p.a_t, p.b_t, p.s.m, p.s.n - 1, p.s.k, -0.3f, p.a,
                          p.lda, p.b, p.ldb, 0.7f, moved + 1, p.ldc, p.pack);
            for (int64_t r = 0; r < p.s.m; r++)
                assert_memory_equal(moved + 1 + r * p.ldc, want + r * p.ldc,
                                    (size_t)(p.s.n - 1) * sizeof *want);
            free(moved);
        }
        free(start);
        free(want);
        drop(&p);
    }
}

static void test_empty(void **state)
{
    (void)state;
    float c[4] = {1, 2, 3, 4}, pack[64];
    cv_gemm(0, 0, 0, 2, 2, 1, NULL, 2, NULL, 2, 0, c, 2, pack);
    cv_gemm(0, 0, 2, 0, 2, 1, NULL, 2, NULL, 1, 0, c, 2, pack);
    assert_true(c[0] == 1 && c[3] == 4);
    cv_gemm(0, 0, 2, 2, 0, 1, NULL, 1, NULL, 2, 0.5f, c, 2, pack);
    assert_true(c[0] == 0.5f && c[3] == 2);
    cv_gemm(0, 0, 1, 2, 0, 1, NULL, 1, NULL, 2, 0, c, 2, pack);
    assert_true(c[0] == 0 && c[1] == 0 && c[2] == 1.5f);
}

/* Scratch sized for the largest batch must do for every smaller one. */
static void test_pack_size(void **state)
{
    (void)state;
    for (int64_t n = 1; n < 3000; n += 97)
        for (int64_t k = 1; k < 3000; k++) {
            size_t at = cv_gemm_pack_size(n, k);
            assert_true(at <= cv_gemm_pack_size(n, k + 1));
            assert_true(at <= cv_gemm_pack_size(n + 1, k));
        }
    assert_int_equal(cv_gemm_use("sse9"), -1);
}

static void test_threads(void **state)
{
    (void)state;
    unsetenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    unsetenv("MPI_LOCALNRANKS");
    assert_int_equal(cv_blas_set_threads(0), 1);
    assert_int_equal(cv_blas_set_threads(-3), 1);
    setenv("SLURM_CPUS_PER_TASK", "1", 1);
    assert_int_equal(cv_blas_set_threads(1000000), 1);
    setenv("SLURM_CPUS_PER_TASK", "nonsense", 1);
    int most = cv_blas_set_threads(1000000);
    assert_true(most >= 1 && most < 1000000);
    assert_int_equal(cv_blas_threads(), most);
    setenv("SLURM_CPUS_PER_TASK", "99999999999999999999", 1);
    assert_int_equal(cv_blas_set_threads(1000000), most);
    /* Not bound to some of the processors: shared with other ranks. */
    if (most == sysconf(_SC_NPROCESSORS_ONLN)) {
        setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "100000", 1);
        assert_int_equal(cv_blas_set_threads(1000000), 1);
        unsetenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    }
    unsetenv("SLURM_CPUS_PER_TASK");
    cv_blas_set_threads(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_empty),   cmocka_unit_test(test_pack_size),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
