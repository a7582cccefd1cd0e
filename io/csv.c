#include "io/csv.h"

#include <string.h>

/* Separator of the header: the one of , ; tab that is there most often outside
 * quotes; a single column has none. */
static char find_separator(const char *p, const char *end)
{
    static const char choice[] = {',', ';', '\t'};
    size_t count[3] = {0};
    int quoted = 0, best = 0;
    for (; p < end && (quoted || (*p != '\n' && *p != '\r')); p++) {
        if (*p == '"')
            quoted = !quoted;
        for (int k = 0; !quoted && k < 3; k++)
            count[k] += *p == choice[k];
    }
    for (int k = 1; k < 3; k++)
        if (count[k] > count[best])
            best = k;
    return choice[best];
}

void cv_csv_open(cv_csv *c, const char *text, size_t len)
{
    *c = (cv_csv){.at = text, .end = text + len, .line = 1};
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        c->at += 3;
    cv_csv_more(c);
    c->sep = find_separator(c->at, c->end);
}

int cv_csv_more(cv_csv *c)
{
    for (;;) {
        if (c->at < c->end && *c->at == '\n')
            c->at++;
        else if (c->end - c->at >= 2 && c->at[0] == '\r' && c->at[1] == '\n')
            c->at += 2;
        else
            return c->at < c->end;
        c->line++;
    }
}

/* After a field: a separator, or the end of the line. */
static int finish(cv_csv *c, cv_csv_field *f, const char *p,
                  const char *otherwise)
{
    f->last = 1;
    if (p == c->end) {
        c->at = p;
        return 0;
    }
    if (*p == c->sep) {
        f->last = 0;
        c->at = p + 1;
        return 0;
    }
    if (*p == '\r' && p + 1 == c->end)
        p++;
    else if (*p == '\r' && p[1] == '\n')
        p += 2;
    else if (*p == '\n')
        p++;
    else {
        c->problem =
            *p == '\r' ? "a carriage return without a line feed" : otherwise;
        return -1;
    }
    c->at = p;
    c->line++;
    return 0;
}

static int next_quoted(cv_csv *c, cv_csv_field *f)
{
    const char *p = c->at + 1, *from = p;
    int parts = 0;
    for (;;) {
        const char *q = memchr(p, '"', (size_t)(c->end - p));
        if (!q) {
            c->problem = "a quoted field that is not closed";
            return -1;
        }
        for (const char *nl = p;
             (nl = memchr(nl, '\n', (size_t)(q - nl))) != NULL; nl++)
            c->line++;
        p = q + 1;
        if (p == c->end || *p != '"') {
            f->text = from;
            f->len = (size_t)(q - from);
            break;
        }
        if (parts++ == 0)
            c->joined.len = 0;
        cv_buf_add(&c->joined, from, (size_t)(p - from)); /* with one quote */
        from = ++p;
    }
    if (parts) {
        cv_buf_add(&c->joined, f->text, f->len);
        f->text = c->joined.data;
        f->len = c->joined.len;
    }
    return finish(c, f, p, "text after a closing quote");
}

int cv_csv_next(cv_csv *c, cv_csv_field *f)
{
    f->line = c->line;
    if (c->at < c->end && *c->at == '"')
        return next_quoted(c, f);
    const char *p = c->at, *end = c->end;
    const char sep = c->sep;
    while (p < end && *p != sep && *p != '\n' && *p != '\r' && *p != '"')
        p++;
    f->text = c->at;
    f->len = (size_t)(p - c->at);
    return finish(c, f, p,
                  "a quote inside a field that does not start with one");
}

void cv_csv_close(cv_csv *c)
{
    cv_buf_free(&c->joined);
}
