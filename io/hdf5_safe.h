/** HDF5 objects of files that are not trusted: shapes and sizes are checked
 *  against the file before memory is asked for.
 *
 *  Scope: local, for the table readers. HDF5's own messages are switched off
 *  by cv_hdf5_open_input. Functions return 0 or -1; the caller words the error.
 */
#ifndef COVEY_IO_HDF5_SAFE_H
#define COVEY_IO_HDF5_SAFE_H

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

/** Open a file for reading; locks are used where the file system has them.
 *  Returns -1 if it is not HDF5, is truncated or cannot be opened. */
hid_t cv_hdf5_open_input(const char *path);

typedef enum {
    CV_HDF5_OTHER, /* not a number in one of the standard formats */
    CV_HDF5_U8,
    CV_HDF5_INTEGER,
    CV_HDF5_FLOAT
} cv_hdf5_kind;

/** Is there a link of that name? A link that does not lie in this file (soft,
 *  external) is none. */
int cv_hdf5_has(hid_t place, const char *name);

/** Open a data set. *kind OTHER for strings and the like. The stored bytes are
 *  all there: no external files, no virtual data sets, no chunk that the file
 *  cannot hold. *rank <= 2. */
int cv_hdf5_open_array(hid_t place, const char *name, int64_t file_size,
                       hid_t *dataset, cv_hdf5_kind *kind, int *rank,
                       hsize_t dims[2]);

/** A number in an attribute. 1: there is none. */
int cv_hdf5_read_number(hid_t id, const char *name, double *v);

/** Up to `most` strings out of a data set or attribute (one dimension, or a
 *  single string), of fixed or variable length; strings longer than a name may
 *  be are cut just above that. *text is malloc'd, each string too. */
int cv_hdf5_read_names(hid_t id, int is_attribute, int64_t file_size,
                       size_t most, char ***text, size_t *n);

/** Write n strings of fixed length, UTF-8, as an attribute of id or as a data
 *  set below it. n = 0 for a single string in text[0]. */
int cv_hdf5_write_names(hid_t id, int as_attribute, const char *name,
                        const char *const *text, size_t n);

#endif
