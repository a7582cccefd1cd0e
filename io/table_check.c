/* Tables: what their values may be. */
#include <math.h>

#include "core/err.h"
#include "io/table_internal.h"

static int bad_value(const cv_source *src, const cv_column *c, int64_t row,
                     double v, int wide, cv_err *err)
{
    if (isinf(v))
        cv_source_fail(src, err,
                       "column '%s': a value is infinite%s; mark missing "
                       "values as NaN",
                       c->name, wide ? "" : " or too large for a 32-bit float");
    else
        cv_source_fail(src, err,
                       "column '%s': a value is not one of its level numbers "
                       "0 to %d",
                       c->name, c->n_levels - 1);
    return cv_source_site(src, err, "row %lld: %.*g", (long long)row + 1,
                          wide ? 17 : 9, v);
}

static int is_level(const cv_column *c, double v)
{
    return isnan(v) || (v >= 0 && v < c->n_levels && v == floor(v));
}

static int row_has_infinity(const float *x, int32_t n)
{
    unsigned any = 0; /* no early exit: the loop runs in vector registers */
    for (int32_t j = 0; j < n; j++)
        any |= isinf(x[j]) ? 1u : 0u;
    return any != 0;
}

static int doubles_have_infinity(const double *x, int32_t n)
{
    unsigned any = 0;
    for (int32_t j = 0; j < n; j++)
        any |= isinf(x[j]) ? 1u : 0u;
    return any != 0;
}

static int row_is_infinite(const cv_table *t, int64_t row)
{
    size_t at = (size_t)row * (size_t)t->n_cols;
    if (!t->x || t->type == CV_TYPE_U8)
        return 0;
    return t->type == CV_TYPE_F64
               ? doubles_have_infinity((const double *)t->x + at, t->n_cols)
               : row_has_infinity((const float *)t->x + at, t->n_cols);
}

int cv_table_check_values(const cv_source *src, const cv_table *t, cv_err *err)
{
    int has_levels = 0, wide = t->type == CV_TYPE_F64;
    for (int32_t j = 0; t->x && j < t->n_cols; j++)
        has_levels |= t->cols[j].n_levels > 0;
    for (int64_t i = 0; i < t->n_rows; i++) {
        int inf = row_is_infinite(t, i);
        for (int32_t j = 0; (inf || has_levels) && j < t->n_cols; j++) {
            const cv_column *c = &t->cols[j];
            double v = cv_table_value(t, i, j);
            if (!wide)
                v = (double)(float)v; /* as they will be used */
            if (isinf(v) || (c->n_levels && !is_level(c, v)))
                return bad_value(src, c, i, v, wide, err);
        }
        double y = t->y ? (double)t->y[i] : 0.0;
        if (isinf(y) || (t->target.n_levels && !is_level(&t->target, y)))
            return bad_value(src, &t->target, i, y, 0, err);
    }
    return 0;
}
