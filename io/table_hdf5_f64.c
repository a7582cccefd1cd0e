/* HDF5 data files: values in double precision. */
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "io/table_hdf5.h"

typedef struct {
    cv_h5_input *in;
    const uint8_t *y;    /* stored values of all rows, or NULL */
    uint8_t *both;       /* a row of x and its y, as stored */
    size_t x_size, size; /* bytes of x, and of both */
    double *factor;      /* (width) or NULL: all 1 */
} wide_reader;

static int too_large(const wide_reader *r, int32_t col, int64_t row)
{
    const cv_h5_input *in = r->in;
    cv_source_fail(in->src, in->err,
                   "column '%s': an integer is larger than 2^53, so a double "
                   "does not hold it exactly; store it as a float or as text "
                   "in /categories",
                   in->table->cols[col].name);
    return cv_source_site(in->src, in->err, "row %lld", (long long)row + 1);
}

/* Row `row` of the file to row `to` of the table. */
static int read_row(const wide_reader *r, const uint8_t *raw, int64_t row,
                    int64_t to)
{
    const cv_h5_input *in = r->in;
    cv_table *t = in->table;
    size_t width = (size_t)in->width;
    double *x = (double *)t->x + (size_t)to * (size_t)t->n_cols;
    size_t n = cv_h5in_to_double(x, raw, width, &in->x.type);
    if (n < width)
        return too_large(r, (int32_t)n, row);
    for (size_t j = 0; r->factor && j < width; j++)
        x[j] *= r->factor[j];
    if (r->y) {
        const uint8_t *y = r->y + (size_t)row * in->y.type.size;
        if (cv_h5in_to_double(x + width, y, 1, &in->y.type) < 1)
            return too_large(r, in->width, row);
        memcpy(r->both, raw, r->x_size);
        memcpy(r->both + r->x_size, y, in->y.type.size);
        raw = r->both;
    }
    t->content[to] = cv_row_content(raw, r->size);
    return 0;
}

static int read_rows(wide_reader *r)
{
    cv_h5_input *in = r->in;
    int64_t block = cv_h5_block(in), to = 0;
    uint8_t *raw = cv_calloc((size_t)block, r->x_size);
    int rc = 0;
    for (int64_t i = 0; i < in->n_rows && !rc; i += block) {
        int64_t n = in->n_rows - i < block ? in->n_rows - i : block;
        if (cv_h5_kept(in, i, n) == 0)
            continue;
        if (cv_h5in_rows(&in->f, &in->x, (uint64_t)i, (uint64_t)n, raw))
            rc = cv_h5_refused(in, "/x");
        for (int64_t k = 0; k < n && !rc; k++)
            if (cv_source_keeps(in->src, i + k))
                rc = read_row(r, raw + (size_t)k * r->x_size, i + k, to++);
    }
    free(raw);
    return rc;
}

/* `scale` is for numbers; a table of doubles holds what it gives. */
static double *factors(cv_table *t, int32_t width)
{
    double scale = t->scale;
    t->scale = 1.0;
    if (scale == 1.0)
        return NULL;
    double *factor = CV_NEW(width, double);
    for (int32_t j = 0; j < width; j++)
        factor[j] = t->cols[j].n_levels ? 1.0 : scale;
    return factor;
}

int cv_h5_read_f64(cv_h5_input *in)
{
    wide_reader r = {.in = in};
    uint8_t *y = NULL;
    r.x_size = r.size = (size_t)in->width * in->x.type.size;
    int rc = 0;
    if (in->y.has_type) {
        rc = cv_h5_stored_y(in, &y);
        r.y = y;
        r.size += in->y.type.size;
        r.both = CV_NEW(r.size, uint8_t);
    }
    r.factor = factors(in->table, in->width);
    if (!rc)
        rc = read_rows(&r);
    free(y);
    free(r.both);
    free(r.factor);
    return rc;
}
