/** What schema.c and schema_text.c share. */
#ifndef COVEY_IO_SCHEMA_INTERNAL_H
#define COVEY_IO_SCHEMA_INTERNAL_H

#include "io/design.h"

/** Compute n_cols and col_names from the features; shift and unit from the
 *  bounds under standardize: bounds, else NULL; fill = NULL. CV_ERR_INPUT if
 *  there are too many columns or bounds are missing. */
int cv_schema_finish(cv_schema *schema, cv_err *err);

/** Columns a feature is encoded in. */
static inline int cv_feature_width(const cv_feature *f)
{
    if (f->type == CV_FEATURE_NUMBER)
        return 1;
    return f->n_levels > 1 ? f->n_levels - 1 : 0;
}

void cv_feature_clear(cv_feature *f);

#endif
