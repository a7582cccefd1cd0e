/** HDF5 files of named arrays: checkpoints and silo state.
 *
 *  This file stores arrays, attributes and tables by path and has never heard
 *  of a model.  A file is written beside its place, closed, fsynced and
 *  renamed, so the name always holds a whole file.  The root attribute
 *  `content_digest` is a SHA-256 over all arrays and attributes (how exactly,
 *  and why not Fletcher-32: checkpoint_parts.h); opening checks it, so damage
 *  anywhere is CV_ERR_VERIFY with "damaged file: ..." and never other data.
 *
 *  Equal contents give equal bytes.  Reading does without the HDF5 library and
 *  stands hostile files (checkpoint_reader.h); it accepts what this writer
 *  makes and refuses all other HDF5, also a checkpoint that was changed or
 *  repacked by another program.
 *
 *  Scope: local. Writing uses HDF5, which is not thread-safe: one thread at a
 *  time. A reader belongs to one thread at a time.
 */
#ifndef COVEY_IO_CHECKPOINT_H
#define COVEY_IO_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

typedef enum {
    CV_H5_F32,
    CV_H5_F64,
    CV_H5_I32,
    CV_H5_I64,
    CV_H5_U8
} cv_h5_type;

typedef struct cv_h5_writer cv_h5_writer;
typedef struct cv_h5_reader cv_h5_reader;

/** Start a file; it appears at path only at cv_h5_commit.
 *  mode: permission bits (0644; 0600 for a site's private state).
 *
 *  After the first failed call nothing more is written, later calls return the
 *  first error, and so does cv_h5_commit: a file never appears with a part
 *  missing. Errors: CV_ERR_ENV (no space, no permission, ...), CV_ERR_INPUT
 *  for a name or text that cannot be stored, CV_ERR_OTHER for a path or an
 *  attribute that is there already. */
int cv_h5_create(const char *path, int mode, cv_h5_writer **w, cv_err *err);

/** Arrays: path like "/model/params/dense1/weight"; groups are made. At most 16
 *  names, each 1 to 1000 bytes without control characters, 2000 in all.
 *  dims: rank 0 to 4 (0 = scalar). unit and note become attributes `unit`,
 *  `description`; NULL for none. Data is copied or written before return. */
int cv_h5_put(cv_h5_writer *w, const char *path, cv_h5_type type, int rank,
              const int64_t *dims, const void *data, const char *unit,
              const char *note, cv_err *err);
/** Array of n strings, and one string. */
int cv_h5_put_strings(cv_h5_writer *w, const char *path,
                      const char *const *text, size_t n, const char *note,
                      cv_err *err);
int cv_h5_put_string(cv_h5_writer *w, const char *path, const char *text,
                     const char *note, cv_err *err);
/** Attributes of an object that exists ("/" for the root; a group path makes
 *  the group). Text up to 60,000 bytes. */
int cv_h5_attr_string(cv_h5_writer *w, const char *path, const char *name,
                      const char *text, cv_err *err);
int cv_h5_attr_f64(cv_h5_writer *w, const char *path, const char *name,
                   double v, cv_err *err);
int cv_h5_attr_i64(cv_h5_writer *w, const char *path, const char *name,
                   int64_t v, cv_err *err);

/** A table with named columns (a compound data set; h5py shows a structured
 *  array). column c: (n_rows) values of its type; strings: const char *const *.
 *  The unit of column c is the table's attribute `unit:<name of c>`. */
typedef struct {
    const char *name;
    const char *unit; /* NULL for none */
    cv_h5_type type;
    int is_string;    /* then data is const char *const *, type ignored */
    const void *data; /* (n_rows) */
} cv_h5_column;
int cv_h5_put_table(cv_h5_writer *w, const char *path, const char *note,
                    const cv_h5_column *cols, int n_cols, int64_t n_rows,
                    cv_err *err);

/** Close, fsync, rename to path, fsync the folder; frees *w whatever happens.
 *  On an error nothing at path has changed (with one exception: if only the
 *  fsync of the folder fails, path holds the new file, and either of them,
 *  whole, after a power cut). */
int cv_h5_commit(cv_h5_writer **w, cv_err *err);

/** Give up; removes the temporary file. NULL-safe. */
void cv_h5_abort(cv_h5_writer **w);

/** After commit: path also becomes known as keep_path (a hard link, or a copy
 *  where links do not work), and of the files <dir>/<stem>-NNNNNN.h5 those
 *  above number and all but the newest `keep` are removed: numbers above are of
 *  work that was lost and is done again. keep = 0 removes all but path. */
int cv_h5_keep(const char *path, const char *stem, int64_t number, int keep,
               cv_err *err);

/** Numbers NNNNNN of <dir>/<stem>-NNNNNN.h5, newest first; malloc'd. */
int cv_h5_list(const char *dir, const char *stem, int64_t **numbers, size_t *n,
               cv_err *err);

/** Open for reading, and check the whole file against its digest; a file that
 *  is not a checkpoint, is damaged, or has a newer format_version than
 *  `max_version` is refused (CV_ERR_VERIFY). No such file: CV_ERR_INPUT. */
int cv_h5_open(const char *path, int64_t max_version, cv_h5_reader **r,
               cv_err *err);
void cv_h5_close(cv_h5_reader **r);

int cv_h5_has(cv_h5_reader *r, const char *path);
/** Shape of an array: *rank <= 4 and dims[4]. */
int cv_h5_shape(cv_h5_reader *r, const char *path, int *rank, int64_t dims[4],
                cv_err *err);
/** Read exactly n values, converted to type; another count is an error. A value
 *  that does not fit (3e9 as I32, 0.5 or NaN as an integer, 2^53 + 1 as F64) is
 *  an error too; F64 as F32 rounds. */
int cv_h5_get(cv_h5_reader *r, const char *path, cv_h5_type type, void *out,
              size_t n, cv_err *err);
/** malloc'd array of malloc'd strings / one malloc'd string. */
int cv_h5_get_strings(cv_h5_reader *r, const char *path, char ***text,
                      size_t *n, cv_err *err);
int cv_h5_get_string(cv_h5_reader *r, const char *path, char **text,
                     cv_err *err);
int cv_h5_get_attr_string(cv_h5_reader *r, const char *path, const char *name,
                          char **text, cv_err *err);
int cv_h5_get_attr_f64(cv_h5_reader *r, const char *path, const char *name,
                       double *v, cv_err *err);
int cv_h5_get_attr_i64(cv_h5_reader *r, const char *path, const char *name,
                       int64_t *v, cv_err *err);
/** Rows of a table, and one of its columns converted to type (n_rows values);
 *  a column that is not there is CV_ERR_VERIFY. */
int cv_h5_table_rows(cv_h5_reader *r, const char *path, int64_t *n_rows,
                     cv_err *err);
/** Names of a table's columns, in order; malloc'd. */
int cv_h5_table_columns(cv_h5_reader *r, const char *path, char ***names,
                        size_t *n, cv_err *err);
int cv_h5_get_column(cv_h5_reader *r, const char *path, const char *column,
                     cv_h5_type type, void *out, int64_t n_rows, cv_err *err);
int cv_h5_get_column_strings(cv_h5_reader *r, const char *path,
                             const char *column, char ***text, int64_t n_rows,
                             cv_err *err);
/** Names of the members of a group, in creation order; malloc'd. */
int cv_h5_members(cv_h5_reader *r, const char *group, char ***names, size_t *n,
                  cv_err *err);

/** Names of the attributes of an object but for the root's content_digest,
 *  in creation order; malloc'd. */
int cv_h5_attributes(cv_h5_reader *r, const char *path, char ***names,
                     size_t *n, cv_err *err);

void cv_strings_free(char ***text, size_t n);

#endif
