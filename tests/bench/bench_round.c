/* A round without training, against a bare MPI_Allreduce of as many 32-bit
 * words, taken in turns:   mpirun -n 4 build/tests/bench/bench_round [n]
 * Limit: 2.0, for a server step without state and for the dearest one.
 *
 * What is timed are the calls of jobs/round.c from the end of local training to
 * the new model: quantise, sum, decode, server step and its checks. */
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/mem.h"
#include "core/rand.h"
#include "mpi/reduce.h"
#include "privacy/quantise.h"
#include "solver/strategy.h"
#include "tests/bench/ranks.h"

#define LIMIT 2.0

enum { REPEAT = 11, PARTS = 4 };

static const char *const part_names[PARTS] = {"quantise", "sum", "decode",
                                              "step"};

typedef struct {
    float *w, *delta, *mean, *state[CV_MAX_STATE];
    uint32_t *sum;
    size_t n;
    int size;
} round_buffers;

typedef struct {
    const cv_strategy *strategy;
    double best, part[PARTS]; /* s, of the slowest rank */
} timing;

/* The server step, and the check that all ranks hold the same model. */
static void step(const round_buffers *b, const cv_strategy *strategy)
{
    cv_server_config c = {1.0, 0.9, 0.9, 0.99, 1e-3};
    volatile float update = cv_max_abs(b->mean, b->n);
    strategy->step(&c, b->w, (float *const *)b->state,
                   (const float *const *)&b->mean, 1.0, b->n);
    double sum = (double)(uint32_t)cv_checksum64(b->w, b->n * sizeof *b->w);
    double all[2] = {sum, -sum};
    cv_max_f64_all(MPI_COMM_WORLD, all, 2);
    CV_CHECK(all[0] == -all[1] && isfinite(update));
    CV_CHECK(isfinite(cv_max_abs(b->w, b->n)));
}

static void round_once(const round_buffers *b, timing *t)
{
    double at[PARTS + 1], weight = 1.0 / b->size;
    MPI_Barrier(MPI_COMM_WORLD);
    at[0] = MPI_Wtime();
    double top = (double)cv_max_abs(b->delta, b->n) * weight;
    cv_max_f64_all(MPI_COMM_WORLD, &top, 1);
    int e = cv_grid_exponent(CV_NO_EXPONENT, top, b->size, 0);
    memset(b->sum, 0, b->n * sizeof *b->sum);
    cv_quantise_add_u32(b->sum, b->delta, b->n, weight, e);
    at[1] = MPI_Wtime();
    cv_sum_u32_all(MPI_COMM_WORLD, b->sum, b->n);
    at[2] = MPI_Wtime();
    cv_decode_u32(b->mean, b->sum, b->n, e, 1.0);
    at[3] = MPI_Wtime();
    step(b, t->strategy);
    at[4] = MPI_Wtime();
    double whole = slowest(at[PARTS] - at[0]);
    if (whole >= t->best)
        return;
    t->best = whole;
    for (int i = 0; i < PARTS; i++)
        t->part[i] = at[i + 1] - at[i];
}

static void tell(const timing *t, size_t n, int size, double bare_best)
{
    double ratio = t->best / bare_best;
    printf("%s, rank 0:", t->strategy->name);
    for (int i = 0; i < PARTS; i++)
        printf(" %s %.4f s", part_names[i], t->part[i]);
    printf("\nrow\tround of %zu parameters, %d ranks, %s\t%.4f s\t"
           "%.1f x Allreduce %.4f s\t%.2f\t%s\n",
           n, size, t->strategy->name, t->best, LIMIT, bare_best, ratio,
           ratio <= LIMIT ? "yes" : "no");
}

static void fill(round_buffers *b, int rank)
{
    b->w = CV_NEW(b->n, float);
    b->delta = CV_NEW(b->n, float);
    b->mean = CV_NEW(b->n, float);
    b->sum = CV_NEW(b->n, uint32_t);
    for (int k = 0; k < CV_MAX_STATE; k++)
        b->state[k] = CV_NEW(b->n, float);
    cv_stream s;
    cv_stream_open(&s, 1, "bench", (uint64_t)rank, 0);
    for (size_t i = 0; i < b->n; i++)
        b->delta[i] = (float)(cv_stream_uniform(&s) - 0.5);
    cv_stream_close(&s);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"fedavg", "fedadam", "fedyogi"};
    enum { N_NAMES = sizeof names / sizeof *names };
    timing t[N_NAMES];
    int rank;
    round_buffers b = {.n = argc > 1 ? (size_t)atol(argv[1]) : 10000000};
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &b.size);
    fill(&b, rank);
    double best = 1e9;
    for (int i = 0; i < N_NAMES; i++)
        t[i] = (timing){.strategy = cv_strategy_find(names[i]), .best = 1e9};
    for (int k = 0; k < REPEAT; k++) {
        best = fmin(best, bare(b.delta, b.sum, b.n));
        for (int i = 0; i < N_NAMES; i++)
            round_once(&b, &t[i]);
    }
    for (int i = 0; i < N_NAMES && rank == 0; i++)
        tell(&t[i], b.n, b.size, best);
    for (int k = 0; k < CV_MAX_STATE; k++)
        free(b.state[k]);
    free(b.w);
    free(b.delta);
    free(b.mean);
    free(b.sum);
    MPI_Finalize();
    return 0;
}
