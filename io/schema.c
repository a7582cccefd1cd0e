#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/text.h"
#include "io/design.h"
#include "io/names.h"
#include "io/schema_internal.h"
#include "io/table_internal.h"

static int fail(cv_err *err, const char *column, const char *what)
{
    return cv_err_set(err, CV_ERR_INPUT, NULL, 0, "column '%s': %s", column,
                      what);
}

void cv_feature_clear(cv_feature *f)
{
    for (int i = 0; f->levels && i < f->n_levels; i++)
        free(f->levels[i]);
    free((void *)f->levels);
    free(f->name);
    *f = (cv_feature){0};
}

static void forget_columns(cv_schema *s)
{
    for (int j = 0; s->col_names && j < s->n_cols; j++)
        free(s->col_names[j]);
    free((void *)s->col_names);
    s->col_names = NULL;
    CV_FREE(s->shift);
    CV_FREE(s->unit);
    CV_FREE(s->fill);
    s->n_cols = 0;
}

void cv_schema_destroy(cv_schema **schema)
{
    cv_schema *s = *schema;
    if (!s)
        return;
    forget_columns(s);
    for (int i = 0; s->features && i < s->n_features; i++)
        cv_feature_clear(&s->features[i]);
    cv_feature_clear(&s->target);
    free(s->features);
    free(s->declared);
    CV_FREE(*schema);
}

static void copy_levels(cv_feature *to, char *const *levels, int n)
{
    to->n_levels = n;
    to->levels = CV_NEW(n, char *);
    for (int i = 0; i < n; i++)
        to->levels[i] = cv_strdup(levels[i]);
}

int cv_schema_finish(cv_schema *s, cv_err *err)
{
    int64_t n = 0;
    forget_columns(s);
    for (int i = 0; i < s->n_features; i++)
        n += cv_feature_width(&s->features[i]);
    if (n > CV_COLUMNS_MAX)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "the features take %lld columns, more than %d; is a "
                          "category an identifier?",
                          (long long)n, CV_COLUMNS_MAX);
    s->n_cols = (int)n;
    s->col_names = CV_NEW(n, char *);
    int bounds = s->standardize == CV_STANDARDIZE_BOUNDS, at = 0;
    if (bounds) {
        s->shift = CV_NEW(n, double);
        s->unit = CV_NEW(n, double);
    }
    for (int i = 0; i < s->n_features; i++) {
        const cv_feature *f = &s->features[i];
        int number = f->type == CV_FEATURE_NUMBER;
        if (bounds && number && !f->has_bounds)
            return fail(err, f->name,
                        "standardize: bounds needs bounds: [low, high] for "
                        "every number among the features");
        for (int k = 0; k < cv_feature_width(f); k++, at++) {
            s->col_names[at] =
                number ? cv_strdup(f->name)
                       : cv_asprintf("%s=%s", f->name, f->levels[k + 1]);
            if (!bounds)
                continue;
            s->shift[at] = number ? f->lo : 0.0;
            s->unit[at] = number ? f->hi - f->lo : 1.0;
        }
    }
    return 0;
}

/* One column of a table, wherever it lies. */
typedef struct {
    const cv_table *table;
    const cv_column *column;
    int32_t col; /* of x, or -1: y */
} source;

static double value(const source *s, int64_t row)
{
    return s->col < 0 ? (double)s->table->y[row]
                      : cv_table_value(s->table, row, s->col);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Distinct values of a column of numbers that the job calls a category. */
static int levels_of_values(cv_feature *f, const source *s, cv_err *err)
{
    int64_t n = 0, n_rows = s->table->n_rows, distinct = 0;
    int wide = s->table->type == CV_TYPE_F64;
    double *v = CV_NEW(n_rows, double);
    for (int64_t i = 0; i < n_rows; i++) {
        double x = value(s, i);
        if (!isnan(x))
            v[n++] = wide ? x : (double)(float)x;
    }
    qsort(v, (size_t)n, sizeof *v, compare_doubles);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || v[i] > v[i - 1])
            v[distinct++] = v[i];
    int rc = 0;
    if (distinct > CV_LEVELS_MAX)
        rc = fail(err, f->name,
                  "more levels than a category may have; declare it number");
    cv_name_set levels = {0}; /* two doubles may have the text of one float */
    for (int64_t i = 0; i < distinct && !rc; i++) {
        char text[32];
        double x = v[i] + 0.0; /* -0 -> 0 */
        if (wide)
            cv_level_of_double(text, sizeof text, x);
        else
            cv_level_of_number(text, sizeof text, (float)x);
        cv_name_set_add(&levels, text, strlen(text), NULL);
    }
    f->n_levels = (int)levels.n;
    f->levels = levels.n ? cv_name_set_take(&levels) : NULL;
    free(v);
    return rc;
}

/* Classes "0".."K-1" of a target of whole numbers. */
static int whole_classes(cv_feature *f, const source *s, cv_err *err)
{
    double most = -1.0;
    char where[40];
    for (int64_t i = 0; i < s->table->n_rows; i++) {
        double v = value(s, i);
        if (isnan(v))
            continue;
        if (v < 0.0 || v != floor(v) || v >= CV_CLASSES_MAX) {
            cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                       "target '%s': expected classes 0, 1, 2, ... (below %d), "
                       "found another number; recode it, or declare it "
                       "category; for a number use model linear or poisson",
                       f->name, CV_CLASSES_MAX);
            cv_table_where(where, sizeof where, s->table, i);
            return cv_err_site(err, "%s: %.9g", where, v);
        }
        most = v > most ? v : most;
    }
    f->n_levels = (int)most + 1;
    f->levels = CV_NEW(f->n_levels, char *);
    for (int k = 0; k < f->n_levels; k++)
        f->levels[k] = cv_asprintf("%d", k);
    return 0;
}

/* The feature as declared, or as the column is; without levels so far. */
static int describe(cv_feature *f, const source *s, const cv_feature *declared,
                    cv_err *err)
{
    int has_levels = s->column->n_levels > 0;
    f->name = cv_strdup(s->column->name);
    f->type = has_levels ? CV_FEATURE_CATEGORY : CV_FEATURE_NUMBER;
    if (!declared)
        return 0;
    if (declared->type == CV_FEATURE_NUMBER && has_levels)
        return fail(err, f->name,
                    "declared number, found a category; declare it category");
    f->type = declared->type;
    if (declared->type == CV_FEATURE_NUMBER && declared->has_bounds) {
        f->has_bounds = 1;
        f->lo = declared->lo;
        f->hi = declared->hi;
    }
    return 0;
}

static int find_levels(cv_feature *f, const source *s,
                       const cv_feature *declared, cv_err *err)
{
    if (declared && declared->n_levels)
        copy_levels(f, declared->levels, declared->n_levels);
    else if (s->column->n_levels)
        copy_levels(f, s->column->levels, s->column->n_levels);
    else
        return levels_of_values(f, s, err);
    return 0;
}

/* The job's levels are the classes of every silo, whatever it holds. */
static void declare_classes(cv_schema *schema, const source *s,
                            const cv_job *job)
{
    cv_feature *f = &schema->target;
    f->name = cv_strdup(s->column->name);
    f->type = CV_FEATURE_CATEGORY;
    copy_levels(f, job->data.target_levels, job->data.n_target_levels);
    schema->target_declared = 1;
}

static int make_target(cv_schema *schema, const source *s, const cv_job *job,
                       const cv_feature *declared, int needs_classes,
                       cv_err *err)
{
    cv_feature *f = &schema->target;
    if (job->data.n_target_levels && needs_classes) {
        declare_classes(schema, s, job);
        return 0;
    }
    int rc = describe(f, s, declared, err);
    if (rc)
        return rc;
    int category = f->type == CV_FEATURE_CATEGORY;
    if (needs_classes == 0 && category)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "target '%s': this model needs a number, found a "
                          "category; data.target_levels: [..] makes it a "
                          "class, for logistic, softmax and binomial models",
                          f->name);
    int whole = s->col == s->table->y_col && s->table->y_whole;
    if (needs_classes == 0 || (needs_classes == 2 && !category && !whole))
        return 0;
    f->type = CV_FEATURE_CATEGORY;
    f->has_bounds = 0;
    schema->target_declared = category && declared && declared->n_levels > 0;
    return category ? find_levels(f, s, declared, err)
                    : whole_classes(f, s, err);
}

static int not_there(const cv_table *t, const char *what, const char *name,
                     cv_err *err)
{
    const char **words = CV_NEW(t->n_cols + 1, const char *);
    size_t n = 0;
    for (int32_t j = 0; j < t->n_cols; j++)
        words[n++] = t->cols[j].name;
    if (t->target.name)
        words[n++] = t->target.name;
    char hint[400];
    cv_names_hint(hint, sizeof hint, name, words, n);
    cv_err_set(err, CV_ERR_INPUT, NULL, 0,
               "%s '%s' is not a column of the data", what, name);
    /* In a file without a header line, the names are somebody's values. */
    cv_err_site(err, "%s", hint);
    free((void *)words);
    return CV_ERR_INPUT;
}

static int find_target(source *s, const cv_table *t, const char *target,
                       cv_err *err)
{
    *s = (source){.table = t, .column = &t->target, .col = -1};
    if (t->y && (!target || strcmp(t->target.name, target) == 0))
        return 0;
    if (!target) {
        s->column = NULL; /* a model without a response */
        return 0;
    }
    s->col = cv_table_find(t, target);
    if (s->col < 0)
        return not_there(t, "target", target, err);
    s->column = &t->cols[s->col];
    return 0;
}

static int add_feature(cv_schema *schema, const cv_table *t, int32_t col,
                       const cv_feature *declared, cv_err *err)
{
    source s = {.table = t, .column = &t->cols[col], .col = col};
    schema->declared[schema->n_features] =
        declared && declared->type == CV_FEATURE_CATEGORY &&
        declared->n_levels > 0;
    cv_feature *f = &schema->features[schema->n_features++];
    int rc = describe(f, &s, declared, err);
    if (!rc && f->type == CV_FEATURE_CATEGORY)
        rc = find_levels(f, &s, declared, err);
    return rc;
}

static int is_target(const char *target, const char *name)
{
    return target && strcmp(target, name) == 0;
}

static int add_features(cv_schema *schema, const cv_table *t, const cv_job *job,
                        int32_t target_col, cv_err *err)
{
    const char *target = schema->target.name;
    int n_declared = 0, rc = 0;
    for (int i = 0; i < job->data.n_features; i++)
        n_declared += !is_target(target, job->data.features[i].name);
    int n = n_declared ? n_declared : t->n_cols;
    schema->features = CV_NEW(n, cv_feature);
    schema->declared = CV_NEW(n, uint8_t);
    if (n_declared == 0) {
        for (int32_t j = 0; j < t->n_cols && !rc; j++)
            if (j != target_col)
                rc = add_feature(schema, t, j, NULL, err);
        if (!rc && schema->n_features == 0)
            rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                            target ? "the data has no column besides the target"
                                   : "the data has no column");
        return rc;
    }
    cv_name_set columns = {0};
    for (int32_t j = 0; j < t->n_cols; j++)
        cv_name_set_add(&columns, t->cols[j].name, strlen(t->cols[j].name),
                        NULL);
    for (int i = 0; i < job->data.n_features && !rc; i++) {
        const cv_feature *f = &job->data.features[i];
        if (is_target(target, f->name))
            continue;
        int64_t j = cv_name_set_find(&columns, f->name, strlen(f->name));
        rc = j < 0 ? not_there(t, "feature", f->name, err)
                   : add_feature(schema, t, (int32_t)j, f, err);
    }
    cv_name_set_free(&columns);
    return rc;
}

/* Schemas travel unmasked, so they may hold nothing that was found in rows. */
static int check_declared(const cv_schema *s, cv_err *err)
{
    for (int i = 0; i < s->n_features; i++)
        if (s->features[i].type == CV_FEATURE_CATEGORY && !s->declared[i])
            return fail(err, s->features[i].name,
                        "a category whose levels are not in the job; with "
                        "secure_aggregation, declare it in data.features with "
                        "levels: [..]");
    if (s->target.type == CV_FEATURE_CATEGORY && !s->target_declared)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "target '%s': with secure_aggregation its classes "
                          "must be in the job; add data.target_levels: [..]",
                          s->target.name);
    return 0;
}

int cv_schema_of_table(const cv_table *table, const cv_job *job,
                       int needs_classes, cv_schema **schema, cv_err *err)
{
    cv_schema *s = CV_NEW(1, cv_schema);
    const cv_feature *declared = NULL;
    source target;
    s->missing = job->data.missing;
    s->standardize = job->data.standardize;
    int rc = find_target(&target, table, job->data.target, err);
    for (int i = 0; i < job->data.n_features && !rc && target.column; i++)
        if (strcmp(job->data.features[i].name, target.column->name) == 0)
            declared = &job->data.features[i];
    if (!rc && target.column)
        rc = make_target(s, &target, job, declared, needs_classes, err);
    if (!rc)
        rc = add_features(s, table, job, target.col, err);
    if (!rc && job->secure_aggregation.enabled && !job->simulate.enabled)
        rc = check_declared(s, err);
    if (!rc)
        rc = cv_schema_finish(s, err);
    if (rc)
        cv_schema_destroy(&s);
    *schema = s;
    return rc;
}
