/* A round without training, against a bare MPI_Allreduce of the same number of
 * 32-bit words, in one run:  mpirun -n 4 build/tests/bench/bench_round [n]
 * Limit: 2.0 (quantise, sum, decode, server step of FedAvg and FedAdam). */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/rand.h"
#include "mpi/reduce.h"
#include "privacy/quantise.h"
#include "solver/strategy.h"

enum { REPEAT = 9 };

static double slowest(double t)
{
    double all;
    MPI_Allreduce(&t, &all, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return all;
}

static double bare(uint32_t *in, uint32_t *out, size_t n)
{
    MPI_Barrier(MPI_COMM_WORLD);
    double t = MPI_Wtime();
    MPI_Allreduce(in, out, (int)n, MPI_UINT32_T, MPI_SUM, MPI_COMM_WORLD);
    return slowest(MPI_Wtime() - t);
}

typedef struct {
    float *w, *delta, *state[CV_MAX_STATE];
    uint32_t *sum;
    size_t n;
} round_buffers;

/* The steps of jobs/round.c between local training and evaluation. */
static double round_once(round_buffers *b, const cv_strategy *st, int size,
                         double part[4])
{
    cv_server_config c = {1.0, 0.9, 0.9, 0.99, 1e-3};
    MPI_Barrier(MPI_COMM_WORLD);
    double t0 = MPI_Wtime(), top, w = 1.0 / size;
    top = (double)cv_max_abs(b->delta, b->n);
    cv_max_f64_all(MPI_COMM_WORLD, &top, 1);
    int e = cv_grid_exponent(CV_NO_EXPONENT, top * w, size, 0);
    for (size_t i = 0; i < b->n; i++)
        b->sum[i] = 0;
    cv_quantise_add_u32(b->sum, b->delta, b->n, w, e);
    double t1 = MPI_Wtime();
    cv_sum_u32_all(MPI_COMM_WORLD, b->sum, b->n);
    double t2 = MPI_Wtime();
    cv_decode_u32(b->delta, b->sum, b->n, e, 1.0);
    double t3 = MPI_Wtime();
    st->step(&c, b->w, b->state, (const float *const *)&b->delta, 1.0, b->n);
    double t4 = MPI_Wtime();
    part[0] = t1 - t0;
    part[1] = t2 - t1;
    part[2] = t3 - t2;
    part[3] = t4 - t3;
    return slowest(t4 - t0);
}

static void bench(round_buffers *b, const char *name, int rank, int size,
                  double bare_best)
{
    const cv_strategy *st = cv_strategy_find(name);
    double best = 1e9, part[4], keep[4] = {0};
    for (int k = 0; k < REPEAT; k++) {
        double t = round_once(b, st, size, part);
        if (t < best) {
            best = t;
            for (int i = 0; i < 4; i++)
                keep[i] = part[i];
        }
    }
    if (rank == 0)
        printf("%-8s %.4f s = %.2f x bare (limit 2.0): quantise %.4f, sum %.4f, "
               "decode %.4f, step %.4f\n",
               name, best, best / bare_best, keep[0], keep[1], keep[2],
               keep[3]);
}

int main(int argc, char **argv)
{
    int rank, size;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    size_t n = argc > 1 ? (size_t)atol(argv[1]) : 10000000;
    round_buffers b = {.n = n,
                       .w = CV_NEW(n, float),
                       .delta = CV_NEW(n, float),
                       .sum = CV_NEW(n, uint32_t)};
    for (int k = 0; k < CV_MAX_STATE; k++)
        b.state[k] = CV_NEW(n, float);
    cv_stream s;
    cv_stream_open(&s, 1, "bench", (uint64_t)rank, 0);
    for (size_t i = 0; i < n; i++)
        b.delta[i] = (float)(cv_stream_uniform(&s) - 0.5);
    cv_stream_close(&s);
    double best = 1e9;
    for (int k = 0; k < REPEAT; k++) {
        double t = bare(b.sum, (uint32_t *)b.state[0], n);
        best = t < best ? t : best;
    }
    for (size_t i = 0; i < n; i++)
        b.state[0][i] = 0.0f;
    if (rank == 0)
        printf("%zu parameters, %d ranks: bare MPI_Allreduce %.4f s\n", n, size,
               best);
    bench(&b, "fedavg", rank, size, best);
    bench(&b, "fedadam", rank, size, best);
    for (int k = 0; k < CV_MAX_STATE; k++)
        free(b.state[k]);
    free(b.w);
    free(b.delta);
    free(b.sum);
    MPI_Finalize();
    return 0;
}
