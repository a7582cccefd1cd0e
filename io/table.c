#include "io/table.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/text.h"
#include "io/siphash.h"
#include "io/table_internal.h"

int cv_source_fail(const cv_source *src, cv_err *err, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    cv_err_set(err, CV_ERR_INPUT, NULL, 0, "%s: %s", src->role, text);
    cv_err_site(err, "%s", src->path);
    return CV_ERR_INPUT;
}

int cv_source_site(const cv_source *src, cv_err *err, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?'; /* it goes to a log, line by line */
    cv_err_site(err, "%s: %s", src->path, text);
    return CV_ERR_INPUT;
}

static int too_large(const cv_source *src, cv_err *err, double bytes)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    double have = (double)pages * (double)page;
    if (pages <= 0 || bytes <= have)
        return 0;
    char need[32], memory[32];
    cv_format_bytes(need, sizeof need, bytes);
    cv_format_bytes(memory, sizeof memory, have);
    return cv_source_fail(src, err,
                          "reading it takes %s, this machine has %s; cut it, "
                          "or use a larger machine",
                          need, memory);
}

int cv_source_stat(const cv_source *src, int64_t *size, cv_err *err)
{
    struct stat st;
    if (stat(src->path, &st) != 0)
        return cv_source_fail(src, err, "cannot open the file: %s",
                              strerror(errno));
    if (!S_ISREG(st.st_mode))
        return cv_source_fail(src, err, "expected a file, found %s",
                              S_ISDIR(st.st_mode) ? "a folder"
                                                  : "a pipe or device");
    if (st.st_size == 0)
        return cv_source_fail(src, err, "the file is empty");
    *size = st.st_size;
    return too_large(src, err, (double)st.st_size);
}

int cv_source_load(const cv_source *src, char **text, size_t *len, cv_err *err)
{
    int64_t size = 0;
    int rc = cv_source_stat(src, &size, err);
    if (rc)
        return rc;
    cv_err local = {0};
    rc = cv_fs_read(src->path, (size_t)size, text, len, &local);
    if (rc) {
        cv_source_fail(src, err, "%s", local.text);
        if (err)
            err->code = rc;
    }
    return rc;
}

int cv_source_room(const cv_source *src, int64_t n_rows, int64_t n_cols,
                   size_t cell, cv_err *err)
{
    size_t cells, bytes;
    if (n_rows == 0)
        return cv_source_fail(src, err, "no rows");
    if (n_cols < 1 || n_cols > CV_COLUMNS_MAX)
        return cv_source_fail(src, err, "expected 1 to %d columns, found %lld",
                              CV_COLUMNS_MAX, (long long)n_cols);
    if (n_rows < 0 ||
        __builtin_mul_overflow((size_t)n_rows, (size_t)n_cols, &cells) ||
        __builtin_mul_overflow(cells, cell, &bytes) || bytes > SIZE_MAX / 4)
        return cv_source_fail(src, err,
                              "the file is damaged: its size is "
                              "out of range");
    return too_large(src, err, (double)bytes);
}

int cv_source_filter(const cv_source *src, int64_t n_rows, int64_t *n_kept,
                     cv_err *err)
{
    const cv_row_filter *f = src->filter;
    *n_kept = n_rows;
    if (!f || !f->keep)
        return 0;
    if (f->n_rows && f->n_rows != n_rows)
        return cv_source_fail(src, err,
                              "the number of rows has changed since the file "
                              "was first read");
    *n_kept = 0;
    for (int64_t i = 0; i < n_rows; i++)
        *n_kept += f->keep[i] != 0;
    return 0;
}

cv_table *cv_table_alloc(int64_t n_rows, int32_t n_cols, cv_type type)
{
    cv_table *t = CV_NEW(1, cv_table);
    t->n_rows = n_rows;
    t->n_cols = n_cols;
    t->type = type;
    t->scale = 1.0;
    t->y_col = -1;
    t->cols = CV_NEW(n_cols, cv_column);
    if (n_cols)
        t->x = cv_calloc((size_t)n_rows * (size_t)n_cols, cv_type_size(type));
    if (type == CV_TYPE_F64)
        t->content = CV_NEW(n_rows, uint64_t);
    return t;
}

/* The key is public: whoever has the rows can compute the hash anyway. */
uint64_t cv_row_content(const void *bytes, size_t n)
{
    static const uint8_t key[16] = {0};
    return cv_siphash(key, bytes, n);
}

static void free_column(cv_column *c)
{
    for (int i = 0; c->levels && i < c->n_levels; i++)
        free(c->levels[i]);
    free(c->levels);
    free(c->name);
}

void cv_table_destroy(cv_table **table)
{
    cv_table *t = *table;
    if (!t)
        return;
    for (int32_t j = 0; j < t->n_cols; j++)
        free_column(&t->cols[j]);
    free_column(&t->target);
    free(t->cols);
    free(t->x);
    free(t->y);
    free(t->lines);
    free(t->content);
    CV_FREE(*table);
}

double cv_table_value(const cv_table *t, int64_t row, int32_t col)
{
    size_t at = (size_t)row * (size_t)t->n_cols + (size_t)col;
    if (t->type == CV_TYPE_F64)
        return ((const double *)t->x)[at];
    if (t->type == CV_TYPE_F32)
        return (double)((const float *)t->x)[at];
    double v = ((const uint8_t *)t->x)[at];
    return t->cols[col].n_levels ? v : v * t->scale;
}

void cv_table_where(char *out, size_t size, const cv_table *t, int64_t row)
{
    snprintf(out, size, "%s %lld", t->lines ? "line" : "row",
             (long long)(t->lines ? t->lines[row] : row + 1));
}

int32_t cv_table_find(const cv_table *t, const char *name)
{
    for (int32_t j = 0; j < t->n_cols; j++)
        if (strcmp(t->cols[j].name, name) == 0)
            return j;
    return -1;
}

int cv_table_check_names(const cv_source *src, const cv_table *t, cv_err *err)
{
    cv_name_set seen = {0};
    int rc = 0;
    for (int32_t j = 0; j <= t->n_cols && !rc; j++) {
        const char *name = j < t->n_cols ? t->cols[j].name : t->target.name;
        if (!name)
            continue;
        const char *fault = cv_name_fault(name, strlen(name));
        if (fault)
            rc = cv_source_fail(src, err, "column %d has a name that %s", j + 1,
                                fault);
        else if (!cv_name_set_add(&seen, name, strlen(name), NULL))
            rc = cv_source_fail(src, err,
                                "column '%s' is there twice; give every column "
                                "a name of its own",
                                name);
    }
    cv_name_set_free(&seen);
    return rc;
}

static int read_any(const cv_source *src, cv_format format, cv_table **table,
                    cv_err *err)
{
    *table = NULL;
    switch (format) {
    case CV_FORMAT_HDF5:
        return cv_table_read_hdf5(src, table, err);
    case CV_FORMAT_CSV:
        return cv_table_read_csv(src, table, err);
    case CV_FORMAT_IDX:
        return cv_table_read_idx(src, table, err);
    }
    cv_bug(__FILE__, __LINE__, "known format");
}

int cv_table_read(const char *path, cv_format format, const char *file_role,
                  const cv_row_filter *filter, const cv_feature *features,
                  int n_features, const char *target, cv_table **table,
                  cv_err *err)
{
    return cv_table_read_for(CV_ADVISE_JOB, path, format, file_role, filter,
                             features, n_features, target, table, err);
}

int cv_table_read_for(cv_advice advice, const char *path, cv_format format,
                      const char *file_role, const cv_row_filter *filter,
                      const cv_feature *features, int n_features,
                      const char *target, cv_table **table, cv_err *err)
{
    cv_source src = {.path = path,
                     .advice = advice,
                     .role = file_role,
                     .target = target,
                     .filter = filter,
                     .features = features,
                     .n_features = n_features};
    return read_any(&src, format, table, err);
}

static int no_target(const cv_source *src, const cv_table *t, cv_err *err)
{
    const char **names = CV_NEW(t->n_cols + 1, const char *);
    const char *target = src->target ? src->target : "";
    char hint[390];
    size_t n = 0;
    for (int32_t j = 0; j < t->n_cols; j++)
        names[n++] = t->cols[j].name;
    if (t->target.name)
        names[n++] = t->target.name;
    cv_names_hint(hint, sizeof hint, target, names, n);
    free((void *)names);
    cv_source_fail(src, err, "target '%s' is not in the file", target);
    return cv_source_site(src, err, "%s", hint);
}

int cv_table_read_target(const char *path, cv_format format,
                         const char *file_role, const char *target,
                         const cv_feature *features, int n_features,
                         int64_t *n_rows, float **y, cv_err *err)
{
    cv_source src = {.path = path,
                     .role = file_role,
                     .target = target,
                     .features = features,
                     .n_features = n_features,
                     .target_only = 1};
    cv_table *t = NULL;
    int rc = read_any(&src, format, &t, err);
    if (!rc && !t->y)
        rc = no_target(&src, t, err);
    if (!rc) {
        *n_rows = t->n_rows;
        *y = t->y;
        t->y = NULL;
    }
    cv_table_destroy(&t);
    return rc;
}

static int ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), k = strlen(end);
    return n >= k && strcasecmp(path + n - k, end) == 0;
}

static int is_text(const uint8_t *head, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (head[i] < 0x20 && head[i] != '\t' && head[i] != '\n' &&
            head[i] != '\r')
            return 0;
    return n > 0;
}

/* IDX magic: two zero bytes, a type, a number of dimensions. */
static int is_idx(const uint8_t head[4])
{
    return head[0] == 0 && head[1] == 0 && head[2] >= 8 && head[2] <= 14 &&
           head[3] >= 1 && head[3] <= 4;
}

const char *cv_table_looks_like(const uint8_t *head, size_t n)
{
    if (is_text(head, n))
        return "looks like text; for CSV set data.format: csv";
    if (head[0] == 0x1f && head[1] == 0x8b)
        return "is packed with gzip; unpack it, or for IDX set data.format: "
               "idx";
    return is_idx(head) ? "looks like IDX; set data.format: idx" : NULL;
}

int cv_table_guess_format(const char *path, cv_format *format, cv_err *err)
{
    static const uint8_t hdf5[8] = "\x89HDF\r\n\x1a\n";
    cv_source src = {.path = path, .role = "data"};
    uint8_t head[512];
    int64_t size = 0;
    int rc = cv_source_stat(&src, &size, err);
    if (rc)
        return rc;
    gzFile f = gzopen(path, "rb"); /* reads plain files as they are */
    if (!f)
        return cv_source_fail(&src, err, "cannot open the file: %s",
                              strerror(errno));
    int n = gzread(f, head, sizeof head), direct = gzdirect(f);
    gzclose(f);
    if (n >= 4 && is_idx(head))
        *format = CV_FORMAT_IDX;
    else if ((n >= 8 && memcmp(head, hdf5, 8) == 0) || ends_with(path, ".h5") ||
             ends_with(path, ".hdf5"))
        *format = CV_FORMAT_HDF5;
    else if (n > 0 && direct && is_text(head, (size_t)n))
        *format = CV_FORMAT_CSV;
    else
        return cv_source_fail(&src, err,
                              "the format is not known: expected HDF5, IDX or "
                              "CSV text; say which with format");
    return 0;
}
