#include "core/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(size_t n, size_t size)
{
    fprintf(stderr, "covey: error: out of memory (asked for %zu x %zu bytes)\n",
            n, size);
    fflush(stderr);
    abort();
}

void *cv_calloc(size_t n, size_t size)
{
    if (size && n > (SIZE_MAX - 64) / size)
        out_of_memory(n, size);
    size_t bytes = (n * size + 63) / 64 * 64;
    void *p = aligned_alloc(64, bytes ? bytes : 64);
    if (!p)
        out_of_memory(n, size);
    memset(p, 0, bytes ? bytes : 64);
    return p;
}

void *cv_realloc(void *p, size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size)
        out_of_memory(n, size);
    size_t bytes = n * size;
    void *q = realloc(p, bytes > 0 ? bytes : 1);
    if (!q)
        out_of_memory(n, size);
    return q;
}

char *cv_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = cv_realloc(NULL, n, 1);
    memcpy(p, s, n);
    return p;
}

char *cv_asprintf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *p = NULL;
    int n = vasprintf(&p, fmt, ap);
    va_end(ap);
    if (n < 0)
        out_of_memory(1, 0);
    return p;
}

void cv_wipe(void *p, size_t n)
{
    explicit_bzero(p, n);
}

int cv_equal(const void *a, const void *b, size_t n)
{
    /* volatile: the compiler may not leave the loop early. */
    const volatile uint8_t *x = a, *y = b;
    uint8_t diff = 0;
    for (size_t i = 0; i < n; i++)
        diff |= (uint8_t)(x[i] ^ y[i]);
    return diff == 0;
}
