/* HDF5 input, lowest layer: superblock, object headers, checksums (sections
 * II.A, IV.A.1 of the specification). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "io/h5in.h"

#define CONTINUATION 0x10

int cv_h5in_damaged(cv_h5in *f, const char *problem)
{
    f->problem = problem;
    return -1;
}

int cv_h5in_pread(cv_h5in *f, uint64_t addr, uint64_t n, uint8_t *out)
{
    uint64_t end = (uint64_t)(f->size - f->base);
    if (addr > end || n > end - addr)
        return cv_h5in_damaged(f, "is damaged or truncated: something lies "
                                  "behind its end");
    if (f->memory) {
        if (n)
            memcpy(out, f->memory + f->base + addr, n);
        return 0;
    }
    while (n) {
        ssize_t k = pread(f->fd, out, n, f->base + (int64_t)addr);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return cv_h5in_damaged(f, "cannot be read to its end");
        out += k;
        addr += (uint64_t)k;
        n -= (uint64_t)k;
    }
    return 0;
}

int cv_h5in_bytes(cv_h5in *f, uint64_t addr, uint64_t n, uint8_t **out)
{
    if (n > (uint64_t)f->budget)
        return cv_h5in_damaged(f, "is damaged: its parts overlap");
    f->budget -= (int64_t)n;
    uint8_t *b = cv_realloc(NULL, n + 1, 1);
    if (cv_h5in_pread(f, addr, n, b)) {
        free(b);
        return -1;
    }
    *out = b;
    return 0;
}

static uint32_t rotate(uint32_t x, int k)
{
    return x << k | x >> (32 - k);
}

/* Jenkins, lookup3 (2006), hashlittle with initial value 0. */
static uint32_t lookup3(const uint8_t *p, size_t n)
{
    uint32_t a, b, c;
    a = b = c = 0xdeadbeefu + (uint32_t)n;
    for (; n > 12; n -= 12, p += 12) {
        a += cv_get_le32(p);
        b += cv_get_le32(p + 4);
        c += cv_get_le32(p + 8);
        a = (a - c) ^ rotate(c, 4), c += b;
        b = (b - a) ^ rotate(a, 6), a += c;
        c = (c - b) ^ rotate(b, 8), b += a;
        a = (a - c) ^ rotate(c, 16), c += b;
        b = (b - a) ^ rotate(a, 19), a += c;
        c = (c - b) ^ rotate(b, 4), b += a;
    }
    if (n == 0)
        return c;
    uint8_t rest[12] = {0};
    memcpy(rest, p, n);
    a += cv_get_le32(rest);
    b += cv_get_le32(rest + 4);
    c += cv_get_le32(rest + 8);
    c = (c ^ b) - rotate(b, 14);
    a = (a ^ c) - rotate(c, 11);
    b = (b ^ a) - rotate(a, 25);
    c = (c ^ b) - rotate(b, 16);
    a = (a ^ c) - rotate(c, 4);
    b = (b ^ a) - rotate(a, 14);
    return (c ^ b) - rotate(b, 24);
}

static int checksum_ok(const uint8_t *p, size_t n)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)lookup3;
    return p && n >= 4;
#endif
    return n >= 4 && lookup3(p, n - 4) == cv_get_le32(p + n - 4);
}

/* Signature at 0, 512, 1024, ...: before it lies a user block. */
static int find_superblock(cv_h5in *f)
{
    static const uint8_t magic[8] = "\211HDF\r\n\032\n";
    for (int64_t at = 0; at < f->size; at = at ? 2 * at : 512) {
        uint8_t b[8];
        f->base = at;
        if (f->size - at >= 8 && cv_h5in_pread(f, 0, 8, b) == 0 &&
            memcmp(b, magic, 8) == 0)
            return 0;
    }
    return cv_h5in_damaged(f, "does not begin like an HDF5 file");
}

static int open_new(cv_h5in *f, const uint8_t *b, uint64_t *end, uint64_t *root)
{
    int bad = 0;
    const uint8_t *p = b + 9, *stop = b + 48;
    if (!checksum_ok(b, 48))
        return cv_h5in_damaged(f, "is damaged: checksum of the superblock");
    uint64_t sizes = cv_h5in_take(&p, stop, 2, &bad);
    if (sizes != 0x0808)
        return cv_h5in_damaged(f, "uses addresses of another size than 8");
    (void)cv_h5in_skip(&p, stop, 1 + 8 + 8, &bad);
    *end = cv_h5in_take(&p, stop, 8, &bad);
    *root = cv_h5in_take(&p, stop, 8, &bad);
    return 0;
}

static int open_old(cv_h5in *f, const uint8_t *b, uint64_t *end, uint64_t *root)
{
    int bad = 0;
    const uint8_t *p = b + 24 + (b[8] == 1 ? 4 : 0), *stop = b + 100;
    if (b[13] != 8 || b[14] != 8)
        return cv_h5in_damaged(f, "uses addresses of another size than 8");
    (void)cv_h5in_skip(&p, stop, 16, &bad);
    *end = cv_h5in_take(&p, stop, 8, &bad);
    (void)cv_h5in_skip(&p, stop, 16, &bad);
    *root = cv_h5in_take(&p, stop, 8, &bad);
    return 0;
}

int cv_h5in_open(cv_h5in *f, int fd, const uint8_t *memory, int64_t size)
{
    *f = (cv_h5in){.fd = fd, .memory = memory, .size = size};
    if (find_superblock(f))
        return -1;
    uint8_t b[100] = {0};
    int64_t have = f->size - f->base;
    uint64_t end = 0, root = 0;
    if (cv_h5in_pread(f, 0, have < 100 ? (uint64_t)have : 100, b))
        return -1;
    int version = b[8];
    if (version > 3)
        return cv_h5in_damaged(f, "is of a version of HDF5 that is not known");
    if (have < (version >= 2 ? 48 : 100))
        return cv_h5in_damaged(f, "is truncated");
    if (version >= 2 ? open_new(f, b, &end, &root)
                     : open_old(f, b, &end, &root))
        return -1;
    if (end > (uint64_t)f->size)
        return cv_h5in_damaged(f, "is truncated");
    f->root = (int64_t)root;
    f->budget = f->size + (f->size < INT64_MAX - (1 << 20) ? 1 << 20 : 0);
    return 0;
}

void cv_h5in_close(cv_h5in *f)
{
    for (size_t i = 0; i < f->n_heaps; i++) {
        free(f->heaps[i].bytes);
        free(f->heaps[i].texts);
    }
    free(f->heaps);
    f->heaps = NULL;
    f->n_heaps = 0;
}

typedef struct {
    cv_h5in *f;
    cv_h5in_object *o;
    cv_h5in_message *messages;
    size_t n, cap;
    int version;
    int ordered; /* version 2: each message has its number */
} header;

static int keep_block(header *h, uint64_t addr, uint64_t n, uint8_t **block)
{
    cv_h5in_object *o = h->o;
    if (cv_h5in_bytes(h->f, addr, n, block))
        return -1;
    o->blocks = cv_realloc(o->blocks, o->n_blocks + 1, sizeof *o->blocks);
    o->blocks[o->n_blocks++] = *block;
    return 0;
}

static int add_messages(header *h, const uint8_t *p, const uint8_t *end)
{
    int v1 = h->version == 1, bad = 0;
    ptrdiff_t least = v1 ? 8 : h->ordered ? 6 : 4;
    while (end - p >= least) { /* a shorter rest is a gap */
        cv_h5in_message m;
        m.type = (unsigned)cv_h5in_take(&p, end, v1 ? 2 : 1, &bad);
        uint64_t n = cv_h5in_take(&p, end, 2, &bad);
        m.flags = (unsigned)cv_h5in_take(&p, end, 1, &bad);
        (void)cv_h5in_skip(&p, end, v1 ? 3 : h->ordered ? 2 : 0, &bad);
        m.p = cv_h5in_skip(&p, end, n, &bad);
        m.end = p;
        if (bad)
            return cv_h5in_damaged(h->f, "is damaged: a header is shorter than "
                                         "it says");
        if (h->n == h->cap) {
            h->cap = h->cap ? 2 * h->cap : 16;
            h->messages = cv_realloc(h->messages, h->cap, sizeof *h->messages);
        }
        h->messages[h->n++] = m;
    }
    return 0;
}

static int first_block_1(header *h, uint64_t addr, const uint8_t *prefix)
{
    uint8_t *b;
    uint32_t n = cv_get_le32(prefix + 8);
    if (addr > CV_H5IN_UNDEFINED - 16 || keep_block(h, addr + 16, n, &b))
        return -1;
    return add_messages(h, b, b + n);
}

static int first_block_2(header *h, uint64_t addr, const uint8_t *prefix)
{
    int flags = prefix[5], bad = 0;
    const uint8_t *p = prefix + 6, *stop = prefix + 34;
    (void)cv_h5in_skip(
        &p, stop, (flags & 0x20 ? 16u : 0u) + (flags & 0x10 ? 4u : 0u), &bad);
    uint64_t n = cv_h5in_take(&p, stop, 1 << (flags & 3), &bad);
    uint64_t head = (uint64_t)(p - prefix);
    uint8_t *b;
    h->ordered = (flags & 4) != 0;
    if (n > (uint64_t)h->f->size)
        return cv_h5in_damaged(h->f, "is damaged: length of a header");
    if (keep_block(h, addr, head + n + 4, &b))
        return -1;
    /* The prefix was read apart: it must be the one that is checked. */
    if (!checksum_ok(b, head + n + 4) || memcmp(b, prefix, head) != 0)
        return cv_h5in_damaged(h->f, "is damaged: checksum of a header");
    return add_messages(h, b + head, b + head + n);
}

static int continued_block(header *h, cv_h5in_message m)
{
    int bad = 0;
    uint8_t *b;
    uint64_t addr = cv_h5in_take(&m.p, m.end, 8, &bad);
    uint64_t n = cv_h5in_take(&m.p, m.end, 8, &bad);
    if (bad || n == 0)
        return cv_h5in_damaged(h->f, "is damaged: a header breaks off");
    if (keep_block(h, addr, n, &b))
        return -1;
    if (h->version == 1)
        return add_messages(h, b, b + n);
    if (n < 8 || memcmp(b, "OCHK", 4) != 0 || !checksum_ok(b, n))
        return cv_h5in_damaged(h->f, "is damaged: checksum of a header");
    return add_messages(h, b + 4, b + n - 4);
}

int cv_h5in_header(cv_h5in *f, uint64_t addr, cv_h5in_object *o,
                   cv_h5in_message **messages, size_t *n)
{
    header h = {.f = f, .o = o};
    uint8_t prefix[34] = {0};
    uint64_t have = (uint64_t)(f->size - f->base);
    have = addr < have ? have - addr : 0;
    int rc = cv_h5in_pread(f, addr, have < 34 ? have : 34, prefix);
    if (!rc && memcmp(prefix, "OHDR\2", 5) == 0) {
        h.version = 2;
        rc = first_block_2(&h, addr, prefix);
    } else if (!rc && prefix[0] == 1) {
        h.version = 1;
        rc = first_block_1(&h, addr, prefix);
    } else if (!rc) {
        rc = cv_h5in_damaged(f, "is damaged: no header where one should be");
    }
    for (size_t i = 0; !rc && i < h.n; i++)
        if (h.messages[i].type == CONTINUATION)
            rc = continued_block(&h, h.messages[i]);
    *messages = h.messages;
    *n = h.n;
    return rc;
}
