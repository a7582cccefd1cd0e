/* Reading a checkpoint: the links of a large group.
 *
 * A group of more than eight members keeps its links in a fractal heap (section
 * III.G of the specification). Nothing is ever removed from a checkpoint, so
 * each block of the heap holds one link after the other and then zeros, and the
 * B-tree that finds a link by its name is not needed to list them all. */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "io/checkpoint_reader.h"

#define HEADER    146
#define MAX_ROWS  64
#define MAX_DEPTH 4 /* of blocks within blocks; the real depth is 2 */

typedef struct {
    cv_h5_reader *r;
    uint64_t addr; /* of the heap's header: every block repeats it */
    uint64_t width, start, most_direct; /* bytes of blocks */
    int offset_bytes;                   /* of a block's place in the heap */
    int direct_rows;                    /* rows that hold direct blocks */
    int64_t n;                          /* links so far */
    cv_h5_take_link *take;
    void *arg;
} heap;

static int bad(const heap *h, cv_err *err)
{
    return cv_h5_damaged(h->r, err, "the list of a group's members");
}

/* Signature, version, the heap's address and the block's offset. */
static int begins(const heap *h, cv_h5_cursor *c, const char *magic)
{
    const uint8_t *p = cv_h5_skip(c, 4);
    uint64_t version = cv_h5_take(c, 1), addr = cv_h5_take(c, 8);
    cv_h5_skip(c, (uint64_t)h->offset_bytes);
    return !c->bad && memcmp(p, magic, 4) == 0 && version == 0 &&
           addr == h->addr;
}

static int read_direct(heap *h, uint64_t addr, uint64_t bytes, cv_err *err)
{
    uint8_t *b = NULL;
    int rc = cv_h5_load(h->r, (int64_t)addr, bytes, &b, err);
    if (rc)
        return rc;
    cv_h5_cursor c = {b, b + bytes, 0};
    uint8_t *sum = b + 13 + h->offset_bytes;
    int fine = begins(h, &c, "FHDB") && cv_h5_skip(&c, 4);
    if (fine) { /* computed as if it were zero */
        uint32_t said = cv_get_le32(sum);
        memset(sum, 0, 4);
        fine = cv_h5_sum_ok(b, bytes, said);
    }
    while (fine && c.p < c.end && *c.p) {
        fine = h->take(h->arg, &c) == 0;
        h->n++;
    }
    free(b);
    return fine ? 0 : bad(h, err);
}

/* Bytes of a block in this row: the first two rows are equal, then doubling. */
static uint64_t row_bytes(const heap *h, int row)
{
    return h->start << (row ? row - 1 : 0);
}

/* An indirect block of so many rows: addresses of direct blocks and, in the
 * rows behind those, of indirect ones. */
static int read_indirect(heap *h, uint64_t addr, int rows, int depth,
                         cv_err *err)
{
    uint8_t *b = NULL;
    if (depth > MAX_DEPTH || rows < 1 || rows > MAX_ROWS)
        return bad(h, err);
    uint64_t n = (uint64_t)rows * h->width;
    uint64_t bytes = 13 + (uint64_t)h->offset_bytes + 8 * n + 4;
    int rc = cv_h5_load(h->r, (int64_t)addr, bytes, &b, err);
    if (rc)
        return rc;
    cv_h5_cursor c = {b, b + bytes, 0};
    if (!cv_h5_sum_ok(b, bytes - 4, cv_get_le32(b + bytes - 4)) ||
        !begins(h, &c, "FHIB"))
        rc = bad(h, err);
    for (uint64_t i = 0; !rc && i < n; i++) {
        int row = (int)(i / h->width);
        uint64_t child = cv_h5_take(&c, 8);
        if (child == UINT64_MAX) /* not in use yet */
            continue;
        if (row < h->direct_rows) {
            rc = read_direct(h, child, row_bytes(h, row), err);
            continue;
        }
        /* As many rows as its share of the heap takes. */
        int child_rows = 1;
        while (child_rows < MAX_ROWS &&
               (h->start * h->width) << (child_rows - 1) < row_bytes(h, row))
            child_rows++;
        rc = read_indirect(h, child, child_rows, depth + 1, err);
    }
    free(b);
    return rc;
}

static int power_of_two(uint64_t v)
{
    return v && (v & (v - 1)) == 0;
}

/* Sizes as HDF5 has them for links, within reason. */
static int check_sizes(heap *h, uint64_t heap_bits)
{
    if (!power_of_two(h->width) || h->width > 64 || !power_of_two(h->start) ||
        h->start < 64 || !power_of_two(h->most_direct) ||
        h->most_direct < h->start || h->most_direct > 1 << 24 ||
        heap_bits < 8 || heap_bits > 40)
        return -1;
    h->offset_bytes = (int)(heap_bits + 7) / 8;
    h->direct_rows = 1;
    while (row_bytes(h, h->direct_rows) <= h->most_direct)
        h->direct_rows++;
    return 0;
}

int cv_h5_heap_links(cv_h5_reader *r, uint64_t addr, cv_h5_take_link *take,
                     void *arg, cv_err *err)
{
    heap h = {.r = r, .addr = addr, .take = take, .arg = arg};
    uint8_t *b = NULL;
    int rc = cv_h5_load(r, (int64_t)addr, HEADER, &b, err);
    if (rc)
        return rc;
    cv_h5_cursor c = {b, b + HEADER, 0};
    uint64_t version = (cv_h5_skip(&c, 4), cv_h5_take(&c, 1));
    cv_h5_skip(&c, 2); /* length of a heap ID */
    uint64_t filters = cv_h5_take(&c, 2), flags = cv_h5_take(&c, 1);
    cv_h5_skip(&c, 4 + 7 * 8); /* sizes and free space */
    uint64_t managed = cv_h5_take(&c, 8);
    uint64_t huge = (cv_h5_skip(&c, 8), cv_h5_take(&c, 8));
    uint64_t tiny = (cv_h5_skip(&c, 8), cv_h5_take(&c, 8));
    h.width = cv_h5_take(&c, 2);
    h.start = cv_h5_take(&c, 8);
    h.most_direct = cv_h5_take(&c, 8);
    uint64_t heap_bits = cv_h5_take(&c, 2);
    cv_h5_skip(&c, 2); /* rows at the start */
    uint64_t root = cv_h5_take(&c, 8), rows = cv_h5_take(&c, 2);
    int fine = memcmp(b, "FRHP", 4) == 0 && version == 0 && filters == 0 &&
               flags == 2 && huge == 0 && tiny == 0 && rows <= MAX_ROWS &&
               cv_h5_sum_ok(b, HEADER - 4, cv_get_le32(b + HEADER - 4)) &&
               check_sizes(&h, heap_bits) == 0;
    free(b);
    if (!fine)
        return bad(&h, err);
    rc = rows == 0 ? read_direct(&h, root, h.start, err)
                   : read_indirect(&h, root, (int)rows, 0, err);
    if (!rc && (uint64_t)h.n != managed)
        rc = bad(&h, err);
    return rc;
}
