/** Differentially private gradients of records, on the integers.
 *
 *  Adjacency: one record is replaced by null, which contributes nothing, as if
 *  it had not been sampled (PROTOCOL, Accounting).
 *
 *  Every record's gradient is clipped in L2 norm. The sampled rows are cut into
 *  leaves of at most 256: a range of row numbers, at first [0, 2^32), is a leaf
 *  if it holds no more of them, else it is cut in the middle. So a record more
 *  changes one leaf, or makes two of one. Leaves are summed in float32, then
 *  rounded to the grid 2^exponent, and added as words of a field
 *  (privacy/field.h): exactly, in any order, on any number of ranks.
 *
 *  Scope: local. Threads: as cv_blas_set_threads granted.
 */
#ifndef COVEY_SOLVER_PRIVATE_GRADIENT_H
#define COVEY_SOLVER_PRIVATE_GRADIENT_H

#include <stddef.h>
#include <stdint.h>

#include "solver/model.h"
#include "solver/train.h"

typedef struct cv_private_grad cv_private_grad;

/** Buffers for clipping at `clip` and rounding to 2^exponent.
 *
 *  In:  clip      2^-100 < clip < 2^100, parameter units
 *       wide      words of 64 bits, field 2^61 - 1; else 32 bits, 2^32 - 5
 *  256 clip / 2^exponent must be at most 2^30 (narrow), 2^59 (wide), so that
 *  no leaf leaves the range of a word; anything else is a bug of the caller.
 */
cv_private_grad *cv_private_grad_create(const cv_model *model, double clip,
                                        int exponent, int wide);
void cv_private_grad_destroy(cv_private_grad **p);
/** Bytes that cv_private_grad_create takes. */
size_t cv_private_grad_bytes(const cv_model *model);

/** acc += sum over leaves of round(factor * leaf sum / 2^exponent).
 *
 *  In/Out: acc   canonical field words[n_params], uint32_t or uint64_t
 *  In:     idx   ascending numbers of the sampled rows, (n)
 *          w     (n_params), finite or not: a record whose gradient, score or
 *                activation is not finite contributes exactly zero
 *          factor  0 < factor <= 1
 *          part, n_parts  leaf k is done by part k % n_parts of a shared silo,
 *                so that field sums over parts do not depend on n_parts
 */
void cv_private_grad_add(cv_private_grad *p, const cv_samples *data,
                         const uint32_t *idx, int64_t n, const float *w,
                         double factor, int part, int n_parts, void *acc);

/** Delta_int: the L2 distance between the (centred) sums that cv_private_grad_add
 *  makes over all parts with and without any one record is at most this, in
 *  grid units, for every data set, sample, w and factor <= 1. Pure.
 *  Proof: private_gradient.c */
double cv_private_sensitivity(const cv_model *model, double clip, int exponent);

#endif
