/* Reading a checkpoint, lowest layer: superblock, object headers, checksums.
 * Names and numbers as in the HDF5 File Format Specification, sections II.A
 * and IV.A.1.b. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "io/checkpoint_reader.h"

#define SUPERBLOCK   48
#define PREFIX_MAX   34 /* of an object header, with times and 8-byte size */
#define BLOCK_MAX    ((uint64_t)1 << 26)
#define CONTINUATION 0x10

int cv_h5_damaged(const cv_h5_reader *r, cv_err *err, const char *fmt, ...)
{
    char what[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return cv_err_set(err, CV_ERR_VERIFY, r->path, 0, "damaged file: %s", what);
}

int cv_h5_read_at(const cv_h5_reader *r, int64_t addr, void *out, size_t n,
                  cv_err *err)
{
    uint8_t *to = out;
    while (n) {
        ssize_t k = pread(r->fd, to, n, addr);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return cv_h5_env_error(err, r->path, "cannot read", errno);
        if (k == 0)
            return cv_h5_damaged(r, err, "it ends at byte %" PRId64, addr);
        to += k;
        addr += k;
        n -= (size_t)k;
    }
    return 0;
}

int cv_h5_claim(cv_h5_reader *r, int64_t addr, uint64_t n, cv_err *err)
{
    if (addr < 0 || addr > r->size || n > (uint64_t)(r->size - addr))
        return cv_h5_damaged(r, err,
                             "something of %" PRIu64 " bytes at byte "
                             "%" PRId64 " is not within the file",
                             n, addr);
    if (n > (uint64_t)r->budget)
        return cv_h5_damaged(r, err, "its parts overlap");
    r->budget -= (int64_t)n;
    return 0;
}

uint64_t cv_h5_take(cv_h5_cursor *c, int bytes)
{
    const uint8_t *p = cv_h5_skip(c, (uint64_t)bytes);
    uint64_t v = 0;
    for (int i = bytes; p && i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

const uint8_t *cv_h5_skip(cv_h5_cursor *c, uint64_t bytes)
{
    const uint8_t *p = c->p;
    if (c->bad || bytes > (uint64_t)(c->end - c->p)) {
        c->bad = 1;
        return NULL;
    }
    c->p += bytes;
    return p;
}

static uint32_t rotate(uint32_t x, int k)
{
    return x << k | x >> (32 - k);
}

uint32_t cv_h5_lookup3(const uint8_t *p, size_t n)
{
    static const int mix[6] = {4, 6, 8, 16, 19, 4};
    static const int last[7] = {14, 11, 25, 16, 4, 14, 24};
    uint32_t s[3]; /* a, b, c */
    s[0] = s[1] = s[2] = 0xdeadbeefu + (uint32_t)n;
    for (; n > 12; n -= 12, p += 12) {
        for (int i = 0; i < 3; i++)
            s[i] += cv_get_le32(p + 4 * i);
        for (int i = 0; i < 6; i++) {
            uint32_t *a = &s[i % 3], *b = &s[(i + 1) % 3], *c = &s[(i + 2) % 3];
            *a -= *c;
            *a ^= rotate(*c, mix[i]);
            *c += *b;
        }
    }
    if (n == 0)
        return s[2];
    uint8_t rest[12] = {0};
    memcpy(rest, p, n);
    for (int i = 0; i < 3; i++)
        s[i] += cv_get_le32(rest + 4 * i);
    for (int i = 0; i < 7; i++) {
        uint32_t *c = &s[(i + 2) % 3], b = s[(i + 1) % 3];
        *c ^= b;
        *c -= rotate(b, last[i]);
    }
    return s[2];
}

int cv_h5_sum_ok(const uint8_t *p, size_t n, uint32_t said)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)p, (void)n, (void)said;
    return 1; /* a fuzzer cannot guess it, an attacker can compute it */
#else
    return cv_h5_lookup3(p, n) == said;
#endif
}

int cv_h5_load(cv_h5_reader *r, int64_t addr, uint64_t n, uint8_t **out,
               cv_err *err)
{
    *out = NULL;
    int rc = cv_h5_claim(r, addr, n, err);
    if (rc)
        return rc;
    if (n < 8 || n > BLOCK_MAX)
        return cv_h5_damaged(r, err, "a header of %" PRIu64 " bytes", n);
    uint8_t *b = cv_realloc(NULL, n, 1);
    rc = cv_h5_read_at(r, addr, b, n, err);
    if (rc)
        free(b);
    else
        *out = b;
    return rc;
}

int cv_h5_superblock(cv_h5_reader *r, int64_t *root, cv_err *err)
{
    static const uint8_t magic[8] = "\211HDF\r\n\032\n";
    uint8_t b[SUPERBLOCK];
    if (r->size < SUPERBLOCK)
        return cv_h5_damaged(
            r, err, "expected a checkpoint, found %" PRId64 " bytes", r->size);
    int rc = cv_h5_read_at(r, 0, b, sizeof b, err);
    if (rc)
        return rc;
    if (memcmp(b, magic, 8) != 0)
        return cv_h5_damaged(r, err,
                             "expected a checkpoint, found something "
                             "that does not begin like an HDF5 file");
    cv_h5_cursor c = {b + 8, b + sizeof b, 0};
    uint64_t version = cv_h5_take(&c, 1);
    if (version != 2)
        return cv_h5_damaged(r, err,
                             "expected an HDF5 file made by covey, "
                             "found superblock version %" PRIu64,
                             version);
    if (!cv_h5_sum_ok(b, SUPERBLOCK - 4, cv_get_le32(b + SUPERBLOCK - 4)))
        return cv_h5_damaged(r, err, "checksum of the superblock");
    uint64_t sizes = cv_h5_take(&c, 2);
    (void)cv_h5_take(&c, 1); /* flags, for concurrent writers */
    uint64_t base = cv_h5_take(&c, 8), extension = cv_h5_take(&c, 8);
    uint64_t end = cv_h5_take(&c, 8);
    *root = (int64_t)cv_h5_take(&c, 8);
    if (sizes != 0x0808 || base != 0 || extension != UINT64_MAX)
        return cv_h5_damaged(r, err,
                             "expected an HDF5 file made by covey, "
                             "found a superblock with other settings");
    if (end != (uint64_t)r->size)
        return cv_h5_damaged(
            r, err, "expected %" PRIu64 " bytes, found %" PRId64, end, r->size);
    r->budget = r->size - SUPERBLOCK;
    return 0;
}

/* A checked block of a header, owned by h. */
static int load_block(cv_h5_reader *r, cv_h5_header *h, int64_t addr,
                      uint64_t n, const uint8_t **out, cv_err *err)
{
    uint8_t *b;
    int rc = cv_h5_load(r, addr, n, &b, err);
    if (rc)
        return rc;
    if (h->n_blocks == h->blocks_cap) {
        h->blocks_cap = h->blocks_cap ? 2 * h->blocks_cap : 4;
        h->blocks = cv_realloc(h->blocks, h->blocks_cap, sizeof *h->blocks);
    }
    h->blocks[h->n_blocks++] = b;
    if (!cv_h5_sum_ok(b, n - 4, cv_get_le32(b + n - 4)))
        return cv_h5_damaged(r, err, "checksum of the header at byte %" PRId64,
                             addr);
    *out = b;
    return 0;
}

/* Messages in [p, end); ordered: with the attribute's place in time. */
static int add_messages(const cv_h5_reader *r, cv_h5_header *h,
                        const uint8_t *p, const uint8_t *end, int ordered,
                        cv_err *err)
{
    cv_h5_cursor c = {p, end, 0};
    ptrdiff_t least = ordered ? 6 : 4;
    while (c.end - c.p >= least) { /* a shorter rest is a gap */
        cv_h5_message m;
        m.type = (int)cv_h5_take(&c, 1);
        m.n = cv_h5_take(&c, 2);
        m.flags = (int)cv_h5_take(&c, 1);
        if (ordered)
            (void)cv_h5_take(&c, 2);
        m.data = cv_h5_skip(&c, m.n);
        if (c.bad)
            return cv_h5_damaged(r, err, "a header is shorter than it says");
        if (m.type == 0) /* room for later */
            continue;
        if (h->n == h->cap) {
            h->cap = h->cap ? 2 * h->cap : 16;
            h->messages = cv_realloc(h->messages, h->cap, sizeof *h->messages);
        }
        h->messages[h->n++] = m;
    }
    return 0;
}

/* The first block: its length stands in the prefix, which is read first. */
static int load_first(cv_h5_reader *r, int64_t addr, cv_h5_header *h,
                      int *ordered, cv_err *err)
{
    uint8_t b[PREFIX_MAX];
    int64_t have = addr >= 0 && addr < r->size ? r->size - addr : 0;
    size_t n = have < PREFIX_MAX ? (size_t)have : PREFIX_MAX;
    int rc = cv_h5_read_at(r, addr, b, n, err);
    if (rc)
        return rc;
    cv_h5_cursor c = {b, b + n, 0};
    const uint8_t *magic = cv_h5_skip(&c, 4);
    uint64_t version = cv_h5_take(&c, 1);
    int flags = (int)cv_h5_take(&c, 1);
    (void)cv_h5_skip(&c, (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0));
    uint64_t length = cv_h5_take(&c, 1 << (flags & 3));
    if (c.bad || memcmp(magic, "OHDR", 4) != 0 || version != 2)
        return cv_h5_damaged(r, err, "no header of version 2 at byte %" PRId64,
                             addr);
    size_t prefix = (size_t)(c.p - b);
    const uint8_t *block;
    if (length > BLOCK_MAX)
        return cv_h5_damaged(r, err, "a header of %" PRIu64 " bytes", length);
    rc = load_block(r, h, addr, prefix + length + 4, &block, err);
    if (rc)
        return rc;
    *ordered = (flags & 4) != 0;
    /* The prefix was read apart from the checked block. */
    if (memcmp(block, b, prefix) != 0)
        return cv_h5_damaged(r, err, "it changes while it is read");
    return add_messages(r, h, block + prefix, block + prefix + length, *ordered,
                        err);
}

int cv_h5_header_load(cv_h5_reader *r, int64_t addr, cv_h5_header *h,
                      cv_err *err)
{
    int ordered = 0;
    int rc = load_first(r, addr, h, &ordered, err);
    for (size_t i = 0; !rc && i < h->n; i++) {
        if (h->messages[i].type != CONTINUATION)
            continue;
        cv_h5_cursor c = {h->messages[i].data,
                          h->messages[i].data + h->messages[i].n, 0};
        int64_t at = (int64_t)cv_h5_take(&c, 8);
        uint64_t n = cv_h5_take(&c, 8);
        const uint8_t *block = NULL;
        rc = load_block(r, h, at, n, &block, err);
        if (!rc && memcmp(block, "OCHK", 4) != 0)
            rc =
                cv_h5_damaged(r, err, "no header goes on at byte %" PRId64, at);
        if (!rc)
            rc = add_messages(r, h, block + 4, block + n - 4, ordered, err);
    }
    return rc;
}

void cv_h5_header_free(cv_h5_header *h)
{
    for (size_t i = 0; i < h->n_blocks; i++)
        free(h->blocks[i]);
    free(h->blocks);
    free(h->messages);
    *h = (cv_h5_header){0};
}
