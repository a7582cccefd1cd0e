#include "mpi/reduce.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"

static void reduce_chunks(MPI_Comm comm, void *v, size_t n, size_t size,
                          MPI_Datatype type, MPI_Op op)
{
    int ranks;
    MPI_Comm_size(comm, &ranks);
    if (ranks == 1)
        return;
    size_t step = CV_CHUNK_BYTES / size;
    for (size_t at = 0; at < n; at += step) {
        size_t k = n - at < step ? n - at : step;
        MPI_Allreduce(MPI_IN_PLACE, (char *)v + at * size, (int)k, type, op,
                      comm);
    }
}

void cv_sum_u32_all(MPI_Comm comm, uint32_t *v, size_t n)
{
    reduce_chunks(comm, v, n, sizeof *v, MPI_UINT32_T, MPI_SUM);
}

void cv_sum_u64_all(MPI_Comm comm, uint64_t *v, size_t n)
{
    reduce_chunks(comm, v, n, sizeof *v, MPI_UINT64_T, MPI_SUM);
}

/* MPI passes no context to an operation: what it adds by stands here during a
 * call of cv_sum_words_all. */
static cv_add_fn current_add;

static void add_words(void *in, void *inout, int *n, MPI_Datatype *type)
{
    (void)type;
    current_add(inout, in, (size_t)*n);
}

/* One operation for all calls, made on the first; MPI_Finalize frees it. */
static MPI_Op words_op(void)
{
    static MPI_Op op = MPI_OP_NULL;
    if (op == MPI_OP_NULL)
        MPI_Op_create(add_words, 1, &op);
    return op;
}

/* Words [at, at + n) in chunks. */
static void sum_chunks(MPI_Comm comm, char *recv, const char *send, size_t n,
                       size_t size)
{
    MPI_Datatype type = size == 4 ? MPI_UINT32_T : MPI_UINT64_T;
    size_t step = CV_CHUNK_BYTES / size;
    for (size_t at = 0; at < n; at += step) {
        size_t k = n - at < step ? n - at : step;
        char *to = recv + at * size;
        const void *from = send == recv ? MPI_IN_PLACE : send + at * size;
        MPI_Allreduce(from, to, (int)k, type, words_op(), comm);
    }
}

void cv_sum_pieces_all(MPI_Comm comm, void *recv, const void *send, size_t n,
                       size_t size, cv_add_fn add, cv_piece_fn each,
                       void *context)
{
    int ranks;
    CV_CHECK((size == 4 || size == 8) && !current_add);
    MPI_Comm_size(comm, &ranks);
    size_t step = CV_PIECE_BYTES / size;
    for (size_t at = 0; at < n; at += step) {
        size_t k = n - at < step ? n - at : step;
        char *to = (char *)recv + at * size;
        const char *from = (const char *)send + at * size;
        current_add = add;
        if (ranks > 1)
            sum_chunks(comm, to, from, k, size);
        else if (to != from)
            memcpy(to, from, k * size);
        current_add = NULL;
        if (each)
            each(context, at, k);
    }
}

void cv_sum_words_all(MPI_Comm comm, void *recv, const void *send, size_t n,
                      size_t size, cv_add_fn add)
{
    cv_sum_pieces_all(comm, recv, send, n, size, add, NULL, NULL);
}

void cv_scatter_words_all(MPI_Comm comm, void *recv, const void *send,
                          const int *counts, size_t size, cv_add_fn add)
{
    MPI_Datatype type = size == 4 ? MPI_UINT32_T : MPI_UINT64_T;
    CV_CHECK((size == 4 || size == 8) && !current_add);
    current_add = add;
    MPI_Reduce_scatter(send, recv, counts, type, words_op(), comm);
    current_add = NULL;
}

void cv_sum_f32_all(MPI_Comm comm, float *v, size_t n)
{
    reduce_chunks(comm, v, n, sizeof *v, MPI_FLOAT, MPI_SUM);
}

void cv_sum_f64_all(MPI_Comm comm, double *v, size_t n)
{
    reduce_chunks(comm, v, n, sizeof *v, MPI_DOUBLE, MPI_SUM);
}

void cv_max_f64_all(MPI_Comm comm, double *v, size_t n)
{
    reduce_chunks(comm, v, n, sizeof *v, MPI_DOUBLE, MPI_MAX);
}

void cv_bcast_bytes_all(MPI_Comm comm, void *data, size_t n, int root)
{
    int ranks;
    MPI_Comm_size(comm, &ranks);
    if (ranks == 1)
        return;
    for (size_t at = 0; at < n; at += CV_CHUNK_BYTES) {
        size_t k = n - at < CV_CHUNK_BYTES ? n - at : CV_CHUNK_BYTES;
        MPI_Bcast((char *)data + at, (int)k, MPI_BYTE, root, comm);
    }
}

void cv_gather_silos_all(const cv_fed *fed, double *all, const double *mine,
                         size_t k)
{
    /* Bits, not numbers: a sum of x and zeros of other ranks is exact, and
     * NaN and -0 arrive as they were sent. */
    size_t n = (size_t)fed->n_silos * k;
    uint64_t *bits = CV_NEW(n, uint64_t);
    if (cv_fed_is_leader(fed))
        memcpy(bits + (size_t)fed->first * k, mine,
               (size_t)fed->n_hosted * k * sizeof *mine);
    cv_sum_u64_all(fed->world, bits, n);
    memcpy(all, bits, n * sizeof *all);
    free(bits);
}

/* Room in an int64 for n_silos values of up to 2^top. */
static int grid_of(double max_abs, int n_silos)
{
    int top, log_n = 0;
    (void)frexp(max_abs, &top);
    while (log_n < 31 && (1u << log_n) < (unsigned)n_silos)
        log_n++;
    return top + log_n - 62;
}

void cv_sum_silos_all(const cv_fed *fed, double *out, const double *mine,
                      size_t k)
{
    double *top = CV_NEW(k, double);
    uint64_t *sum = CV_NEW(k, uint64_t);
    int hosted = cv_fed_is_leader(fed) ? fed->n_hosted : 0;
    for (int s = 0; s < hosted; s++)
        for (size_t j = 0; j < k; j++) {
            double a = fabs(mine[(size_t)s * k + j]);
            if (!(a <= top[j])) /* also NaN */
                top[j] = isnan(a) ? INFINITY : a;
        }
    cv_max_f64_all(fed->world, top, k);
    for (int s = 0; s < hosted; s++)
        for (size_t j = 0; j < k; j++)
            if (isfinite(top[j]) && top[j] > 0.0) {
                double x = ldexp(mine[(size_t)s * k + j],
                                 -grid_of(top[j], fed->n_silos));
                sum[j] += (uint64_t)(int64_t)llrint(x);
            }
    cv_sum_u64_all(fed->world, sum, k);
    for (size_t j = 0; j < k; j++) {
        if (!isfinite(top[j]))
            out[j] = NAN;
        else if (top[j] == 0.0)
            out[j] = 0.0;
        else
            out[j] =
                ldexp((double)(int64_t)sum[j], grid_of(top[j], fed->n_silos));
    }
    free(top);
    free(sum);
}
