/* Local training on one core: samples a second of an MLP 784-200-10, and the
 * share of the core's matrix product rate that the steps reach.
 *
 *   bench_train [SECONDS [THREADS [avx512 | avx2 | blas]]]
 *
 * Rows are 60,000 x 784 bytes, as MNIST's; one epoch a round, plain SGD.
 * Output: lines of "key value", read by bench_train.sh. */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/rand.h"
#include "solver/blas.h"
#include "solver/gemm.h"
#include "solver/train.h"
#include "tests/bench/digits.h"

enum { N = 1024 };

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double now(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

/* One thread is timed by its own CPU time, which on a quiet machine is the
 * same, and which other work disturbs less. */
static double stopwatch(void)
{
    return seconds_of(cv_blas_threads() > 1 ? CLOCK_MONOTONIC
                                            : CLOCK_THREAD_CPUTIME_ID);
}

/* Best rate of N x N x N products by BLAS, in GF/s. */
static double sgemm_rate(double seconds)
{
    float *a = CV_NEW(N * N, float), *b = CV_NEW(N * N, float);
    float *c = CV_NEW(N * N, float);
    for (int i = 0; i < N * N; i++) {
        a[i] = (float)(i % 31) - 15.0f;
        b[i] = (float)(i % 29) - 14.0f;
    }
    double best = 0.0, end = now() + seconds;
    while (now() < end) {
        double t = stopwatch();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1.0f, a,
                    N, b, N, 0.0f, c, N);
        double rate = 2e-9 * N * N * N / (stopwatch() - t);
        best = rate > best ? rate : best;
    }
    free(a);
    free(b);
    free(c);
    return best;
}

/* Best rate over epochs, in samples/s. */
static double train_rate(const cv_model *model, const cv_samples *data,
                         int batch, double momentum, double seconds)
{
    cv_train_config config = {.epochs = 1,
                              .batch = batch,
                              .learning_rate = 0.1,
                              .momentum = momentum,
                              .seed = 1};
    cv_trainer *t = cv_trainer_create(model, &config, 0, 1, NULL, NULL);
    float *w = CV_NEW(cv_model_params(model)->n, float);
    cv_model_init(model, w, 1);
    double best = 0.0, end = now() + seconds;
    for (uint64_t round = 0; round < 2 || now() < end; round++) {
        cv_train_result result;
        double start = stopwatch();
        cv_train_silo(t, data, 0, round, w, w, NULL, &result);
        double rate = (double)data->n_rows / (stopwatch() - start);
        best = rate > best ? rate : best;
        CV_CHECK(result.finite);
    }
    free(w);
    cv_trainer_destroy(&t);
    return best;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 3.0;
    int threads = cv_blas_set_threads(argc > 2 ? atoi(argv[2]) : 1);
    if (argc > 3 && cv_gemm_use(argv[3]))
        return 1;
    cv_err err;
    int hidden = HIDDEN;
    cv_model_spec spec = {"mlp", "relu", COLS, CLASSES, 1, &hidden};
    cv_model *model;
    if (cv_model_create(&spec, &model, &err))
        return 1;
    cv_samples data;
    make_data(&data);
    /* Forward, weight gradients, and the input gradient of the last layer. */
    double flops =
        2.0 * 2.0 * (COLS * HIDDEN + HIDDEN * CLASSES) + 2.0 * HIDDEN * CLASSES;
    printf("kernels %s\nblas %s\nthreads %d\n", cv_gemm_kernels(),
           cv_blas_core(), threads);
    double sgemm = sgemm_rate(seconds / 3);
    for (int batch = 256; batch >= 32; batch /= 8) {
        double rate = train_rate(model, &data, batch, 0.0, seconds);
        printf("samples_%d %.0f\ngflops_%d %.1f\n", batch, rate, batch,
               rate * flops * 1e-9);
        printf("momentum_%d %.0f\n", batch,
               train_rate(model, &data, batch, 0.9, seconds / 3));
        double again = sgemm_rate(seconds / 3);
        sgemm = again > sgemm ? again : sgemm;
        printf("fraction_%d %.3f\n", batch, rate * flops * 1e-9 / sgemm);
    }
    printf("sgemm %.1f\n", sgemm);
    cv_model_destroy(&model);
    free((void *)data.x);
    free((void *)data.y);
    free((void *)data.mul);
    free((void *)data.add);
    return 0;
}
