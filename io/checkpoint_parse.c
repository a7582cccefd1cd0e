/* Reading a checkpoint, middle layer: from header messages to a list of
 * groups, arrays and attributes. Section IV.A.2 of the specification. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "io/checkpoint_reader.h"

#define UNDEFINED UINT64_MAX

enum {
    MSG_SPACE = 0x01,
    MSG_LINK_INFO = 0x02,
    MSG_TYPE = 0x03,
    MSG_FILL_OLD = 0x04,
    MSG_FILL = 0x05,
    MSG_LINK = 0x06,
    MSG_LAYOUT = 0x08,
    MSG_GROUP_INFO = 0x0A,
    MSG_ATTRIBUTE = 0x0C,
    MSG_CONTINUATION = 0x10,
    MSG_ATTRIBUTE_INFO = 0x15
};

typedef struct {
    char *name;
    uint64_t order; /* of creation */
    int64_t addr;
} link_to;

/* What one header says, before it becomes a node. */
typedef struct {
    int has_links, has_space, has_type, has_layout;
    uint64_t addr, bytes; /* of the data */
    uint64_t heap;        /* of links, or UNDEFINED */
    size_t n_links, cap;
    link_to *links;
} object;

static cv_h5_cursor cursor(const uint8_t *p, size_t n)
{
    return (cv_h5_cursor){p, p + n, 0};
}

/* A dataspace message: 0, or -1. */
static int read_space(cv_h5_cursor *c, cv_h5_layout *l)
{
    uint64_t version = cv_h5_take(c, 1), rank = cv_h5_take(c, 1);
    uint64_t flags = cv_h5_take(c, 1), type = cv_h5_take(c, 1);
    if (c->bad || version != 2 || rank > 4 || flags > 1 || type > 1 ||
        (type == 0) != (rank == 0))
        return -1;
    l->rank = (int)rank;
    for (uint64_t i = 0; i < rank; i++)
        l->dims[i] = (int64_t)cv_h5_take(c, 8);
    /* Largest dimensions are the same; a contiguous array cannot grow. */
    if (flags)
        cv_h5_skip(c, 8 * rank);
    return c->bad ? -1 : 0;
}

/* The type of one value: a number as HDF5 spells it, or text. */
static int read_simple(cv_h5_cursor *c, int *kind, size_t *size)
{
    /* Class and version, 3 bytes of bits, size, then class properties. */
    static const struct {
        uint8_t class, bits[3], size, n, properties[12];
    } number[] = {
        [CV_H5_F32] = {1,
                       {0x20, 0x1f, 0},
                       4,
                       12,
                       {0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0}},
        [CV_H5_F64] = {1,
                       {0x20, 0x3f, 0},
                       8,
                       12,
                       {0, 0, 64, 0, 52, 11, 0, 52, 255, 3, 0, 0}},
        [CV_H5_I32] = {0, {0x08, 0, 0}, 4, 4, {0, 0, 32, 0}},
        [CV_H5_I64] = {0, {0x08, 0, 0}, 8, 4, {0, 0, 64, 0}},
        [CV_H5_U8] = {0, {0, 0, 0}, 1, 4, {0, 0, 8, 0}},
    };
    static const uint8_t utf8_zero_padded[3] = {0x11, 0, 0};
    uint64_t class = cv_h5_take(c, 1);
    const uint8_t *bits = cv_h5_skip(c, 3);
    *size = cv_h5_take(c, 4);
    if (c->bad || class >> 4 < 1 || class >> 4 > 3 || *size == 0)
        return -1;
    class &= 15;
    if (class == 3) {
        *kind = CV_H5_STRING;
        return memcmp(bits, utf8_zero_padded, 3) == 0 ? 0 : -1;
    }
    for (int k = CV_H5_F32; k <= CV_H5_U8; k++) {
        if (number[k].class != class || number[k].size != *size ||
            memcmp(number[k].bits, bits, 3) != 0)
            continue;
        const uint8_t *p = cv_h5_skip(c, number[k].n);
        *kind = k;
        return p && memcmp(p, number[k].properties, number[k].n) == 0 ? 0 : -1;
    }
    return -1;
}

/* A name that ends with a zero byte; NULL if there is none. */
static char *read_name(cv_h5_cursor *c)
{
    const uint8_t *p = c->p;
    size_t left = (size_t)(c->end - c->p), n = strnlen((const char *)p, left);
    if (c->bad || n == left || !cv_h5_name_ok((const char *)p, n))
        return NULL;
    c->p += n + 1;
    return cv_strdup((const char *)p);
}

/* A compound type of version 3: offsets take as few bytes as the row's size
 * needs. */
static int read_table(cv_h5_cursor *c, cv_h5_layout *l)
{
    cv_h5_skip(c, 1);
    uint64_t n = cv_h5_take(c, 3);
    l->size = cv_h5_take(c, 4);
    int width = l->size < 1 << 8    ? 1
                : l->size < 1 << 16 ? 2
                : l->size < 1 << 24 ? 3
                                    : 4;
    /* A column takes at least 11 bytes here. */
    if (c->bad || n == 0 || n > (uint64_t)(c->end - c->p) / 11)
        return -1;
    l->kind = CV_H5_TABLE;
    l->fields = CV_NEW(n, cv_h5_field);
    size_t at = 0;
    for (uint64_t i = 0; i < n; i++) {
        cv_h5_field *f = &l->fields[l->n_fields];
        f->name = read_name(c);
        if (!f->name)
            return -1;
        l->n_fields++;
        f->offset = cv_h5_take(c, width);
        if (read_simple(c, &f->kind, &f->size) != 0 || f->offset != at)
            return -1;
        at += f->size;
    }
    return at == l->size ? 0 : -1;
}

static int read_type(cv_h5_cursor *c, cv_h5_layout *l)
{
    if (c->p < c->end && c->p[0] == 0x36)
        return read_table(c, l);
    return read_simple(c, &l->kind, &l->size);
}

/* Contiguous: address and size. */
static int read_layout(cv_h5_cursor *c, object *o)
{
    uint64_t version = cv_h5_take(c, 1), class = cv_h5_take(c, 1);
    o->addr = cv_h5_take(c, 8);
    o->bytes = cv_h5_take(c, 8);
    return c->bad || version != 3 || class != 1 ? -1 : 0;
}

static int read_link(void *arg, cv_h5_cursor *c)
{
    object *o = arg;
    uint64_t version = cv_h5_take(c, 1), flags = cv_h5_take(c, 1);
    uint64_t type = flags & 8 ? cv_h5_take(c, 1) : 0;
    uint64_t order = flags & 4 ? cv_h5_take(c, 8) : 0;
    cv_h5_skip(c, flags & 16 ? 1 : 0); /* character set */
    uint64_t n = cv_h5_take(c, 1 << (flags & 3));
    const uint8_t *name = cv_h5_skip(c, n);
    uint64_t addr = cv_h5_take(c, 8);
    if (c->bad || version != 1 || type != 0 ||
        !cv_h5_name_ok((const char *)name, n) || memchr(name, '/', n))
        return -1;
    if (o->n_links == o->cap) {
        o->cap = o->cap ? 2 * o->cap : 8;
        o->links = cv_realloc(o->links, o->cap, sizeof *o->links);
    }
    o->links[o->n_links++] = (link_to){
        cv_asprintf("%.*s", (int)n, (const char *)name), order, (int64_t)addr};
    return 0;
}

/* Where links (2) or attributes (0x15) lie: in a heap, or here (UNDEFINED). */
static int read_info(cv_h5_cursor *c, size_t index_bytes, uint64_t *heap)
{
    uint64_t version = cv_h5_take(c, 1), flags = cv_h5_take(c, 1);
    cv_h5_skip(c, flags & 1 ? index_bytes : 0);
    *heap = cv_h5_take(c, 8);
    return c->bad || version != 0 ? -1 : 0;
}

static int read_attribute(cv_h5_cursor *c, cv_h5_attribute *a)
{
    cv_h5_layout l = {0};
    uint64_t version = cv_h5_take(c, 1), flags = cv_h5_take(c, 1);
    uint64_t name_n = cv_h5_take(c, 2), type_n = cv_h5_take(c, 2);
    uint64_t space_n = cv_h5_take(c, 2);
    cv_h5_skip(c, 1); /* character set */
    const uint8_t *name = cv_h5_skip(c, name_n);
    const uint8_t *type = cv_h5_skip(c, type_n);
    const uint8_t *space = cv_h5_skip(c, space_n);
    if (c->bad || version != 3 || flags != 0)
        return -1;
    cv_h5_cursor in = cursor(name, name_n);
    cv_h5_cursor ty = cursor(type, type_n), sp = cursor(space, space_n);
    a->name = read_name(&in);
    if (!a->name || read_simple(&ty, &a->kind, &a->size) != 0 ||
        read_space(&sp, &l) != 0 || l.rank != 0)
        return -1;
    const uint8_t *value = cv_h5_skip(c, a->size);
    if (!value)
        return -1;
    a->value = cv_realloc(NULL, a->size, 1);
    memcpy(a->value, value, a->size);
    return 0;
}

static int read_message(const cv_h5_message *m, cv_h5_node *node, object *o)
{
    cv_h5_cursor c = cursor(m->data, m->n);
    uint64_t attributes;
    if (m->flags & 2) /* shared: the message itself is elsewhere */
        return -1;
    switch (m->type) {
    case MSG_FILL_OLD:
    case MSG_FILL:
    case MSG_GROUP_INFO:
    case MSG_CONTINUATION:
        return 0;
    case MSG_SPACE:
        return o->has_space++ ? -1 : read_space(&c, &node->layout);
    case MSG_TYPE:
        return o->has_type++ ? -1 : read_type(&c, &node->layout);
    case MSG_LAYOUT:
        return o->has_layout++ ? -1 : read_layout(&c, o);
    case MSG_LINK_INFO:
        return o->has_links++ ? -1 : read_info(&c, 8, &o->heap);
    case MSG_LINK:
        return read_link(o, &c);
    case MSG_ATTRIBUTE_INFO:
        return read_info(&c, 2, &attributes) || attributes != UNDEFINED ? -1
                                                                        : 0;
    case MSG_ATTRIBUTE:
        return read_attribute(&c, &node->attrs[node->n_attrs++]);
    default: /* filters, external files, ...: not written by covey */
        return -1;
    }
}

/* A newer format may use what this reader does not know, so the version is
 * looked at before the rest. */
static int check_version(const cv_h5_reader *r, const cv_h5_header *h,
                         cv_err *err)
{
    for (size_t i = 0; i < h->n; i++) {
        const cv_h5_message *m = &h->messages[i];
        cv_h5_attribute a = {0};
        cv_h5_cursor c = cursor(m->data, m->n);
        int found = m->type == MSG_ATTRIBUTE && read_attribute(&c, &a) == 0 &&
                    a.kind == CV_H5_I64 &&
                    strcmp(a.name, CV_H5_VERSION_ATTR) == 0;
        int64_t v = found ? (int64_t)cv_get_le64(a.value) : 0;
        free(a.name);
        free(a.value);
        if (found && v > r->max_version)
            return cv_err_set(err, CV_ERR_VERIFY, r->path, 0,
                              "format version %" PRId64
                              ", expected at most %" PRId64
                              "; read it with a newer covey",
                              v, r->max_version);
        if (found && v > 0)
            return 0;
    }
    return cv_h5_damaged(r, err,
                         "expected a positive integer in the root "
                         "attribute " CV_H5_VERSION_ATTR);
}

static int by_order(const void *a, const void *b)
{
    const link_to *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

static cv_h5_node *new_node(cv_h5_reader *r, int64_t parent, const char *name)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 64;
        r->nodes = cv_realloc(r->nodes, r->cap, sizeof *r->nodes);
    }
    const char *above = parent > 0 ? r->nodes[parent].path : "";
    cv_h5_node *node = &r->nodes[r->n++];
    *node = (cv_h5_node){.parent = parent};
    node->path = cv_asprintf("%s/%s", above, name);
    node->name = strrchr(node->path, '/') + 1;
    return node;
}

/* Is it one thing, and is its data in the file? */
static int check_node(cv_h5_reader *r, cv_h5_node *node, const object *o,
                      cv_err *err)
{
    int parts = o->has_space + o->has_type + o->has_layout;
    node->is_group = o->has_links;
    if (node->is_group ? parts != 0 : parts != 3 || o->n_links != 0)
        return cv_h5_damaged(r, err, "'%.200s' is neither a group nor an array",
                             node->path);
    if (node->is_group)
        return 0;
    if (cv_h5_layout_count(&node->layout, &node->count, &node->bytes) != 0 ||
        (node->bytes && node->bytes != o->bytes) ||
        (node->layout.kind >= CV_H5_STRING &&
         (node->count > CV_H5_MAX_STRINGS ||
          node->layout.size > CV_H5_MAX_SIZE)) ||
        (node->layout.kind == CV_H5_TABLE && node->layout.rank != 1))
        return cv_h5_damaged(r, err, "shape and size of '%.200s'", node->path);
    node->addr = (int64_t)o->addr;
    return node->bytes ? cv_h5_claim(r, node->addr, node->bytes, err) : 0;
}

/* Everything a loaded header says about node, but not its members. */
static int read_object(cv_h5_reader *r, cv_h5_node *node, const cv_h5_header *h,
                       object *o, cv_err *err)
{
    size_t n_attrs = 0;
    for (size_t i = 0; i < h->n; i++)
        n_attrs += h->messages[i].type == MSG_ATTRIBUTE;
    r->n_attrs += n_attrs;
    if (r->n_attrs > 2 * CV_H5_MAX_ITEMS)
        return cv_h5_damaged(r, err, "too many attributes");
    node->attrs = CV_NEW(n_attrs, cv_h5_attribute);
    for (size_t i = 0; i < h->n; i++)
        if (read_message(&h->messages[i], node, o) != 0)
            return cv_h5_damaged(r, err,
                                 "'%.200s' has something covey does not write "
                                 "(header message %#x)",
                                 node->path, h->messages[i].type);
    int rc = o->heap == UNDEFINED
                 ? 0
                 : cv_h5_heap_links(r, o->heap, read_link, o, err);
    return rc ? rc : check_node(r, node, o, err);
}

static int parse_object(cv_h5_reader *r, int64_t parent, const char *name,
                        int64_t addr, int depth, cv_err *err)
{
    cv_h5_header h = {0};
    object o = {.heap = UNDEFINED};
    size_t self = r->n;
    cv_h5_node *node = new_node(r, parent, name);
    int rc = depth > CV_H5_MAX_DEPTH || r->n > 2 * CV_H5_MAX_NODES ||
                     strlen(node->path) > CV_H5_MAX_PATH
                 ? cv_h5_damaged(r, err, "too many groups")
                 : cv_h5_header_load(r, addr, &h, err);
    if (!rc && self == 0)
        rc = check_version(r, &h, err);
    if (!rc)
        rc = read_object(r, node, &h, &o, err);
    cv_h5_header_free(&h); /* members may need its room */
    if (o.n_links)
        qsort(o.links, o.n_links, sizeof *o.links, by_order);
    /* node may move from here on */
    for (size_t i = 0; !rc && i < o.n_links; i++)
        rc = parse_object(r, (int64_t)self, o.links[i].name, o.links[i].addr,
                          depth + 1, err);
    for (size_t i = 0; i < o.n_links; i++)
        free(o.links[i].name);
    free(o.links);
    return rc;
}

int cv_h5_parse(cv_h5_reader *r, int64_t root, cv_err *err)
{
    return parse_object(r, -1, "", root, 0, err);
}
