/* Reading a checkpoint: values. Everything is in the reader's list already,
 * checked; data is read from the file where the list says it is. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "io/checkpoint_reader.h"

#define BLOCK ((size_t)1 << 18)

static const char *const kind_name[] = {"float32", "float64", "int32",  "int64",
                                        "uint8",   "text",    "a table"};

/* One number between types: integers through int64, the rest through double.
 * Integers arrive exactly or not at all; a double may lose digits in float32,
 * as in C. */
typedef struct {
    int is_int;
    int64_t i;
    double f;
} number;

static number load(int kind, const uint8_t *p)
{
    number v = {.is_int = kind >= CV_H5_I32};
    float f32;
    int32_t i32;
    switch (kind) {
    case CV_H5_F32:
        memcpy(&f32, p, sizeof f32);
        v.f = (double)f32;
        break;
    case CV_H5_F64:
        memcpy(&v.f, p, sizeof v.f);
        break;
    case CV_H5_I32:
        memcpy(&i32, p, sizeof i32);
        v.i = i32;
        break;
    case CV_H5_I64:
        memcpy(&v.i, p, sizeof v.i);
        break;
    default:
        v.i = *p;
    }
    return v;
}

static int to_int(const number *v, int64_t min, int64_t max, int64_t *out)
{
    /* 2^63 is the first double that does not fit. */
    if (!v->is_int &&
        !(v->f >= -0x1p63 && v->f < 0x1p63 && v->f == trunc(v->f)))
        return -1;
    *out = v->is_int ? v->i : (int64_t)v->f;
    return *out >= min && *out <= max ? 0 : -1;
}

static int to_float(const number *v, int64_t exact, double *out)
{
    if (v->is_int && (v->i > exact || v->i < -exact))
        return -1;
    *out = v->is_int ? (double)v->i : v->f;
    return 0;
}

static int store(int kind, uint8_t *p, const number *v)
{
    int64_t i = 0;
    double f = 0;
    float f32;
    int32_t i32;
    switch (kind) {
    case CV_H5_F32:
        if (to_float(v, 1 << 24, &f) != 0)
            return -1;
        f32 = (float)f;
        if (isinf(f32) && !isinf(f))
            return -1;
        memcpy(p, &f32, sizeof f32);
        return 0;
    case CV_H5_F64:
        if (to_float(v, (int64_t)1 << 53, &f) != 0)
            return -1;
        memcpy(p, &f, sizeof f);
        return 0;
    case CV_H5_I32:
        if (to_int(v, INT32_MIN, INT32_MAX, &i) != 0)
            return -1;
        i32 = (int32_t)i;
        memcpy(p, &i32, sizeof i32);
        return 0;
    case CV_H5_I64:
        if (to_int(v, INT64_MIN, INT64_MAX, &i) != 0)
            return -1;
        memcpy(p, &i, sizeof i);
        return 0;
    default:
        if (to_int(v, 0, UINT8_MAX, &i) != 0)
            return -1;
        *p = (uint8_t)i;
        return 0;
    }
}

static int convert(uint8_t *to, int to_kind, const uint8_t *from, size_t stride,
                   int from_kind, size_t n)
{
    size_t size = cv_h5_type_size(to_kind);
    for (size_t i = 0; i < n; i++, to += size, from += stride) {
        if (to_kind == from_kind) {
            memcpy(to, from, size);
            continue;
        }
        number v = load(from_kind, from);
        if (store(to_kind, to, &v) != 0)
            return -1;
    }
    return 0;
}

static int wrong(const cv_h5_reader *r, cv_err *err, const char *path,
                 const char *expected, int kind)
{
    return cv_err_set(err, CV_ERR_VERIFY, r->path, 0,
                      "'%.200s': expected %s, found %s", path, expected,
                      kind_name[kind]);
}

static cv_h5_node *array_at(cv_h5_reader *r, const char *path, cv_err *err)
{
    cv_h5_node *node = cv_h5_find(r, path);
    if (node && !node->is_group)
        return node;
    cv_err_set(err, CV_ERR_VERIFY, r->path, 0,
               "expected an array '%.200s', found %s", path,
               node ? "a group" : "none");
    return NULL;
}

int cv_h5_shape(cv_h5_reader *r, const char *path, int *rank, int64_t dims[4],
                cv_err *err)
{
    const cv_h5_node *node = array_at(r, path, err);
    if (!node)
        return CV_ERR_VERIFY;
    *rank = node->layout.rank;
    memcpy(dims, node->layout.dims, sizeof node->layout.dims);
    return 0;
}

static int wrong_count(const cv_h5_reader *r, cv_err *err, const char *path,
                       int64_t found, int64_t expected)
{
    return cv_err_set(err, CV_ERR_VERIFY, r->path, 0,
                      "'%.200s': expected %" PRId64 " values, found %" PRId64,
                      path, expected, found);
}

/* Text of at most size bytes, padded with zeros. */
static char *text_of(const uint8_t *p, size_t size)
{
    size_t n = strnlen((const char *)p, size);
    char *s = cv_realloc(NULL, n + 1, 1);
    memcpy(s, p, n);
    s[n] = '\0';
    return s;
}

/* Field f of every row of node (an array is a table of one field), block by
 * block, into out: numbers of `kind`, or char * if that is CV_H5_STRING. */
static int get_field(const cv_h5_reader *r, const cv_h5_node *node,
                     const cv_h5_field *f, int kind, void *out, cv_err *err)
{
    size_t row = node->layout.size, n = (size_t)node->count;
    size_t step = row < BLOCK ? BLOCK / row : 1;
    uint8_t *buf = cv_calloc(step < n ? step : n, row);
    char **text = out;
    uint8_t *to = out;
    int rc = 0;
    for (size_t at = 0; !rc && at < n; at += step) {
        size_t m = n - at < step ? n - at : step;
        const uint8_t *from = buf + f->offset;
        rc = cv_h5_read_at(r, node->addr + (int64_t)(at * row), buf, m * row,
                           err);
        if (rc)
            break;
        if (kind == CV_H5_STRING)
            for (size_t i = 0; i < m; i++)
                text[at + i] = text_of(from + i * row, f->size);
        else if (convert(to + at * cv_h5_type_size(kind), kind, from, row,
                         f->kind, m) != 0)
            rc = cv_err_set(err, CV_ERR_VERIFY, r->path, 0,
                            "'%.200s'%s%.200s: expected values that fit %s",
                            node->path, f->name ? ", column " : "",
                            f->name ? f->name : "", kind_name[kind]);
    }
    free(buf);
    return rc;
}

static int get_texts(const cv_h5_reader *r, const cv_h5_node *node,
                     const cv_h5_field *f, char ***text, cv_err *err)
{
    char **list = CV_NEW(node->count, char *);
    int rc = get_field(r, node, f, CV_H5_STRING, list, err);
    if (rc)
        cv_strings_free(&list, (size_t)node->count);
    *text = list;
    return rc;
}

int cv_h5_get(cv_h5_reader *r, const char *path, cv_h5_type type, void *out,
              size_t n, cv_err *err)
{
    const cv_h5_node *node = array_at(r, path, err);
    if (!node)
        return CV_ERR_VERIFY;
    cv_h5_field f = {.kind = node->layout.kind, .size = node->layout.size};
    if (f.kind >= CV_H5_STRING)
        return wrong(r, err, path, "numbers", f.kind);
    if ((uint64_t)node->count != n)
        return wrong_count(r, err, path, node->count, (int64_t)n);
    if (f.kind == (int)type)
        return cv_h5_read_at(r, node->addr, out, node->bytes, err);
    return get_field(r, node, &f, (int)type, out, err);
}

/* A list of texts (rank 1) or one (rank 0). */
static int get_text_array(cv_h5_reader *r, const char *path, int rank,
                          const char *expected, char ***text, size_t *n,
                          cv_err *err)
{
    const cv_h5_node *node = array_at(r, path, err);
    if (!node)
        return CV_ERR_VERIFY;
    cv_h5_field f = {.kind = node->layout.kind, .size = node->layout.size};
    if (f.kind != CV_H5_STRING || node->layout.rank != rank)
        return wrong(r, err, path, expected, f.kind);
    int rc = get_texts(r, node, &f, text, err);
    *n = rc ? 0 : (size_t)node->count;
    return rc;
}

int cv_h5_get_strings(cv_h5_reader *r, const char *path, char ***text,
                      size_t *n, cv_err *err)
{
    *text = NULL;
    *n = 0;
    return get_text_array(r, path, 1, "a list of texts", text, n, err);
}

int cv_h5_get_string(cv_h5_reader *r, const char *path, char **text,
                     cv_err *err)
{
    char **one = NULL;
    size_t n;
    int rc = get_text_array(r, path, 0, "one text", &one, &n, err);
    *text = rc ? NULL : one[0];
    free(one);
    return rc;
}

static const cv_h5_attribute *attr_at(cv_h5_reader *r, const char *path,
                                      const char *name, cv_err *err)
{
    const cv_h5_node *node = cv_h5_find(r, path);
    const cv_h5_attribute *a = node ? cv_h5_find_attr(node, name) : NULL;
    if (!a)
        cv_err_set(err, CV_ERR_VERIFY, r->path, 0,
                   "expected an attribute '%.200s' of '%.200s', found none",
                   name, path);
    return a;
}

int cv_h5_get_attr_string(cv_h5_reader *r, const char *path, const char *name,
                          char **text, cv_err *err)
{
    *text = NULL;
    const cv_h5_attribute *a = attr_at(r, path, name, err);
    if (!a)
        return CV_ERR_VERIFY;
    if (a->kind != CV_H5_STRING)
        return wrong(r, err, name, "text", a->kind);
    *text = text_of(a->value, a->size);
    return 0;
}

static int attr_number(cv_h5_reader *r, const char *path, const char *name,
                       int kind, void *v, cv_err *err)
{
    const cv_h5_attribute *a = attr_at(r, path, name, err);
    if (!a)
        return CV_ERR_VERIFY;
    if (a->kind == CV_H5_STRING)
        return wrong(r, err, name, "a number", a->kind);
    if (convert(v, kind, a->value, a->size, a->kind, 1) != 0)
        return cv_err_set(err, CV_ERR_VERIFY, r->path, 0,
                          "attribute '%.200s' of '%.200s': expected a value "
                          "that fits %s",
                          name, path, kind_name[kind]);
    return 0;
}

int cv_h5_get_attr_f64(cv_h5_reader *r, const char *path, const char *name,
                       double *v, cv_err *err)
{
    return attr_number(r, path, name, CV_H5_F64, v, err);
}

int cv_h5_get_attr_i64(cv_h5_reader *r, const char *path, const char *name,
                       int64_t *v, cv_err *err)
{
    return attr_number(r, path, name, CV_H5_I64, v, err);
}

static const cv_h5_node *table_at(cv_h5_reader *r, const char *path,
                                  cv_err *err)
{
    const cv_h5_node *node = array_at(r, path, err);
    if (node && node->layout.kind != CV_H5_TABLE) {
        wrong(r, err, path, "a table", node->layout.kind);
        return NULL;
    }
    return node;
}

int cv_h5_table_rows(cv_h5_reader *r, const char *path, int64_t *n_rows,
                     cv_err *err)
{
    const cv_h5_node *node = table_at(r, path, err);
    if (!node)
        return CV_ERR_VERIFY;
    *n_rows = node->count;
    return 0;
}

int cv_h5_table_columns(cv_h5_reader *r, const char *path, char ***names,
                        size_t *n, cv_err *err)
{
    *names = NULL;
    *n = 0;
    const cv_h5_node *node = table_at(r, path, err);
    if (!node)
        return CV_ERR_VERIFY;
    *n = (size_t)node->layout.n_fields;
    *names = CV_NEW(*n, char *);
    for (size_t i = 0; i < *n; i++)
        (*names)[i] = cv_strdup(node->layout.fields[i].name);
    return 0;
}

/* The table and one of its columns, with the rows the caller expects. */
static const cv_h5_field *column_at(cv_h5_reader *r, const char *path,
                                    const char *column, int64_t n_rows,
                                    const cv_h5_node **node, cv_err *err)
{
    *node = table_at(r, path, err);
    if (!*node)
        return NULL;
    if ((*node)->count != n_rows) {
        wrong_count(r, err, path, (*node)->count, n_rows);
        return NULL;
    }
    const cv_h5_layout *l = &(*node)->layout;
    for (int i = 0; i < l->n_fields; i++)
        if (strcmp(l->fields[i].name, column) == 0)
            return &l->fields[i];
    cv_err_set(err, CV_ERR_VERIFY, r->path, 0,
               "'%.200s': expected a column '%.200s', found none", path,
               column);
    return NULL;
}

int cv_h5_get_column(cv_h5_reader *r, const char *path, const char *column,
                     cv_h5_type type, void *out, int64_t n_rows, cv_err *err)
{
    const cv_h5_node *node;
    const cv_h5_field *f = column_at(r, path, column, n_rows, &node, err);
    if (!f)
        return CV_ERR_VERIFY;
    if (f->kind == CV_H5_STRING)
        return wrong(r, err, column, "a column of numbers", f->kind);
    return get_field(r, node, f, (int)type, out, err);
}

int cv_h5_get_column_strings(cv_h5_reader *r, const char *path,
                             const char *column, char ***text, int64_t n_rows,
                             cv_err *err)
{
    *text = NULL;
    const cv_h5_node *node;
    const cv_h5_field *f = column_at(r, path, column, n_rows, &node, err);
    if (!f)
        return CV_ERR_VERIFY;
    if (f->kind != CV_H5_STRING)
        return wrong(r, err, column, "a column of texts", f->kind);
    return get_texts(r, node, f, text, err);
}
