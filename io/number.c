#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "io/names.h"

/* Powers of ten that are exact in a double. */
static const double ten_to[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int word(const char *s, size_t len)
{
    if (len && (*s == '-' || *s == '+')) {
        s++;
        len--;
    }
    if (len == 3 && strncasecmp(s, "nan", 3) == 0)
        return 2;
    if ((len == 3 && strncasecmp(s, "inf", 3) == 0) ||
        (len == 8 && strncasecmp(s, "infinity", 8) == 0))
        return 1;
    return -1;
}

static int slow(double *out, const char *s)
{
    errno = 0;
    *out = strtod(s, NULL); /* the program never calls setlocale */
    return isfinite(*out) ? 0 : 1;
}

/* "e-12" at p; its value is kept small enough not to overflow. */
static const char *exponent(const char *p, const char *end, int *e10)
{
    int minus = 0, e = 0;
    p++;
    if (p < end && (*p == '-' || *p == '+'))
        minus = *p++ == '-';
    if (p == end || !is_digit(*p))
        return NULL;
    for (; p < end && is_digit(*p); p++)
        if (e < 100000)
            e = 10 * e + (*p - '0');
    *e10 += minus ? -e : e;
    return p;
}

typedef struct {
    uint64_t m; /* the digits, up to 19 of them */
    int n;      /* of them without leading zeros; 20: there were more */
    int seen;   /* any digit at all */
} mantissa;

static const char *digits(mantissa *d, const char *p, const char *end)
{
    for (; p < end && is_digit(*p); p++) {
        d->seen = 1;
        if (d->n < 19) {
            d->m = 10 * d->m + (uint64_t)(*p - '0');
            d->n += d->m != 0;
        } else {
            d->n = 20;
        }
    }
    return p;
}

/* If the digits and the power of ten are both exact doubles, one correctly
 * rounded operation gives the correctly rounded value (Clinger 1990, "How to
 * read floating point numbers accurately"); the rest is left to strtod. */
int cv_number(double *out, const char *s, size_t len)
{
    const char *p = s, *end = s + len;
    while (p < end && is_blank(*p))
        p++;
    while (end > p && is_blank(end[-1]))
        end--;
    const char *start = p;
    int minus = 0, e10 = 0;
    mantissa d = {0};
    if (p < end && (*p == '-' || *p == '+'))
        minus = *p++ == '-';
    p = digits(&d, p, end);
    if (p < end && *p == '.') {
        const char *point = p;
        p = digits(&d, p + 1, end);
        if (p - point < 300)
            e10 = (int)(point + 1 - p);
    }
    if (!d.seen)
        return word(start, (size_t)(end - start));
    if (p < end && (*p == 'e' || *p == 'E')) {
        p = exponent(p, end, &e10);
        if (!p)
            return -1;
    }
    if (p != end)
        return -1;
    if (end - start > 300 || d.n > 19 || d.m > (uint64_t)1 << 53 || e10 < -22 ||
        e10 > 22)
        return slow(out, start);
    double v = (double)d.m;
    v = e10 < 0 ? v / ten_to[-e10] : v * ten_to[e10];
    *out = minus ? -v : v;
    return 0;
}
