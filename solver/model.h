/** Models: from a batch of rows to predictions, losses and gradients.
 *
 *  A model is a stack of dense layers (none, for the linear ones) under a head
 *  that turns scores into a loss.  linear, logistic, softmax, poisson and mlp
 *  are rows of one table in solver/model.c.
 *
 *  Losses of a row are in solver/head.h (squared ones are halved); mlp has a
 *  softmax head for classes and a squared one for numbers.
 *
 *  Scope: local. Threads: as cv_blas_set_threads granted.
 */
#ifndef COVEY_SOLVER_MODEL_H
#define COVEY_SOLVER_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "solver/params.h"

enum { CV_MODEL_MAX_LAYERS = 17, CV_MAX_METRICS = 6 };

typedef struct {
    const char *kind;       /* linear | logistic | softmax | poisson | mlp */
    const char *activation; /* relu | tanh | sigmoid, for hidden layers */
    int n_in;
    int n_classes; /* classes of the target; 0: it is a number.
                    * softmax and a classifying mlp have one score per class,
                    * logistic needs 2, the others need 0 */
    int n_hidden;
    const int *hidden; /* (n_hidden) widths */
} cv_model_spec;

typedef struct cv_model cv_model;
typedef struct cv_model_work cv_model_work; /* activations of one batch */

/** Is it a model of classes? 1: needs a class target; 0: needs a number;
 *  2: takes either (mlp); -1: no such kind. Names for messages. */
int cv_model_needs_classes(const char *kind);
const char *const *cv_model_kinds(size_t *n);
const char *const *cv_model_activations(size_t *n);

/** CV_ERR_INPUT when kind, activation and target do not fit together. */
int cv_model_create(const cv_model_spec *spec, cv_model **model, cv_err *err);
void cv_model_destroy(cv_model **model);

const cv_params *cv_model_params(const cv_model *model);
int cv_model_n_in(const cv_model *model);
int cv_model_n_out(const cv_model *model); /* scores per row */

/** Initial parameters: zero for convex models; for an mlp uniform in
 *  +-1/sqrt(fan_in), weights and biases (PyTorch's default), from the public
 *  stream (seed, "init"). w (n). */
void cv_model_init(const cv_model *model, float *w, uint64_t seed);

/** Room for batches of up to max_rows; one per thread of control. */
cv_model_work *cv_model_work_create(const cv_model *model, int max_rows);
void cv_model_work_destroy(cv_model_work **work);
/** The input matrix inside work, (max_rows, n_in): fill rows here and pass it
 *  as x to save a copy. */
float *cv_model_work_input(cv_model_work *work);
/** Bytes that cv_model_work_create takes. */
size_t cv_model_work_bytes(const cv_model *model, int max_rows);

/** out = beta * out + alpha * d(sum of losses)/dw.
 *
 *  In:   w (n);  x (rows, n_in) encoded, standardised;  y (rows) class number
 *        or value (a class that does not exist is a bug and aborts);
 *        rows <= max_rows of work
 *  In/Out: out (n). It may be w itself: every layer's weights are read for the
 *        last time before they are written, so plain SGD is
 *        cv_model_gradient(m, work, w, x, y, rows, -lr/rows, 1, w, &loss) and
 *        needs no gradient buffer.
 *  Out:  loss_sum  sum of the rows' losses before the update (natural log)
 */
void cv_model_gradient(const cv_model *model, cv_model_work *work,
                       const float *w, const float *x, const float *y, int rows,
                       float alpha, float beta, float *out, double *loss_sum);

/** Predictions (rows, n_out): probabilities of classes (logistic: of class 1,
 *  one column), means otherwise. */
void cv_model_predict(const cv_model *model, cv_model_work *work,
                      const float *w, const float *x, int rows, float *out);

/** Metrics are sums over rows, so that silos can be added; the last step turns
 *  totals into values, and returns how many.  Names: "loss" first (mean), then
 *  accuracy for classes, rmse, mae and r2 for numbers, deviance (mean) for
 *  counts.  Without rows, and r2 where the target does not vary, they are NaN.
 *  sums[CV_MAX_METRICS] are added to; values[i] belongs to names[i]. */
int cv_model_n_sums(const cv_model *model);
void cv_model_add_sums(const cv_model *model, cv_model_work *work,
                       const float *w, const float *x, const float *y, int rows,
                       double *sums);
int cv_model_metrics(const cv_model *model, const double *sums,
                     double values[CV_MAX_METRICS],
                     const char *names[CV_MAX_METRICS]);

#endif
