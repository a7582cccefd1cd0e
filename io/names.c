#include "io/names.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/text.h"

/* Length of the UTF-8 sequence at s (Unicode 15, table 3-7), 0 if there is
 * none within len bytes. */
static size_t utf8_length(const unsigned char *s, size_t len)
{
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] < 0xc2   ? 0
               : s[0] < 0xe0 ? 2
               : s[0] < 0xf0 ? 3
               : s[0] < 0xf5 ? 4
                             : 0;
    if (n == 0 || n > len)
        return 0;
    unsigned char lo = 0x80, hi = 0xbf;
    if (s[0] == 0xe0)
        lo = 0xa0; /* overlong */
    else if (s[0] == 0xed)
        hi = 0x9f; /* surrogates */
    else if (s[0] == 0xf0)
        lo = 0x90; /* overlong */
    else if (s[0] == 0xf4)
        hi = 0x8f; /* above U+10FFFF */
    if (s[1] < lo || s[1] > hi)
        return 0;
    for (size_t i = 2; i < n; i++)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return n;
}

const char *cv_name_fault(const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;
    if (len == 0)
        return "is empty";
    if (len > CV_NAME_MAX)
        return "is longer than 256 bytes";
    for (size_t i = 0; i < len;) {
        if (p[i] < 0x20 || p[i] == 0x7f)
            return "holds a control character";
        size_t n = utf8_length(p + i, len - i);
        if (n == 0)
            return "is not UTF-8";
        i += n;
    }
    return NULL;
}

/* Multiply-and-fold over 8-byte words. The seed is random, so that no one
 * outside can choose names that collide; no result depends on it. */
static uint64_t hash_of(uint64_t seed, const char *s, size_t len)
{
    uint64_t h = seed ^ (len * 0x9e3779b97f4a7c15u);
    while (len > 0) {
        uint64_t w = 0;
        size_t k = len < 8 ? len : 8;
        memcpy(&w, s, k);
        unsigned __int128 m = (unsigned __int128)(h ^ w) * 0xd6e8feb86659fd93u;
        h = (uint64_t)m ^ (uint64_t)(m >> 64) ^ seed;
        s += k;
        len -= k;
    }
    return h ^ h >> 29;
}

static int same(const char *name, const char *s, size_t len)
{
    return strncmp(name, s, len) == 0 && name[len] == '\0';
}

int64_t cv_name_set_find(const cv_name_set *set, const char *s, size_t len)
{
    if (set->n == 0)
        return -1;
    uint64_t h = hash_of(set->seed, s, len);
    size_t mask = set->n_slots - 1;
    for (size_t i = h & mask; set->slots[i]; i = (i + 1) & mask) {
        uint32_t k = set->slots[i] - 1;
        if (set->hash[k] == h && same(set->names[k], s, len))
            return k;
    }
    return -1;
}

static void put_slot(cv_name_set *set, uint32_t number)
{
    size_t mask = set->n_slots - 1, i = set->hash[number] & mask;
    while (set->slots[i])
        i = (i + 1) & mask;
    set->slots[i] = number + 1;
}

static void grow(cv_name_set *set)
{
    if (set->n_slots == 0 &&
        getrandom(&set->seed, sizeof set->seed, GRND_NONBLOCK) < 0)
        set->seed = (uint64_t)(uintptr_t)set; /* early boot: good enough */
    CV_CHECK(set->cap <= UINT32_MAX / 4);
    set->cap = set->cap ? set->cap * 2 : 16;
    set->n_slots = (size_t)set->cap * 2;
    set->names = cv_realloc(set->names, set->cap, sizeof *set->names);
    set->hash = cv_realloc(set->hash, set->cap, sizeof *set->hash);
    free(set->slots);
    set->slots = CV_NEW(set->n_slots, uint32_t);
    for (uint32_t k = 0; k < set->n; k++)
        put_slot(set, k);
}

int cv_name_set_add(cv_name_set *set, const char *s, size_t len,
                    uint32_t *number)
{
    int64_t at = cv_name_set_find(set, s, len);
    if (number)
        *number = at >= 0 ? (uint32_t)at : set->n;
    if (at >= 0)
        return 0;
    if (set->n == set->cap)
        grow(set);
    char *copy = cv_realloc(NULL, len + 1, 1);
    memcpy(copy, s, len);
    copy[len] = '\0';
    set->names[set->n] = copy;
    set->hash[set->n] = hash_of(set->seed, s, len);
    put_slot(set, set->n++);
    return 1;
}

int64_t cv_name_set_add_all(cv_name_set *set, char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!cv_name_set_add(set, names[i], strlen(names[i]), NULL))
            return (int64_t)i;
    return -1;
}

char **cv_name_set_take(cv_name_set *set)
{
    char **names = set->names;
    set->names = NULL;
    set->n = 0;
    cv_name_set_free(set);
    return names;
}

void cv_name_set_free(cv_name_set *set)
{
    for (uint32_t k = 0; k < set->n; k++)
        free(set->names[k]);
    free(set->names);
    free(set->hash);
    free(set->slots);
    *set = (cv_name_set){0};
}

typedef struct {
    char *text;
    double value; /* NaN for a text */
    uint32_t was;
} level;

/* Two classes, so that this is an order: by value among numbers and by bytes
 * among texts only would let "9" < "1e1" < "5x" < "9". */
static int compare_levels(const void *a, const void *b)
{
    const level *p = a, *q = b;
    int p_text = isnan(p->value), q_text = isnan(q->value);
    if (p_text != q_text)
        return p_text - q_text;
    if (!p_text && p->value != q->value)
        return p->value < q->value ? -1 : 1;
    return strcmp(p->text, q->text);
}

void cv_levels_sort(char **levels, size_t n, uint32_t *rank_of)
{
    level *v = CV_NEW(n, level);
    for (size_t i = 0; i < n; i++) {
        v[i] = (level){levels[i], NAN, (uint32_t)i};
        double x;
        if (cv_number(&x, levels[i], strlen(levels[i])) == 0)
            v[i].value = x;
    }
    qsort(v, n, sizeof *v, compare_levels);
    for (size_t i = 0; i < n; i++) {
        levels[i] = v[i].text;
        if (rank_of)
            rank_of[v[i].was] = (uint32_t)i;
    }
    free(v);
}

void cv_level_of_number(char *out, size_t size, float v)
{
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(out, size, "%.*g", digits, (double)v);
        if ((float)strtod(out, NULL) == v)
            return;
    }
}

void cv_level_of_double(char *out, size_t size, double v)
{
    if (v != floor(v) && v == (double)(float)v) {
        cv_level_of_number(out, size, (float)v);
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, v);
        if (strtod(out, NULL) == v)
            return;
    }
}

void cv_names_list(char *out, size_t size, const char *const *names, size_t n,
                   size_t most)
{
    enum { TAIL = 40 }; /* for what is left out */
    size_t at = 0, i = 0;
    snprintf(out, size, "none");
    for (; i < n && i < most; i++) {
        size_t len = strlen(names[i]);
        if (at + len + 2 + TAIL > size)
            break;
        at += (size_t)snprintf(out + at, size - at, "%s%s", i ? ", " : "",
                               names[i]);
    }
    if (i < n)
        snprintf(out + at, size - at, "%s... (%zu in all)", i ? ", " : "", n);
}

void cv_names_hint(char *out, size_t size, const char *name,
                   const char *const *names, size_t n)
{
    enum { MOST = 20 };
    char list[320];
    const char *near = cv_closest(name, names, n);
    cv_names_list(list, sizeof list, names, n, MOST);
    snprintf(out, size, "%s%s%scolumns: %s", near ? "did you mean '" : "",
             near ? near : "", near ? "'? " : "", list);
}
