/** Clipped gradients of a few records at a time, without a gradient of any one
 *  of them in memory: the inner part of solver/private_gradient.c, and private
 *  to it, its test and its benchmark.
 *
 *  The gradient of record k in a dense layer is the outer product of d_k (the
 *  loss by the layer's outputs, before the activation) and its input a_k, and
 *  d_k for the bias. So its norm is known from those of two vectors,
 *
 *      |g_k|^2 = sum over layers of |d_k|^2 (|a_k|^2 + 1),
 *
 *  and scaling the columns d_k scales the gradient.
 *  Source: Goodfellow 2015, Efficient per-example gradient computations.
 */
#ifndef COVEY_SOLVER_PRIVATE_PASS_H
#define COVEY_SOLVER_PRIVATE_PASS_H

#include "solver/model.h"

enum { CV_LEAF_ROWS = 256 };

typedef struct {
    const cv_model *model;
    double clip;
    float *x; /* (CV_LEAF_ROWS, n_in): fill it, and y */
    float *y; /* (CV_LEAF_ROWS) */
    /* Outputs of layers, (n_out, rows), ld = cv_model_stride(rows), and the
     * gradients there. The last two are one matrix. */
    float *h[CV_MODEL_MAX_LAYERS], *d[CV_MODEL_MAX_LAYERS];
    float *pack;
    double norm[CV_LEAF_ROWS]; /* of the gradients; not finite: see below */
    float scale[CV_LEAF_ROWS]; /* what it took to clip */
} cv_private_pass;

cv_private_pass *cv_private_pass_create(const cv_model *model, double clip);
void cv_private_pass_destroy(cv_private_pass **p);
size_t cv_private_pass_bytes(const cv_model *model);

/** Forward and backward, to the unscaled d. w (n) */
void cv_private_pass_run(cv_private_pass *p, const float *w, int rows);

/** Norms; then d is scaled so that the exact norm of every record's gradient,
 *  as d and its inputs now lie in memory, is at most clip. A record with a
 *  norm, a score or an activation that is not finite gets zeros. */
void cv_private_pass_clip(cv_private_pass *p, int rows);

/** out (n) = sum of the gradients, in float: on its way into the sum, the k-th
 *  of `rows` records (from 0) passes at most rows - k + 4 roundings. */
void cv_private_pass_sum(cv_private_pass *p, float *out, int rows);

#endif
