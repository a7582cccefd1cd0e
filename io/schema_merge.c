#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "io/design.h"
#include "io/names.h"
#include "io/schema_internal.h"

static const char *type_word(const cv_feature *f)
{
    return f->type == CV_FEATURE_NUMBER ? "number" : "category";
}

static int same_levels(const cv_feature *a, const cv_feature *b)
{
    if (a->n_levels != b->n_levels)
        return 0;
    for (int i = 0; i < a->n_levels; i++)
        if (strcmp(a->levels[i], b->levels[i]) != 0)
            return 0;
    return 1;
}

static int same_bounds(const cv_feature *a, const cv_feature *b)
{
    return a->has_bounds == b->has_bounds &&
           (!a->has_bounds || (a->lo == b->lo && a->hi == b->hi));
}

/* what: "target" or "column 3". */
static int compare(const char *what, const cv_feature *a, const cv_feature *b,
                   int a_declared, int b_declared, cv_err *err)
{
    if (strcmp(a->name, b->name) != 0 || a->type != b->type)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "%s differs between silos: expected '%s' (%s), found "
                          "'%s' (%s)",
                          what, a->name, type_word(a), b->name, type_word(b));
    if (!same_bounds(a, b))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "%s '%s': its bounds differ between silos", what,
                          a->name);
    if (a_declared != b_declared || (a_declared && !same_levels(a, b)))
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "%s '%s': its declared levels differ between silos",
                          what, a->name);
    return 0;
}

static int comparable(const cv_schema *s, const cv_schema *o, cv_err *err)
{
    char what[32];
    if (!s->target.name != !o->target.name)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "target differs between silos: one has '%s', another "
                          "none; all must run the same job",
                          s->target.name ? s->target.name : o->target.name);
    int rc = 0;
    if (s->target.name)
        rc = compare("target", &s->target, &o->target, s->target_declared,
                     o->target_declared, err);
    int n = s->n_features < o->n_features ? s->n_features : o->n_features;
    for (int i = 0; i < n && !rc; i++) {
        snprintf(what, sizeof what, "column %d", i + 1);
        rc = compare(what, &s->features[i], &o->features[i], s->declared[i],
                     o->declared[i], err);
    }
    if (!rc && s->n_features != o->n_features)
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "column %d '%s' is not there in every silo: expected "
                        "%d columns, found %d",
                        n + 1,
                        s->n_features > n ? s->features[n].name
                                          : o->features[n].name,
                        s->n_features, o->n_features);
    if (!rc && (s->missing != o->missing || s->standardize != o->standardize))
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "missing or standardize differs between silos; all "
                        "must run the same job");
    return rc;
}

/* The union, in *out; NULL if a has it already in this order. */
static int unite(char ***out, int *n, const cv_feature *a, const cv_feature *b,
                 cv_err *err)
{
    *out = NULL;
    if (same_levels(a, b))
        return 0;
    cv_name_set set = {0};
    cv_name_set_add_all(&set, a->levels, (size_t)a->n_levels);
    for (int i = 0; i < b->n_levels; i++)
        cv_name_set_add(&set, b->levels[i], strlen(b->levels[i]), NULL);
    if (set.n > CV_LEVELS_MAX) {
        cv_name_set_free(&set);
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "column '%s': more than %d levels over all silos; is "
                          "it an identifier rather than a category?",
                          a->name, CV_LEVELS_MAX);
    }
    *n = (int)set.n;
    *out = cv_name_set_take(&set);
    cv_levels_sort(*out, (size_t)*n, NULL);
    return 0;
}

static void drop(char **levels, int n)
{
    for (int i = 0; levels && i < n; i++)
        free(levels[i]);
    free((void *)levels);
}

/* All unions are made before any is put in place, so that an error leaves the
 * schema as it was; slot n_features is the target. */
int cv_schema_merge(cv_schema *s, const cv_schema *other, cv_err *err)
{
    int rc = comparable(s, other, err), n = s->n_features;
    if (rc)
        return rc;
    char ***levels = CV_NEW(n + 1, char **);
    int *n_levels = CV_NEW(n + 1, int), changed = 0;
    int64_t width = 0;
    for (int i = 0; i <= n && !rc; i++) {
        const cv_feature *a = i < n ? &s->features[i] : &s->target;
        const cv_feature *b = i < n ? &other->features[i] : &other->target;
        cv_feature united = *a;
        rc = unite(&levels[i], &n_levels[i], a, b, err);
        if (levels[i])
            united.n_levels = n_levels[i];
        width += i < n ? cv_feature_width(&united) : 0;
    }
    if (!rc && width > CV_COLUMNS_MAX)
        rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                        "the features take more than %d columns over all "
                        "silos; is a category an identifier?",
                        CV_COLUMNS_MAX);
    for (int i = 0; i <= n; i++) {
        if (rc) {
            drop(levels[i], n_levels[i]);
        } else if (levels[i]) {
            cv_feature *f = i < n ? &s->features[i] : &s->target;
            drop(f->levels, f->n_levels);
            f->levels = levels[i];
            f->n_levels = n_levels[i];
            changed = 1;
        }
    }
    free((void *)levels);
    free(n_levels);
    return rc || !changed ? rc : cv_schema_finish(s, err);
}
