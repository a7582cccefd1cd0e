/* The formula of a fit, and the columns that follow from it. */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "io/formula.h"
#include "io/job_check.h"
#include "io/names.h"

typedef cv_job_checker checker;

/* ---- reading it ------------------------------------------------------------
 */

/* Of a job that names the response alone: all other columns explain it. */
static char *formula_of_target(const char *target)
{
    cv_buf b = {0};
    cv_buf_add(&b, "`", 1);
    for (const char *s = target; *s; s++) {
        if (*s == '`' || *s == '\\')
            cv_buf_add(&b, "\\", 1);
        cv_buf_add(&b, s, 1);
    }
    cv_buf_printf(&b, "` ~ .");
    return b.data;
}

static int find_text(const checker *c)
{
    cv_job *job = c->job;
    int cox = cv_job_is_kind(job, "cox");
    if (job->model.formula)
        return 0;
    if (cox || cv_job_is_kind(job, "glm"))
        return cv_job_wrong(c, "model.formula",
                            "model.kind '%s' needs one, such as formula: "
                            "\"%s\"; found none",
                            job->model.kind,
                            cox ? "Surv(time, status) ~ age" : "y ~ age");
    if (cv_job_is_kind(job, "pca")) {
        job->model.formula = cv_strdup("~ .");
        return 0;
    }
    const char *why = cv_name_fault(job->data.target, strlen(job->data.target));
    if (why)
        return cv_job_wrong(c, "data.target", "a name that %s", why);
    job->model.formula = formula_of_target(job->data.target);
    return 0;
}

/* The key's name says already that it is one. */
static int wrong_formula(const checker *c, const cv_err *why)
{
    const char *text = why->text, *known = "formula: ";
    if (strncmp(text, known, strlen(known)) == 0)
        text += strlen(known);
    return cv_job_wrong(c, "model.formula", "%s", text);
}

static int check_left_side(const checker *c, const cv_formula *f)
{
    const char *path = "model.formula", *kind = c->job->model.kind;
    int pca = cv_job_is_kind(c->job, "pca"),
        cox = cv_job_is_kind(c->job, "cox");
    if (pca && f->has_response)
        return cv_job_wrong(c, path,
                            "pca has no response; expected \"~ terms\", found "
                            "'%s' before the ~; take it away",
                            f->response.label);
    if (cox && !f->event)
        return cv_job_wrong(c, path,
                            "expected Surv(time, event) before the ~, such as "
                            "\"Surv(time, status) ~ age\"; found %s",
                            f->has_response ? f->response.label : "nothing");
    if (!pca && !f->has_response)
        return cv_job_wrong(c, path,
                            "expected a response before the ~, such as \"y ~ "
                            "age\"; found none");
    if (!cox && f->event)
        return cv_job_wrong(c, path,
                            "Surv(time, event) is for model.kind cox; found "
                            "model.kind '%s'; change it, or name one column "
                            "as the response",
                            kind);
    if (f->response.category)
        return cv_job_wrong(c, path,
                            "the response is written without C(): '%s'; its "
                            "two classes stand in data.target_levels",
                            f->response.column);
    return 0;
}

static int check_offsets(const checker *c, const cv_formula *f)
{
    const cv_job *job = c->job;
    if (!f->n_offsets)
        return 0;
    if (!cv_job_is_kind(job, "glm") && !cv_job_is_kind(job, "cox"))
        return cv_job_wrong(c, "model.formula",
                            "offset() is for model.kind glm and cox; found "
                            "model.kind '%s'; take offset(%s) out",
                            job->model.kind, f->offsets[0].label);
    if (job->privacy.enabled)
        return cv_job_wrong(c, "model.formula",
                            "a private fit has no offset; take offset(%s) "
                            "out, or the privacy section",
                            f->offsets[0].label);
    return 0;
}

/* A silo's own constant takes the place of the common one. */
static int check_intercept(const checker *c, const cv_formula *f)
{
    const cv_job *job = c->job;
    if (!cv_job_is_kind(job, "glm") || job->model.strata != CV_STRATA_SILO ||
        f->intercept)
        return 0;
    return cv_job_wrong(c, "model.formula",
                        "model.strata: silo gives every silo an intercept of "
                        "its own; leave the formula's in place (no - 1, no + "
                        "0)");
}

static int read_formula(const checker *c, cv_formula **f)
{
    cv_err why = {0};
    int rc = find_text(c);
    if (rc)
        return rc;
    if (cv_formula_parse(c->job->model.formula, f, &why) != 0)
        return wrong_formula(c, &why);
    rc = check_left_side(c, *f);
    if (!rc)
        rc = check_offsets(c, *f);
    return rc ? rc : check_intercept(c, *f);
}

/* data.target is the formula's response. */
static int take_response(const checker *c, const cv_formula *f)
{
    cv_job *job = c->job;
    const char *response = f->has_response ? f->response.column : NULL;
    if (cv_job_gives(c, "data", "target") && !response)
        return cv_job_wrong(c, "data.target",
                            "pca predicts nothing; remove the key");
    if (cv_job_gives(c, "data", "target") &&
        strcmp(response, job->data.target) != 0)
        return cv_job_wrong(c, "data.target",
                            "the formula says what is explained: '%s'; remove "
                            "the key",
                            response);
    free(job->data.target);
    job->data.target = response ? cv_strdup(response) : NULL;
    return 0;
}

/* ---- `.` -------------------------------------------------------------------
 */

static int is(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* Has this column a part in the fit that is not that of a term? */
static int has_role(const cv_job *job, const cv_formula *f, const char *name)
{
    int yes = is(job->data.target, name) || is(f->event, name) ||
              is(job->model.weights, name);
    for (int i = 0; i < f->n_offsets && !yes; i++)
        yes = is(f->offsets[i].column, name);
    return yes;
}

static int check_names(const checker *c, const cv_formula *f)
{
    const cv_job *job = c->job;
    int terms = 0;
    for (int i = 0; i < job->data.n_features; i++) {
        const char *name = job->data.features[i].name;
        const char *why = cv_name_fault(name, strlen(name));
        if (why)
            return cv_job_wrong_feature(c, i, "a name that %s", why);
        terms = terms || !has_role(job, f, name);
    }
    if (terms)
        return 0;
    return cv_job_wrong(c, "data.features",
                        "`.` in model.formula stands for the columns that are "
                        "listed here, and none of them explains anything; list "
                        "them, or name the terms in model.formula");
}

/* `.` stands for the declared features, if there are any. */
static int expand_dot(const checker *c, cv_formula **f)
{
    cv_job *job = c->job;
    cv_formula *whole = NULL;
    cv_err why = {0};
    if (!(*f)->dot || job->data.n_features == 0)
        return 0;
    int rc = check_names(c, *f);
    if (rc)
        return rc;
    const char **name = CV_NEW(job->data.n_features, const char *);
    for (int i = 0; i < job->data.n_features; i++)
        name[i] = job->data.features[i].name;
    const char *weights = job->model.weights;
    rc = cv_formula_expand(*f, name, (size_t)job->data.n_features, &weights,
                           weights != NULL, &whole, &why);
    free(name);
    if (rc)
        return wrong_formula(c, &why);
    cv_formula_destroy(f);
    *f = whole;
    return 0;
}

/* ---- columns ---------------------------------------------------------------
 */

/* The columns that a fit reads, in the order of the formula. */
typedef struct {
    cv_feature *list;
    cv_name_set names; /* of list */
    cv_name_set declared;
} columns;

static void add_column(const checker *c, columns *cols, const char *name,
                       int category)
{
    uint32_t at;
    int fresh = cv_name_set_add(&cols->names, name, strlen(name), &at);
    cv_feature *f = &cols->list[at];
    int64_t from = cv_name_set_find(&cols->declared, name, strlen(name));
    if (fresh && from >= 0) { /* moved */
        *f = c->job->data.features[from];
        c->job->data.features[from] = (cv_feature){0};
    } else if (fresh) {
        f->name = cv_strdup(name);
    }
    if (category && !f->has_bounds)
        f->type = CV_FEATURE_CATEGORY;
}

static void add_columns(const checker *c, columns *cols, const cv_formula *f)
{
    const cv_job *job = c->job;
    for (int i = 0; i < f->n_vars; i++)
        add_column(c, cols, f->vars[i].column, f->vars[i].category);
    if (f->event)
        add_column(c, cols, f->event, 0);
    for (int i = 0; i < f->n_offsets; i++)
        add_column(c, cols, f->offsets[i].column, 0);
    if (job->model.weights)
        add_column(c, cols, job->model.weights, 0);
    /* The response is no feature; but an entry may give its bounds. */
    const char *target = job->data.target;
    if (target &&
        cv_name_set_find(&cols->declared, target, strlen(target)) >= 0)
        add_column(c, cols, target, 0);
}

static int refuse_the_rest(const checker *c)
{
    const cv_job *job = c->job;
    char name[80];
    for (int i = 0; i < job->data.n_features; i++) {
        if (!job->data.features[i].name)
            continue;
        cv_yaml_excerpt(name, job->data.features[i].name);
        return cv_job_wrong_feature(c, i,
                                    "'%s' is not in model.formula; add it "
                                    "there, or leave it out here",
                                    name);
    }
    return 0;
}

static void replace_features(cv_job *job, columns *cols)
{
    for (int i = 0; i < job->data.n_features; i++) {
        cv_feature *old = &job->data.features[i];
        for (int k = 0; k < old->n_levels; k++)
            free(old->levels[k]);
        free(old->levels);
        free(old->name);
    }
    free(job->data.features);
    job->data.features = cols->list;
    job->data.n_features = (int)cols->names.n;
}

/* Index of a column that is declared a category, or -1. */
static int64_t category(const checker *c, const columns *cols, const char *name)
{
    int64_t at = name ? cv_name_set_find(&cols->names, name, strlen(name)) : -1;
    return at >= 0 && c->job->data.features[at].type == CV_FEATURE_CATEGORY
               ? at
               : -1;
}

static int check_number(const checker *c, const columns *cols, const char *name,
                        const char *role)
{
    int64_t at = category(c, cols, name);
    return at < 0 ? 0
                  : cv_job_wrong_feature(c, (int)at,
                                         "'%s' is the %s, which must be a "
                                         "number; found a category",
                                         name, role);
}

static int check_response(const checker *c, const columns *cols)
{
    const char *name = c->job->data.target;
    int64_t at = category(c, cols, name);
    return at < 0 ? 0
                  : cv_job_wrong_feature(
                        c, (int)at,
                        "'%s' is the response: a number, or one of the two "
                        "words in data.target_levels of a binomial glm; found "
                        "type: category; leave the entry out",
                        name);
}

static int check_term(const checker *c, const columns *cols,
                      const cv_formula_var *v)
{
    int64_t at = cv_name_set_find(&cols->names, v->column, strlen(v->column));
    int number = c->job->data.features[at].type == CV_FEATURE_NUMBER;
    if (v->category && number)
        return cv_job_wrong_feature(
            c, (int)at,
            "'%s' is a category, %s, in model.formula; found bounds, which "
            "numbers have; replace them by type: category",
            v->column, v->label);
    if (v->fn != CV_FN_NONE && !number)
        return cv_job_wrong_feature(
            c, (int)at,
            "'%s' is a category, and model.formula has %s, a function of "
            "numbers; change one of the two",
            v->column, v->label);
    return 0;
}

/* What the job says of a column must suit its place in the formula. */
static int check_roles(const checker *c, const columns *cols,
                       const cv_formula *f)
{
    const cv_job *job = c->job;
    int rc = f->event ? check_number(c, cols, job->data.target, "time")
                      : check_response(c, cols);
    if (!rc)
        rc = check_number(c, cols, f->event, "event");
    if (!rc)
        rc = check_number(c, cols, job->model.weights, "weight of the rows");
    for (int i = 0; i < f->n_offsets && !rc; i++)
        rc = check_number(c, cols, f->offsets[i].column, "offset");
    for (int i = 0; i < f->n_vars && !rc; i++)
        rc = check_term(c, cols, &f->vars[i]);
    return rc;
}

/* What the job says of the columns is kept, and what it says of others
 * refused. */
static int take_features(const checker *c, const cv_formula *f)
{
    cv_job *job = c->job;
    size_t most = (size_t)f->n_vars + (size_t)f->n_offsets + 3;
    columns cols = {.list = CV_NEW(most, cv_feature)};
    for (int i = 0; i < job->data.n_features; i++) {
        const char *name = job->data.features[i].name;
        cv_name_set_add(&cols.declared, name, strlen(name), NULL);
    }
    add_columns(c, &cols, f);
    int rc = refuse_the_rest(c);
    replace_features(job, &cols);
    if (!rc)
        rc = check_roles(c, &cols, f);
    cv_name_set_free(&cols.names);
    cv_name_set_free(&cols.declared);
    return rc;
}

int cv_job_check_formula(const checker *c)
{
    cv_job *job = c->job;
    cv_formula *f = NULL;
    int rc = read_formula(c, &f);
    if (!rc)
        rc = take_response(c, f);
    if (!rc)
        rc = expand_dot(c, &f);
    if (!rc && !f->dot)
        rc = take_features(c, f);
    if (!rc) {
        free(job->model.formula);
        job->model.formula = cv_strdup(f->text);
    }
    cv_formula_destroy(&f);
    return rc;
}
