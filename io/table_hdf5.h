/** What the parts of the HDF5 reader share; for io/table_hdf5*.c only. */
#ifndef COVEY_IO_TABLE_HDF5_H
#define COVEY_IO_TABLE_HDF5_H

#include "io/h5in.h"
#include "io/table_internal.h"

typedef struct {
    const cv_source *src;
    cv_err *err;
    cv_h5in f;
    cv_h5in_object root, x, y; /* y without a type: there is none */
    int64_t n_rows;            /* of the file */
    int64_t n_kept;
    int32_t width; /* columns of /x; a table of doubles has one more for /y */
    cv_table *table;
} cv_h5_input;

/** "WHAT: the HDF5 file ...", after a function of io/h5in.h failed. */
int cv_h5_refused(const cv_h5_input *in, const char *what);
/** One name in an attribute; malloc'd, or NULL. */
char *cv_h5_name(cv_h5_input *in, const cv_h5in_attr *a);
/** The names of the columns of /x, and the levels in /categories, which need
 *  all names of the table. */
int cv_h5_column_names(cv_h5_input *in);
int cv_h5_categories(cv_h5_input *in);
/** How many rows of /x to read at a time, and how many of those are kept. */
int64_t cv_h5_block(const cv_h5_input *in);
int64_t cv_h5_kept(const cv_h5_input *in, int64_t first, int64_t n);
/** All values of /y as stored; malloc'd in *raw either way. */
int cv_h5_stored_y(cv_h5_input *in, uint8_t **raw);

/** The values of a table of doubles, and its rows' content. */
int cv_h5_read_f64(cv_h5_input *in);

#endif
