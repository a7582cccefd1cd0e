/** A table of one silo's rows, as it lies in the HDF5 data layout.
 *
 *  Data layout (DESIGN section 7): /x (rows, columns) float32 or uint8 with
 *  attributes `columns` (names) and `scale` (a factor for uint8, e.g. 1/255);
 *  /y (rows) with attribute `name`; /categories/<column> (level names) for
 *  columns that hold level numbers 0, 1, ... (`scale` does not apply to those);
 *  missing = NaN.  More names than an attribute holds (64 KB) are a data set
 *  /columns.  Integers and float64 become float32, uint8 stays; without
 *  `columns` the names are x0, x1, ..., without `name` it is "label", without
 *  `scale` 1.  CSV and IDX files are read into the same struct: an IDX file has
 *  columns p0, p1, ..., scale 1/255, and its labels take the target's name.
 *
 *  CSV: RFC 4180 with a header line, UTF-8, separated by ',', ';' or tab; an
 *  empty field, NA and NaN are missing; empty lines are passed over.  Where no
 *  name that the job knows is in the first line, it may be a record: messages
 *  then number the columns, and their names stay at the site.
 *
 *  In double precision (cv_row_filter.f64, for statistical fits) every value is
 *  a double: numbers of CSV files and float64 as they are, float32 and integers
 *  exactly (an integer beyond 2^53 is refused), uint8 with a scale as value *
 *  scale.  The target is a column of x like any other then, for a float would
 *  cut it: /y and IDX labels come after the columns of x.
 *
 *  Everything here is local, and every file is hostile until checked.
 *  Messages that leave the silo name the column or the file role; values, row
 *  numbers and private paths go into err->site.
 */
#ifndef COVEY_IO_TABLE_H
#define COVEY_IO_TABLE_H

#include <stdint.h>

#include "core/err.h"
#include "io/job.h"

typedef enum { CV_TYPE_U8, CV_TYPE_F32, CV_TYPE_F64 } cv_type;

typedef struct {
    char *name;
    int n_levels;  /* > 0: a category, values are level numbers */
    char **levels; /* owned; distinct; in order of level number */
} cv_column;

typedef struct {
    int64_t n_rows;
    int32_t n_cols;
    cv_type type;
    void *x;          /* (n_rows, n_cols) row-major, 64-byte aligned */
    double scale;     /* value = x * scale; 1 for floats and doubles */
    cv_column *cols;  /* (n_cols) */
    float *y;         /* (n_rows), or NULL: the target is a column of x */
    cv_column target; /* of y; name NULL if there is no y */
    int y_whole;      /* y was stored as integers: labels rather than values */
    int64_t *lines;   /* CSV: (n_rows) line each row starts at; else NULL */
    /* Of doubles (F64), where y is NULL: */
    int32_t y_col;     /* column of x that was stored as /y or as labels, and
                        * that y_whole speaks of; -1: none, and for others */
    uint64_t *content; /* (n_rows) a hash (SipHash-2-4 under a key of zeros) of
                        * the whole row as it lies in the file, columns that
                        * were left out and the target included: of a CSV file
                        * the text without its line end, else the stored bytes
                        * of x and then of y. For others NULL */
} cv_table;

/** Who can do something about a wrong value, for the messages. */
typedef enum {
    CV_ADVISE_JOB,    /* keys of the job */
    CV_ADVISE_OPTION, /* options of `covey convert` */
    CV_ADVISE_MODEL   /* nobody: a trained model is fixed; a file without its
                       * target is no error */
} cv_advice;

/** What of a file a caller wants: all rows, or those with keep[i] != 0. */
typedef struct {
    const uint8_t *keep; /* (n_rows of the file), or NULL for all */
    int64_t n_rows;      /* length of keep; another row count in the file is
                          * then an error. 0: unknown, the caller answers for
                          * it */
    int declared_only;   /* CSV: leave out columns that are neither declared
                          * nor the target (they may hold text) */
    int f64;             /* read doubles, and the content of rows */
} cv_row_filter;

/** Read a data file.
 *
 *  In:   path    the file;  format as in the job
 *        file_role  how messages name it, e.g. "data" or "simulate.source"
 *        filter  rows to keep (NULL: all), in file order
 *        features, n_features   declared columns (may be NULL, 0): a CSV column
 *                that is declared `category` is read as text with its levels;
 *                an undeclared CSV column is a number, so text in it is an error
 *                that names line (site) and column (cv_row_filter.declared_only
 *                leaves such columns out). Levels that are declared are the only
 *                ones allowed; found ones are sorted, numbers by value before
 *                texts by bytes
 *        target  target's name or NULL; a CSV target whose first value is not a
 *                number is read as a category. A target that is not in the file
 *                is an error of cv_schema_of_table; with a filter under
 *                CV_ADVISE_JOB, of a CSV file, one here: the columns that are
 *                there would be gone by then
 *  Out:  *table  to be freed with cv_table_destroy; 0 rows if none was kept
 *  Errors: CV_ERR_INPUT for missing, empty, truncated or malformed files, ragged
 *        CSV lines, duplicate column names, infinities, row counts of x and y
 *        that differ; never a crash
 */
int cv_table_read(const char *path, cv_format format, const char *file_role,
                  const cv_row_filter *filter, const cv_feature *features,
                  int n_features, const char *target, cv_table **table,
                  cv_err *err);

/** The same, with messages for someone else than the writer of a job. */
int cv_table_read_for(cv_advice advice, const char *path, cv_format format,
                      const char *file_role, const cv_row_filter *filter,
                      const cv_feature *features, int n_features,
                      const char *target, cv_table **table, cv_err *err);

/** Rows in the file, and the target column alone (n_rows floats; malloc'd), in
 *  order to partition a simulated data set without reading /x. Categories come
 *  as level numbers. */
int cv_table_read_target(const char *path, cv_format format,
                         const char *file_role, const char *target,
                         const cv_feature *features, int n_features,
                         int64_t *n_rows, float **y, cv_err *err);

/** The names in the first line of a CSV file; (*n), each malloc'd. */
int cv_table_csv_header(const char *path, const char *file_role, char ***names,
                        size_t *n, cv_err *err);

/** Guess the format of a file from its name and first bytes. */
int cv_table_guess_format(const char *path, cv_format *format, cv_err *err);

/** Write the HDF5 data layout, durably and atomically. */
int cv_table_write_hdf5(const char *path, const cv_table *table, cv_err *err);

void cv_table_destroy(cv_table **table);

#endif
