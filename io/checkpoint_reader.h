/** The reader, as its files see it; nobody else includes this.
 *
 *  Checkpoints are read by people who do not trust whoever wrote them (covey
 *  verify, a site that gets a model from outside), and the HDF5 library does
 *  not stand hostile files: of 10,000 with one to three damaged header bytes
 *  and mended header checksums, 689 crashed libhdf5 1.10.8.  So the library
 *  only writes.  The reader knows the small part of the format that the writer
 *  uses and refuses everything else:
 *
 *    superblock version 2; object headers version 2 with their checksums;
 *    links in the headers or in fractal heaps, attributes in the headers;
 *    contiguous data; little-endian numbers, fixed-size text, and flat tables
 *    of them.
 *
 *  Source: HDF5 File Format Specification, version 2.0 (and 3.0, section IV).
 */
#ifndef COVEY_IO_CHECKPOINT_READER_H
#define COVEY_IO_CHECKPOINT_READER_H

#include "io/checkpoint_parts.h"

typedef struct {
    char *name;
    int kind; /* cv_h5_type or CV_H5_STRING; one value */
    size_t size;
    uint8_t *value;
} cv_h5_attribute;

typedef struct {
    char *path;
    char *name; /* last part of path, within it */
    int64_t parent;
    int is_group;
    cv_h5_layout layout;
    int64_t addr; /* of the data in the file */
    int64_t count;
    size_t bytes;
    int n_attrs;
    cv_h5_attribute *attrs;
} cv_h5_node;

struct cv_h5_reader {
    char *path;
    int fd;
    int64_t size; /* of the file */
    /* Bytes that headers and data may still claim. No byte belongs to two
     * objects, so this starts at size; it bounds time and memory, and ends
     * loops. */
    int64_t budget;
    int64_t max_version;
    size_t n_attrs; /* so far */
    size_t n, cap;
    cv_h5_node *nodes; /* a group before its members, these in order */
};

/** A cursor over little-endian bytes; past the end it gives zeros and sets
 *  bad. */
typedef struct {
    const uint8_t *p, *end;
    int bad;
} cv_h5_cursor;

uint64_t cv_h5_take(cv_h5_cursor *c, int bytes);
const uint8_t *cv_h5_skip(cv_h5_cursor *c, uint64_t bytes);

/** One message of an object header. */
typedef struct {
    int type, flags;
    const uint8_t *data;
    size_t n;
} cv_h5_message;

typedef struct {
    size_t n, cap;
    cv_h5_message *messages;
    size_t n_blocks, blocks_cap;
    uint8_t **blocks; /* messages point into these */
} cv_h5_header;

/** CV_ERR_VERIFY, "damaged file: ..." */
int cv_h5_damaged(const cv_h5_reader *r, cv_err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** Exactly n bytes at addr, which the caller has checked against size. */
int cv_h5_read_at(const cv_h5_reader *r, int64_t addr, void *out, size_t n,
                  cv_err *err);
/** Take [addr, addr + n) from the budget; an error if it is not in the file
 *  or claimed already as far as the budget can tell. */
int cv_h5_claim(cv_h5_reader *r, int64_t addr, uint64_t n, cv_err *err);

/** Jenkins, lookup3 (2006), hashlittle with initial value 0: the checksum that
 *  HDF5 puts after its headers. */
uint32_t cv_h5_lookup3(const uint8_t *p, size_t n);
/** Is said the checksum of these bytes? */
int cv_h5_sum_ok(const uint8_t *p, size_t n, uint32_t said);
/** Claim and read a block of metadata into malloc'd *out. */
int cv_h5_load(cv_h5_reader *r, int64_t addr, uint64_t n, uint8_t **out,
               cv_err *err);
/** Check the superblock; *root is the address of the root's header. */
int cv_h5_superblock(cv_h5_reader *r, int64_t *root, cv_err *err);
/** Load an object header with its continuation blocks, checksums checked. */
int cv_h5_header_load(cv_h5_reader *r, int64_t addr, cv_h5_header *h,
                      cv_err *err);
void cv_h5_header_free(cv_h5_header *h);

/** Give every link in the fractal heap at addr to take, which moves the cursor
 *  past it and returns 0, or -1 if it is not a link. */
typedef int cv_h5_take_link(void *arg, cv_h5_cursor *c);
int cv_h5_heap_links(cv_h5_reader *r, uint64_t addr, cv_h5_take_link *take,
                     void *arg, cv_err *err);

/** Fill r->nodes from the file. */
int cv_h5_parse(cv_h5_reader *r, int64_t root, cv_err *err);
/** Compare the content with the root's content_digest. */
int cv_h5_verify(cv_h5_reader *r, cv_err *err);

cv_h5_node *cv_h5_find(cv_h5_reader *r, const char *path);
cv_h5_attribute *cv_h5_find_attr(const cv_h5_node *n, const char *name);

#endif
