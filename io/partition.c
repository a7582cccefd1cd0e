#include "io/partition.h"

#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/rand.h"

static uint32_t *row_numbers(int64_t n)
{
    uint32_t *rows = CV_NEW(n, uint32_t);
    for (int64_t i = 0; i < n; i++)
        rows[i] = (uint32_t)i;
    return rows;
}

/* Equal shares of a shuffled deck. */
static void deal(int32_t *silo_of, int64_t n, int n_silos, cv_stream *s)
{
    uint32_t *rows = row_numbers(n);
    cv_stream_shuffle(s, rows, (size_t)n);
    for (int64_t k = 0; k < n; k++)
        silo_of[rows[k]] = (int32_t)(k % n_silos);
    free(rows);
}

static int compare_words(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Bits of a float whose order as integers is that of the values; NaN last. */
static uint32_t order_of(float v)
{
    uint32_t u;
    v += 0.0f; /* -0 -> 0 */
    if (v != v)
        return UINT32_MAX;
    memcpy(&u, &v, sizeof u);
    return u >> 31 ? ~u : u | 0x80000000u;
}

/* Rows by class, in file order within a class: class in the upper half of each
 * word, row number in the lower. */
static uint64_t *sort_by_class(const float *y, int64_t n)
{
    uint64_t *w = CV_NEW(n, uint64_t);
    for (int64_t i = 0; i < n; i++)
        w[i] = (uint64_t)order_of(y[i]) << 32 | (uint64_t)i;
    qsort(w, (size_t)n, sizeof *w, compare_words);
    return w;
}

/* Proportions ~ Dirichlet(alpha) over the silos, then a silo for each row of
 * the class: drawn as Polya's urn (Blackwell and MacQueen 1973), which has the
 * same law without ever writing the proportions down. It takes one or two draws
 * a row whatever the number of silos, and a tiny alpha cannot underflow. */
static void urn(int32_t *silo_of, const uint64_t *rows, int64_t n, int n_silos,
                double alpha, cv_stream *s)
{
    double fresh = alpha * n_silos;
    for (int64_t k = 0; k < n; k++) {
        int64_t row = (int64_t)(rows[k] & UINT32_MAX);
        if (k == 0 || cv_stream_uniform(s) * (fresh + (double)k) < fresh) {
            silo_of[row] = (int32_t)cv_stream_below(s, (uint64_t)n_silos);
        } else {
            uint64_t like = cv_stream_below(s, (uint64_t)k);
            silo_of[row] = silo_of[rows[like] & UINT32_MAX];
        }
    }
}

static void skew_labels(int32_t *silo_of, const float *y, int64_t n,
                        int n_silos, double alpha, cv_stream *s)
{
    uint64_t *w = sort_by_class(y, n);
    for (int64_t from = 0, to; from < n; from = to) {
        to = from + 1;
        while (to < n && w[to] >> 32 == w[from] >> 32)
            to++;
        urn(silo_of, w + from, to - from, n_silos, alpha, s);
    }
    free(w);
}

static void cut_shards(int32_t *silo_of, const float *y, int64_t n, int n_silos,
                       cv_stream *s)
{
    int64_t n_shards = 2 * (int64_t)n_silos;
    uint64_t *w = sort_by_class(y, n);
    uint32_t *order = row_numbers(n_shards);
    cv_stream_shuffle(s, order, (size_t)n_shards);
    for (int64_t k = 0; k < n_shards; k++) {
        int64_t from = k * n / n_shards, to = (k + 1) * n / n_shards;
        for (int64_t i = from; i < to; i++)
            silo_of[w[i] & UINT32_MAX] = (int32_t)(order[k] / 2);
    }
    free(order);
    free(w);
}

void cv_partition_rows(int32_t *silo_of, const float *y, int64_t n_rows,
                       int n_silos, cv_partition kind, double alpha,
                       uint64_t seed)
{
    CV_CHECK(n_silos > 0 && n_rows >= 0 && n_rows <= UINT32_MAX);
    cv_stream s;
    cv_stream_open(&s, seed, "partition", (uint64_t)kind, (uint64_t)n_silos);
    switch (kind) {
    case CV_PARTITION_IID:
        deal(silo_of, n_rows, n_silos, &s);
        break;
    case CV_PARTITION_MODULO:
        for (int64_t i = 0; i < n_rows; i++)
            silo_of[i] = (int32_t)(i % n_silos);
        break;
    case CV_PARTITION_DIRICHLET:
        CV_CHECK(y && alpha > 0.0);
        skew_labels(silo_of, y, n_rows, n_silos, alpha, &s);
        break;
    case CV_PARTITION_SHARDS:
        CV_CHECK(y);
        cut_shards(silo_of, y, n_rows, n_silos, &s);
        break;
    }
    cv_stream_close(&s);
}
