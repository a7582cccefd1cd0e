#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/err.h"
#include "core/mem.h"
#include "io/table_hdf5.h"

int cv_h5_refused(const cv_h5_input *in, const char *what)
{
    return cv_source_fail(in->src, in->err, "%s: the HDF5 file %s", what,
                          in->f.problem);
}

static int is_number(const cv_h5in_type *t)
{
    return t->kind == CV_H5IN_INTEGER || t->kind == CV_H5IN_FLOAT;
}

static int is_byte(const cv_h5in_type *t)
{
    return t->kind == CV_H5IN_INTEGER && t->size == 1 && !t->is_signed;
}

static int read_scale(cv_h5_input *in)
{
    const cv_h5in_attr *a = cv_h5in_attribute(&in->x, "scale");
    double scale = 1.0;
    if (a && is_number(&a->type) && a->space.count == 1)
        scale = cv_h5in_number(a->data, &a->type);
    else if (a)
        scale = NAN;
    if (!isfinite(scale) || scale <= 0.0)
        return cv_source_fail(in->src, in->err,
                              "attribute scale of /x: expected one positive "
                              "number, found something else");
    if (!is_byte(&in->x.type) && scale != 1.0)
        return cv_source_fail(in->src, in->err,
                              "attribute scale of /x: it is for uint8 only, "
                              "found another type; multiply the values");
    in->table->scale = scale;
    return 0;
}

/* No values yet. Of doubles, /y becomes the last column. */
static int make_table(cv_h5_input *in)
{
    const cv_h5in_object *x = &in->x;
    cv_type type = cv_source_f64(in->src) ? CV_TYPE_F64
                   : is_byte(&x->type)    ? CV_TYPE_U8
                                          : CV_TYPE_F32;
    int64_t width = (int64_t)x->space.dims[1], n_cols = width;
    if (type == CV_TYPE_F64 && width > 0)
        n_cols += cv_h5in_find(&in->root, "y") != NULL;
    int rc = cv_source_room(in->src, in->n_rows, n_cols, cv_type_size(type),
                            in->err);
    if (!rc)
        rc = cv_source_filter(in->src, in->n_rows, &in->n_kept, in->err);
    if (rc)
        return rc;
    in->width = (int32_t)width;
    in->table = cv_table_alloc(in->src->target_only ? 0 : in->n_kept,
                               (int32_t)n_cols, type);
    return read_scale(in);
}

/* /x and the table that will hold it; no values yet. */
static int open_x(cv_h5_input *in)
{
    const cv_h5in_link *link = cv_h5in_find(&in->root, "x");
    if (!link)
        return cv_source_fail(in->src, in->err,
                              "expected a data set /x (rows, columns), found "
                              "none");
    if (cv_h5in_load(&in->f, link->addr, &in->x))
        return cv_h5_refused(in, "/x");
    const cv_h5in_object *x = &in->x;
    if (!x->has_type || x->space.rank != 2 || !is_number(&x->type))
        return cv_source_fail(in->src, in->err,
                              "expected /x of integers or 32- or 64-bit floats "
                              "with 2 dimensions (rows, columns), found %s",
                              x->has_type && x->space.rank == 2
                                  ? "another type"
                                  : "another shape");
    if (x->space.dims[0] > INT64_MAX || x->space.dims[1] >= INT64_MAX)
        return cv_source_fail(in->src, in->err,
                              "/x: the HDF5 file is damaged: a shape");
    in->n_rows = (int64_t)x->space.dims[0];
    if (cv_h5in_prepare(&in->f, &in->x))
        return cv_h5_refused(in, "/x");
    return make_table(in);
}

static int open_y(cv_h5_input *in)
{
    cv_table *t = in->table;
    cv_h5in_object *y = &in->y;
    const cv_h5in_link *link = cv_h5in_find(&in->root, "y");
    if (!link)
        return 0;
    if (cv_h5in_load(&in->f, link->addr, y))
        return cv_h5_refused(in, "/y");
    if (!y->has_type || y->space.rank != 1 || !is_number(&y->type))
        return cv_source_fail(in->src, in->err,
                              "expected /y of integers or 32- or 64-bit floats "
                              "with 1 dimension (rows), found %s",
                              y->has_type && y->space.rank == 1
                                  ? "another type"
                                  : "another shape");
    if (y->space.dims[0] != (uint64_t)in->n_rows)
        return cv_source_fail(in->src, in->err,
                              "/y has another number of rows than /x");
    if (cv_h5in_prepare(&in->f, y))
        return cv_h5_refused(in, "/y");
    const cv_h5in_attr *a = cv_h5in_attribute(y, "name");
    t->y_whole = y->type.kind == CV_H5IN_INTEGER;
    char *name = a ? cv_h5_name(in, a) : cv_strdup("label");
    if (t->type == CV_TYPE_F64) {
        t->y_col = in->width;
        t->cols[t->y_col].name = name;
    } else {
        t->target.name = name;
    }
    if (!name)
        return cv_source_fail(in->src, in->err,
                              "attribute name of /y: expected one name, found "
                              "something else");
    return 0;
}

/* About 4 MB, and whole chunks, so that none is unpacked twice. */
int64_t cv_h5_block(const cv_h5_input *in)
{
    const cv_h5in_object *x = &in->x;
    size_t row_bytes = (size_t)in->width * x->type.size;
    int64_t rows = (int64_t)((4 << 20) / row_bytes) + 1;
    if (x->layout == CV_H5IN_CHUNKED) {
        uint64_t n = (uint64_t)in->n_rows, c = x->chunk[0];
        int64_t chunk = (int64_t)(c < n ? c : n);
        rows = (rows + chunk - 1) / chunk * chunk;
    }
    return rows < in->n_rows ? rows : in->n_rows;
}

int64_t cv_h5_kept(const cv_h5_input *in, int64_t first, int64_t n)
{
    int64_t kept = 0;
    for (int64_t i = first; i < first + n; i++)
        kept += cv_source_keeps(in->src, i) != 0;
    return kept;
}

/* n values as stored, to what the table holds. */
static void convert(const cv_h5_input *in, void *to, const uint8_t *raw,
                    size_t n)
{
    if (in->table->type == CV_TYPE_U8)
        memcpy(to, raw, n);
    else
        cv_h5in_to_float(to, raw, n, &in->x.type);
}

/* Blocks that are kept whole and need no conversion go straight to their
 * place; blocks of which nothing is kept are not read. */
static int read_x(cv_h5_input *in)
{
    cv_table *t = in->table;
    const cv_h5in_type *type = &in->x.type;
    size_t width = (size_t)t->n_cols, stored = width * type->size;
    size_t row = width * (t->type == CV_TYPE_U8 ? 1 : sizeof(float));
    int as_is = t->type == CV_TYPE_U8 ||
                (type->kind == CV_H5IN_FLOAT && type->size == sizeof(float) &&
                 !type->big_endian);
    int64_t block = cv_h5_block(in);
    uint8_t *to = t->x, *raw = NULL;
    int rc = 0;
    for (int64_t i = 0; i < in->n_rows && !rc; i += block) {
        int64_t n = in->n_rows - i < block ? in->n_rows - i : block;
        int64_t kept = cv_h5_kept(in, i, n);
        int direct = as_is && kept == n;
        if (kept == 0)
            continue;
        if (!direct && !raw)
            raw = cv_calloc((size_t)block, stored);
        rc = cv_h5in_rows(&in->f, &in->x, (uint64_t)i, (uint64_t)n,
                          direct ? to : raw);
        if (!direct && kept == n)
            convert(in, to, raw, (size_t)n * width);
        else
            for (int64_t k = 0, at = 0; k < n && !direct; k++)
                if (cv_source_keeps(in->src, i + k))
                    convert(in, to + (size_t)at++ * row,
                            raw + (size_t)k * stored, width);
        to += (size_t)kept * row;
    }
    free(raw);
    return rc ? cv_h5_refused(in, "/x") : 0;
}

int cv_h5_stored_y(cv_h5_input *in, uint8_t **raw)
{
    size_t n = (size_t)in->n_rows;
    *raw = cv_calloc(n, in->y.type.size);
    return cv_h5in_rows(&in->f, &in->y, 0, n, *raw) ? cv_h5_refused(in, "/y")
                                                    : 0;
}

static int read_y(cv_h5_input *in)
{
    cv_table *t = in->table;
    uint8_t *raw = NULL;
    int rc = cv_h5_stored_y(in, &raw);
    t->y = CV_NEW(in->n_rows, float);
    if (!rc)
        cv_h5in_to_float(t->y, raw, (size_t)in->n_rows, &in->y.type);
    free(raw);
    int64_t to = 0;
    for (int64_t i = 0; i < in->n_rows; i++)
        if (cv_source_keeps(in->src, i))
            t->y[to++] = t->y[i];
    return rc;
}

/* For target_only: column j of x becomes the target. */
static int read_column(cv_h5_input *in, int32_t j)
{
    cv_table *t = in->table;
    const cv_h5in_type *type = &in->x.type;
    size_t stored = (size_t)t->n_cols * type->size;
    int64_t block = cv_h5_block(in);
    uint8_t *raw = cv_calloc((size_t)block, stored);
    double scale = t->cols[j].n_levels ? 1.0 : t->scale;
    int rc = 0;
    CV_FREE(t->y);
    t->y = CV_NEW(in->n_rows, float);
    for (int64_t i = 0; i < in->n_rows && !rc; i += block) {
        int64_t n = in->n_rows - i < block ? in->n_rows - i : block;
        rc = cv_h5in_rows(&in->f, &in->x, (uint64_t)i, (uint64_t)n, raw);
        for (int64_t k = 0; k < n && !rc; k++) {
            const uint8_t *v =
                raw + (size_t)k * stored + (size_t)j * type->size;
            t->y[i + k] = (float)(cv_h5in_number(v, type) * scale);
        }
    }
    free(raw);
    cv_column c = t->target;
    t->target = t->cols[j];
    t->cols[j] = c;
    return rc ? cv_h5_refused(in, "/x") : 0;
}

static int read_target(cv_h5_input *in)
{
    cv_table *t = in->table;
    const char *target = in->src->target;
    CV_FREE(t->x);
    t->n_rows = in->n_rows;
    if (in->y.has_type && (!target || strcmp(target, t->target.name) == 0))
        return read_y(in);
    int32_t j = target ? cv_table_find(t, target) : -1;
    return j < 0 ? 0 : read_column(in, j);
}

static int read_values(cv_h5_input *in)
{
    int wide = in->table->type == CV_TYPE_F64;
    int rc = in->src->target_only ? read_target(in)
             : wide               ? cv_h5_read_f64(in)
                                  : read_x(in);
    if (!rc && !in->src->target_only && !wide && in->y.has_type)
        rc = read_y(in);
    return rc ? rc : cv_table_check_values(in->src, in->table, in->err);
}

/* Most often `data.format` was forgotten. */
static int not_hdf5(cv_h5_input *in)
{
    uint8_t head[256];
    const char *problem = in->f.problem, *found = NULL;
    size_t n = in->f.size < 256 ? (size_t)in->f.size : 256;
    in->f.base = 0; /* where the search for a signature ended */
    if (cv_h5in_pread(&in->f, 0, n, head) || n < 4)
        return cv_source_fail(in->src, in->err,
                              "expected an HDF5 file, found one that %s",
                              problem);
    found = cv_table_looks_like(head, n);
    return cv_source_fail(in->src, in->err,
                          "expected an HDF5 file, found one that %s",
                          found ? found : problem);
}

static int parse(const cv_source *src, int fd, const uint8_t *data,
                 int64_t size, cv_table **table, cv_err *err)
{
    cv_h5_input in = {.src = src, .err = err};
    int rc = 0;
    if (cv_h5in_open(&in.f, fd, data, size) ||
        cv_h5in_load(&in.f, (uint64_t)in.f.root, &in.root))
        rc = not_hdf5(&in);
    if (!rc)
        rc = open_x(&in);
    if (!rc)
        rc = cv_h5_column_names(&in);
    if (!rc)
        rc = open_y(&in);
    if (!rc)
        rc = cv_table_check_names(src, in.table, err);
    if (!rc)
        rc = cv_h5_categories(&in);
    if (!rc)
        rc = read_values(&in);
    if (!rc) {
        *table = in.table;
        in.table = NULL;
    }
    cv_table_destroy(&in.table);
    cv_h5in_free(&in.root);
    cv_h5in_free(&in.x);
    cv_h5in_free(&in.y);
    cv_h5in_close(&in.f);
    return rc;
}

int cv_hdf5_parse(const cv_source *src, const uint8_t *data, size_t n,
                  cv_table **table, cv_err *err)
{
    return parse(src, -1, data, (int64_t)n, table, err);
}

int cv_table_read_hdf5(const cv_source *src, cv_table **table, cv_err *err)
{
    int64_t size = 0;
    struct stat st;
    int rc = cv_source_stat(src, &size, err);
    if (rc)
        return rc;
    int fd = open(src->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        rc = cv_source_fail(src, err, "cannot open the file: %s",
                            strerror(errno));
    else
        rc = parse(src, fd, NULL, st.st_size, table, err);
    if (fd >= 0)
        close(fd);
    return rc;
}
