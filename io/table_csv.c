#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "io/csv.h"
#include "io/table_internal.h"

typedef enum { SKIP, NUMBER, CATEGORY, UNDECIDED } csv_kind;

enum { TO_TARGET = -1 };

typedef struct {
    csv_kind kind;
    int32_t to; /* column of x, or TO_TARGET */
    int is_target;
    int fixed; /* the levels are declared */
    cv_name_set levels;
} csv_column;

typedef struct {
    const cv_source *src;
    cv_err *err;
    cv_csv csv;
    cv_name_set names; /* of the header */
    csv_column *cols;  /* (names.n) */
    int has_header;    /* a name that the job knows is in the first line */
    int f64;           /* read doubles; the target is a column of x */
    cv_table *table;
    int64_t n_rows;   /* read so far */
    int64_t n_kept;   /* and kept */
    int64_t capacity; /* rows allocated in the table */
} csv_reader;

static int fail_at(csv_reader *r, int64_t line, const char *what)
{
    cv_source_fail(r->src, r->err, "the CSV text is malformed: %s", what);
    return cv_source_site(r->src, r->err, "line %lld", (long long)line);
}

/* Without a header the names are somebody's values: they stay at the site until
 * one of them is known. */
static int fail_value(csv_reader *r, size_t col, const cv_csv_field *f,
                      const char *what)
{
    const char *name = r->names.names[col];
    if (r->has_header || r->src->advice == CV_ADVISE_OPTION)
        cv_source_fail(r->src, r->err, "column '%s': %s", name, what);
    else
        cv_source_fail(r->src, r->err, "column %zu: %s", col + 1, what);
    return cv_source_site(r->src, r->err, "line %lld, column '%s': '%.*s'",
                          (long long)f->line, name,
                          f->len < 60 ? (int)f->len : 60, f->text);
}

static int not_a_number(csv_reader *r, size_t col, const cv_csv_field *f)
{
    cv_advice advice = r->src->advice;
    const char *shown = r->has_header || advice == CV_ADVISE_OPTION
                            ? r->names.names[col]
                            : "NAME";
    char what[CV_NAME_MAX + 160];
    if (advice == CV_ADVISE_MODEL)
        snprintf(what, sizeof what,
                 "expected a number as the model was trained with, found text");
    else if (advice == CV_ADVISE_OPTION)
        snprintf(what, sizeof what,
                 "expected a number, found text: give --category %s", shown);
    else
        snprintf(what, sizeof what,
                 "expected a number, found text; declare it in data.features: "
                 "{name: %s, type: category}",
                 shown);
    return fail_value(r, col, f, what);
}

static int unknown_level(csv_reader *r, size_t col, const cv_csv_field *f)
{
    const cv_name_set *known = &r->cols[col].levels;
    char list[320], what[400];
    if (r->src->advice != CV_ADVISE_MODEL)
        return fail_value(r, col, f,
                          "a value is not one of the declared levels; add it "
                          "to levels or correct the data");
    cv_names_list(list, sizeof list, (const char *const *)known->names,
                  known->n, 20);
    snprintf(what, sizeof what,
             "a value is not a level of the model; the model knows %s", list);
    return fail_value(r, col, f, what);
}

/* What people feed a CSV reader that is not UTF-8 text. */
static int check_encoding(const cv_source *src, const char *text, size_t len,
                          cv_err *err)
{
    if (len >= 2 && memcmp(text, "\x1f\x8b", 2) == 0)
        return cv_source_fail(src, err,
                              "expected CSV text, found a gzip file; "
                              "unpack it first");
    if (len >= 2 &&
        (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        return cv_source_fail(src, err,
                              "expected UTF-8 text, found UTF-16; "
                              "save it as UTF-8");
    if (memchr(text, '\0', len))
        return cv_source_fail(src, err,
                              "expected CSV text, found a file with "
                              "zero bytes");
    return 0;
}

static int read_header(csv_reader *r)
{
    cv_csv_field f = {0};
    if (!cv_csv_more(&r->csv))
        return cv_source_fail(r->src, r->err, "no header line");
    while (!f.last) {
        if (cv_csv_next(&r->csv, &f))
            return fail_at(r, f.line, r->csv.problem);
        int number = (int)r->names.n + 1;
        if (f.len == 0)
            return cv_source_fail(
                r->src, r->err,
                "column %d has no name; the first line must name every column "
                "(from R write with row.names = FALSE, from pandas with "
                "index=False)",
                number);
        const char *fault = cv_name_fault(f.text, f.len);
        if (fault)
            return cv_source_fail(
                r->src, r->err, "column %d has a name that %s", number, fault);
        if (number > CV_COLUMNS_MAX)
            return cv_source_fail(r->src, r->err, "more than %d columns",
                                  CV_COLUMNS_MAX);
        if (!cv_name_set_add(&r->names, f.text, f.len, NULL)) {
            cv_source_fail(
                r->src, r->err,
                "column %d has a name that is there twice; the first "
                "line must give every column a name of its own",
                number);
            return cv_source_site(r->src, r->err, "column '%.*s'", (int)f.len,
                                  f.text);
        }
    }
    return 0;
}

static void plan_column(csv_reader *r, size_t col, const cv_feature *declared,
                        int32_t *n_cols)
{
    const cv_source *src = r->src;
    csv_column *c = &r->cols[col];
    int is_target =
        src->target && strcmp(r->names.names[col], src->target) == 0;
    int left_out = src->filter && src->filter->declared_only && !declared;
    if (!is_target && (src->target_only || left_out))
        return;
    c->is_target = is_target;
    c->to = is_target && !r->f64 ? TO_TARGET : (*n_cols)++;
    if (!declared) {
        c->kind = is_target ? UNDECIDED : NUMBER;
        return;
    }
    c->kind = declared->type == CV_FEATURE_CATEGORY ? CATEGORY : NUMBER;
    if (c->kind == CATEGORY && declared->n_levels) {
        c->fixed = 1;
        cv_name_set_add_all(&c->levels, declared->levels,
                            (size_t)declared->n_levels);
    }
}

/* Every row of the file takes a line, and a byte for each of its columns. */
static int64_t most_rows(const csv_reader *r)
{
    int64_t lines = 1;
    for (const char *p = r->csv.at; p < r->csv.end; p++)
        lines += *p == '\n';
    int64_t fit = (r->csv.end - r->csv.at) / (int64_t)r->names.n + 1;
    return lines < fit ? lines : fit;
}

static int not_there(csv_reader *r, const char *what, const char *name)
{
    char hint[390];
    cv_names_hint(hint, sizeof hint, name, (const char *const *)r->names.names,
                  r->names.n);
    cv_source_fail(r->src, r->err, "%s '%s' is not in the file", what, name);
    return cv_source_site(r->src, r->err, "%s", hint);
}

/* Said here, while all names of the file are known. */
static int check_there(csv_reader *r, int has_target)
{
    const cv_source *src = r->src;
    int wanted = src->filter && src->advice == CV_ADVISE_JOB;
    if (src->target && !has_target && (wanted || src->target_only))
        return not_there(r, "target", src->target);
    for (int i = 0; wanted && i < src->n_features; i++) {
        const char *name = src->features[i].name;
        if (cv_name_set_find(&r->names, name, strlen(name)) < 0)
            return not_there(r, "feature", name);
    }
    return 0;
}

static int make_table(csv_reader *r, int32_t n_cols, int has_target)
{
    int64_t rows = most_rows(r);
    cv_type type = r->f64 ? CV_TYPE_F64 : CV_TYPE_F32;
    int rc = cv_source_room(r->src, rows, (int64_t)n_cols + 1,
                            cv_type_size(type), r->err);
    if (rc)
        return rc;
    const cv_row_filter *f = r->src->filter;
    if (f && f->keep && f->n_rows) {
        int64_t kept = 0;
        for (int64_t i = 0; i < f->n_rows; i++)
            kept += f->keep[i] != 0;
        rows = kept < rows ? kept : rows;
    }
    r->capacity = rows;
    r->table = cv_table_alloc(rows, n_cols, type);
    r->table->lines = CV_NEW(rows, int64_t);
    if (has_target && !r->f64)
        r->table->y = CV_NEW(rows, float);
    return 0;
}

static int plan(csv_reader *r)
{
    const cv_source *src = r->src;
    cv_name_set declared = {0};
    int32_t n_cols = 0, has_target = 0;
    r->cols = CV_NEW(r->names.n, csv_column);
    for (int i = 0; i < src->n_features; i++)
        cv_name_set_add(&declared, src->features[i].name,
                        strlen(src->features[i].name), NULL);
    for (size_t j = 0; j < r->names.n; j++) {
        int64_t k = cv_name_set_find(&declared, r->names.names[j],
                                     strlen(r->names.names[j]));
        plan_column(r, j, k >= 0 ? &src->features[k] : NULL, &n_cols);
        r->has_header |= k >= 0 || r->cols[j].is_target;
        has_target |= r->cols[j].is_target;
    }
    cv_name_set_free(&declared);
    int rc = check_there(r, has_target);
    return rc ? rc : make_table(r, n_cols, has_target);
}

static int is_missing(const char *s, size_t len)
{
    while (len && (*s == ' ' || *s == '\t')) {
        s++;
        len--;
    }
    while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
        len--;
    return len == 0 || (len == 2 && memcmp(s, "NA", 2) == 0) ||
           (len == 3 && (memcmp(s, "NaN", 3) == 0 || memcmp(s, "nan", 3) == 0));
}

static int read_number(csv_reader *r, size_t col, const cv_csv_field *f,
                       double *out)
{
    switch (cv_number(out, f->text, f->len)) {
    case 0:
        if (r->f64 || !isinf((float)*out))
            return 0;
        break;
    case 2:
        *out = NAN;
        return 0;
    case -1:
        if (!is_missing(f->text, f->len))
            return not_a_number(r, col, f);
        *out = NAN;
        return 0;
    }
    return fail_value(r, col, f,
                      r->f64 ? "a value is infinite or too large for a 64-bit "
                               "float; leave missing values empty"
                             : "a value is infinite or too large for a 32-bit "
                               "float; leave missing values empty");
}

static int read_level(csv_reader *r, size_t col, const cv_csv_field *f,
                      double *out)
{
    csv_column *c = &r->cols[col];
    if (is_missing(f->text, f->len)) {
        *out = NAN;
        return 0;
    }
    int64_t at = cv_name_set_find(&c->levels, f->text, f->len);
    if (at >= 0) {
        *out = (double)at;
        return 0;
    }
    if (c->fixed)
        return unknown_level(r, col, f);
    const char *fault = cv_name_fault(f->text, f->len);
    if (fault)
        return fail_value(r, col, f, fault);
    if (c->levels.n == CV_LEVELS_MAX)
        return fail_value(r, col, f,
                          "more levels than a category may have; is it an "
                          "identifier rather than a category?");
    uint32_t number;
    cv_name_set_add(&c->levels, f->text, f->len, &number);
    *out = (double)number;
    return 0;
}

/* The first value that is there says what an undeclared target is; it counts
 * whether its row is kept or not, so all readers of a file agree. */
static void decide(csv_column *c, const cv_csv_field *f)
{
    double v;
    if (!is_missing(f->text, f->len))
        c->kind = cv_number(&v, f->text, f->len) < 0 ? CATEGORY : NUMBER;
}

/* The bytes of a row without its line end. */
static uint64_t content(const char *from, const char *end)
{
    if (end > from && end[-1] == '\n')
        end--;
    if (end > from && end[-1] == '\r')
        end--;
    return cv_row_content(from, (size_t)(end - from));
}

static int read_row(csv_reader *r, int keep)
{
    cv_table *t = r->table;
    size_t at = (size_t)r->n_kept * (size_t)t->n_cols;
    double *wide = r->f64 && t->x ? (double *)t->x + at : NULL;
    float *x = !r->f64 && t->x ? (float *)t->x + at : NULL;
    const char *from = r->csv.at;
    cv_csv_field f = {0};
    int64_t line = r->csv.line;
    size_t n = r->names.n, j = 0;
    if (keep)
        t->lines[r->n_kept] = line;
    for (; !f.last; j++) {
        if (cv_csv_next(&r->csv, &f))
            return fail_at(r, f.line, r->csv.problem);
        csv_column *c = &r->cols[j];
        if (j >= n || c->kind == SKIP)
            continue;
        if (c->kind == UNDECIDED)
            decide(c, &f);
        if (!keep)
            continue;
        double v = NAN;
        int rc = c->kind == CATEGORY ? read_level(r, j, &f, &v)
                                     : read_number(r, j, &f, &v);
        if (rc)
            return rc;
        if (wide)
            wide[c->to] = v;
        else
            *(c->to == TO_TARGET ? &t->y[r->n_kept] : &x[c->to]) = (float)v;
    }
    if (keep && r->f64)
        t->content[r->n_kept] = content(from, r->csv.at);
    if (j == n)
        return 0;
    cv_source_fail(r->src, r->err,
                   "expected %zu fields in every line as in "
                   "the header, found a line with another "
                   "number of fields",
                   n);
    return cv_source_site(r->src, r->err, "line %lld has %zu fields",
                          (long long)line, j);
}

static int read_rows(csv_reader *r)
{
    const cv_row_filter *f = r->src->filter;
    int64_t n = f && f->keep ? f->n_rows : 0;
    int rc = 0;
    for (; !rc && cv_csv_more(&r->csv); r->n_rows++) {
        if (n && r->n_rows == n)
            break; /* reported below */
        int keep = cv_source_keeps(r->src, r->n_rows);
        CV_CHECK(!keep || r->n_kept < r->capacity);
        rc = read_row(r, keep);
        r->n_kept += keep;
    }
    if (rc)
        return rc;
    if (n && (r->n_rows != n || cv_csv_more(&r->csv)))
        return cv_source_fail(r->src, r->err,
                              "the number of rows has changed since the file "
                              "was first read");
    if (r->n_rows == 0)
        return cv_source_fail(r->src, r->err, "no rows after the header");
    r->table->n_rows = r->n_kept;
    return 0;
}

/* Level numbers as they were met become those of the sorted levels. */
static void renumber(cv_table *t, int32_t col, const uint32_t *rank)
{
    size_t stride = col == TO_TARGET ? 1 : (size_t)t->n_cols;
    size_t at = col == TO_TARGET ? 0 : (size_t)col;
    float *v = col == TO_TARGET ? t->y : t->x;
    double *wide = t->x;
    for (int64_t i = 0; i < t->n_rows; i++, at += stride)
        if (t->type == CV_TYPE_F64)
            wide[at] = isnan(wide[at]) ? wide[at] : rank[(uint32_t)wide[at]];
        else if (!isnan(v[at]))
            v[at] = (float)rank[(uint32_t)v[at]];
}

/* Names and levels move into the table; found levels are sorted. */
static void finish_columns(csv_reader *r)
{
    cv_table *t = r->table;
    for (size_t j = 0; j < r->names.n; j++) {
        csv_column *c = &r->cols[j];
        if (c->kind == SKIP)
            continue;
        cv_column *col = c->to == TO_TARGET ? &t->target : &t->cols[c->to];
        col->name = r->names.names[j];
        r->names.names[j] = NULL;
        if (c->kind != CATEGORY)
            continue;
        col->n_levels = (int)c->levels.n;
        col->levels = cv_name_set_take(&c->levels);
        if (c->fixed || col->n_levels == 0)
            continue;
        uint32_t *rank = CV_NEW(col->n_levels, uint32_t);
        cv_levels_sort(col->levels, (size_t)col->n_levels, rank);
        renumber(t, c->to, rank);
        free(rank);
    }
}

int cv_csv_parse(const cv_source *src, const char *text, size_t len,
                 cv_table **table, cv_err *err)
{
    csv_reader r = {.src = src, .err = err, .f64 = cv_source_f64(src)};
    int rc = check_encoding(src, text, len, err);
    if (rc)
        return rc;
    cv_csv_open(&r.csv, text, len);
    rc = read_header(&r);
    if (!rc)
        rc = plan(&r);
    if (!rc)
        rc = read_rows(&r);
    if (!rc) {
        finish_columns(&r);
        *table = r.table;
        r.table = NULL;
    }
    for (size_t j = 0; r.cols && j < r.names.n; j++)
        cv_name_set_free(&r.cols[j].levels);
    free(r.cols);
    cv_name_set_free(&r.names);
    cv_table_destroy(&r.table);
    cv_csv_close(&r.csv);
    return rc;
}

int cv_table_csv_header(const char *path, const char *file_role, char ***names,
                        size_t *n, cv_err *err)
{
    cv_source src = {.path = path, .role = file_role};
    csv_reader r = {.src = &src, .err = err};
    char *text = NULL;
    size_t len = 0;
    *names = NULL;
    *n = 0;
    int rc = cv_source_load(&src, &text, &len, err);
    if (!rc)
        rc = check_encoding(&src, text, len, err);
    if (!rc) {
        cv_csv_open(&r.csv, text, len);
        rc = read_header(&r);
        cv_csv_close(&r.csv);
    }
    if (!rc) {
        *n = r.names.n;
        *names = cv_name_set_take(&r.names);
    }
    cv_name_set_free(&r.names);
    free(text);
    return rc;
}

int cv_table_read_csv(const cv_source *src, cv_table **table, cv_err *err)
{
    char *text = NULL;
    size_t len = 0;
    int rc = cv_source_load(src, &text, &len, err);
    if (!rc)
        rc = cv_csv_parse(src, text, len, table, err);
    free(text);
    return rc;
}
