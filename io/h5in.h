/** Reading HDF5 data files that are not trusted.
 *
 *  The HDF5 library does not stand damaged files (a few flipped bytes in a
 *  header crash 1.10.8), so it only writes.  This reader knows the part of the
 *  format that h5py, R, MATLAB and the library itself use by default, and
 *  refuses the rest with a sentence that says so:
 *
 *    superblocks 0 to 3, with or without a user block; object headers 1 and 2;
 *    groups as symbol tables or as links in the header; attributes in the
 *    header; compact, contiguous and (version 1 B-tree) chunked data with the
 *    filters deflate, shuffle and fletcher32; integers and floats of both byte
 *    orders; text of fixed and variable length.
 *
 *  Source: HDF5 File Format Specification, version 2.0 (and 3.0, section IV).
 *  Scope: local.  Functions return 0, or -1 with f->problem set to a constant
 *  text that reads well after "the file ".
 */
#ifndef COVEY_IO_H5IN_H
#define COVEY_IO_H5IN_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int fd;                /* read from here, or from memory if not NULL */
    const uint8_t *memory; /* (size) */
    int64_t size;
    int64_t base; /* bytes before the superblock */
    int64_t root; /* address of the root group */
    /* Bytes that headers, indices and chunks may still take up. Each is read
     * about once, so this ends loops and bounds memory. */
    int64_t budget;
    const char *problem;
    struct cv_h5in_heap *heaps; /* of text, sorted by address; owned */
    size_t n_heaps;
} cv_h5in;

/** A collection of the global heap. */
typedef struct cv_h5in_heap {
    uint64_t addr;
    uint8_t *bytes; /* owned */
    struct cv_h5in_text_place {
        uint32_t number, at, len;
    } * texts; /* (n) sorted by number; owned */
    size_t n;
} cv_h5in_heap;

typedef enum {
    CV_H5IN_OTHER,
    CV_H5IN_INTEGER,
    CV_H5IN_FLOAT,
    CV_H5IN_TEXT,         /* of fixed length */
    CV_H5IN_VARIABLE_TEXT /* in the global heap */
} cv_h5in_kind;

typedef struct {
    cv_h5in_kind kind;
    uint32_t size; /* bytes of a value; 1, 2, 4, 8 for numbers */
    int big_endian, is_signed;
    int space_padded; /* text */
} cv_h5in_type;

typedef struct {
    int rank;         /* 0: one value */
    uint64_t dims[2]; /* of rank 1 and 2; (n, 1) for rank 1 */
    uint64_t count;   /* of values, saturated; 0 for none at all */
} cv_h5in_space;

typedef struct {
    const char *name;
    cv_h5in_type type;
    cv_h5in_space space;
    const uint8_t *data; /* all its bytes are there */
} cv_h5in_attr;

typedef struct {
    char *name;
    uint64_t addr;
} cv_h5in_link;

typedef enum {
    CV_H5IN_NOWHERE,
    CV_H5IN_COMPACT,
    CV_H5IN_CONTIGUOUS,
    CV_H5IN_CHUNKED
} cv_h5in_layout;

enum { CV_H5IN_FILTERS = 8 };

typedef struct {
    uint64_t addr;
    uint32_t bytes;
    uint32_t mask; /* filters left out */
} cv_h5in_chunk;

/** A group or a data set. Attributes point into its blocks. */
typedef struct {
    uint8_t **blocks; /* of the header, owned */
    size_t n_blocks;
    /* a group */
    int is_table; /* symbol table */
    uint64_t table_tree, table_heap;
    cv_h5in_link *links; /* hard ones, owned */
    size_t n_links, links_cap;
    /* a data set */
    int has_type, has_space;
    cv_h5in_type type;
    cv_h5in_space space;
    cv_h5in_layout layout;
    const uint8_t *compact;
    uint64_t addr;     /* of the data, or of the index of chunks */
    uint64_t bytes;    /* stored, of compact and contiguous data */
    uint64_t chunk[2]; /* rows, columns of one */
    int chunk_rank;
    int n_filters;
    uint16_t filters[CV_H5IN_FILTERS];
    cv_h5in_chunk *chunks; /* (across chunks of rows, of columns), owned */
    cv_h5in_attr *attrs;   /* owned; names too */
    size_t n_attrs, attrs_cap;
} cv_h5in_object;

/** Start on an open file, or on memory (fd then unused). The descriptor stays
 *  the caller's. */
int cv_h5in_open(cv_h5in *f, int fd, const uint8_t *memory, int64_t size);
void cv_h5in_close(cv_h5in *f);

/** Read the header at addr and, for a symbol table, the links. */
int cv_h5in_load(cv_h5in *f, uint64_t addr, cv_h5in_object *o);
void cv_h5in_free(cv_h5in_object *o);
/** Link or attribute of that name, or NULL. */
const cv_h5in_link *cv_h5in_find(const cv_h5in_object *o, const char *name);
const cv_h5in_attr *cv_h5in_attribute(const cv_h5in_object *o,
                                      const char *name);

/** Make a data set of rank 1 or 2 ready: all its bytes must be in the file,
 *  and what they unpack to must be possible. */
int cv_h5in_prepare(cv_h5in *f, cv_h5in_object *o);
/** Rows [first, first + n) as stored: raw (n, columns) values of o->type. */
int cv_h5in_rows(cv_h5in *f, const cv_h5in_object *o, uint64_t first,
                 uint64_t n, uint8_t *raw);
/** Numbers as stored to float32; out may be raw where values have 4 bytes. */
void cv_h5in_to_float(float *out, const uint8_t *raw, size_t n,
                      const cv_h5in_type *type);
/** Numbers as stored to double. Returns n, or the place of the first integer
 *  that a double may not hold exactly (beyond 2^53). */
size_t cv_h5in_to_double(double *out, const uint8_t *raw, size_t n,
                         const cv_h5in_type *type);
/** One number as stored. */
double cv_h5in_number(const uint8_t *raw, const cv_h5in_type *type);

/** n texts as stored (kind TEXT or VARIABLE_TEXT); *text and each are
 *  malloc'd. One longer than a name may be is cut just above that. */
int cv_h5in_text(cv_h5in *f, const uint8_t *raw, size_t n,
                 const cv_h5in_type *type, char ***text);

/* Between the parts of the reader. */

int cv_h5in_damaged(cv_h5in *f, const char *problem);
/** malloc'd bytes [addr, addr + n) of the file; charged to the budget. */
int cv_h5in_bytes(cv_h5in *f, uint64_t addr, uint64_t n, uint8_t **out);
/** The same into memory of the caller, not charged. */
int cv_h5in_pread(cv_h5in *f, uint64_t addr, uint64_t n, uint8_t *out);
int cv_h5in_table_links(cv_h5in *f, cv_h5in_object *o);
int cv_h5in_add_link(cv_h5in *f, cv_h5in_object *o, const uint8_t *name,
                     size_t len, uint64_t addr);
int cv_h5in_index(cv_h5in *f, cv_h5in_object *o);
int cv_h5in_unpack(cv_h5in *f, const cv_h5in_object *o, const cv_h5in_chunk *c,
                   uint8_t *out, size_t n);

/** One message of an object header. */
typedef struct {
    unsigned type, flags;
    const uint8_t *p, *end;
} cv_h5in_message;
int cv_h5in_header(cv_h5in *f, uint64_t addr, cv_h5in_object *o,
                   cv_h5in_message **messages, size_t *n);

#define CV_H5IN_UNDEFINED UINT64_MAX

/** Little-endian, 1 to 8 bytes; past the end it gives 0 and sets *bad. */
static inline uint64_t cv_h5in_take(const uint8_t **p, const uint8_t *end,
                                    int bytes, int *bad)
{
    if (end - *p < bytes) {
        *bad = 1;
        *p = end;
        return 0;
    }
    uint64_t v = 0;
    for (int i = bytes; i-- > 0;)
        v = v << 8 | (*p)[i];
    *p += bytes;
    return v;
}

static inline const uint8_t *cv_h5in_skip(const uint8_t **p, const uint8_t *end,
                                          uint64_t bytes, int *bad)
{
    const uint8_t *from = *p;
    if (bytes > (uint64_t)(end - from)) {
        *bad = 1;
        bytes = (uint64_t)(end - from);
    }
    *p += bytes;
    return from;
}

#endif
