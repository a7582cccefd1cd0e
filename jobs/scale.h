/** Applying an agreed standardisation to encoded rows. Local. */
#ifndef COVEY_JOBS_SCALE_H
#define COVEY_JOBS_SCALE_H

#include "io/design.h"
#include "solver/train.h"

/** mul, add (n_cols) such that input = x * mul + add for uint8 rows with this
 *  factor `scale`. */
void cv_scale_tables(const cv_schema *schema, double scale, float *mul,
                     float *add);

/** Standardise rows: float rows in place, missing numbers filled; uint8 rows by
 *  pointing at (mul, add), which must outlive them. */
void cv_scale_rows(const cv_schema *schema, cv_samples *rows, const float *mul,
                   const float *add);

#endif
