/** The writer, as its two files see it; nobody else includes this. */
#ifndef COVEY_IO_CHECKPOINT_WRITER_H
#define COVEY_IO_CHECKPOINT_WRITER_H

#include <hdf5.h>

#include "io/checkpoint_parts.h"

#if !H5_VERSION_GE(1, 10, 2)
#error "HDF5 1.10.2 or newer is needed (H5F_LIBVER_V18)"
#endif

typedef struct {
    int fd;     /* of the temporary file; the only one */
    int errnum; /* of the first call that failed; nothing is written after */
} cv_h5_disk;

/** HDF5 driver whose access property is a cv_h5_disk *. */
hid_t cv_h5_disk_driver(void);
/** Returns disk->errnum. */
int cv_h5_disk_write(cv_h5_disk *disk, int64_t addr, const void *data,
                     size_t n);

struct cv_h5_writer {
    char *path;
    char *tmp; /* where the file grows */
    cv_h5_disk disk;
    hid_t driver;
    hid_t file;    /* negative when closed */
    hid_t group;   /* creation properties of groups */
    hid_t dataset; /* and of data sets */
    cv_h5_manifest manifest;
    size_t n_nodes;
    int failed;   /* then nothing more is written, and never committed */
    cv_err first; /* why */
};

/** Set e: CV_ERR_ENV if the disk failed, else CV_ERR_OTHER with the words of
 *  HDF5's error stack. To be called before any other HDF5 function. */
int cv_h5_hdf5_error(const cv_h5_writer *w, const char *what, cv_err *e);
/** End of a public call that ended with rc and e: ask the disk, remember the
 *  first failure, copy it to err (which may be NULL). */
int cv_h5_done(cv_h5_writer *w, int rc, cv_err *e, cv_err *err);

/** An attribute with one value of this type, entered in the manifest unless it
 *  is the digest. path: the object's, for messages and manifest. */
int cv_h5_attr_put(cv_h5_writer *w, hid_t object, const char *path,
                   const char *name, int kind, size_t size, const void *value,
                   cv_err *e);

#endif
