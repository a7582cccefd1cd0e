/* Reads tests/vectors/NAME.csv row by row, by column name. */
#ifndef COVEY_TESTS_PRIVACY_VECTORS_H
#define COVEY_TESTS_PRIVACY_VECTORS_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    FILE *f;
    char head[2048], line[2048];
    int rows;
} vectors;

/* Beside this source, wherever the test is run from. */
static void vectors_open(vectors *v, const char *name)
{
    char path[1024];
    const char *end = strrchr(__FILE__, '/');
    snprintf(path, sizeof path, "%.*s/../vectors/%s.csv",
             end != NULL ? (int)(end - __FILE__) : 1,
             end != NULL ? __FILE__ : ".", name);
    v->f = fopen(path, "r");
    v->rows = 0;
    if (v->f == NULL || fgets(v->head, sizeof v->head, v->f) == NULL) {
        fprintf(stderr, "cannot read %s\n", path);
        abort();
    }
}

static int vectors_next(vectors *v)
{
    if (fgets(v->line, sizeof v->line, v->f) == NULL) {
        fclose(v->f);
        return 0;
    }
    v->rows++;
    return 1;
}

/* Length of the field at s; commas count only outside of quotes. */
static size_t vectors_field(const char *s)
{
    size_t n = 0;
    for (int quoted = 0; s[n] != '\0' && s[n] != '\r' && s[n] != '\n'; n++) {
        if (s[n] == '"')
            quoted = !quoted;
        else if (s[n] == ',' && !quoted)
            break;
    }
    return n;
}

/* The text of a column in the current row: from where, how long. */
static const char *vectors_text(const vectors *v, const char *column, size_t *n)
{
    const char *h = v->head, *l = v->line;
    size_t want = strlen(column);
    for (;;) {
        size_t hn = vectors_field(h), ln = vectors_field(l);
        if (hn == want && memcmp(h, column, hn) == 0) {
            *n = ln;
            return l;
        }
        if (h[hn] != ',' || l[ln] != ',') {
            fprintf(stderr, "no column %s\n", column);
            abort();
        }
        h += hn + 1;
        l += ln + 1;
    }
}

/* A number, NAN if the field is empty. */
static double vectors_get(const vectors *v, const char *column)
{
    size_t n;
    const char *t = vectors_text(v, column, &n);
    return n == 0 ? NAN : strtod(t, NULL);
}

#endif
