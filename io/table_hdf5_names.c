/* HDF5 data files: names of columns, levels of categories. */
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "io/table_hdf5.h"

static int is_text(const cv_h5in_type *t)
{
    return t->kind == CV_H5IN_TEXT || t->kind == CV_H5IN_VARIABLE_TEXT;
}

/* The texts of a data set of one dimension. */
static int read_text_set(cv_h5_input *in, uint64_t addr, size_t most,
                         cv_h5in_object *o, char ***text, size_t *n)
{
    uint8_t *raw = NULL;
    int rc = cv_h5in_load(&in->f, addr, o);
    if (!rc && (!o->has_type || !is_text(&o->type) || o->space.rank != 1 ||
                o->space.count > most))
        rc = cv_h5in_damaged(&in->f, "has no list of names there, or one of "
                                     "too many");
    if (!rc)
        rc = cv_h5in_prepare(&in->f, o);
    if (rc)
        return rc;
    *n = o->space.count;
    raw = cv_calloc(*n, o->type.size);
    rc = cv_h5in_rows(&in->f, o, 0, *n, raw);
    if (!rc)
        rc = cv_h5in_text(&in->f, raw, *n, &o->type, text);
    free(raw);
    return rc;
}

static int read_text_attr(cv_h5_input *in, const cv_h5in_attr *a, size_t most,
                          char ***text, size_t *n)
{
    if (!is_text(&a->type) || a->space.rank > 1 || a->space.count > most)
        return cv_h5in_damaged(&in->f, "has something else than names there");
    *n = a->space.count;
    return cv_h5in_text(&in->f, a->data, *n, &a->type, text);
}

char *cv_h5_name(cv_h5_input *in, const cv_h5in_attr *a)
{
    char **text = NULL, *name = NULL;
    size_t n = 0;
    if (read_text_attr(in, a, 1, &text, &n))
        return NULL;
    if (n == 1)
        name = text[0];
    free((void *)text);
    return name;
}

int cv_h5_column_names(cv_h5_input *in)
{
    cv_table *t = in->table;
    const cv_h5in_attr *a = cv_h5in_attribute(&in->x, "columns");
    const cv_h5in_link *set = cv_h5in_find(&in->root, "columns");
    cv_h5in_object o = {0};
    char **names = NULL;
    size_t n = 0;
    for (int32_t j = 0; !a && !set && j < in->width; j++)
        t->cols[j].name = cv_asprintf("x%d", j);
    if (!a && !set)
        return 0;
    int bad = a ? read_text_attr(in, a, CV_COLUMNS_MAX, &names, &n)
                : read_text_set(in, set->addr, CV_COLUMNS_MAX, &o, &names, &n);
    cv_h5in_free(&o);
    if (bad)
        return cv_h5_refused(in, "columns of /x");
    int fits = n == (size_t)in->width;
    for (size_t j = 0; j < n; j++)
        if (fits)
            t->cols[j].name = names[j];
        else
            free(names[j]);
    free((void *)names);
    if (!fits)
        return cv_source_fail(in->src, in->err,
                              "attribute columns of /x: expected %d names, "
                              "found %zu",
                              in->width, n);
    return 0;
}

static int take_levels(cv_h5_input *in, cv_column *c, char **levels, size_t n)
{
    cv_name_set seen = {0};
    const char *fault = n == 0 ? "there are none" : NULL;
    for (size_t i = 0; i < n && !fault; i++) {
        fault = cv_name_fault(levels[i], strlen(levels[i]));
        if (!fault &&
            !cv_name_set_add(&seen, levels[i], strlen(levels[i]), NULL))
            fault = "is there twice";
    }
    cv_name_set_free(&seen);
    if (fault || c->n_levels) {
        for (size_t i = 0; i < n; i++)
            free(levels[i]);
        free((void *)levels);
        return cv_source_fail(in->src, in->err,
                              "levels of column '%s' in /categories: %s%s",
                              c->name, fault && n ? "a name that " : "",
                              fault ? fault : "given twice");
    }
    c->n_levels = (int)n;
    c->levels = levels;
    return 0;
}

/* The column's name is that of the data set, or stands in its attribute
 * `column` where the name cannot be one in HDF5. */
static int category_column(cv_h5_input *in, const cv_name_set *columns,
                           const cv_h5in_object *o, const char *link,
                           cv_column **column)
{
    cv_table *t = in->table;
    const cv_h5in_attr *a = cv_h5in_attribute(o, "column");
    char *name = a ? cv_h5_name(in, a) : cv_strdup(link);
    if (!name)
        return cv_h5_refused(in, "/categories");
    int64_t j = cv_name_set_find(columns, name, strlen(name));
    int rc = 0;
    if (j >= 0)
        *column = &t->cols[j];
    else if (t->target.name && strcmp(t->target.name, name) == 0)
        *column = &t->target;
    else
        rc = cv_source_fail(in->src, in->err,
                            "/categories has levels for a column that is not "
                            "there: '%.*s'",
                            CV_NAME_MAX, name);
    free(name);
    return rc;
}

static int read_category(cv_h5_input *in, const cv_name_set *columns,
                         const cv_h5in_link *link)
{
    cv_h5in_object o;
    cv_column *column = NULL;
    char **levels = NULL;
    size_t n = 0;
    int rc = 0;
    if (read_text_set(in, link->addr, CV_LEVELS_MAX, &o, &levels, &n))
        rc = cv_h5_refused(in, "/categories");
    if (!rc)
        rc = category_column(in, columns, &o, link->name, &column);
    if (!rc)
        rc = take_levels(in, column, levels, n);
    else if (levels)
        for (size_t i = 0; i <= n; i++)
            free(i < n ? (void *)levels[i] : (void *)levels);
    cv_h5in_free(&o);
    return rc;
}

int cv_h5_categories(cv_h5_input *in)
{
    cv_table *t = in->table;
    const cv_h5in_link *link = cv_h5in_find(&in->root, "categories");
    cv_h5in_object group;
    cv_name_set columns = {0};
    if (!link)
        return 0;
    int rc = 0;
    if (cv_h5in_load(&in->f, link->addr, &group))
        rc = cv_h5_refused(in, "/categories");
    for (int32_t j = 0; j < t->n_cols && !rc && group.n_links; j++)
        cv_name_set_add(&columns, t->cols[j].name, strlen(t->cols[j].name),
                        NULL);
    for (size_t i = 0; i < group.n_links && !rc; i++)
        rc = read_category(in, &columns, &group.links[i]);
    cv_name_set_free(&columns);
    cv_h5in_free(&group);
    return rc;
}
