/* What privacy of records costs: a DP-SGD step with noise of its own against a
 * step of plain SGD. MLP 784-200-10, batch 256, one thread; clip norm 2^18 grid
 * units, noise multiplier 1.
 *
 *   bench_dpsgd [SECONDS [GRID]]      GRID: clip = 2^GRID grid units
 *
 * The two take turns, and the best of each counts. "poisson" is
 * cv_private_train_silo with 256 expected rows, which makes one leaf or, half of
 * the time, two; "256 rows" takes that many in every step, like plain SGD, and
 * is what the limit is for. The parts are of the latter. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/rand.h"
#include "privacy/field.h"
#include "privacy/sampling.h"
#include "solver/blas.h"
#include "solver/gemm.h"
#include "solver/private_gradient.h"
#include "solver/private_pass.h"
#include "solver/private_train.h"
#include "solver/train.h"
#include "tests/bench/digits.h"

enum { BATCH = 256 };
enum { STEPS = 50, PIECE = 4 * CV_DGAUSS_BLOCK, CRUMB = 1024 };
enum { SAMPLE, GATHER, RUN, CLIP, SUM, QUANTISE, NOISE, STEP, N_PARTS };
static const char *const part_names[N_PARTS] = {
    "sample (60,000 rows)", "gather",      "forward, backward",
    "norms, scaling",       "leaf sum",    "quantise",
    "noise, 159,010 draws", "decode, step"};

typedef struct {
    cv_model *model;
    size_t n;
    cv_samples data;
    int exponent;
    cv_train_config config;
    float *w, *start;
    cv_trainer *plain;
    cv_private_trainer *private;
    cv_private_local local;
    /* 256 rows, part by part */
    cv_private_pass *pass;
    float *gradient, *crumb;
    uint32_t *acc, *idx, *sample;
    int32_t *noise;
    cv_dgauss *tables;
    cv_stream rows;
    double best[N_PARTS];
} bench;

static double stopwatch(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const uint8_t sample_key[32] = {1}, noise_key[32] = {2};

static int make(bench *b, int grid)
{
    cv_err err;
    int hidden = HIDDEN;
    cv_model_spec spec = {"mlp", "relu", COLS, CLASSES, 1, &hidden};
    memset(b, 0, sizeof *b);
    if (cv_model_create(&spec, &b->model, &err))
        return -1;
    make_data(&b->data);
    b->n = cv_model_params(b->model)->n;
    b->exponent = -grid;
    b->config = (cv_train_config){
        .steps = STEPS, .batch = BATCH, .learning_rate = 0.1, .seed = 1};
    b->w = CV_NEW(b->n, float);
    b->start = CV_NEW(b->n, float);
    cv_model_init(b->model, b->start, 1);
    b->plain = cv_trainer_create(b->model, &b->config, 0, 1, NULL, NULL);
    b->private = cv_private_trainer_create(b->model, &b->config, 1.0,
                                           b->exponent, 0, 0, 1, NULL, NULL);
    double sigma = cv_private_sensitivity(b->model, 1.0, b->exponent);
    b->local =
        (cv_private_local){(double)BATCH / ROWS, cv_variance_at_least(sigma),
                           BATCH, sample_key, noise_key};
    b->pass = cv_private_pass_create(b->model, 1.0);
    b->gradient = CV_NEW(b->n, float);
    b->crumb = CV_NEW(CRUMB, float);
    b->acc = CV_NEW(b->n, uint32_t);
    b->idx = CV_NEW(BATCH, uint32_t);
    b->sample = CV_NEW(ROWS, uint32_t);
    b->noise = CV_NEW(PIECE, int32_t);
    cv_stream_open(&b->rows, 1, "bench rows", 0, 0);
    printf("d = %zu, clip %.0f, sensitivity %.0f grid units\n", b->n,
           ldexp(1.0, grid), sigma);
    return cv_dgauss_create(b->local.variance, 0, &b->tables, &err);
}

static void drop(bench *b)
{
    cv_trainer_destroy(&b->plain);
    cv_private_trainer_destroy(&b->private);
    cv_private_pass_destroy(&b->pass);
    cv_dgauss_destroy(&b->tables);
    cv_model_destroy(&b->model);
    cv_stream_close(&b->rows);
    void *all[] = {(void *)b->data.x,
                   (void *)b->data.y,
                   (void *)b->data.mul,
                   (void *)b->data.add,
                   b->w,
                   b->start,
                   b->gradient,
                   b->crumb,
                   b->acc,
                   b->idx,
                   b->sample,
                   b->noise};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* ---- seconds a step ---- */

static double plain_step(bench *b, uint64_t round)
{
    cv_train_result result;
    memcpy(b->w, b->start, b->n * sizeof *b->w);
    double t = stopwatch();
    cv_train_silo(b->plain, &b->data, 0, round, b->w, NULL, NULL, &result);
    t = (stopwatch() - t) / STEPS;
    CV_CHECK(result.finite);
    return t;
}

static double poisson_step(bench *b)
{
    int finite;
    memcpy(b->w, b->start, b->n * sizeof *b->w);
    double t = stopwatch();
    int rc = cv_private_train_silo(b->private, &b->data, &b->local, b->w, NULL,
                                   &finite, NULL);
    t = (stopwatch() - t) / STEPS;
    CV_CHECK(rc == 0 && finite);
    return t;
}

static double lap(double *sum, double since)
{
    double t = stopwatch();
    *sum += t - since;
    return t;
}

/* Noise, decoding and step, piece by piece, as cv_private_train_silo. */
static double finish(bench *b, const uint8_t key[32], double *part, double t)
{
    for (size_t at = 0; at < b->n; at += PIECE) {
        size_t n = b->n - at < PIECE ? b->n - at : PIECE;
        memset(b->noise, 0, n * sizeof *b->noise);
        cv_dgauss_add_i32(b->tables, b->noise, n, key, at);
        t = lap(&part[NOISE], t);
        for (size_t i = at; i < at + n; i += CRUMB) {
            size_t k = at + n - i < CRUMB ? at + n - i : CRUMB;
            cv_f32_add_signed(b->acc + i, b->noise + i - at, k);
            cv_private_decode(b->crumb, b->acc + i, k, b->exponent, BATCH, 0);
            cv_private_step(&b->config, b->w + i, NULL, NULL, b->crumb, k);
        }
        t = lap(&part[STEP], t);
    }
    return t;
}

/* 256 rows, ascending, spread over all. */
static void choose_rows(bench *b)
{
    const uint32_t every = ROWS / BATCH;
    for (uint32_t i = 0; i < BATCH; i++)
        b->idx[i] = i * every + (uint32_t)cv_stream_below(&b->rows, every);
}

static double fixed_step(bench *b)
{
    double part[N_PARTS] = {0}, start = stopwatch(), t = start;
    memcpy(b->w, b->start, b->n * sizeof *b->w);
    for (int s = 0; s < STEPS; s++) {
        uint8_t key[32] = {(uint8_t)s};
        choose_rows(b);
        t = stopwatch();
        cv_poisson_sample(b->sample, ROWS, b->local.sampling, key);
        t = lap(&part[SAMPLE], t);
        cv_samples_gather(&b->data, b->idx, 0, BATCH, b->pass->x, b->pass->y);
        t = lap(&part[GATHER], t);
        cv_private_pass_run(b->pass, b->w, BATCH);
        t = lap(&part[RUN], t);
        cv_private_pass_clip(b->pass, BATCH);
        t = lap(&part[CLIP], t);
        cv_private_pass_sum(b->pass, b->gradient, BATCH);
        t = lap(&part[SUM], t);
        cv_f32_encode_add(b->acc, b->gradient, b->n, 1.0, b->exponent);
        t = lap(&part[QUANTISE], t);
        finish(b, key, part, t);
    }
    double sum = 0.0;
    for (int i = 0; i < N_PARTS; i++) {
        part[i] /= STEPS;
        sum += part[i];
        if (b->best[i] == 0.0 || part[i] < b->best[i])
            b->best[i] = part[i];
    }
    return sum;
}

static void keep(double *best, double t)
{
    if (*best == 0.0 || t < *best)
        *best = t;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 8.0;
    int grid = argc > 2 ? atoi(argv[2]) : 18;
    double plain = 0.0, poisson = 0.0, fixed = 0.0;
    bench b;
    cv_blas_set_threads(1);
    if (make(&b, grid))
        return 1;
    double end = now() + seconds;
    for (uint64_t round = 0; round < 3 || now() < end; round++) {
        keep(&plain, plain_step(&b, round));
        keep(&fixed, fixed_step(&b));
        keep(&poisson, poisson_step(&b));
    }
    printf("kernels %s\nplain SGD, 256 rows  %7.0f us\n", cv_gemm_kernels(),
           1e6 * plain);
    printf("DP-SGD,    256 rows  %7.0f us  %.2f x\n", 1e6 * fixed,
           fixed / plain);
    printf("DP-SGD,    poisson   %7.0f us  %.2f x\n", 1e6 * poisson,
           poisson / plain);
    for (int i = 0; i < N_PARTS; i++)
        printf("    %-22s %7.0f us  %4.1f %% of plain\n", part_names[i],
               1e6 * b.best[i], 100.0 * b.best[i] / plain);
    printf("row\tDP-SGD step / SGD step, batch 256, 784-200-10\t%.2f\t%s\t%.2f"
           "\t%s\n",
           fixed / plain, "at most 1.25", fixed / plain / 1.25,
           fixed <= 1.25 * plain ? "yes" : "no");
    drop(&b);
    return 0;
}
