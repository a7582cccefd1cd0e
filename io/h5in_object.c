/* HDF5 input, middle layer: what the messages of a header say (section IV.A.2
 * of the specification). */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "io/h5in.h"
#include "io/names.h"

enum {
    MSG_SPACE = 0x01,
    MSG_LINK_INFO = 0x02,
    MSG_TYPE = 0x03,
    MSG_LINK = 0x06,
    MSG_EXTERNAL = 0x07,
    MSG_LAYOUT = 0x08,
    MSG_FILTERS = 0x0B,
    MSG_ATTRIBUTE = 0x0C,
    MSG_TABLE = 0x11,
    MSG_ATTRIBUTE_INFO = 0x15
};

#define NEWER                                                                  \
    "uses a part of HDF5 that is not read here; rewrite it with "              \
    "h5repack OLD NEW"

static int read_space(cv_h5in *f, const uint8_t *p, const uint8_t *end,
                      cv_h5in_space *s)
{
    int bad = 0;
    uint64_t version = cv_h5in_take(&p, end, 1, &bad);
    uint64_t rank = cv_h5in_take(&p, end, 1, &bad);
    (void)cv_h5in_take(&p, end, 1, &bad);
    uint64_t type = cv_h5in_take(&p, end, 1, &bad);
    if (version == 1)
        (void)cv_h5in_skip(&p, end, 4, &bad);
    if (bad || version < 1 || version > 2 || rank > 32)
        return cv_h5in_damaged(f, "is damaged: a shape");
    s->rank = (int)rank;
    s->dims[0] = s->dims[1] = 1;
    s->count = version == 2 && type == 2 ? 0 : 1;
    for (uint64_t i = 0; i < rank; i++) {
        uint64_t d = cv_h5in_take(&p, end, 8, &bad);
        if (i < 2)
            s->dims[i] = d;
        if (__builtin_mul_overflow(s->count, d, &s->count))
            s->count = UINT64_MAX;
    }
    return bad ? cv_h5in_damaged(f, "is damaged: a shape") : 0;
}

/* Only the standard formats of numbers: whole bytes, IEEE 754. */
static cv_h5in_kind number_kind(unsigned class, uint64_t bits, uint32_t size,
                                const uint8_t *p, const uint8_t *end)
{
    static const uint8_t f32[12] = {0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0};
    static const uint8_t f64[12] = {0, 0, 64, 0, 52, 11, 0, 52, 255, 3, 0, 0};
    if (class == 0 && end - p >= 4 && (size & (size - 1)) == 0 && size >= 1 &&
        size <= 8 && p[0] == 0 && p[1] == 0 && p[2] == 8 * size && p[3] == 0 &&
        (bits & ~0x0full) == 0)
        return CV_H5IN_INTEGER;
    if (class != 1 || end - p < 12 || (size != 4 && size != 8) ||
        (bits & 0xf1) >> 4 != 2 || bits >> 8 != 8 * size - 1)
        return CV_H5IN_OTHER;
    return memcmp(p, size == 4 ? f32 : f64, 12) == 0 ? CV_H5IN_FLOAT
                                                     : CV_H5IN_OTHER;
}

static int read_type(cv_h5in *f, const uint8_t *p, const uint8_t *end,
                     cv_h5in_type *t)
{
    int bad = 0;
    unsigned class = (unsigned)cv_h5in_take(&p, end, 1, &bad);
    uint64_t bits = cv_h5in_take(&p, end, 3, &bad);
    uint32_t size = (uint32_t)cv_h5in_take(&p, end, 4, &bad);
    *t = (cv_h5in_type){.size = size};
    if (bad || size == 0)
        return cv_h5in_damaged(f, "is damaged: a type");
    class &= 15;
    if (class <= 1) {
        t->kind = number_kind(class, bits, size, p, end);
        t->big_endian = bits & 1;
        t->is_signed = class == 0 && bits & 8;
    } else if (class == 3) {
        t->kind = CV_H5IN_TEXT;
        t->space_padded = (bits & 15) == 2;
    } else if (class == 9 && (bits & 15) == 1 && size == 16) {
        t->kind = CV_H5IN_VARIABLE_TEXT;
    }
    return 0;
}

static int read_chunked(cv_h5in *f, const uint8_t *p, const uint8_t *end,
                        cv_h5in_object *o)
{
    int bad = 0;
    uint64_t n = cv_h5in_take(&p, end, 1, &bad);
    o->addr = cv_h5in_take(&p, end, 8, &bad);
    if (bad || n < 2 || n > 33)
        return cv_h5in_damaged(f, "is damaged: a layout");
    o->layout = CV_H5IN_CHUNKED;
    o->chunk_rank = (int)n - 1;
    o->chunk[0] = o->chunk[1] = 1;
    for (uint64_t i = 0; i < n; i++) { /* the last one is the value's size */
        uint64_t d = cv_h5in_take(&p, end, 4, &bad);
        if (d == 0)
            bad = 1;
        if (i < 2 && i + 1 < n)
            o->chunk[i] = d;
    }
    return bad ? cv_h5in_damaged(f, "is damaged: a layout") : 0;
}

static int read_layout(cv_h5in *f, const uint8_t *p, const uint8_t *end,
                       cv_h5in_object *o)
{
    int bad = 0;
    uint64_t version = cv_h5in_take(&p, end, 1, &bad);
    uint64_t class = cv_h5in_take(&p, end, 1, &bad);
    if (bad || version < 3 || version > 4 || class > 2)
        return cv_h5in_damaged(f, NEWER);
    if (class == 2)
        return version == 3 ? read_chunked(f, p, end, o)
                            : cv_h5in_damaged(f, NEWER);
    if (class == 0) {
        o->layout = CV_H5IN_COMPACT;
        o->bytes = cv_h5in_take(&p, end, 2, &bad);
        o->compact = cv_h5in_skip(&p, end, o->bytes, &bad);
    } else {
        o->layout = CV_H5IN_CONTIGUOUS;
        o->addr = cv_h5in_take(&p, end, 8, &bad);
        o->bytes = cv_h5in_take(&p, end, 8, &bad);
    }
    return bad ? cv_h5in_damaged(f, "is damaged: a layout") : 0;
}

static int read_filters(cv_h5in *f, const uint8_t *p, const uint8_t *end,
                        cv_h5in_object *o)
{
    int bad = 0;
    uint64_t version = cv_h5in_take(&p, end, 1, &bad);
    uint64_t n = cv_h5in_take(&p, end, 1, &bad);
    if (version == 1)
        (void)cv_h5in_skip(&p, end, 6, &bad);
    if (bad || version < 1 || version > 2 || n > CV_H5IN_FILTERS)
        return cv_h5in_damaged(f, "is damaged: a list of filters");
    for (uint64_t i = 0; i < n && !bad; i++) {
        uint64_t id = cv_h5in_take(&p, end, 2, &bad);
        uint64_t name =
            version == 1 || id >= 256 ? cv_h5in_take(&p, end, 2, &bad) : 0;
        (void)cv_h5in_take(&p, end, 2, &bad); /* optional or not */
        uint64_t values = cv_h5in_take(&p, end, 2, &bad);
        if (version == 1)
            name = (name + 7) / 8 * 8;
        (void)cv_h5in_skip(&p, end, name + 4 * values, &bad);
        if (version == 1 && values % 2)
            (void)cv_h5in_skip(&p, end, 4, &bad);
        if (!bad && (id < 1 || id > 3))
            return cv_h5in_damaged(f, "is packed in a way that is not read "
                                      "here (only gzip, shuffle and "
                                      "fletcher32 are); rewrite it with "
                                      "h5repack -f GZIP=1 OLD NEW");
        o->filters[i] = (uint16_t)id;
    }
    o->n_filters = (int)n;
    return bad ? cv_h5in_damaged(f, "is damaged: a list of filters") : 0;
}

static int read_attribute(cv_h5in *f, const uint8_t *p, const uint8_t *end,
                          cv_h5in_object *o)
{
    int bad = 0;
    cv_h5in_attr a = {0};
    uint64_t version = cv_h5in_take(&p, end, 1, &bad);
    uint64_t flags = cv_h5in_take(&p, end, 1, &bad);
    uint64_t n_name = cv_h5in_take(&p, end, 2, &bad);
    uint64_t n_type = cv_h5in_take(&p, end, 2, &bad);
    uint64_t n_space = cv_h5in_take(&p, end, 2, &bad);
    if (version == 3)
        (void)cv_h5in_skip(&p, end, 1, &bad);
    uint64_t pad = version == 1 ? 7 : 0;
    const uint8_t *name = cv_h5in_skip(&p, end, (n_name + pad) & ~pad, &bad);
    const uint8_t *type = cv_h5in_skip(&p, end, (n_type + pad) & ~pad, &bad);
    const uint8_t *space = cv_h5in_skip(&p, end, (n_space + pad) & ~pad, &bad);
    if (bad || version < 1 || version > 3)
        return cv_h5in_damaged(f, "is damaged: an attribute");
    if (version > 1 && flags & 3) /* its type lies elsewhere */
        a.type = (cv_h5in_type){.size = 1};
    else if (read_type(f, type, type + n_type, &a.type) ||
             read_space(f, space, space + n_space, &a.space))
        return -1;
    a.data = p;
    if (a.type.kind != CV_H5IN_OTHER &&
        a.space.count > (uint64_t)(end - p) / a.type.size)
        return cv_h5in_damaged(f, "is damaged: an attribute");
    if (o->n_attrs == o->attrs_cap) {
        o->attrs_cap = o->attrs_cap ? 2 * o->attrs_cap : 8;
        o->attrs = cv_realloc(o->attrs, o->attrs_cap, sizeof *o->attrs);
    }
    char *copy = cv_realloc(NULL, n_name + 1, 1);
    memcpy(copy, name, n_name);
    copy[n_name] = '\0';
    a.name = copy;
    o->attrs[o->n_attrs++] = a;
    return 0;
}

static int read_link(cv_h5in *f, const uint8_t *p, const uint8_t *end,
                     cv_h5in_object *o)
{
    int bad = 0;
    uint64_t version = cv_h5in_take(&p, end, 1, &bad);
    uint64_t flags = cv_h5in_take(&p, end, 1, &bad);
    uint64_t type = flags & 8 ? cv_h5in_take(&p, end, 1, &bad) : 0;
    (void)cv_h5in_skip(&p, end, (flags & 4 ? 8u : 0u) + (flags & 16 ? 1u : 0u),
                       &bad);
    uint64_t n = cv_h5in_take(&p, end, 1 << (flags & 3), &bad);
    const uint8_t *name = cv_h5in_skip(&p, end, n, &bad);
    if (bad || version != 1)
        return cv_h5in_damaged(f, "is damaged: a link");
    if (type != 0)
        return 0; /* soft and external links are not followed */
    uint64_t addr = cv_h5in_take(&p, end, 8, &bad);
    if (bad)
        return cv_h5in_damaged(f, "is damaged: a link");
    return cv_h5in_add_link(f, o, name, n, addr);
}

/* Link info and attribute info: are there some outside the header? */
static int check_info(cv_h5in *f, const uint8_t *p, const uint8_t *end,
                      unsigned order_bytes)
{
    int bad = 0;
    (void)cv_h5in_take(&p, end, 1, &bad);
    uint64_t flags = cv_h5in_take(&p, end, 1, &bad);
    (void)cv_h5in_skip(&p, end, flags & 1 ? order_bytes : 0, &bad);
    if (cv_h5in_take(&p, end, 8, &bad) != CV_H5IN_UNDEFINED || bad)
        return cv_h5in_damaged(f, NEWER);
    return 0;
}

static int read_message(cv_h5in *f, const cv_h5in_message *m, cv_h5in_object *o)
{
    int bad = 0;
    const uint8_t *p = m->p, *end = m->end;
    int shared = (m->flags & 2) != 0;
    if (shared && (m->type == MSG_SPACE || m->type == MSG_TYPE ||
                   m->type == MSG_FILTERS || m->type == MSG_ATTRIBUTE))
        return cv_h5in_damaged(f, NEWER);
    switch (m->type) {
    case MSG_SPACE:
        o->has_space = 1;
        return read_space(f, p, end, &o->space);
    case MSG_TYPE:
        o->has_type = 1;
        return read_type(f, p, end, &o->type);
    case MSG_LAYOUT:
        return read_layout(f, p, end, o);
    case MSG_FILTERS:
        return read_filters(f, p, end, o);
    case MSG_ATTRIBUTE:
        return read_attribute(f, p, end, o);
    case MSG_LINK:
        return read_link(f, p, end, o);
    case MSG_LINK_INFO:
        return check_info(f, p, end, 8);
    case MSG_ATTRIBUTE_INFO:
        return check_info(f, p, end, 2);
    case MSG_EXTERNAL:
        return cv_h5in_damaged(f, "keeps its data in another file; rewrite it "
                                  "with h5repack -l CONTI OLD NEW");
    case MSG_TABLE:
        o->is_table = 1;
        o->table_tree = cv_h5in_take(&p, end, 8, &bad);
        o->table_heap = cv_h5in_take(&p, end, 8, &bad);
        return bad ? cv_h5in_damaged(f, "is damaged: a group") : 0;
    default:
        return 0;
    }
}

int cv_h5in_load(cv_h5in *f, uint64_t addr, cv_h5in_object *o)
{
    cv_h5in_message *messages = NULL;
    size_t n = 0;
    *o = (cv_h5in_object){0};
    int rc = cv_h5in_header(f, addr, o, &messages, &n);
    for (size_t i = 0; i < n && !rc; i++)
        rc = read_message(f, &messages[i], o);
    free(messages);
    if (!rc && o->is_table)
        rc = cv_h5in_table_links(f, o);
    return rc;
}

void cv_h5in_free(cv_h5in_object *o)
{
    for (size_t i = 0; i < o->n_blocks; i++)
        free(o->blocks[i]);
    for (size_t i = 0; i < o->n_links; i++)
        free(o->links[i].name);
    for (size_t i = 0; i < o->n_attrs; i++)
        free((char *)(uintptr_t)o->attrs[i].name);
    free((void *)o->blocks);
    free(o->links);
    free(o->attrs);
    free(o->chunks);
    *o = (cv_h5in_object){0};
}

const cv_h5in_link *cv_h5in_find(const cv_h5in_object *o, const char *name)
{
    for (size_t i = 0; i < o->n_links; i++)
        if (strcmp(o->links[i].name, name) == 0)
            return &o->links[i];
    return NULL;
}

const cv_h5in_attr *cv_h5in_attribute(const cv_h5in_object *o, const char *name)
{
    for (size_t i = 0; i < o->n_attrs; i++)
        if (strcmp(o->attrs[i].name, name) == 0)
            return &o->attrs[i];
    return NULL;
}
