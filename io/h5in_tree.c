/* HDF5 input: version 1 B-trees, of the names in a group and of the chunks of a
 * data set (sections III.A to III.D of the specification). */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "io/h5in.h"
#include "io/names.h"

/* Walks a tree; every node is charged to the budget, and levels only fall, so
 * it ends. */
typedef struct walk {
    cv_h5in *f;
    cv_h5in_object *o;
    int type; /* 0: group, 1: chunks */
    unsigned key_bytes;
    int (*leaf)(struct walk *w, const uint8_t *key, uint64_t child);
    uint8_t *names; /* local heap of a group */
    uint64_t names_bytes;
} walk;

static int walk_node(walk *w, uint64_t addr, int level)
{
    uint8_t head[24], *node = NULL;
    if (cv_h5in_pread(w->f, addr, sizeof head, head))
        return -1;
    int this_level = head[5], n = head[6] | head[7] << 8;
    if (memcmp(head, "TREE", 4) != 0 || head[4] != w->type ||
        (level >= 0 && this_level != level))
        return cv_h5in_damaged(w->f, "is damaged: an index");
    unsigned step = w->key_bytes + 8;
    if (cv_h5in_bytes(w->f, addr + sizeof head, (uint64_t)n * step + 1, &node))
        return -1;
    int rc = 0;
    for (int i = 0; i < n && !rc; i++) {
        const uint8_t *key = node + (size_t)i * step, *p = key + w->key_bytes;
        int bad = 0;
        uint64_t child = cv_h5in_take(&p, p + 8, 8, &bad);
        rc = this_level ? walk_node(w, child, this_level - 1)
                        : w->leaf(w, key, child);
    }
    free(node);
    return rc;
}

int cv_h5in_add_link(cv_h5in *f, cv_h5in_object *o, const uint8_t *name,
                     size_t len, uint64_t addr)
{
    if (len == 0 || len > 1000 || memchr(name, '\0', len))
        return cv_h5in_damaged(f, "is damaged: a name");
    if (o->n_links == o->links_cap) {
        o->links_cap = o->links_cap ? 2 * o->links_cap : 8;
        o->links = cv_realloc(o->links, o->links_cap, sizeof *o->links);
    }
    char *copy = cv_realloc(NULL, len + 1, 1);
    memcpy(copy, name, len);
    copy[len] = '\0';
    o->links[o->n_links++] = (cv_h5in_link){copy, addr};
    return 0;
}

/* A symbol table node: up to 2 k entries of 40 bytes. */
static int leaf_names(walk *w, const uint8_t *key, uint64_t child)
{
    uint8_t head[8], *entries = NULL;
    (void)key;
    if (cv_h5in_pread(w->f, child, sizeof head, head))
        return -1;
    if (memcmp(head, "SNOD\1", 5) != 0)
        return cv_h5in_damaged(w->f, "is damaged: a group");
    int n = head[6] | head[7] << 8, rc = 0;
    if (cv_h5in_bytes(w->f, child + sizeof head, (uint64_t)n * 40, &entries))
        return -1;
    for (int i = 0; i < n && !rc; i++) {
        int bad = 0;
        const uint8_t *p = entries + (size_t)i * 40, *end = p + 40;
        uint64_t at = cv_h5in_take(&p, end, 8, &bad);
        uint64_t addr = cv_h5in_take(&p, end, 8, &bad);
        uint64_t cache = cv_h5in_take(&p, end, 4, &bad);
        if (at >= w->names_bytes)
            rc = cv_h5in_damaged(w->f, "is damaged: a name");
        else if (cache != 2) /* 2: a soft link, not followed */
            rc = cv_h5in_add_link(
                w->f, w->o, w->names + at,
                strnlen((const char *)w->names + at, w->names_bytes - at),
                addr);
    }
    free(entries);
    return rc;
}

int cv_h5in_table_links(cv_h5in *f, cv_h5in_object *o)
{
    uint8_t head[32];
    const uint8_t *p = head + 8, *end = head + sizeof head;
    int bad = 0;
    if (cv_h5in_pread(f, o->table_heap, sizeof head, head))
        return -1;
    if (memcmp(head, "HEAP\0", 5) != 0)
        return cv_h5in_damaged(f, "is damaged: a group");
    walk w = {.f = f, .o = o, .key_bytes = 8, .leaf = leaf_names};
    w.names_bytes = cv_h5in_take(&p, end, 8, &bad);
    (void)cv_h5in_take(&p, end, 8, &bad);
    uint64_t addr = cv_h5in_take(&p, end, 8, &bad);
    int rc = cv_h5in_bytes(f, addr, w.names_bytes, &w.names);
    if (!rc)
        rc = walk_node(&w, o->table_tree, -1);
    free(w.names);
    return rc;
}

static uint64_t chunks_along(uint64_t n, uint64_t chunk)
{
    return n / chunk + (n % chunk != 0);
}

static int leaf_chunk(walk *w, const uint8_t *key, uint64_t child)
{
    cv_h5in_object *o = w->o;
    const uint8_t *p = key, *end = key + w->key_bytes;
    uint64_t at[2] = {0, 0};
    int bad = 0;
    uint32_t bytes = (uint32_t)cv_h5in_take(&p, end, 4, &bad);
    uint32_t mask = (uint32_t)cv_h5in_take(&p, end, 4, &bad);
    for (int i = 0; i < o->chunk_rank; i++)
        at[i] = cv_h5in_take(&p, end, 8, &bad);
    if (at[0] >= o->space.dims[0] || at[1] >= o->space.dims[1] ||
        at[0] % o->chunk[0] || at[1] % o->chunk[1])
        return cv_h5in_damaged(w->f, "is damaged: place of a chunk");
    uint64_t across = chunks_along(o->space.dims[1], o->chunk[1]);
    cv_h5in_chunk *c =
        &o->chunks[at[0] / o->chunk[0] * across + at[1] / o->chunk[1]];
    if (c->bytes || bytes == 0)
        return cv_h5in_damaged(w->f, "is damaged: a chunk is there twice");
    *c = (cv_h5in_chunk){child, bytes, mask};
    return 0;
}

int cv_h5in_index(cv_h5in *f, cv_h5in_object *o)
{
    if (o->chunk_rank != o->space.rank)
        return cv_h5in_damaged(f, "is damaged: a layout");
    uint64_t down = chunks_along(o->space.dims[0], o->chunk[0]);
    uint64_t across = chunks_along(o->space.dims[1], o->chunk[1]), n;
    /* Each takes 32 bytes and more in the index. */
    if (__builtin_mul_overflow(down, across, &n) || n > (uint64_t)f->size / 32)
        return cv_h5in_damaged(f, "holds less data than its shape says");
    o->chunks = CV_NEW(n, cv_h5in_chunk);
    walk w = {.f = f,
              .o = o,
              .type = 1,
              .key_bytes = 8 + 8 * ((unsigned)o->chunk_rank + 1),
              .leaf = leaf_chunk};
    if (o->addr == CV_H5IN_UNDEFINED)
        return cv_h5in_damaged(f, "holds less data than its shape says");
    if (walk_node(&w, o->addr, -1))
        return -1;
    for (uint64_t i = 0; i < n; i++)
        if (o->chunks[i].bytes == 0)
            return cv_h5in_damaged(f, "holds less data than its shape says");
    return 0;
}
