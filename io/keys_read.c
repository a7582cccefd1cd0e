/* From a tree to a struct. First the shape (no key without a row, sections are
 * maps), then the values in two passes: keys whose use depends on another key
 * come after that key. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/text.h"
#include "io/keys.h"
#include "io/keys_message.h"

typedef cv_keys_reader reader;

/* Any row below path ("path.x")? */
static int is_section(const cv_keys *keys, const char *path)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < keys->n; i++)
        if (strncmp(keys->row[i].path, path, n) == 0 &&
            keys->row[i].path[n] == '.')
            return 1;
    return 0;
}

static int is_list_of_maps(const cv_key *key)
{
    return key->type == CV_KEY_LIST || key->type == CV_KEY_LIST_OR_MAP;
}

static int check_map(const reader *r, const cv_yaml *map, const char *prefix);

static int check_member(const reader *r, const cv_yaml *member,
                        const char *prefix)
{
    char path[128], below[132];
    int n = snprintf(path, sizeof path, "%s%s", prefix, member->key);
    if (n >= (int)sizeof path || strpbrk(member->key, ".[]"))
        return cv_keys_unknown(r, member, prefix);
    const cv_key *key = cv_keys_find(r->keys, path, (size_t)n);
    int section = is_section(r->keys, path), rc = 0;
    if (!key && !section)
        return cv_keys_unknown(r, member, prefix);
    if (key && is_list_of_maps(key) && member->kind == CV_YAML_LIST) {
        snprintf(below, sizeof below, "%s[].", path);
        for (size_t i = 0; i < member->n && !rc; i++)
            rc = check_map(r, &member->item[i], below);
    } else if (section) {
        snprintf(below, sizeof below, "%s.", path);
        /* "checkpoint:" with every key below it commented out is a section;
         * a scalar for a list gets the list's own message. */
        if (!cv_yaml_is_null(member) &&
            !(key && is_list_of_maps(key) && member->kind == CV_YAML_SCALAR))
            rc = check_map(r, member, below);
    }
    return rc;
}

static int check_map(const reader *r, const cv_yaml *map, const char *prefix)
{
    int rc = 0;
    if (map->kind != CV_YAML_MAP)
        return cv_keys_not_map(r, prefix, map);
    for (size_t i = 0; i < map->n && !rc; i++)
        rc = check_member(r, &map->item[i], prefix);
    return rc;
}

/* The node at "a.b.c" below node, or NULL. */
static const cv_yaml *lookup(const cv_yaml *node, const char *path)
{
    char name[64];
    while (node && *path) {
        size_t n = strcspn(path, ".");
        CV_CHECK(n < sizeof name);
        memcpy(name, path, n);
        name[n] = '\0';
        node = cv_yaml_get(node, name);
        path += n + (path[n] == '.');
    }
    return node;
}

static int in_range(const cv_key_range *r, double v)
{
    return v >= r->lo && v <= r->hi && !(r->above && v <= r->lo) &&
           !(r->below && v >= r->hi);
}

static int get_int(const cv_key *key, const cv_yaml *node, int64_t *v)
{
    /* Tables give ints a range that fits an int. */
    CV_CHECK(key->type == CV_KEY_I64 ||
             (key->range.lo >= INT_MIN && key->range.hi <= INT_MAX));
    return cv_yaml_i64(node, v) == 0 && in_range(&key->range, (double)*v);
}

static int get_text(const cv_key *key, const cv_yaml *node, char **text)
{
    enum { MAX_TEXT = 4096 };
    size_t most = key->max_bytes ? (size_t)key->max_bytes : MAX_TEXT;
    if (node->kind != CV_YAML_SCALAR || cv_yaml_is_null(node) ||
        !node->text[0] || strlen(node->text) > most ||
        !cv_yaml_is_clean(node->text))
        return 0;
    char *copy = cv_strdup(node->text);
    if (key->check && key->check(copy) != 0) {
        free(copy);
        return 0;
    }
    *text = copy;
    return 1;
}

static int get_word(const cv_key *key, const cv_yaml *node, int *index)
{
    if (node->kind != CV_YAML_SCALAR)
        return 0;
    for (int i = 0; key->words[i]; i++)
        if (strcmp(key->words[i], node->text) == 0) {
            *index = i;
            return 1;
        }
    return 0;
}

static int check_repeats(const reader *r, const cv_key *key,
                         const cv_yaml *const *nodes, char *const *texts,
                         size_t n)
{
    size_t a, b;
    if (!(key->flags & CV_KEY_UNIQUE) ||
        !cv_yaml_repeat((const char *const *)texts, n, &a, &b))
        return 0;
    return cv_keys_repeated(r, key, nodes[a], nodes[b]);
}

static int has_items(const cv_key *key, const cv_yaml *node)
{
    size_t least = key->min_items ? (size_t)key->min_items : 1;
    return node->kind == CV_YAML_LIST && node->n >= least &&
           node->n <= (size_t)key->max_items;
}

static int read_texts(const reader *r, const cv_key *key, void *base,
                      const cv_yaml *node)
{
    if (!has_items(key, node))
        return cv_keys_wrong(r, key, node);
    char **texts = CV_NEW(node->n, char *);
    *(char ***)((char *)base + key->offset) = texts;
    *(int *)((char *)base + key->count) = (int)node->n;
    const cv_yaml **nodes = cv_realloc(NULL, node->n, sizeof *nodes);
    int rc = 0;
    for (size_t i = 0; i < node->n && !rc; i++) {
        nodes[i] = &node->item[i];
        if (!get_text(key, nodes[i], &texts[i]))
            rc = cv_keys_wrong(r, key, nodes[i]);
    }
    if (!rc)
        rc = check_repeats(r, key, nodes, texts, node->n);
    free(nodes);
    return rc;
}

static int read_ints(const reader *r, const cv_key *key, void *base,
                     const cv_yaml *node)
{
    int *out = (int *)((char *)base + key->offset);
    if (!has_items(key, node))
        return cv_keys_wrong(r, key, node);
    for (size_t i = 0; i < node->n; i++) {
        int64_t v;
        if (!get_int(key, &node->item[i], &v))
            return cv_keys_wrong(r, key, &node->item[i]);
        out[i] = (int)v;
    }
    *(int *)((char *)base + key->count) = (int)node->n;
    return 0;
}

static int read_pair(const reader *r, const cv_key *key, void *base,
                     const cv_yaml *node)
{
    double *out = (double *)((char *)base + key->offset);
    if (node->kind != CV_YAML_LIST || node->n != 2)
        return cv_keys_wrong(r, key, node);
    for (size_t i = 0; i < 2; i++)
        if (cv_yaml_f64(&node->item[i], &out[i]) != 0)
            return cv_keys_wrong(r, key, &node->item[i]);
    if (out[0] >= out[1])
        return cv_keys_wrong(r, key, node);
    *(int *)((char *)base + key->count) = 1;
    return 0;
}

static int read_scalar(const reader *r, const cv_key *key, void *base,
                       const cv_yaml *node)
{
    void *at = (char *)base + key->offset;
    int64_t whole;
    double number;
    int word, ok;
    switch (key->type) {
    case CV_KEY_INT:
        if ((ok = get_int(key, node, &whole)))
            *(int *)at = (int)whole;
        break;
    case CV_KEY_I64:
        if ((ok = get_int(key, node, &whole)))
            *(int64_t *)at = whole;
        break;
    case CV_KEY_NUMBER:
        ok = cv_yaml_f64(node, &number) == 0 && in_range(&key->range, number);
        if (ok)
            *(double *)at = number;
        break;
    case CV_KEY_BOOL:
        ok = cv_yaml_bool(node, (int *)at) == 0;
        break;
    case CV_KEY_TEXT:
        ok = get_text(key, node, (char **)at);
        break;
    default:
        CV_CHECK(key->type == CV_KEY_WORD || key->type == CV_KEY_NAME);
        if ((ok = get_word(key, node, &word))) {
            if (key->type == CV_KEY_NAME)
                *(char **)at = cv_strdup(key->words[word]);
            else
                *(int *)at = word;
        }
    }
    return ok ? 0 : cv_keys_wrong(r, key, node);
}

static int read_value(const reader *r, const cv_key *key, void *base,
                      const cv_yaml *node)
{
    switch (key->type) {
    case CV_KEY_TEXTS:
        return read_texts(r, key, base, node);
    case CV_KEY_INTS:
        return read_ints(r, key, base, node);
    case CV_KEY_PAIR:
        return read_pair(r, key, base, node);
    default:
        return read_scalar(r, key, base, node);
    }
}

/* A default goes the way of a value that the user wrote. */
static int read_default(const reader *r, const cv_key *key, void *base)
{
    cv_yaml node = {.kind = CV_YAML_SCALAR, .text = (char *)key->def};
    int rc = read_value(r, key, base, &node);
    CV_CHECK(rc == 0);
    return rc;
}

/* Are the optional sections around this row there? path begins with `start`,
 * which map stands for. */
static int is_open(const reader *r, const cv_key *key, size_t start,
                   const cv_yaml *map)
{
    for (const char *dot = strchr(key->path + start, '.'); dot;
         dot = strchr(dot + 1, '.')) {
        size_t n = (size_t)(dot - key->path);
        const cv_key *section = cv_keys_find(r->keys, key->path, n);
        if (!section)
            continue;
        char path[128];
        memcpy(path, key->path, n);
        path[n] = '\0';
        const cv_yaml *node = lookup(map, path + start);
        if (!node || (is_list_of_maps(section) && node->kind != CV_YAML_MAP))
            return 0;
    }
    return 1;
}

/* Does another row of the same path apply? */
static int has_variant(const reader *r, const cv_key *key, const void *item)
{
    for (size_t i = 0; i < r->keys->n; i++)
        if (strcmp(r->keys->row[i].path, key->path) == 0 &&
            cv_keys_applies(r->keys, &r->keys->row[i], r->base, item))
            return 1;
    return 0;
}

static int read_rows(const reader *r, int pass, const char *prefix, void *base,
                     const cv_yaml *map);

static int check_unique_members(const reader *r, const cv_key *list,
                                const cv_yaml *node, const char *items)
{
    size_t len = strlen(list->path);
    int rc = 0;
    const cv_yaml **nodes = cv_realloc(NULL, node->n, sizeof *nodes);
    char **texts = cv_realloc(NULL, node->n, sizeof *texts);
    for (size_t i = 0; i < r->keys->n && !rc; i++) {
        const cv_key *key = &r->keys->row[i];
        if (key->type != CV_KEY_TEXT || !(key->flags & CV_KEY_UNIQUE) ||
            strncmp(key->path, list->path, len) != 0 ||
            strncmp(key->path + len, "[].", 3) != 0)
            continue;
        for (size_t j = 0; j < node->n; j++) {
            nodes[j] = lookup(&node->item[j], key->path + len + 3);
            texts[j] = *(char *const *)(items + j * list->size + key->offset);
        }
        rc = check_repeats(r, key, nodes, texts, node->n);
    }
    free(nodes);
    free(texts);
    return rc;
}

static int read_list_of_maps(const reader *r, int pass, const cv_key *key,
                             void *base, const cv_yaml *node)
{
    char **items = (char **)((char *)base + key->offset);
    char prefix[132];
    int rc = 0;
    CV_CHECK(!key->when && !strstr(key->path, "[]"));
    if (!has_items(key, node))
        return cv_keys_wrong(r, key, node);
    if (pass == 0) {
        *items = cv_calloc(node->n, key->size);
        *(int *)((char *)base + key->count) = (int)node->n;
    }
    snprintf(prefix, sizeof prefix, "%s[].", key->path);
    for (size_t i = 0; i < node->n && !rc; i++)
        rc = read_rows(r, pass, prefix, *items + i * key->size, &node->item[i]);
    if (!rc && pass == 0)
        rc = check_unique_members(r, key, node, *items);
    return rc;
}

static int read_row(const reader *r, int pass, const cv_key *key, size_t start,
                    void *base, const cv_yaml *map)
{
    const cv_yaml *node = lookup(map, key->path + start);
    if (key->type == CV_KEY_SECTION) {
        *(int *)((char *)base + key->flag) = node != NULL;
        return 0;
    }
    if (node && is_list_of_maps(key)) {
        if (key->type == CV_KEY_LIST_OR_MAP && node->kind == CV_YAML_MAP) {
            /* A row below may keep its own value there (silos.count). */
            int *flag = (int *)((char *)base + key->flag);
            *flag = *flag ? *flag : 1;
            return 0;
        }
        return read_list_of_maps(r, pass, key, base, node);
    }
    if ((key->when != NULL) != pass)
        return 0;
    if (!cv_keys_applies(r->keys, key, r->base, base))
        return node && !has_variant(r, key, base)
                   ? cv_keys_unused(r, key, node, base)
                   : 0;
    if (node)
        return read_value(r, key, base, node);
    if (key->flags & CV_KEY_REQUIRED)
        return cv_keys_missing(r, key, cv_keys_line(map, key->path + start));
    return key->def ? read_default(r, key, base) : 0;
}

/* Rows that begin with prefix, except those of lists further in. */
static int read_rows(const reader *r, int pass, const char *prefix, void *base,
                     const cv_yaml *map)
{
    size_t start = strlen(prefix);
    int rc = 0;
    for (size_t i = 0; i < r->keys->n && !rc; i++) {
        const cv_key *key = &r->keys->row[i];
        if (strncmp(key->path, prefix, start) == 0 &&
            !strstr(key->path + start, "[]") && is_open(r, key, start, map))
            rc = read_row(r, pass, key, start, base, map);
    }
    return rc;
}

int cv_keys_read(const cv_keys *keys, void *base, const cv_yaml *tree,
                 const char *file, cv_err *err)
{
    reader r = {keys, base, tree, file, err};
    int rc = check_map(&r, tree, "");
    for (int pass = 0; pass < 2 && !rc; pass++)
        rc = read_rows(&r, pass, "", base, tree);
    return rc;
}
