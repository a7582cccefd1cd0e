/* Cholesky and solve of a matrix spread over ranks, against the same calls of
 * ScaLAPACK made here, and against LAPACK on one rank; one thread each:
 *     mpirun -n 2 build/tests/bench/bench_solver [n...]
 *     mpirun -n 2 build/tests/bench/bench_solver blocks [n...]   by block size
 * Limit: 80 % of the rate of the bare calls (which take the width of inner
 * products from solver/scalapack.c, as the library's own calls do). The last
 * columns are a rank's peak memory beyond what it had before, and its part of
 * the matrix. CV_DIST_MIN comes from here. */
#include <malloc.h>
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/text.h"
#include "solver/block_cyclic.h"

#define LIMIT 0.8

enum { REPEAT = 5, REPEAT_SMALL = 41 };

int Csys2blacs_handle(MPI_Comm comm);
void Cblacs_gridinit(int *context, char *order, int rows, int cols);
void Cblacs_gridinfo(int context, int *rows, int *cols, int *row, int *col);
void Cblacs_gridexit(int context);
int numroc_(const int *n, const int *nb, const int *place, const int *source,
            const int *places);
void pdpotrf_(const char *uplo, const int *n, double *a, const int *ia,
              const int *ja, const int *desca, int *info, size_t);
void pdpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a,
              const int *ia, const int *ja, const int *desca, double *b,
              const int *ib, const int *jb, const int *descb, int *info,
              size_t);
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda,
             int *info, size_t);
void dpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a,
             const int *lda, double *b, const int *ldb, int *info, size_t);

static int g_rank, g_size;

static double slowest(double t)
{
    double all;
    MPI_Allreduce(&t, &all, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return all;
}

static double element(int64_t n, int64_t i, int64_t j)
{
    if (i == j)
        return (double)n;
    return (double)((i * 7919 + j * 104729) % 1009) / 1009 - 0.5;
}

/* The others sleep: a barrier would take processors from the one who works. */
static void wait_for_all(void)
{
    MPI_Request request;
    int done = 0;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    while (MPI_Test(&request, &done, MPI_STATUS_IGNORE), !done)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
}

/* Seconds of LAPACK on rank 0. */
static double lapack(int n)
{
    static const int one = 1;
    double t = 0;
    if (g_rank == 0) {
        double *a = CV_NEW((size_t)n * (size_t)n, double);
        double *b = CV_NEW(n, double);
        for (int j = 0; j < n; j++)
            for (int i = 0; i <= j; i++)
                a[(size_t)j * (size_t)n + (size_t)i] = element(n, i, j);
        b[0] = 1;
        int info, bad;
        t = MPI_Wtime();
        dpotrf_("U", &n, a, &n, &info, 1);
        dpotrs_("U", &n, &one, a, &n, b, &n, &bad, 1);
        t = MPI_Wtime() - t;
        CV_CHECK(info == 0 && bad == 0 && isfinite(b[0]));
        free(a);
        free(b);
    }
    wait_for_all();
    return slowest(t);
}

/* Seconds of ScaLAPACK as it is, on grid g. */
static double scalapack(int n, cv_dist_grid g)
{
    static const int zero = 0, one = 1;
    int context = Csys2blacs_handle(MPI_COMM_WORLD), rows, cols, row, col;
    char order[] = "Row";
    Cblacs_gridinit(&context, order, g.rows, g.cols);
    Cblacs_gridinfo(context, &rows, &cols, &row, &col);
    int np = numroc_(&n, &g.nb, &row, &zero, &rows);
    int nq = numroc_(&n, &g.nb, &col, &zero, &cols), ld = np > 0 ? np : 1;
    double *a = CV_NEW((size_t)np * (size_t)nq + 1, double);
    double *b = CV_NEW(ld, double);
    for (int j = 0; j < nq; j++)
        for (int i = 0; i < np; i++) {
            int64_t gi = (int64_t)(i / g.nb * rows + row) * g.nb + i % g.nb;
            int64_t gj = (int64_t)(j / g.nb * cols + col) * g.nb + j % g.nb;
            if (gi <= gj)
                a[(size_t)j * (size_t)np + (size_t)i] = element(n, gi, gj);
        }
    b[0] = row == 0 && col == 0;
    int da[9] = {1, context, n, n, g.nb, g.nb, 0, 0, ld}, info, bad;
    int db[9] = {1, context, n, 1, g.nb, 1, 0, 0, ld};
    MPI_Barrier(MPI_COMM_WORLD);
    double t = MPI_Wtime();
    pdpotrf_("U", &n, a, &one, &one, da, &info, 1);
    pdpotrs_("U", &n, &one, a, &one, &one, da, b, &one, &one, db, &bad, 1);
    t = slowest(MPI_Wtime() - t);
    CV_CHECK(info == 0 && bad == 0);
    free(a);
    free(b);
    Cblacs_gridexit(context);
    return t;
}

/* A line "NAME: N kB" of /proc/self/status. */
static double status_mb(const char *name)
{
    FILE *f = fopen("/proc/self/status", "r");
    CV_CHECK(f != NULL);
    char line[256];
    long kb = 0;
    while (fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0)
            kb = strtol(line + strlen(name) + 1, NULL, 10);
    fclose(f);
    return (double)kb / 1024;
}

/* VmHWM starts again from what is held now. */
static double restart_peak(void)
{
    malloc_trim(0);
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (f) {
        fputs("5\n", f);
        fclose(f);
    }
    return status_mb("VmHWM");
}

static void fill(cv_dist *d)
{
    int64_t n = cv_dist_n(d);
    int nb = cv_dist_grid_of(d).nb;
    int *counts = CV_NEW(g_size, int);
    int64_t *place = CV_NEW(n * nb, int64_t);
    double *mine = CV_NEW(n * nb, double);
    for (int64_t j0 = 0; j0 < n; j0 += nb) {
        int64_t j1 = j0 + nb < n ? j0 + nb : n, w = j1 - j0, first = 0;
        cv_dist_panel_counts(d, j0, counts);
        cv_dist_panel_order(d, j0, place);
        for (int r = 0; r < g_rank; r++)
            first += counts[r];
        for (int64_t i = 0; i < j1; i++)
            for (int64_t j = j0; j < j1; j++) {
                int64_t at = place[i * w + j - j0] - first;
                if (i <= j && at >= 0 && at < counts[g_rank])
                    mine[at] = element(n, i, j);
            }
        cv_dist_panel_put(d, j0, mine);
    }
    free(counts);
    free(place);
    free(mine);
}

/* Seconds of ours; MB of peak beyond the start and of the part, of the rank that
 * has most. */
static double ours(int n, double *peak, double *part)
{
    cv_dist *d;
    cv_err err;
    double before = restart_peak();
    CV_CHECK(cv_dist_create_all(MPI_COMM_WORLD, n, &d, &err) == 0);
    fill(d);
    double *b = CV_NEW(n, double);
    b[0] = 1;
    MPI_Barrier(MPI_COMM_WORLD);
    double t = MPI_Wtime();
    CV_CHECK(cv_dist_factor_all(d, NULL, &err) == 0);
    cv_dist_solve_all(d, b, 1);
    t = slowest(MPI_Wtime() - t);
    *peak = slowest(status_mb("VmHWM") - before);
    *part = slowest((double)cv_dist_bytes(d) / (1 << 20));
    CV_CHECK(isfinite(b[0]));
    free(b);
    cv_dist_destroy_all(&d);
    return t;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

static void compare(int n)
{
    double own = INFINITY, bare = INFINITY, local = INFINITY, peak, part;
    cv_dist_grid g = cv_dist_choose(g_size, n);
    for (int i = 0; i < (n < 2000 ? REPEAT_SMALL : REPEAT); i++) {
        bare = least(bare, scalapack(n, g));
        own = least(own, ours(n, &peak, &part));
        local = least(local, lapack(n));
    }
    if (g_rank)
        return;
    double flops = (double)n * n * (n / 3.0 + 2);
    printf("%6d  %dx%d %4d  %9.4f %9.4f %9.4f s  %5.1f GFLOP/s  own/bare rate "
           "%.2f  LAPACK/own time %.2f  %7.1f MB, part %7.1f\n",
           n, g.rows, g.cols, g.nb, local, bare, own, flops / own * 1e-9,
           bare / own, local / own, peak, part);
    printf("row\tspread Cholesky and solve, n = %d, %d ranks, over ScaLAPACK's "
           "rate\t%.2f\tat least %.2f\t%.2f\t%s\n",
           n, g_size, bare / own, LIMIT, bare / own / LIMIT,
           bare / own >= LIMIT ? "yes" : "no");
    fflush(stdout);
}

static void compare_blocks(int n)
{
    static const int nb[] = {16, 32, 48, 64, 96, 128, 192};
    enum { N = sizeof nb / sizeof *nb };
    double best[N];
    cv_dist_grid g = cv_dist_choose(g_size, n);
    for (int i = 0; i < N; i++)
        best[i] = INFINITY;
    for (int r = 0; r < (n < 2000 ? REPEAT_SMALL : REPEAT); r++)
        for (int i = 0; i < N; i++) {
            g.nb = nb[i];
            best[i] = least(best[i], scalapack(n, g));
        }
    if (g_rank)
        return;
    printf("%6d  %dx%d ", n, g.rows, g.cols);
    for (int i = 0; i < N; i++)
        printf("  nb %d %.4f s", nb[i], best[i]);
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &g_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &g_size);
    static const int usual[] = {500, 1000, 2000, 4000, 8000};
    int blocks = argc > 1 && strcmp(argv[1], "blocks") == 0;
    int at = 1 + blocks;
    if (g_rank == 0 && !blocks)
        printf("     n grid   nb     LAPACK      bare       own    (%d ranks; "
               "one thread each)\n",
               g_size);
    for (int i = 0; i < (at < argc ? argc - at : 5); i++) {
        int64_t n = at < argc ? 0 : usual[i];
        if (at < argc)
            CV_CHECK(cv_parse_i64(&n, argv[at + i]) == 0 && n > 0 &&
                     n <= 40000);
        (blocks ? compare_blocks : compare)((int)n);
    }
    MPI_Finalize();
    return 0;
}
