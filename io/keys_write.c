/* The canonical text: sorted keys, defaults filled in, one way to write each
 * value. It is hashed, so it may never change for a struct that has not. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "io/keys.h"

typedef struct {
    const cv_keys *keys;
    const cv_key **sorted; /* (keys->n) by path */
    const void *root;
    unsigned skip;
    cv_buf *out;
    size_t nodes;
} writer;

/* A run of sorted rows that share a prefix, and the struct they point into. */
typedef struct {
    size_t lo, hi;
    size_t prefix; /* characters of the path that are already said */
    const void *base;
    int indent;
} level;

static int int_at(const void *base, size_t offset)
{
    return *(const int *)((const char *)base + offset);
}

static int is_given(const cv_key *key, const void *base)
{
    const char *at = (const char *)base + key->offset;
    if (key->flags & CV_KEY_QUIET)
        return strcmp(cv_keys_word(key, base), key->def) != 0;
    if (key->type == CV_KEY_TEXT || key->type == CV_KEY_NAME)
        return *(char *const *)at != NULL; /* a check may take a default away */
    if (key->def || (key->flags & CV_KEY_REQUIRED))
        return 1;
    switch (key->type) {
    case CV_KEY_INT:
    case CV_KEY_BOOL:
    case CV_KEY_WORD:
        return *(const int *)at != 0;
    case CV_KEY_I64:
        return *(const int64_t *)at != 0;
    case CV_KEY_NUMBER:
        return *(const double *)at < 0 || *(const double *)at > 0;
    default:
        return int_at(base, key->count) != 0;
    }
}

static void write_list(writer *w, const cv_key *key, const void *base)
{
    const char *at = (const char *)base + key->offset;
    int n = key->type == CV_KEY_PAIR ? 2 : int_at(base, key->count);
    for (int i = 0; i < n; i++) {
        cv_buf_printf(w->out, "%s", i ? ", " : "[");
        if (key->type == CV_KEY_INTS)
            cv_buf_printf(w->out, "%d", ((const int *)at)[i]);
        else if (key->type == CV_KEY_PAIR)
            cv_yaml_put_f64(w->out, ((const double *)at)[i]);
        else
            cv_yaml_put_text(w->out, (*(char **const *)at)[i]);
    }
    cv_buf_printf(w->out, "]");
    w->nodes += (size_t)n;
}

static void write_scalar(writer *w, const cv_key *key, const void *base)
{
    const char *at = (const char *)base + key->offset;
    switch (key->type) {
    case CV_KEY_INT:
        cv_buf_printf(w->out, "%d", *(const int *)at);
        break;
    case CV_KEY_I64:
        cv_buf_printf(w->out, "%lld", (long long)*(const int64_t *)at);
        break;
    case CV_KEY_NUMBER:
        cv_yaml_put_f64(w->out, *(const double *)at);
        break;
    case CV_KEY_BOOL:
        cv_buf_printf(w->out, "%s", *(const int *)at ? "true" : "false");
        break;
    case CV_KEY_TEXT:
        cv_yaml_put_text(w->out, *(char *const *)at);
        break;
    case CV_KEY_WORD:
    case CV_KEY_NAME:
        cv_buf_printf(w->out, "%s", cv_keys_word(key, base));
        break;
    default:
        write_list(w, key, base);
    }
}

static void write_level(writer *w, const level *l);

static size_t end_of_prefix(const writer *w, size_t lo, const char *prefix,
                            size_t n)
{
    while (lo < w->keys->n && strncmp(w->sorted[lo]->path, prefix, n) == 0)
        lo++;
    return lo;
}

/* Items as "- key: value" blocks: each is written as a level of its own, and
 * its first line then gets the dash. */
static void write_items(writer *w, const cv_key *key, const level *l)
{
    char *prefix = cv_asprintf("%s[].", key->path);
    size_t n = strlen(prefix);
    level below = {.prefix = n, .indent = l->indent + 4};
    for (below.lo = l->lo; below.lo < l->hi; below.lo++)
        if (strncmp(w->sorted[below.lo]->path, prefix, n) == 0)
            break;
    below.hi = end_of_prefix(w, below.lo, prefix, n);
    const char *items = *(char *const *)((const char *)l->base + key->offset);
    int count = int_at(l->base, key->count);
    for (int i = 0; i < count; i++) {
        size_t start = w->out->len;
        below.base = items + (size_t)i * key->size;
        write_level(w, &below);
        CV_CHECK(w->out->len > start);
        w->out->data[start + (size_t)l->indent + 2] = '-';
        w->nodes++;
    }
    free(prefix);
}

static void write_row(writer *w, const cv_key *key, const level *l)
{
    if (key->type == CV_KEY_SECTION || (key->flags & w->skip) ||
        !cv_keys_applies(w->keys, key, w->root, l->base))
        return;
    int is_list = key->type == CV_KEY_LIST || key->type == CV_KEY_LIST_OR_MAP;
    if (key->type == CV_KEY_LIST_OR_MAP && int_at(l->base, key->flag))
        return;
    if (!is_given(key, l->base))
        return;
    w->nodes += 2;
    cv_buf_printf(w->out, "%*s%s:", l->indent, "", key->path + l->prefix);
    if (is_list) {
        cv_buf_printf(w->out, "\n");
        write_items(w, key, l);
        return;
    }
    cv_buf_printf(w->out, " ");
    write_scalar(w, key, l->base);
    cv_buf_printf(w->out, "\n");
}

/* Rows lo.. begin with the same section; returns the end of it. */
static size_t write_section(writer *w, const level *l, size_t lo)
{
    const char *path = w->sorted[lo]->path;
    size_t n = l->prefix + strcspn(path + l->prefix, ".");
    level below = {.lo = lo,
                   .hi = end_of_prefix(w, lo, path, n + 1),
                   .prefix = n + 1,
                   .base = l->base,
                   .indent = l->indent + 2};
    const cv_key *key = cv_keys_find(w->keys, path, n);
    if (key && (!int_at(l->base, key->flag) || (key->flags & w->skip)))
        return below.hi;
    size_t start = w->out->len, nodes = w->nodes;
    cv_buf_printf(w->out, "%*s%.*s:\n", l->indent, "", (int)(n - l->prefix),
                  path + l->prefix);
    w->nodes += 2;
    size_t head = w->out->len;
    write_level(w, &below);
    if (w->out->len == head) { /* every key is skipped or not given */
        w->out->len = start;
        w->out->data[start] = '\0';
        w->nodes = nodes;
        if (key) /* but that the section is there counts */
            cv_buf_printf(w->out, "%*s%s: {}\n", l->indent, "",
                          key->path + l->prefix);
    }
    return below.hi;
}

static void write_level(writer *w, const level *l)
{
    size_t i = l->lo;
    while (i < l->hi) {
        const char *rest = w->sorted[i]->path + l->prefix;
        const char *end = rest + strcspn(rest, ".[");
        if (*end == '.') {
            i = write_section(w, l, i);
            continue;
        }
        if (*end == '\0') /* members of items are written with their list */
            write_row(w, w->sorted[i], l);
        i++;
    }
}

static int by_path(const void *a, const void *b)
{
    const cv_key *p = *(const cv_key *const *)a, *q = *(const cv_key *const *)b;
    return strcmp(p->path, q->path);
}

size_t cv_keys_write(const cv_keys *keys, cv_buf *out, const void *base,
                     unsigned skip)
{
    writer w = {
        .keys = keys, .root = base, .skip = skip, .out = out, .nodes = 1};
    w.sorted = cv_realloc(NULL, keys->n, sizeof *w.sorted);
    for (size_t i = 0; i < keys->n; i++)
        w.sorted[i] = &keys->row[i];
    qsort(w.sorted, keys->n, sizeof *w.sorted, by_path);
    level top = {.hi = keys->n, .base = base};
    write_level(&w, &top);
    free(w.sorted);
    return w.nodes;
}
