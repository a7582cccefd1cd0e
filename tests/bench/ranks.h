/** What the benchmarks of a round share: the time of the slowest rank, and the
 *  bare allreduce that they print ratios against. Collective over all ranks.
 *
 *  To be included once.
 */
#ifndef COVEY_TESTS_BENCH_RANKS_H
#define COVEY_TESTS_BENCH_RANKS_H

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

static double slowest(double t)
{
    double all;
    MPI_Allreduce(&t, &all, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return all;
}

/* Seconds of MPI_Allreduce of n words of 32 bits. */
static double bare(const void *in, uint32_t *sum, size_t n)
{
    MPI_Barrier(MPI_COMM_WORLD);
    double t = MPI_Wtime();
    MPI_Allreduce(in, sum, (int)n, MPI_UINT32_T, MPI_SUM, MPI_COMM_WORLD);
    return slowest(MPI_Wtime() - t);
}

#endif
