/** What the parts of io/checkpoint share; nobody else includes this.
 *
 *  A file holds arrays and attributes ("items").  The content digest is the
 *  SHA-256 of one text line per item, in byte order of the lines:
 *
 *      path TAB attribute TAB type TAB shape TAB sha256-of-the-raw-bytes LF
 *
 *  attribute is empty for an array; type is f32, f64, i32, i64, u8, sN (text in
 *  N bytes, padded with zeros) or {name:type,...} for a table; shape is e.g.
 *  (784,200) or () for one value.  The item /@content_digest itself is left
 *  out.  tests/io/test_checkpoint_h5py.c recomputes it.
 *
 *  Why so: measured for 10^7 float32 (40 MB; 2 cores Zen 3, ext4, best of 9),
 *  with write() + fsync of the same bytes at 25.7 ms:
 *
 *      contiguous, no checksum                                      27 ms
 *      Fletcher-32 filter, chunks of 64 kB / 1 MB / 4 MB            54, 42, 92
 *      contiguous + SHA-256 (24 ms) after the write                 50
 *        the same, writeback asked for before hashing               35
 *        hashed by a thread beside one large write                  27 to 36
 *        in blocks by all threads, written in slices (this)         25 to 30
 *
 *  Fletcher-32 would need chunks, and the B-tree that finds them has no
 *  checksum in files for HDF5 1.8.  `sha256-of-the-raw-bytes` is by blocks for
 *  that reason, see cv_h5_hash_start.
 */
#ifndef COVEY_IO_CHECKPOINT_PARTS_H
#define COVEY_IO_CHECKPOINT_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "io/checkpoint.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "raw bytes in a checkpoint are little-endian");
_Static_assert(sizeof(size_t) == 8, "sizes are 64 bits");

#define CV_H5_VERSION_ATTR "format_version"
#define CV_H5_DIGEST_ATTR  "content_digest"
/* What a file may hold, so that a hostile one cannot make a reader take much
 * more memory than its own size. */
#define CV_H5_MAX_DEPTH   16
#define CV_H5_MAX_PATH    2000
#define CV_H5_MAX_NODES   (1 << 18) /* groups and arrays */
#define CV_H5_MAX_ITEMS   (1 << 18) /* arrays and attributes */
#define CV_H5_MAX_NAME    1000
#define CV_H5_MAX_ATTR    60000     /* bytes; HDF5 allows 64 kB a message */
#define CV_H5_MAX_SIZE    (1 << 30) /* bytes of a text or row */
#define CV_H5_MAX_STRINGS (1 << 24) /* in one array, or rows of a table */

/** Kinds of values: cv_h5_type, and these. */
enum { CV_H5_STRING = CV_H5_U8 + 1, CV_H5_TABLE };

typedef struct {
    char *name; /* owned */
    int kind;   /* cv_h5_type or CV_H5_STRING */
    size_t size;
    size_t offset; /* in a row */
} cv_h5_field;

typedef struct {
    int kind;
    size_t size; /* bytes of one value or row */
    int n_fields;
    cv_h5_field *fields; /* owned; of a table */
    int rank;
    int64_t dims[4];
} cv_h5_layout;

/** Bytes of one value of a number type. */
size_t cv_h5_type_size(int kind);
/** Number of values and of bytes. 0, or -1 if a dimension is negative or the
 *  product does not fit in 63 bits. */
int cv_h5_layout_count(const cv_h5_layout *l, int64_t *count, size_t *bytes);
void cv_h5_layout_free(cv_h5_layout *l);

/** 1 if s can name a link, an attribute or a column: not empty, no control
 *  characters, at most CV_H5_MAX_NAME bytes. */
int cv_h5_name_ok(const char *s, size_t len);

typedef struct {
    char **lines; /* owned */
    size_t n, cap;
} cv_h5_manifest;

/** attr: NULL for an array. */
void cv_h5_manifest_add(cv_h5_manifest *m, const char *path, const char *attr,
                        const cv_h5_layout *l, const uint8_t sha256[32]);
/** Sorts the lines; hex has 64 digits. */
void cv_h5_manifest_digest(cv_h5_manifest *m, char hex[65]);
void cv_h5_manifest_free(cv_h5_manifest *m);

/** Hash bytes of memory (data) or of a file (data NULL: fd, addr) beside what
 *  the caller does until cv_h5_hash_end, which helps, waits and frees. The
 *  digest is the SHA-256 of the bytes if they fit in one block, else (and for
 *  no bytes) the SHA-256 of the SHA-256s of their blocks. Returns 0, or the
 *  errno of a failed read. */
#define CV_H5_BLOCK ((size_t)1 << 20)
typedef struct cv_h5_hash cv_h5_hash;
cv_h5_hash *cv_h5_hash_start(const void *data, int fd, int64_t addr,
                             size_t bytes);
int cv_h5_hash_end(cv_h5_hash **h, uint8_t sum[32]);

/** The name under which this process prepares path; malloc'd. */
char *cv_h5_tmp_name(const char *path);
/** Remove what killed processes left of path's temporary files, and our own.
 *  Failures are ignored: a left-over file takes room, no more. */
void cv_h5_clean_tmp(const char *path);

/** "cannot write" and the reason: CV_ERR_ENV. */
int cv_h5_env_error(cv_err *err, const char *path, const char *what,
                    int errnum);

#endif
