#include <hdf5.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "io/hdf5_safe.h"
#include "io/table_internal.h"

typedef struct {
    const cv_source *src;
    cv_err *err;
    hid_t file, x, y; /* -1: not open */
    int64_t file_size;
    int64_t n_rows; /* of the file */
    int64_t n_kept;
    cv_hdf5_kind x_kind, y_kind;
    cv_table *table;
} h5_input;

static int damaged(const h5_input *in, const char *what)
{
    return cv_source_fail(in->src, in->err,
                          "%s cannot be read: the HDF5 file is damaged or "
                          "truncated",
                          what);
}

static int open_file(h5_input *in)
{
    int rc = cv_source_stat(in->src, &in->file_size, in->err);
    if (rc)
        return rc;
    in->file = cv_hdf5_open_input(in->src->path);
    if (in->file < 0)
        return cv_source_fail(in->src, in->err,
                              "cannot be opened as HDF5: it is another format, "
                              "or damaged or truncated");
    return 0;
}

/* /x and the table that will hold it; no values yet. */
static int open_x(h5_input *in)
{
    hsize_t dims[2];
    int rank = 0;
    if (!cv_hdf5_has(in->file, "x"))
        return cv_source_fail(in->src, in->err,
                              "expected a data set /x (rows, columns), found "
                              "none");
    if (cv_hdf5_open_array(in->file, "x", in->file_size, &in->x, &in->x_kind,
                           &rank, dims))
        return damaged(in, "/x");
    if (rank != 2 || in->x_kind == CV_HDF5_OTHER)
        return cv_source_fail(in->src, in->err,
                              "expected /x of numbers with 2 dimensions (rows, "
                              "columns), found %s",
                              rank != 2 ? "another number of dimensions"
                                        : "another type");
    int u8 = in->x_kind == CV_HDF5_U8, rc = 0;
    if (dims[0] > INT64_MAX || dims[1] > INT64_MAX)
        return damaged(in, "/x");
    in->n_rows = (int64_t)dims[0];
    rc = cv_source_room(in->src, in->n_rows, (int64_t)dims[1],
                        u8 ? 1 : sizeof(float), in->err);
    if (!rc)
        rc = cv_source_filter(in->src, in->n_rows, &in->n_kept, in->err);
    if (rc)
        return rc;
    in->table = cv_table_alloc(in->src->target_only ? 0 : in->n_kept,
                               (int32_t)dims[1], u8 ? CV_TYPE_U8 : CV_TYPE_F32);
    double scale = 1.0;
    rc = cv_hdf5_read_number(in->x, "scale", &scale);
    if (rc < 0 || !isfinite(scale) || scale <= 0.0)
        return cv_source_fail(in->src, in->err,
                              "attribute scale of /x: expected one positive "
                              "number, found something else");
    if (!u8 && scale != 1.0)
        return cv_source_fail(in->src, in->err,
                              "attribute scale of /x: it is for uint8 only, "
                              "found another type; multiply the values");
    in->table->scale = scale;
    return 0;
}

static int read_column_names(h5_input *in)
{
    cv_table *t = in->table;
    htri_t there = H5Aexists(in->x, "columns");
    if (there < 0)
        return damaged(in, "/x");
    if (there == 0) {
        for (int32_t j = 0; j < t->n_cols; j++)
            t->cols[j].name = cv_asprintf("x%d", j);
        return 0;
    }
    char **names = NULL;
    size_t n = 0;
    hid_t a = H5Aopen(in->x, "columns", H5P_DEFAULT);
    int bad = a < 0 || cv_hdf5_read_names(a, 1, in->file_size, CV_COLUMNS_MAX,
                                          &names, &n);
    if (a >= 0)
        H5Aclose(a);
    if (bad)
        return cv_source_fail(in->src, in->err,
                              "attribute columns of /x: expected a list of "
                              "names, found something else");
    int fits = n == (size_t)t->n_cols;
    for (size_t j = 0; j < n; j++)
        if (fits)
            t->cols[j].name = names[j];
        else
            free(names[j]);
    free((void *)names);
    if (!fits)
        return cv_source_fail(in->src, in->err,
                              "attribute columns of /x: expected %d names, "
                              "found %zu",
                              t->n_cols, n);
    return 0;
}

static int open_y(h5_input *in)
{
    cv_table *t = in->table;
    hsize_t dims[2];
    int rank = 0;
    if (!cv_hdf5_has(in->file, "y"))
        return 0;
    if (cv_hdf5_open_array(in->file, "y", in->file_size, &in->y, &in->y_kind,
                           &rank, dims))
        return damaged(in, "/y");
    if (rank != 1 || in->y_kind == CV_HDF5_OTHER)
        return cv_source_fail(in->src, in->err,
                              "expected /y of numbers with 1 dimension (rows), "
                              "found %s",
                              rank != 1 ? "another number of dimensions"
                                        : "another type");
    if (dims[0] != (hsize_t)in->n_rows)
        return cv_source_fail(in->src, in->err,
                              "/y has another number of rows than /x");
    t->y_whole = in->y_kind != CV_HDF5_FLOAT;
    htri_t there = H5Aexists(in->y, "name");
    if (there <= 0) {
        t->target.name = cv_strdup("label");
        return there == 0 ? 0 : damaged(in, "/y");
    }
    char **names = NULL;
    size_t n = 0;
    hid_t a = H5Aopen(in->y, "name", H5P_DEFAULT);
    int bad = a < 0 || cv_hdf5_read_names(a, 1, in->file_size, 1, &names, &n);
    if (a >= 0)
        H5Aclose(a);
    if (!bad && n == 1)
        t->target.name = names[0];
    free((void *)names);
    if (!t->target.name)
        return cv_source_fail(in->src, in->err,
                              "attribute name of /y: expected one name, found "
                              "something else");
    return 0;
}

typedef struct {
    h5_input *in;
    cv_name_set columns;
    int rc;
} category_walk;

static int take_levels(h5_input *in, cv_column *c, char **levels, size_t n)
{
    cv_name_set seen = {0};
    const char *fault = n == 0 ? "there are none" : NULL;
    for (size_t i = 0; i < n && !fault; i++) {
        fault = cv_name_fault(levels[i], strlen(levels[i]));
        if (!fault &&
            !cv_name_set_add(&seen, levels[i], strlen(levels[i]), NULL))
            fault = "is there twice";
    }
    cv_name_set_free(&seen);
    if (fault || c->n_levels) {
        for (size_t i = 0; i < n; i++)
            free(levels[i]);
        free((void *)levels);
        return cv_source_fail(in->src, in->err,
                              "levels of column '%s' in /categories: %s%s",
                              c->name, fault && n ? "a name that " : "",
                              fault ? fault : "given twice");
    }
    c->n_levels = (int)n;
    c->levels = levels;
    return 0;
}

/* The column's name is that of the data set, or stands in its attribute
 * `column` where the name cannot be one in HDF5. */
static int category_column(category_walk *w, hid_t d, const char *link,
                           cv_column **column)
{
    h5_input *in = w->in;
    cv_table *t = in->table;
    char **names = NULL;
    size_t n = 0;
    htri_t there = H5Aexists(d, "column");
    if (there < 0)
        return damaged(in, "/categories");
    if (there > 0) {
        hid_t a = H5Aopen(d, "column", H5P_DEFAULT);
        int bad =
            a < 0 || cv_hdf5_read_names(a, 1, in->file_size, 1, &names, &n);
        if (a >= 0)
            H5Aclose(a);
        if (bad || n != 1) {
            free((void *)names);
            return damaged(in, "/categories");
        }
        link = names[0];
    }
    int64_t j = cv_name_set_find(&w->columns, link, strlen(link));
    int rc = 0;
    if (j >= 0)
        *column = &t->cols[j];
    else if (t->target.name && strcmp(t->target.name, link) == 0)
        *column = &t->target;
    else
        rc = cv_source_fail(in->src, in->err,
                            "/categories has levels for a column that is not "
                            "there: '%.*s'",
                            CV_NAME_MAX, link);
    if (n)
        free(names[0]);
    free((void *)names);
    return rc;
}

static herr_t visit_category(hid_t group, const char *link,
                             const H5L_info_t *info, void *data)
{
    (void)info;
    category_walk *w = data;
    h5_input *in = w->in;
    hid_t d = -1;
    cv_hdf5_kind kind;
    int rank;
    hsize_t dims[2];
    cv_column *column = NULL;
    char **levels = NULL;
    size_t n = 0;
    if (cv_hdf5_open_array(group, link, in->file_size, &d, &kind, &rank,
                           dims)) {
        w->rc = damaged(in, "/categories");
        return 1;
    }
    w->rc = category_column(w, d, link, &column);
    if (!w->rc &&
        cv_hdf5_read_names(d, 0, in->file_size, CV_LEVELS_MAX, &levels, &n))
        w->rc = cv_source_fail(in->src, in->err,
                               "levels of column '%s' in /categories: expected "
                               "up to %d names, found something else",
                               column->name, CV_LEVELS_MAX);
    if (!w->rc)
        w->rc = take_levels(in, column, levels, n);
    H5Dclose(d);
    return w->rc ? 1 : 0;
}

static int read_categories(h5_input *in)
{
    cv_table *t = in->table;
    if (!cv_hdf5_has(in->file, "categories"))
        return 0;
    hid_t group = H5Gopen2(in->file, "categories", H5P_DEFAULT);
    if (group < 0)
        return damaged(in, "/categories");
    category_walk w = {.in = in};
    for (int32_t j = 0; j < t->n_cols; j++)
        cv_name_set_add(&w.columns, t->cols[j].name, strlen(t->cols[j].name),
                        NULL);
    herr_t e = H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL,
                          visit_category, &w);
    H5Gclose(group);
    cv_name_set_free(&w.columns);
    if (w.rc)
        return w.rc;
    return e < 0 ? damaged(in, "/categories") : 0;
}

/* n rows from row `first`, columns [col, col + n_cols), into out. */
static int read_block(hid_t d, hid_t space, hid_t type, int rank,
                      const hsize_t *first, const hsize_t *count, void *out)
{
    hid_t memory = H5Screate_simple(rank, count, NULL);
    int rc = memory < 0 ||
             H5Sselect_hyperslab(space, H5S_SELECT_SET, first, NULL, count,
                                 NULL) < 0 ||
             H5Dread(d, type, memory, space, H5P_DEFAULT, out) < 0;
    if (memory >= 0)
        H5Sclose(memory);
    return rc ? -1 : 0;
}

/* About 4 MB, and whole chunks, so that none is unpacked twice. */
static int64_t rows_per_block(hid_t d, int64_t n_rows, size_t row_bytes)
{
    int64_t rows = (int64_t)((4 << 20) / row_bytes) + 1;
    hid_t plist = H5Dget_create_plist(d);
    hsize_t chunk[2];
    if (plist >= 0 && H5Pget_layout(plist) == H5D_CHUNKED &&
        H5Pget_chunk(plist, 2, chunk) == 2 && chunk[0] > 0) {
        int64_t c = chunk[0] < (hsize_t)n_rows ? (int64_t)chunk[0] : n_rows;
        rows = (rows + c - 1) / c * c;
    }
    if (plist >= 0)
        H5Pclose(plist);
    return rows < n_rows ? rows : n_rows;
}

static int64_t count_kept(const cv_source *src, int64_t first, int64_t n)
{
    int64_t kept = 0;
    for (int64_t i = first; i < first + n; i++)
        kept += cv_source_keeps(src, i) != 0;
    return kept;
}

/* Blocks that are kept whole go straight to their place; blocks of which
 * nothing is kept are not read. */
static int read_x(h5_input *in)
{
    cv_table *t = in->table;
    size_t width = (size_t)t->n_cols;
    size_t row = width * (t->type == CV_TYPE_U8 ? 1 : sizeof(float));
    hid_t type = t->type == CV_TYPE_U8 ? H5T_NATIVE_UINT8 : H5T_NATIVE_FLOAT;
    hid_t space = H5Dget_space(in->x);
    int64_t block = rows_per_block(in->x, in->n_rows, row);
    uint8_t *to = t->x, *rows = NULL;
    int bad = space < 0;
    for (int64_t i = 0; i < in->n_rows && !bad; i += block) {
        int64_t n = in->n_rows - i < block ? in->n_rows - i : block;
        int64_t kept = count_kept(in->src, i, n);
        hsize_t first[2] = {(hsize_t)i, 0}, count[2] = {(hsize_t)n, width};
        if (kept == 0)
            continue;
        if (kept < n && !rows)
            rows = cv_calloc((size_t)block, row);
        bad = read_block(in->x, space, type, 2, first, count,
                         kept < n ? rows : to);
        for (int64_t k = 0, at = 0; k < n && kept < n && !bad; k++)
            if (cv_source_keeps(in->src, i + k))
                memcpy(to + (size_t)at++ * row, rows + (size_t)k * row, row);
        to += (size_t)kept * row;
    }
    free(rows);
    if (space >= 0)
        H5Sclose(space);
    return bad ? damaged(in, "/x") : 0;
}

static int read_y(h5_input *in)
{
    cv_table *t = in->table;
    float *y = CV_NEW(in->n_rows, float);
    if (H5Dread(in->y, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, y) <
        0) {
        free(y);
        return damaged(in, "/y");
    }
    int64_t to = 0;
    for (int64_t i = 0; i < in->n_rows; i++)
        if (cv_source_keeps(in->src, i))
            y[to++] = y[i];
    t->y = y;
    return 0;
}

/* For target_only: column j of x becomes the target. */
static int read_column(h5_input *in, int32_t j)
{
    cv_table *t = in->table;
    hid_t space = H5Dget_space(in->x);
    hsize_t first[2] = {0, (hsize_t)j}, count[2] = {(hsize_t)in->n_rows, 1};
    float *y = CV_NEW(in->n_rows, float);
    int bad = space < 0 ||
              read_block(in->x, space, H5T_NATIVE_FLOAT, 2, first, count, y);
    if (space >= 0)
        H5Sclose(space);
    if (bad) {
        free(y);
        return damaged(in, "/x");
    }
    if (t->cols[j].n_levels == 0 && t->type == CV_TYPE_U8)
        for (int64_t i = 0; i < in->n_rows; i++)
            y[i] = (float)((double)y[i] * t->scale);
    t->y = y;
    cv_column c = t->target;
    t->target = t->cols[j];
    t->cols[j] = c;
    return 0;
}

static int read_target(h5_input *in)
{
    cv_table *t = in->table;
    const char *target = in->src->target;
    CV_FREE(t->x);
    t->n_rows = in->n_rows;
    if (in->y >= 0 && (!target || strcmp(target, t->target.name) == 0))
        return read_y(in);
    int32_t j = target ? cv_table_find(t, target) : -1;
    return j < 0 ? 0 : read_column(in, j);
}

static int read_values(h5_input *in)
{
    int rc = in->src->target_only ? read_target(in) : read_x(in);
    if (!rc && !in->src->target_only && in->y >= 0)
        rc = read_y(in);
    return rc ? rc : cv_table_check_values(in->src, in->table, in->err);
}

int cv_table_read_hdf5(const cv_source *src, cv_table **table, cv_err *err)
{
    h5_input in = {.src = src, .err = err, .file = -1, .x = -1, .y = -1};
    int rc = open_file(&in);
    if (!rc)
        rc = open_x(&in);
    if (!rc)
        rc = read_column_names(&in);
    if (!rc)
        rc = open_y(&in);
    if (!rc)
        rc = cv_table_check_names(src, in.table, err);
    if (!rc)
        rc = read_categories(&in);
    if (!rc)
        rc = read_values(&in);
    if (!rc) {
        *table = in.table;
        in.table = NULL;
    }
    cv_table_destroy(&in.table);
    if (in.y >= 0)
        H5Dclose(in.y);
    if (in.x >= 0)
        H5Dclose(in.x);
    if (in.file >= 0)
        H5Fclose(in.file);
    return rc;
}
