#include "jobs/scale.h"

#include <math.h>

void cv_scale_tables(const cv_schema *schema, double scale, float *mul,
                     float *add)
{
    for (int j = 0; j < schema->n_cols; j++) {
        mul[j] = (float)(scale / schema->unit[j]);
        add[j] = (float)(-schema->shift[j] / schema->unit[j]);
    }
}

static void scale_f32(const cv_schema *schema, const cv_samples *rows)
{
    float *x = (float *)(uintptr_t)rows->x; /* the caller owns it */
    size_t c = (size_t)schema->n_cols;
    for (int64_t i = 0; i < rows->n_rows; i++)
        for (size_t j = 0; j < c; j++) {
            double v = (double)x[(size_t)i * c + j];
            if (isnan(v))
                v = schema->fill[j];
            x[(size_t)i * c + j] =
                (float)((v - schema->shift[j]) / schema->unit[j]);
        }
}

void cv_scale_rows(const cv_schema *schema, cv_samples *rows, const float *mul,
                   const float *add)
{
    if (rows->n_rows == 0)
        return;
    if (rows->is_u8) {
        rows->mul = mul;
        rows->add = add;
    } else {
        scale_f32(schema, rows);
    }
}
