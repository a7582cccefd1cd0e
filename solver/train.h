/** Local training of one silo in one round.
 *
 *  Scope: local, but for `sum`: when several ranks share a silo they split each
 *  batch, and sum their gradients through it.
 */
#ifndef COVEY_SOLVER_TRAIN_H
#define COVEY_SOLVER_TRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "solver/model.h"

/** Rows as they lie in memory; gathered and standardised batch by batch. */
typedef struct {
    int64_t n_rows;
    int n_cols;
    int is_u8;        /* x is uint8_t, else float */
    const void *x;    /* (n_rows, n_cols) */
    const float *y;   /* (n_rows) */
    const float *mul; /* (n_cols) value = x * mul + add, or NULL: as it is */
    const float *add; /* (n_cols), NULL with mul */
} cv_samples;

typedef struct {
    int epochs, steps; /* exactly one is > 0 */
    int batch;
    double learning_rate, momentum, weight_decay, proximal;
    uint64_t seed;
} cv_train_config;

/** Sum n floats over the ranks that share the silo, in place; NULL when one
 *  rank has it alone. */
typedef void (*cv_train_sum_fn)(void *ctx, float *v, size_t n);

typedef struct cv_trainer cv_trainer; /* buffers, kept over rounds */

cv_trainer *cv_trainer_create(const cv_model *model,
                              const cv_train_config *config, int part,
                              int n_parts, cv_train_sum_fn sum, void *ctx);
void cv_trainer_destroy(cv_trainer **t);

typedef struct {
    int64_t steps;   /* SGD steps taken */
    double loss_sum; /* over all rows seen, this rank's part */
    int64_t rows_seen;
    int finite; /* 0 if a loss, or any parameter, is not finite */
} cv_train_result;

/** Number of SGD steps that n_rows give under config. */
int64_t cv_train_steps(const cv_train_config *config, int64_t n_rows);

/** Train from w in place.
 *
 *  Batches: each epoch is a permutation from the public stream
 *  (seed, "batches", silo, round), cut into batches, the last one short;
 *  with `steps`, permutations follow one another until the steps are done.
 *  In/Out: w (n) parameters, start model in, local model out
 *  In:     start (n) the round's start model (proximal term); may be NULL if
 *          proximal is 0
 *          correction (n) added to every gradient (SCAFFOLD's c - c_i), or NULL
 *  The step: v = momentum v + (g + weight_decay w + proximal (w - start) +
 *  correction), w -= learning_rate v; g = mean gradient of the batch (PyTorch's
 *  SGD). Momentum starts at zero each round.
 */
void cv_train_silo(cv_trainer *t, const cv_samples *data, uint64_t silo,
                   uint64_t round, float *w, const float *start,
                   const float *correction, cv_train_result *result);

/** Gather rows idx[0..rows) into out (rows, n_cols), standardised, and their
 *  targets into y (NULL: not wanted). idx NULL: rows first.. in order. */
void cv_samples_gather(const cv_samples *data, const uint32_t *idx,
                       int64_t first, int rows, float *out, float *y);

/** Ask the memory for rows idx[0..rows) while other work goes on; no more of
 *  them than a cache holds. */
void cv_samples_prefetch(const cv_samples *data, const uint32_t *idx,
                         int64_t rows);

/** Add the metric sums of rows [first, first + n) to sums. */
void cv_samples_sums(const cv_model *model, cv_model_work *work, int max_rows,
                     const float *w, const cv_samples *data, int64_t first,
                     int64_t n, double *sums);

#endif
