/** Dense layers: z = W x + b, forward and backward, on cv_gemm.
 *
 *  Inside a model, matrices are (features, rows of the batch): a row of the
 *  batch is a column.  Products then read the weights where they lie, and
 *  softmax runs over rows of the batch in vectors.  The input of a model is the
 *  other way round, (rows, features), as data sets are.
 */
#ifndef COVEY_SOLVER_DENSE_H
#define COVEY_SOLVER_DENSE_H

#include <stddef.h>
#include <stdint.h>

#include "solver/activation.h"

typedef struct {
    int n_in, n_out;
    size_t weight; /* offset in the parameters: W (n_out, n_in) */
    size_t bias;   /* offset: b (n_out) */
} cv_dense;

/** What a layer reads: (n_in, rows) with ld >= rows, or, if `by_row`,
 *  (rows, n_in) with ld >= n_in. */
typedef struct {
    const float *x;
    int64_t ld;
    int by_row;
} cv_dense_input;

/** z = f(W x + b). z (n_out, rows), ldz >= rows. */
void cv_dense_forward(const cv_dense *layer, float *z, int64_t ldz,
                      const cv_activation *f, const float *w,
                      const cv_dense_input *x, int rows, float *pack);

/** dx = W^T d. d (n_out, rows), dx (n_in, rows), both with ld. */
void cv_dense_backward_input(const cv_dense *layer, float *dx, const float *w,
                             const float *d, int64_t ld, int rows, float *pack);

/** The layer's part of out = beta out + alpha (d x^T, sum of d over rows). */
void cv_dense_backward_weights(const cv_dense *layer, float *out, float alpha,
                               float beta, const float *d, int64_t ld,
                               const cv_dense_input *x, int rows, float *pack);

/** Floats of scratch for batches of up to `rows`. */
size_t cv_dense_pack_size(const cv_dense *layer, int rows);

#endif
