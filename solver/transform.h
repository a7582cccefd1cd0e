/** Fixed feature maps in front of a model: from a row to another row.
 *
 *  A map has no parameters and looks at one row alone, so it costs no privacy
 *  and is applied once, when the rows are ready.  none and scattering
 *  (solver/scattering.h, with its normalisation) are rows of one table in
 *  solver/transform.c.
 *
 *  Scope: local. Threads: as cv_blas_set_threads granted.
 */
#ifndef COVEY_SOLVER_TRANSFORM_H
#define COVEY_SOLVER_TRANSFORM_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "solver/train.h"

typedef struct cv_transform cv_transform;

const char *const *cv_transform_names(size_t *n);

/** For rows that are images (height, width), pixels in [0, 1].
 *  CV_ERR_INPUT: no such name, or an image of a size that the map cannot take.
 */
int cv_transform_create(const char *name, int height, int width,
                        cv_transform **out, cv_err *err);
void cv_transform_destroy(cv_transform **t);

int cv_transform_n_out(const cv_transform *t);

/** Rows [first, first + n) of `in`, standardised as cv_samples_gather does.
 *  in->n_cols = height width. out (n, n_out). A row's result does not depend on
 *  the others, nor on how they are cut. */
void cv_transform_rows(const cv_transform *t, const cv_samples *in,
                       int64_t first, int64_t n, float *out);

#endif
