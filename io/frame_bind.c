/* Frames: from names to the columns of a table, and what to do with them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "io/frame_internal.h"
#include "io/names.h"

static int fail(cv_frame_binding *b, const char *column, const char *what)
{
    return cv_err_set(b->err, CV_ERR_INPUT, NULL, 0, "column '%s': %s", column,
                      what);
}

typedef struct {
    cv_name_set columns;  /* of the table */
    cv_name_set features; /* of the schema */
} name_sets;

static int64_t find(const cv_name_set *set, const char *name)
{
    return cv_name_set_find(set, name, strlen(name));
}

static void collect(name_sets *sets, const cv_frame_binding *b)
{
    const cv_table *t = b->table;
    const cv_schema *s = b->schema;
    for (int32_t j = 0; j < t->n_cols; j++)
        cv_name_set_add(&sets->columns, t->cols[j].name,
                        strlen(t->cols[j].name), NULL);
    for (int i = 0; i < s->n_features; i++)
        cv_name_set_add(&sets->features, s->features[i].name,
                        strlen(s->features[i].name), NULL);
}

/* What was agreed on a column: it bounds offsets, weights and the response
 * too. */
static const cv_feature *agreed(const cv_frame_binding *b,
                                const name_sets *sets, const char *name)
{
    const cv_schema *s = b->schema;
    if (s->target.name && strcmp(s->target.name, name) == 0)
        return &s->target;
    int64_t at = find(&sets->features, name);
    return at < 0 ? NULL : &s->features[at];
}

static int bind(cv_frame_binding *b, const name_sets *sets, cv_frame_source *s,
                const char *name, const cv_feature *feature)
{
    int64_t col = find(&sets->columns, name);
    *s = (cv_frame_source){.name = name,
                           .label = name,
                           .feature = feature,
                           .col = (int32_t)col,
                           .lo = -INFINITY,
                           .hi = INFINITY};
    if (col < 0)
        return fail(b, name, "expected it in the data, found no such column");
    const cv_column *c = &b->table->cols[col];
    if (feature && feature->has_bounds) {
        s->lo = feature->lo;
        s->hi = feature->hi;
    }
    s->category = feature && feature->type == CV_FEATURE_CATEGORY;
    if (s->category)
        cv_level_map_make(&s->map, c, feature, 1);
    else if (c->n_levels)
        return fail(b, name, "expected a number as agreed, found a category");
    b->used[b->n_used++] = s;
    return 0;
}

/* Columns that must be numbers, whatever the schema makes of them. */
static int bind_number(cv_frame_binding *b, const name_sets *sets,
                       cv_frame_source *s, const char *name, const char *role)
{
    const cv_feature *feature = agreed(b, sets, name);
    if (!feature || feature->type == CV_FEATURE_NUMBER)
        return bind(b, sets, s, name, feature);
    return cv_err_set(b->err, CV_ERR_INPUT, NULL, 0,
                      "column '%s': the %s must be a number, found a category",
                      name, role);
}

static void set_function(cv_frame_source *s, const cv_formula_var *v)
{
    s->label = v->label;
    s->fn = v->fn;
    s->power = v->power;
}

static int bind_terms(cv_frame_binding *b, const name_sets *sets)
{
    int rc = 0;
    for (int i = 0; i < b->f->n_vars && !rc; i++) {
        const cv_feature *f = &b->schema->features[b->plan->feature[i]];
        rc = bind(b, sets, &b->vars[i], f->name, f);
        set_function(&b->vars[i], &b->f->vars[i]);
    }
    for (int i = 0; i < b->f->n_offsets && !rc; i++) {
        const cv_formula_var *v = &b->f->offsets[i];
        rc = bind_number(b, sets, &b->offsets[i], v->column, "offset");
        set_function(&b->offsets[i], v);
    }
    return rc;
}

static int bind_response(cv_frame_binding *b, const name_sets *sets,
                         const cv_frame_roles *roles)
{
    const cv_formula_var *v = &b->f->response;
    int rc = 0, survival = b->f->event != NULL;
    b->has_response = b->f->has_response;
    b->has_event = b->has_response && survival;
    b->has_weights = roles && roles->weights;
    if (b->has_response && (survival || v->fn != CV_FN_NONE))
        rc = bind_number(b, sets, &b->response, v->column,
                         survival ? "time" : "argument of a function");
    else if (b->has_response)
        rc = bind(b, sets, &b->response, v->column, agreed(b, sets, v->column));
    if (!rc && b->has_response)
        set_function(&b->response, v);
    if (!rc && b->has_response && v->category && !b->response.category)
        rc = fail(b, v->column,
                  "the formula makes the response a category, but it is a "
                  "number; give its classes in data.target_levels");
    if (!rc && b->has_event)
        rc = bind_number(b, sets, &b->event, b->f->event, "event");
    if (!rc && b->has_weights)
        rc = bind_number(b, sets, &b->weights, roles->weights, "weight");
    return rc;
}

/* Can column k of the matrix be done in the same step as those before it? */
static int extends(const cv_frame_binding *b, const cv_frame_step *s, int k)
{
    const cv_frame_factor *f = b->plan->factor[k];
    if (s->kind == CV_STEP_COPY)
        return b->vars[f->var].col == s->from + s->n;
    return s->kind == CV_STEP_LEVELS && f->var == s->var &&
           f->level == s->first + s->n;
}

static void add_step(cv_frame_binding *b, int k)
{
    const cv_frame_plan *plan = b->plan;
    const cv_frame_factor *f = plan->factor[k];
    cv_frame_step s = {.kind = CV_STEP_PRODUCT, .to = k, .n = 1};
    if (plan->n_factor[k] == 0) {
        s.kind = CV_STEP_ONE;
    } else if (plan->n_factor[k] == 1 && f->level >= 0) {
        s.kind = CV_STEP_LEVELS;
        s.var = f->var;
        s.first = f->level;
    } else if (plan->n_factor[k] == 1 && b->vars[f->var].fn == CV_FN_NONE) {
        s.kind = CV_STEP_COPY;
        s.from = b->vars[f->var].col;
        b->lo[k] = b->vars[f->var].lo;
        b->hi[k] = b->vars[f->var].hi;
        s.clamps = b->vars[f->var].feature->has_bounds;
    }
    cv_frame_step *last = b->n_steps ? &b->steps[b->n_steps - 1] : NULL;
    if (last && last->kind == s.kind && extends(b, last, k)) {
        last->n++;
        last->clamps |= s.clamps;
    } else {
        b->steps[b->n_steps++] = s;
    }
}

static void plan_steps(cv_frame_binding *b)
{
    const cv_frame_plan *plan = b->plan;
    uint8_t *needed = CV_NEW(b->f->n_vars, uint8_t);
    b->steps = CV_NEW(plan->p, cv_frame_step);
    b->lo = CV_NEW(plan->p, double);
    b->hi = CV_NEW(plan->p, double);
    b->evaluated = CV_NEW(b->f->n_vars, int);
    for (int k = 0; k < plan->p; k++)
        add_step(b, k);
    for (int i = 0; i < b->n_steps; i++)
        for (int k = b->steps[i].to; b->steps[i].kind >= CV_STEP_LEVELS &&
                                     k < b->steps[i].to + b->steps[i].n;
             k++)
            for (int j = 0; j < plan->n_factor[k]; j++)
                needed[plan->factor[k][j].var] = 1;
    for (int v = 0; v < b->f->n_vars; v++)
        if (needed[v])
            b->evaluated[b->n_evaluated++] = v;
    free(needed);
}

int cv_frame_bind(cv_frame_binding *b, const cv_frame_roles *roles)
{
    const cv_formula *f = b->f;
    name_sets sets = {0};
    CV_CHECK(b->table->type == CV_TYPE_F64);
    if (b->schema->missing == CV_MISSING_MEAN)
        return cv_err_set(b->err, CV_ERR_INPUT, NULL, 0,
                          "data.missing: mean is not for models of a formula; "
                          "use drop or fail");
    b->vars = CV_NEW(f->n_vars, cv_frame_source);
    b->offsets = CV_NEW(f->n_offsets, cv_frame_source);
    b->used = CV_NEW(f->n_vars + f->n_offsets + 3, const cv_frame_source *);
    collect(&sets, b);
    int rc = bind_terms(b, &sets);
    if (!rc && b->with_response)
        rc = bind_response(b, &sets, roles);
    if (!rc)
        plan_steps(b);
    cv_name_set_free(&sets.columns);
    cv_name_set_free(&sets.features);
    return rc;
}

void cv_frame_unbind(cv_frame_binding *b)
{
    for (int i = 0; b->vars && i < b->f->n_vars; i++)
        cv_level_map_free(&b->vars[i].map);
    cv_level_map_free(&b->response.map);
    free(b->vars);
    free(b->offsets);
    free((void *)b->used);
    free(b->evaluated);
    free(b->steps);
    free(b->lo);
    free(b->hi);
}
