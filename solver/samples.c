#include "solver/train.h"

#include <string.h>

#include "core/err.h"
#include "solver/blas.h"
#include "solver/simd.h"

enum {
    AHEAD = 4,               /* rows to prefetch: batches jump about */
    NEAR_BYTES = 256 * 1024, /* of a next batch: a part of the L2 cache */
    THREAD_MIN = 64 * 1024   /* smaller batches are gathered by one thread */
};

CV_HOT static void row_u8(float *restrict out, const uint8_t *restrict x,
                          const float *restrict mul, const float *restrict add,
                          int n)
{
    for (int j = 0; j < n; j++)
        out[j] = (float)x[j] * mul[j] + add[j];
}

CV_HOT static void row_u8_plain(float *restrict out, const uint8_t *restrict x,
                                int n)
{
    for (int j = 0; j < n; j++)
        out[j] = (float)x[j];
}

CV_HOT static void row_f32(float *restrict out, const float *restrict x,
                           const float *restrict mul, const float *restrict add,
                           int n)
{
    for (int j = 0; j < n; j++)
        out[j] = x[j] * mul[j] + add[j];
}

static void gather_row(const cv_samples *s, int64_t row, float *out)
{
    size_t n = (size_t)s->n_cols, at = (size_t)row * n;
    if (s->is_u8) {
        const uint8_t *x = (const uint8_t *)s->x + at;
        if (s->mul)
            row_u8(out, x, s->mul, s->add, s->n_cols);
        else
            row_u8_plain(out, x, s->n_cols);
    } else {
        const float *x = (const float *)s->x + at;
        if (s->mul)
            row_f32(out, x, s->mul, s->add, s->n_cols);
        else
            memcpy(out, x, n * sizeof *out);
    }
}

static size_t row_bytes(const cv_samples *s)
{
    return (size_t)s->n_cols * (s->is_u8 ? 1 : sizeof(float));
}

static void prefetch_row(const cv_samples *s, int64_t row)
{
    size_t bytes = row_bytes(s);
    const char *p = (const char *)s->x + (size_t)row * bytes;
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(p + i, 0, 2);
}

void cv_samples_prefetch(const cv_samples *data, const uint32_t *idx,
                         int64_t rows)
{
    int64_t most = NEAR_BYTES / (int64_t)row_bytes(data);
    for (int64_t i = 0; i < rows && i < most; i++)
        prefetch_row(data, idx[i]);
}

void cv_samples_gather(const cv_samples *data, const uint32_t *idx,
                       int64_t first, int rows, float *out, float *y)
{
    int threads = cv_blas_threads();
    if ((int64_t)rows * data->n_cols < THREAD_MIN)
        threads = 1;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int i = 0; i < rows; i++) {
        int64_t row = idx ? (int64_t)idx[i] : first + i;
        CV_CHECK(row >= 0 && row < data->n_rows);
        if (idx && i + AHEAD < rows)
            prefetch_row(data, idx[i + AHEAD]);
        gather_row(data, row, out + (size_t)i * (size_t)data->n_cols);
        if (y)
            y[i] = data->y[row];
    }
    (void)threads;
}

void cv_samples_sums(const cv_model *model, cv_model_work *work, int max_rows,
                     const float *w, const cv_samples *data, int64_t first,
                     int64_t n, double *sums)
{
    CV_CHECK(max_rows > 0 && first >= 0 && n >= 0 && first + n <= data->n_rows);
    while (n > 0) {
        int rows = n < max_rows ? (int)n : max_rows;
        const float *x = cv_model_work_input(work);
        if (data->is_u8 || data->mul)
            cv_samples_gather(data, NULL, first, rows,
                              cv_model_work_input(work), NULL);
        else
            x = (const float *)data->x + (size_t)first * (size_t)data->n_cols;
        cv_model_add_sums(model, work, w, x, data->y + first, rows, sums);
        first += rows;
        n -= rows;
    }
}
