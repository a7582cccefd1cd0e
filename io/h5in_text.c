/* HDF5 input: arrays of text, of fixed length or in the global heap (section
 * III.E of the specification). */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "io/h5in.h"
#include "io/names.h"

typedef struct cv_h5in_text_place place;

/* No collection is smaller (H5HG_MINSIZE), so there cannot be many. */
enum { HEAP_MIN = 4096 };

static int by_number(const void *a, const void *b)
{
    const place *p = a, *q = b;
    return (p->number > q->number) - (p->number < q->number);
}

static void list_texts(cv_h5in_heap *h, size_t n)
{
    const uint8_t *p = h->bytes + 16, *end = h->bytes + n;
    size_t cap = 0;
    int bad = 0;
    while (end - p >= 16) {
        uint32_t number = (uint32_t)cv_h5in_take(&p, end, 2, &bad);
        (void)cv_h5in_skip(&p, end, 6, &bad);
        uint64_t len = cv_h5in_take(&p, end, 8, &bad);
        if (number == 0 || len > (uint64_t)(end - p))
            break; /* free space */
        if (h->n == cap) {
            cap = cap ? 2 * cap : 64;
            h->texts = cv_realloc(h->texts, cap, sizeof *h->texts);
        }
        h->texts[h->n++] =
            (place){number, (uint32_t)(p - h->bytes), (uint32_t)len};
        (void)cv_h5in_skip(&p, end, (len + 7) / 8 * 8, &bad);
    }
    if (h->n)
        qsort(h->texts, h->n, sizeof *h->texts, by_number);
}

static int load_heap(cv_h5in *f, uint64_t addr, cv_h5in_heap *h)
{
    uint8_t head[16];
    const uint8_t *p = head + 8;
    int bad = 0;
    if (cv_h5in_pread(f, addr, sizeof head, head))
        return -1;
    uint64_t n = cv_h5in_take(&p, head + sizeof head, 8, &bad);
    if (memcmp(head, "GCOL\1", 5) != 0 || n < HEAP_MIN || n > UINT32_MAX)
        return cv_h5in_damaged(f, "is damaged: a heap of text");
    *h = (cv_h5in_heap){.addr = addr};
    if (cv_h5in_bytes(f, addr, n, &h->bytes))
        return -1;
    list_texts(h, n);
    return 0;
}

/* The collection at addr; all that were read are kept, as the texts of one
 * array may lie in several by turns. NULL if there is none. */
static const cv_h5in_heap *find_heap(cv_h5in *f, uint64_t addr)
{
    size_t lo = 0, hi = f->n_heaps;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (f->heaps[mid].addr < addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < f->n_heaps && f->heaps[lo].addr == addr)
        return &f->heaps[lo];
    cv_h5in_heap h;
    if (load_heap(f, addr, &h))
        return NULL;
    f->heaps = cv_realloc(f->heaps, f->n_heaps + 1, sizeof *f->heaps);
    memmove(f->heaps + lo + 1, f->heaps + lo,
            (f->n_heaps - lo) * sizeof *f->heaps);
    f->n_heaps++;
    f->heaps[lo] = h;
    return &f->heaps[lo];
}

static char *cut_copy(const uint8_t *s, size_t len)
{
    size_t n = len <= CV_NAME_MAX ? len : CV_NAME_MAX + 1;
    char *copy = cv_realloc(NULL, n + 1, 1);
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

/* A text of variable length: its length, the heap's address, its number. */
static char *heap_text(cv_h5in *f, const uint8_t *raw)
{
    int bad = 0;
    const uint8_t *p = raw, *end = raw + 16;
    uint64_t len = cv_h5in_take(&p, end, 4, &bad);
    uint64_t addr = cv_h5in_take(&p, end, 8, &bad);
    place key = {.number = (uint32_t)cv_h5in_take(&p, end, 4, &bad)};
    if (len == 0)
        return cv_strdup("");
    const cv_h5in_heap *h = find_heap(f, addr);
    if (!h)
        return NULL;
    const place *at =
        h->n ? bsearch(&key, h->texts, h->n, sizeof key, by_number) : NULL;
    if (at && len <= at->len)
        return cut_copy(h->bytes + at->at,
                        strnlen((const char *)h->bytes + at->at, len));
    cv_h5in_damaged(f, "is damaged: a heap of text");
    return NULL;
}

static char *fixed_text(const uint8_t *s, const cv_h5in_type *t)
{
    size_t n = strnlen((const char *)s, t->size);
    while (t->space_padded && n && s[n - 1] == ' ')
        n--;
    return cut_copy(s, n);
}

int cv_h5in_text(cv_h5in *f, const uint8_t *raw, size_t n,
                 const cv_h5in_type *type, char ***text)
{
    char **out = CV_NEW(n, char *);
    int variable = type->kind == CV_H5IN_VARIABLE_TEXT;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *s = raw + i * type->size;
        out[i] = variable ? heap_text(f, s) : fixed_text(s, type);
        if (out[i])
            continue;
        while (i > 0)
            free(out[--i]);
        free((void *)out);
        return -1;
    }
    *text = out;
    return 0;
}
