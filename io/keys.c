/* What reading and writing share: rows, words, conditions. */
#include "io/keys.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/text.h"

const cv_key *cv_keys_find(const cv_keys *keys, const char *path, size_t n)
{
    for (size_t i = 0; i < keys->n; i++)
        if (strncmp(keys->row[i].path, path, n) == 0 &&
            keys->row[i].path[n] == '\0')
            return &keys->row[i];
    return NULL;
}

const char *cv_keys_word(const cv_key *key, const void *base)
{
    const char *at = (const char *)base + key->offset;
    if (key->type == CV_KEY_NAME)
        return *(char *const *)at;
    CV_CHECK(key->type == CV_KEY_WORD);
    return key->words[*(const int *)at];
}

int cv_keys_applies(const cv_keys *keys, const cv_key *key, const void *base,
                    const void *item)
{
    if (!key->when)
        return 1;
    const cv_key *other = cv_keys_find(keys, key->when, strlen(key->when));
    /* Rows are read in order, those without a condition first. */
    CV_CHECK(other && (!other->when || other < key));
    const char *word =
        cv_keys_word(other, strstr(key->when, "[]") ? item : base);
    for (const char *const *w = key->among; word && *w; w++)
        if (strcmp(*w, word) == 0)
            return 1;
    return 0;
}

int cv_keys_line(const cv_yaml *tree, const char *path)
{
    const cv_yaml *node = tree;
    while (*path) {
        char name[64];
        size_t n = strcspn(path, ".");
        CV_CHECK(n < sizeof name);
        memcpy(name, path, n);
        name[n] = '\0';
        const cv_yaml *below = cv_yaml_get(node, name);
        if (!below)
            break;
        node = below;
        path += n + (path[n] == '.');
    }
    return node->key ? node->key_line : node->line;
}

static void free_value(const cv_keys *keys, const cv_key *key, void *base)
{
    void *at = (char *)base + key->offset;
    int n;
    switch (key->type) {
    case CV_KEY_TEXT:
    case CV_KEY_NAME:
        CV_FREE(*(char **)at);
        break;
    case CV_KEY_TEXTS:
        n = *(int *)((char *)base + key->count);
        for (int i = 0; i < n; i++)
            free((*(char ***)at)[i]);
        CV_FREE(*(char ***)at);
        break;
    case CV_KEY_LIST:
    case CV_KEY_LIST_OR_MAP:
        n = *(int *)((char *)base + key->count);
        size_t len = strlen(key->path);
        for (size_t i = 0; i < keys->n; i++) {
            const cv_key *below = &keys->row[i];
            if (strncmp(below->path, key->path, len) != 0 ||
                strncmp(below->path + len, "[].", 3) != 0)
                continue;
            for (int j = 0; j < n; j++)
                free_value(keys, below, *(char **)at + (size_t)j * key->size);
        }
        CV_FREE(*(void **)at);
        break;
    default:
        break;
    }
}

void cv_keys_free(const cv_keys *keys, void *base)
{
    for (size_t i = 0; i < keys->n; i++)
        if (!strstr(keys->row[i].path, "[]"))
            free_value(keys, &keys->row[i], base);
}

int cv_keys_check_address(char *text)
{
    if (strlen(text) != 42 || strncmp(text, "0x", 2) != 0)
        return -1;
    return strspn(text + 2, "0123456789abcdefABCDEF") == 40 ? 0 : -1;
}

int cv_keys_check_amount(char *text)
{
    size_t whole = strspn(text, "0123456789");
    if (whole == 0 || strlen(text) > 78)
        return -1;
    if (text[whole] == '\0')
        return 0;
    size_t rest = strspn(text + whole + 1, "0123456789");
    return text[whole] == '.' && rest > 0 && !text[whole + 1 + rest] ? 0 : -1;
}

int cv_keys_check_public_key(char *text)
{
    if (strlen(text) != 68 || strncmp(text, "0x0", 3) != 0 ||
        (text[3] != '2' && text[3] != '3'))
        return -1;
    for (char *s = text + 2; *s; s++) {
        if (!isxdigit((unsigned char)*s))
            return -1;
        *s = (char)tolower((unsigned char)*s);
    }
    return 0;
}

int cv_keys_check_name(char *text)
{
    size_t n = strlen(text);
    if (n < 1 || n > 64 || text[0] == '.' || text[0] == '-')
        return -1;
    for (const char *s = text; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c >= 0x80 || (!isalnum(c) && !strchr("-_.", c)))
            return -1;
    }
    return 0;
}
