#include "io/keys_message.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/text.h"

enum { MAX_SIBLINGS = 64 };

/* "silos[].name" -> "silos.name": the line says which item it is. */
static const char *plain_path(char out[128], const char *path)
{
    size_t at = 0;
    for (; *path && at < 127; path++)
        if (*path != '[' && *path != ']')
            out[at++] = *path;
    while (at && out[at - 1] == '.')
        at--;
    out[at] = '\0';
    return out;
}

static void add_range(cv_buf *b, const cv_key_range *r)
{
    if (isinf(r->lo) && isinf(r->hi))
        return;
    if (r->lo >= r->hi)
        cv_buf_printf(b, " %.15g", r->lo);
    else if (isinf(r->hi))
        cv_buf_printf(b, " %s %.15g", r->above ? ">" : ">=", r->lo);
    else if (!r->above && !r->below)
        cv_buf_printf(b, " from %.15g to %.15g", r->lo, r->hi);
    else
        cv_buf_printf(b, " %s %.15g and %s %.15g", r->above ? ">" : ">=", r->lo,
                      r->below ? "<" : "<=", r->hi);
}

static void add_words(cv_buf *b, const char *const *words)
{
    for (const char *const *w = words; *w; w++)
        cv_buf_printf(b, "%s%s", w == words ? "" : ", ", *w);
}

static void add_expected(cv_buf *b, const cv_key *key)
{
    if (key->expected) {
        cv_buf_printf(b, "%s", key->expected);
        return;
    }
    switch (key->type) {
    case CV_KEY_INT:
    case CV_KEY_I64:
        cv_buf_printf(b, "a whole number");
        add_range(b, &key->range);
        break;
    case CV_KEY_NUMBER:
        cv_buf_printf(b, "a number");
        add_range(b, &key->range);
        break;
    case CV_KEY_BOOL:
        cv_buf_printf(b, "true or false");
        break;
    case CV_KEY_WORD:
    case CV_KEY_NAME:
        cv_buf_printf(b, "%s", key->words[1] ? "one of " : "");
        add_words(b, key->words);
        break;
    case CV_KEY_INTS:
        cv_buf_printf(b, "a list of 1 to %d whole numbers", key->max_items);
        add_range(b, &key->range);
        break;
    case CV_KEY_PAIR:
        cv_buf_printf(b, "two numbers [low, high] with low < high");
        break;
    case CV_KEY_TEXTS:
        cv_buf_printf(b, "a list of 1 to %d texts", key->max_items);
        break;
    case CV_KEY_LIST:
    case CV_KEY_LIST_OR_MAP:
        cv_buf_printf(b, "a list of 1 to %d items", key->max_items);
        break;
    default:
        cv_buf_printf(b, "text without control characters");
    }
}

static void add_found(cv_buf *b, const cv_yaml *node)
{
    char text[80];
    if (node->kind == CV_YAML_LIST) {
        cv_buf_printf(b, "a list of %zu", node->n);
    } else if (node->kind == CV_YAML_MAP) {
        cv_buf_printf(b, "keys and values");
    } else if (!node->quoted && !node->text[0]) {
        cv_buf_printf(b, "nothing");
    } else {
        char quote = node->quoted ? '"' : '\'';
        cv_yaml_excerpt(text, node->text);
        cv_buf_printf(b, "%c%s%c", quote, text, quote);
    }
}

static size_t count_words(const char *const *words)
{
    size_t n = 0;
    while (words[n])
        n++;
    return n;
}

static void add_hint(cv_buf *b, const cv_key *key, const cv_yaml *node)
{
    double number;
    int flag;
    if (node->kind != CV_YAML_SCALAR)
        return;
    if (key->words) {
        const char *word =
            cv_closest(node->text, key->words, count_words(key->words));
        if (word)
            cv_buf_printf(b, "; did you mean '%s'?", word);
        return;
    }
    if (!node->quoted ||
        (key->type != CV_KEY_INT && key->type != CV_KEY_I64 &&
         key->type != CV_KEY_NUMBER && key->type != CV_KEY_BOOL))
        return;
    cv_yaml plain = *node;
    plain.quoted = 0;
    if (cv_yaml_f64(&plain, &number) == 0 || cv_yaml_bool(&plain, &flag) == 0)
        cv_buf_printf(b, "; the quotes make it text, remove them");
}

/* Every message is made in a buffer: err's own text then cuts it at its end. */
static int raise_error(const cv_keys_reader *r, int line, cv_buf *b)
{
    int rc =
        cv_err_set(r->err, CV_ERR_INPUT, r->file, line, "%s", cv_buf_text(b));
    cv_buf_free(b);
    return rc;
}

int cv_keys_wrong(const cv_keys_reader *r, const cv_key *key,
                  const cv_yaml *node)
{
    cv_buf b = {0};
    char path[128];
    cv_buf_printf(&b, "%s: expected ", plain_path(path, key->path));
    add_expected(&b, key);
    cv_buf_printf(&b, "; found ");
    add_found(&b, node);
    add_hint(&b, key, node);
    return raise_error(r, node->line, &b);
}

int cv_keys_not_map(const cv_keys_reader *r, const char *path,
                    const cv_yaml *node)
{
    cv_buf b = {0};
    char plain[128];
    plain_path(plain, path);
    cv_buf_printf(&b, "%s%sexpected 'key: value'%s; found ", plain,
                  plain[0] ? ": " : "",
                  strstr(path, "[]") ? " in each item"
                  : plain[0]         ? " lines below it"
                                     : " lines");
    add_found(&b, node);
    return raise_error(r, node->line, &b);
}

int cv_keys_missing(const cv_keys_reader *r, const cv_key *key, int line)
{
    cv_buf b = {0};
    char path[128];
    cv_buf_printf(&b, "missing key '%s' (%s); expected ",
                  plain_path(path, key->path), key->meaning);
    add_expected(&b, key);
    return raise_error(r, line, &b);
}

/* A key may have rows with other defaults for other words. */
static void add_uses(cv_buf *b, const cv_keys *keys, const cv_key *key)
{
    int any = 0;
    for (size_t i = 0; i < keys->n; i++) {
        const cv_key *row = &keys->row[i];
        if (strcmp(row->path, key->path) != 0 || !row->when ||
            strcmp(row->when, key->when) != 0)
            continue;
        cv_buf_printf(b, "%s", any ? ", " : "");
        add_words(b, row->among);
        any = 1;
    }
}

int cv_keys_unused(const cv_keys_reader *r, const cv_key *key,
                   const cv_yaml *node, const void *item)
{
    const cv_key *other = cv_keys_find(r->keys, key->when, strlen(key->when));
    const void *base = strstr(key->when, "[]") ? item : r->base;
    const char *word = cv_keys_word(other, base);
    cv_buf b = {0};
    char path[128], when[128];
    plain_path(when, key->when);
    cv_buf_printf(&b, "%s: used only with %s ", plain_path(path, key->path),
                  when);
    add_uses(&b, r->keys, key);
    cv_buf_printf(&b, "; found %s '%s'; remove the key or change %s", when,
                  word ? word : "", when);
    return raise_error(r, node->key_line, &b);
}

int cv_keys_repeated(const cv_keys_reader *r, const cv_key *key,
                     const cv_yaml *first, const cv_yaml *second)
{
    cv_buf b = {0};
    char path[128];
    cv_buf_printf(&b, "%s: expected each only once; found ",
                  plain_path(path, key->path));
    add_found(&b, second);
    cv_buf_printf(&b, " again, first on line %d", first->line);
    return raise_error(r, second->line, &b);
}

/* Names that may stand in the map with this prefix; owned by the caller. */
static size_t siblings(const cv_keys *keys, const char *prefix,
                       char *names[MAX_SIBLINGS])
{
    size_t n = 0, len = strlen(prefix);
    for (size_t i = 0; i < keys->n; i++) {
        const char *path = keys->row[i].path;
        if (strncmp(path, prefix, len) != 0)
            continue;
        char *name = cv_strdup(path + len);
        name[strcspn(name, ".[")] = '\0';
        if (cv_word_index(name, (const char *const *)names, n) >= 0) {
            free(name);
            continue;
        }
        CV_CHECK(n < MAX_SIBLINGS);
        names[n++] = name;
    }
    return n;
}

/* Sections in which this very key exists: the user misplaced it. */
static int add_homes(cv_buf *b, const cv_keys *keys, const char *name)
{
    int found = 0;
    for (size_t i = 0; i < keys->n; i++) {
        const char *path = keys->row[i].path, *dot = strrchr(path, '.');
        if (strcmp(dot ? dot + 1 : path, name) != 0 ||
            cv_keys_find(keys, path, strlen(path)) != &keys->row[i])
            continue;
        char home[128];
        plain_path(home, path);
        home[dot ? strlen(home) - strlen(name) - 1 : 0] = '\0';
        cv_buf_printf(b, "%s", found ? " or " : "; it belongs ");
        if (dot)
            cv_buf_printf(b, "%s'%s'", found ? "" : "in ", home);
        else
            cv_buf_printf(b, "at the top");
        found = 1;
    }
    return found;
}

int cv_keys_unknown(const cv_keys_reader *r, const cv_yaml *member,
                    const char *prefix)
{
    char *names[MAX_SIBLINGS], path[128], shown[80];
    const char *const *words = (const char *const *)names;
    size_t n = siblings(r->keys, prefix, names);
    cv_buf b = {0};
    plain_path(path, prefix);
    cv_yaml_excerpt(shown, member->key);
    cv_buf_printf(&b, "%s%sunknown key '%s'", path, path[0] ? ": " : "", shown);
    const char *word = cv_closest(member->key, words, n);
    if (add_homes(&b, r->keys, member->key)) {
        /* said */
    } else if (word) {
        cv_buf_printf(&b, "; did you mean '%s'?", word);
    } else {
        cv_buf_printf(&b, "; the keys here are ");
        for (size_t i = 0; i < n; i++)
            cv_buf_printf(&b, "%s%s", i ? ", " : "", names[i]);
    }
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    return raise_error(r, member->key_line, &b);
}
