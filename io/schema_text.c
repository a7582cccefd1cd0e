#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/text.h"
#include "io/design.h"
#include "io/names.h"
#include "io/schema_internal.h"

static const char *const missing_words[] = {[CV_MISSING_DROP] = "drop",
                                            [CV_MISSING_MEAN] = "mean",
                                            [CV_MISSING_FAIL] = "fail"};
static const char *const standardize_words[] = {
    [CV_STANDARDIZE_NONE] = "none",
    [CV_STANDARDIZE_POOLED] = "pooled",
    [CV_STANDARDIZE_BOUNDS] = "bounds"};
static const char *const type_words[] = {
    [CV_FEATURE_NUMBER] = "number", [CV_FEATURE_CATEGORY] = "category"};

static void add(cv_buf *b, const char *s)
{
    cv_buf_add(b, s, strlen(s));
}

/* A tab and the text, with everything that could end a field escaped. */
static void add_field(cv_buf *b, const char *s)
{
    cv_buf_add(b, "\t", 1);
    for (;;) {
        size_t n = 0;
        while ((unsigned char)s[n] >= 0x20 && s[n] != '\\' && s[n] != 0x7f)
            n++;
        cv_buf_add(b, s, n);
        s += n;
        if (!*s)
            return;
        switch (*s) {
        case '\\':
            add(b, "\\\\");
            break;
        case '\t':
            add(b, "\\t");
            break;
        case '\n':
            add(b, "\\n");
            break;
        case '\r':
            add(b, "\\r");
            break;
        default:
            cv_buf_printf(b, "\\x%02x", (unsigned char)*s);
        }
        s++;
    }
}

static void add_feature(cv_buf *b, const char *role, const cv_feature *f,
                        int declared)
{
    add(b, role);
    add_field(b, type_words[f->type]);
    add_field(b, f->name);
    if (f->type == CV_FEATURE_CATEGORY) {
        add_field(b, declared ? "declared" : "found");
        for (int i = 0; i < f->n_levels; i++)
            add_field(b, f->levels[i]);
    } else if (f->has_bounds) {
        cv_buf_printf(b, "\t%a\t%a", f->lo, f->hi);
    }
    cv_buf_add(b, "\n", 1);
}

static void add_numbers(cv_buf *b, const char *what, const double *v, int n)
{
    if (!v)
        return;
    add(b, what);
    for (int i = 0; i < n; i++)
        cv_buf_printf(b, "\t%a", v[i]);
    cv_buf_add(b, "\n", 1);
}

char *cv_schema_to_text(const cv_schema *s)
{
    cv_buf b = {0};
    cv_buf_printf(&b, "covey-schema 1\t%s\t%s\n", missing_words[s->missing],
                  standardize_words[s->standardize]);
    if (s->target.name)
        add_feature(&b, "target", &s->target, s->target_declared);
    else
        add(&b, "no target\n");
    for (int i = 0; i < s->n_features; i++)
        add_feature(&b, "feature", &s->features[i], s->declared[i]);
    add_numbers(&b, "shift", s->shift, s->n_cols);
    add_numbers(&b, "unit", s->unit, s->n_cols);
    add_numbers(&b, "fill", s->fill, s->n_cols);
    add(&b, "end\n");
    return b.data;
}

typedef struct {
    char *at;   /* next field of the line, NULL after the last */
    char *next; /* next line, NULL at the end */
    int line;
    cv_err *err;
    cv_schema *schema;
    cv_name_set names; /* of target and features */
    int cap;           /* of features */
    int64_t width;
} schema_text;

static int wrong(schema_text *t, const char *what)
{
    return cv_err_set(t->err, CV_ERR_INPUT, NULL, 0,
                      "the text of a schema is wrong in line %d: %s", t->line,
                      what);
}

static int next_line(schema_text *t)
{
    char *end = t->next ? strchr(t->next, '\n') : NULL;
    if (!end)
        return 0;
    *end = '\0';
    t->at = t->next;
    t->next = end + 1;
    t->line++;
    return 1;
}

/* Next field, undone in place; NULL if there is none, or it is malformed (then
 * *bad is set). */
static char *next_field(schema_text *t, int *bad)
{
    char *from = t->at, *to = from, *s = from;
    if (!from)
        return NULL;
    for (; *s && *s != '\t'; s++, to++) {
        *to = *s;
        if ((unsigned char)*s < 0x20) {
            *bad = 1;
            return NULL;
        }
        if (*s != '\\')
            continue;
        uint8_t byte;
        char hex[3] = {0};
        switch (*++s) {
        case '\\':
            break;
        case 't':
            *to = '\t';
            break;
        case 'n':
            *to = '\n';
            break;
        case 'r':
            *to = '\r';
            break;
        case 'x':
            if (s[1] && s[2])
                memcpy(hex, s + 1, 2);
            if (!hex[0] || cv_unhex(&byte, hex, 1) || byte == 0) {
                *bad = 1;
                return NULL;
            }
            *to = (char)byte;
            s += 2;
            break;
        default:
            *bad = 1;
            return NULL;
        }
    }
    t->at = *s ? s + 1 : NULL;
    *to = '\0';
    return from;
}

static int read_word(schema_text *t, const char *const *words, int n, int *out)
{
    int bad = 0;
    const char *s = next_field(t, &bad);
    *out = s ? cv_word_index(s, words, (size_t)n) : -1;
    return *out < 0 ? wrong(t, "an unknown word") : 0;
}

static int read_double(schema_text *t, double *v)
{
    int bad = 0;
    const char *s = next_field(t, &bad);
    if (!s || cv_parse_f64(v, s) || !isfinite(*v))
        return wrong(t, "expected a finite number");
    return 0;
}

static int read_levels(schema_text *t, cv_feature *f)
{
    cv_name_set set = {0};
    const char *s, *fault = NULL;
    int bad = 0;
    while (!fault && (s = next_field(t, &bad)) != NULL) {
        fault = cv_name_fault(s, strlen(s));
        if (!fault && set.n == CV_LEVELS_MAX)
            fault = "comes after too many others";
        if (!fault && !cv_name_set_add(&set, s, strlen(s), NULL))
            fault = "is there twice";
    }
    if (fault || bad) {
        cv_name_set_free(&set);
        return cv_err_set(t->err, CV_ERR_INPUT, NULL, 0,
                          "the text of a schema is wrong in line %d: a level "
                          "that %s",
                          t->line, fault ? fault : "is malformed");
    }
    f->n_levels = (int)set.n;
    f->levels = cv_name_set_take(&set);
    return 0;
}

/* The rest of a line after "target" or "feature". */
static int read_feature(schema_text *t, cv_feature *f, int *declared)
{
    static const char *const origins[] = {"found", "declared"};
    int type = 0, bad = 0;
    int rc = read_word(t, type_words, 2, &type);
    if (rc)
        return rc;
    const char *name = next_field(t, &bad);
    if (!name || cv_name_fault(name, strlen(name)))
        return wrong(t, "expected a column name");
    if (!cv_name_set_add(&t->names, name, strlen(name), NULL))
        return wrong(t, "a column that is there twice");
    f->name = cv_strdup(name);
    f->type = (cv_feature_type)type;
    *declared = 0;
    if (f->type == CV_FEATURE_CATEGORY) {
        rc = read_word(t, origins, 2, declared);
        return rc ? rc : read_levels(t, f);
    }
    if (!t->at)
        return 0;
    f->has_bounds = 1;
    rc = read_double(t, &f->lo);
    if (!rc)
        rc = read_double(t, &f->hi);
    if (!rc && (t->at || f->lo >= f->hi || !isfinite(f->hi - f->lo)))
        rc = wrong(t, "expected two bounds, low before high");
    return rc;
}

static int add_parsed_feature(schema_text *t)
{
    cv_schema *s = t->schema;
    int n = s->n_features, declared = 0;
    if (n == CV_COLUMNS_MAX)
        return wrong(t, "too many features");
    if (n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 16;
        s->features =
            cv_realloc(s->features, (size_t)t->cap, sizeof *s->features);
        s->declared = cv_realloc(s->declared, (size_t)t->cap, 1);
    }
    s->features[n] = (cv_feature){0};
    s->n_features = n + 1;
    int rc = read_feature(t, &s->features[n], &declared);
    s->declared[n] = (uint8_t)declared;
    t->width += cv_feature_width(&s->features[n]);
    if (!rc && t->width > CV_COLUMNS_MAX)
        rc = wrong(t, "too many columns");
    return rc;
}

/* "shift", "unit" or "fill" and a number for each encoded column. */
static int read_numbers(schema_text *t, const char *what)
{
    cv_schema *s = t->schema;
    double **to = strcmp(what, "shift") == 0  ? &s->shift
                  : strcmp(what, "unit") == 0 ? &s->unit
                  : strcmp(what, "fill") == 0 ? &s->fill
                                              : NULL;
    if (!to)
        return wrong(t, "expected shift, unit, fill or end");
    double *v = CV_NEW(s->n_cols, double);
    int rc = 0;
    for (int i = 0; i < s->n_cols && !rc; i++) {
        rc = read_double(t, &v[i]);
        if (!rc && to == &s->unit && v[i] <= 0.0)
            rc = wrong(t, "expected units above 0");
    }
    if (!rc && t->at)
        rc = wrong(t, "more numbers than columns");
    if (rc) {
        free(v);
        return rc;
    }
    free(*to);
    *to = v;
    return 0;
}

static int read_head(schema_text *t)
{
    int bad = 0, missing = 0, standardize = 0, rc = 0;
    const char *s = next_line(t) ? next_field(t, &bad) : NULL;
    if (!s || strcmp(s, "covey-schema 1") != 0)
        return wrong(t, "expected 'covey-schema 1'");
    rc = read_word(t, missing_words, 3, &missing);
    if (!rc)
        rc = read_word(t, standardize_words, 3, &standardize);
    if (rc)
        return rc;
    t->schema->missing = (cv_missing)missing;
    t->schema->standardize = (cv_standardize)standardize;
    s = !t->at && next_line(t) ? next_field(t, &bad) : NULL;
    if (s && strcmp(s, "no target") == 0)
        return t->at ? wrong(t, "text after 'no target'") : 0;
    if (!s || strcmp(s, "target") != 0)
        return wrong(t, "expected the target");
    return read_feature(t, &t->schema->target, &t->schema->target_declared);
}

/* Features up to the first other line, then the numbers, then "end". */
static int read_body(schema_text *t)
{
    int finished = 0, bad = 0, rc = 0;
    while (!rc) {
        const char *s = next_line(t) ? next_field(t, &bad) : NULL;
        if (!s)
            return wrong(t, "it ends before its last line");
        if (!finished && strcmp(s, "feature") == 0) {
            rc = add_parsed_feature(t);
            continue;
        }
        if (t->schema->n_features == 0)
            return wrong(t, "no features");
        if (!finished)
            rc = cv_schema_finish(t->schema, t->err);
        finished = 1;
        if (!rc && strcmp(s, "end") == 0)
            return t->at || *t->next ? wrong(t, "text after the end") : 0;
        if (!rc)
            rc = read_numbers(t, s);
    }
    return rc;
}

int cv_schema_from_text(const char *text, cv_schema **schema, cv_err *err)
{
    char *copy = cv_strdup(text);
    schema_text t = {.next = copy, .err = err};
    t.schema = CV_NEW(1, cv_schema);
    int rc = read_head(&t);
    if (!rc)
        rc = read_body(&t);
    if (rc)
        cv_schema_destroy(&t.schema);
    *schema = t.schema;
    cv_name_set_free(&t.names);
    free(copy);
    return rc;
}
