/** Local training with noise in every step: each silo is private on its own.
 *
 *  A step is: Poisson sample, sum of clipped gradients on the integers
 *  (solver/private_gradient.h), discrete Gaussian noise, division by the public
 *  expected batch, SGD step.  Which rows, how many, and whether there were any
 *  is not visible in anything but w.
 */
#ifndef COVEY_SOLVER_PRIVATE_TRAIN_H
#define COVEY_SOLVER_PRIVATE_TRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "privacy/discrete_gaussian.h"
#include "solver/model.h"
#include "solver/train.h"

/** The SGD step of cv_train_silo, from a gradient that is there.
 *
 *  In/Out: w (n);  velocity (n), or NULL if c->momentum is 0
 *  In:     start (n) for the proximal term, or NULL if c->proximal is 0
 *          grad (n)
 *  velocity = momentum velocity + grad + weight_decay w + proximal (w - start),
 *  w -= learning_rate velocity (PyTorch's SGD). Element-wise float32: the same
 *  bytes on every CPU, however the vectors are cut.
 */
void cv_private_step(const cv_train_config *c, float *w, float *velocity,
                     const float *start, const float *grad, size_t n);

/** grad = centred(acc) * (2^exponent / divisor), and acc = 0.
 *  In/Out: acc  field words[n], uint32_t or, if wide, uint64_t */
void cv_private_decode(float *grad, void *acc, size_t n, int exponent,
                       double divisor, int wide);

/** Sum n canonical field words over the ranks that share the silo, in place:
 *  all end with the same words. uint64_t if wide, else uint32_t. */
typedef void (*cv_words_sum_fn)(void *ctx, void *words, size_t n, int wide);

/** What makes the steps of one round private. */
typedef struct {
    double sampling;      /* chance of a row to be in a step */
    cv_variance variance; /* of the noise of a step, squared grid units */
    double divisor;       /* expected batch, public, > 0 */
    /* 32 secret bytes each, of this round and attempt. The keys of a step are
     * HKDF-Expand of them with the step's number. */
    const uint8_t *sample_key, *noise_key;
} cv_private_local;

typedef struct cv_private_trainer cv_private_trainer; /* buffers, tables */

/** In: config   steps > 0; epochs, batch and seed are not used
 *      clip, exponent, wide  as cv_private_grad_create
 *      part, n_parts, sum, ctx  ranks of a shared silo: each does its leaves,
 *               words are summed through sum (NULL for one rank), and all draw
 *               the same noise from the same keys, so all end with the same w
 */
cv_private_trainer *cv_private_trainer_create(const cv_model *model,
                                              const cv_train_config *config,
                                              double clip, int exponent,
                                              int wide, int part, int n_parts,
                                              cv_words_sum_fn sum, void *ctx);
void cv_private_trainer_destroy(cv_private_trainer **t);
/** Bytes that a trainer takes, but for tables of noise (3 MB at most) and four
 *  bytes for each row of the data. */
size_t cv_private_trainer_bytes(const cv_model *model,
                                const cv_train_config *config, int wide);

/** config->steps noisy steps from w in place.
 *
 *  Scope:    local, but for sum: all ranks of the silo call it alike
 *  In/Out:   w (n_params)
 *  In:       data; start (n_params) for the proximal term, or NULL
 *  Out:      finite  0 if a parameter is not finite (no more is said, and all
 *                    steps are taken all the same)
 *  Returns:  0; CV_ERR_INPUT if the noise cannot be drawn (w unchanged)
 */
int cv_private_train_silo(cv_private_trainer *t, const cv_samples *data,
                          const cv_private_local *local, float *w,
                          const float *start, int *finite, cv_err *err);

#endif
