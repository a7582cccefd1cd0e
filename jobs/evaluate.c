/* Test metrics of the global model: sums over rows are added up, never
 * averages. Rows go in blocks of a fixed size that ranks share out, and block
 * sums are added in order, so the result does not depend on who did what. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/run.h"
#include "mpi/reduce.h"

/* sums[k] over all blocks of `data`; the blocks are shared by the ranks of
 * comm. Collective on comm. */
static void block_sums_all(cv_run *run, MPI_Comm comm, const cv_samples *data,
                           double *sums)
{
    int rank, size, k = cv_model_n_sums(run->model);
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    int64_t blocks = (data->n_rows + CV_TEST_BLOCK - 1) / CV_TEST_BLOCK;
    double *part = CV_NEW((size_t)blocks * (size_t)k, double);
    for (int64_t b = rank; b < blocks; b += size) {
        int64_t first = b * CV_TEST_BLOCK, n = data->n_rows - first;
        cv_samples_sums(run->model, run->work, CV_TEST_BLOCK, run->w, data,
                        first, n < CV_TEST_BLOCK ? n : CV_TEST_BLOCK,
                        part + b * k);
    }
    if (size > 1) {
        /* As bits: x + 0 + 0 is exact, NaN included. */
        uint64_t *bits = CV_NEW((size_t)blocks * (size_t)k, uint64_t);
        memcpy(bits, part, (size_t)blocks * (size_t)k * sizeof *part);
        cv_sum_u64_all(comm, bits, (size_t)blocks * (size_t)k);
        memcpy(part, bits, (size_t)blocks * (size_t)k * sizeof *part);
        free(bits);
    }
    for (int64_t b = 0; b < blocks; b++)
        for (int j = 0; j < k; j++)
            sums[j] += part[b * k + j];
    free(part);
}

void cv_evaluate_silo_all(cv_run *run, const cv_hosted *h, double *sums)
{
    block_sums_all(run, run->fed.silo, &h->test, sums);
}

void cv_evaluate_public_all(cv_run *run, double *sums)
{
    block_sums_all(run, run->fed.world, &run->public_test, sums);
}

void cv_evaluate_all(cv_run *run, double metrics[CV_MAX_METRICS])
{
    int k = cv_model_n_sums(run->model);
    const char *names[CV_MAX_METRICS];
    double *total = CV_NEW(k, double);
    for (int j = 0; j < CV_MAX_METRICS; j++)
        metrics[j] = NAN;
    if (run->public_test.n_rows > 0) {
        cv_evaluate_public_all(run, total);
    } else if (run->n_test_rows > 0) {
        double *mine = CV_NEW((size_t)run->fed.n_hosted * (size_t)k, double);
        for (int s = 0; s < run->fed.n_hosted; s++)
            cv_evaluate_silo_all(run, &run->hosted[s],
                                 mine + (size_t)s * (size_t)k);
        cv_sum_silos_all(&run->fed, total, mine, (size_t)k);
        free(mine);
    }
    if (run->n_test_rows > 0)
        cv_model_metrics(run->model, total, metrics, names);
    free(total);
}
