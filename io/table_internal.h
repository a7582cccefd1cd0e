/** What the readers of io/table_*.c share; for io/ and its tests only. */
#ifndef COVEY_IO_TABLE_INTERNAL_H
#define COVEY_IO_TABLE_INTERNAL_H

#include <stddef.h>

#include "io/names.h"
#include "io/table.h"

/** The arguments of cv_table_read in one place. */
typedef struct {
    const char *path;            /* for the site's messages only */
    const char *role;            /* how messages name the file */
    const char *target;          /* or NULL */
    const cv_row_filter *filter; /* or NULL */
    const cv_feature *features;
    int n_features;
    cv_advice advice;
    int target_only; /* read no other column than the target */
} cv_source;

/** "ROLE: sentence", and the path for the site. Return CV_ERR_INPUT. */
int cv_source_fail(const cv_source *src, cv_err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** After cv_source_fail: "PATH: detail" for the site. Returns CV_ERR_INPUT. */
int cv_source_site(const cv_source *src, cv_err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** A regular file that is there and no larger than the memory; its size. */
int cv_source_stat(const cv_source *src, int64_t *size, cv_err *err);
/** Read it whole; one 0 byte follows the text. */
int cv_source_load(const cv_source *src, char **text, size_t *len, cv_err *err);
/** Is there memory for a table of this shape? Also refuses n_rows = 0, counts
 *  out of range and products that overflow. */
int cv_source_room(const cv_source *src, int64_t n_rows, int64_t n_cols,
                   size_t cell, cv_err *err);
/** The filter against the rows of the file; *n_kept = rows to be read. */
int cv_source_filter(const cv_source *src, int64_t n_rows, int64_t *n_kept,
                     cv_err *err);
/** Is row i of the file wanted? */
static inline int cv_source_keeps(const cv_source *src, int64_t i)
{
    return !src->filter || !src->filter->keep || src->filter->keep[i];
}

/** Are doubles wanted? The target alone is always read as floats. */
static inline int cv_source_f64(const cv_source *src)
{
    return src->filter && src->filter->f64 && !src->target_only;
}

/** Bytes of a value. */
static inline size_t cv_type_size(cv_type type)
{
    return type == CV_TYPE_U8    ? 1
           : type == CV_TYPE_F32 ? sizeof(float)
                                 : sizeof(double);
}

/** cv_table.content of a row's bytes. */
uint64_t cv_row_content(const void *bytes, size_t n);

/** What a file that is not HDF5 looks like by its first bytes (at least 4),
 *  and what to do; read after "one that ". NULL: nothing known. */
const char *cv_table_looks_like(const uint8_t *head, size_t n);
/** A table with x (zero) and cols (no names) allocated. */
cv_table *cv_table_alloc(int64_t n_rows, int32_t n_cols, cv_type type);
/** Every name is a name, and no two are the same. */
int cv_table_check_names(const cv_source *src, const cv_table *table,
                         cv_err *err);
/** x and y are finite or NaN; categories hold level numbers of theirs. */
int cv_table_check_values(const cv_source *src, const cv_table *table,
                          cv_err *err);
/** x at (row, col) as a number; `scale` is applied unless it is a category. */
double cv_table_value(const cv_table *table, int64_t row, int32_t col);
/** "row 7" of the table or, where it was a CSV file, "line 8". */
void cv_table_where(char *out, size_t size, const cv_table *table, int64_t row);
/** Column of x of that name, or -1. Linear: for single look-ups. */
int32_t cv_table_find(const cv_table *table, const char *name);

/** The readers. With target_only the table has the target in y (NULL if it is
 *  not in the file) and no x. */
int cv_table_read_hdf5(const cv_source *src, cv_table **table, cv_err *err);
int cv_table_read_csv(const cv_source *src, cv_table **table, cv_err *err);
int cv_table_read_idx(const cv_source *src, cv_table **table, cv_err *err);

/** The same from memory. text[len] = 0. labels may be NULL; both plain or
 *  gzip. */
int cv_hdf5_parse(const cv_source *src, const uint8_t *data, size_t n,
                  cv_table **table, cv_err *err);
int cv_csv_parse(const cv_source *src, const char *text, size_t len,
                 cv_table **table, cv_err *err);
int cv_idx_parse(const cv_source *src, const uint8_t *images, size_t n_images,
                 const uint8_t *labels, size_t n_labels, cv_table **table,
                 cv_err *err);

#endif
