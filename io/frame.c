#include "io/frame.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "io/frame_internal.h"
#include "io/names.h"
#include "io/table_internal.h"

typedef struct {
    cv_frame_binding b;
    cv_frame *frame;
    int in_place;    /* the matrix takes the place of the table's x */
    double *copy;    /* (n_cols) in place: the row, which is written over */
    double *number;  /* (n_vars) of the row */
    int32_t *level;  /* (n_vars) of the row */
    int64_t row;     /* of the table */
    const double *x; /* (n_cols) that row */
} builder;

static int fail_value(const builder *f, const cv_frame_source *s,
                      const char *what)
{
    char where[40];
    cv_err_set(f->b.err, CV_ERR_INPUT, NULL, 0, "column '%s': %s", s->name,
               what);
    cv_table_where(where, sizeof where, f->b.table, f->row);
    return cv_err_site(f->b.err, "%s: %.17g", where, f->x[s->col]);
}

/* The agreed levels are known to all silos; the value is not. */
static int unknown_level(const builder *f, const cv_frame_source *s)
{
    const cv_column *c = &f->b.table->cols[s->col];
    double v = f->x[s->col];
    char list[320], what[420], where[40];
    cv_names_list(list, sizeof list, (const char *const *)s->feature->levels,
                  (size_t)s->feature->n_levels, 20);
    snprintf(what, sizeof what, "a value is not one of the agreed %s: %s",
             s == &f->b.response ? "classes" : "levels", list);
    fail_value(f, s, what);
    if (!(v >= 0.0 && v < c->n_levels))
        return CV_ERR_INPUT;
    cv_table_where(where, sizeof where, f->b.table, f->row);
    return cv_err_site(f->b.err, "%s: '%.60s'", where, c->levels[(int)v]);
}

/* NaN where the function has no value. */
static double apply(cv_formula_fn fn, int power, double v)
{
    double r = v;
    switch (fn) {
    case CV_FN_NONE:
        return v;
    case CV_FN_LOG:
        return v > 0.0 ? log(v) : NAN;
    case CV_FN_LOG10:
        return v > 0.0 ? log10(v) : NAN;
    case CV_FN_LOG1P:
        return v > -1.0 ? log1p(v) : NAN;
    case CV_FN_SQRT:
        return v >= 0.0 ? sqrt(v) : NAN;
    case CV_FN_EXP:
        return exp(v);
    case CV_FN_POWER:
        for (int k = 1; k < power; k++)
            r *= v;
        return r;
    }
    cv_bug(__FILE__, __LINE__, "known function");
}

static double clamp(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static int read_number(const builder *f, const cv_frame_source *s, double *v)
{
    char what[CV_NAME_MAX + 100];
    *v = apply(s->fn, s->power, clamp(f->x[s->col], s->lo, s->hi));
    if (isfinite(*v))
        return 0;
    snprintf(what, sizeof what, "%.*s %s", CV_NAME_MAX, s->label,
             isnan(*v) ? "is not defined for a value of it"
                       : "is too large for a value of it");
    return fail_value(f, s, what);
}

static int read_level(const builder *f, const cv_frame_source *s,
                      int32_t *level)
{
    *level = cv_level_map_find(&s->map, f->x[s->col]);
    return *level < 0 ? unknown_level(f, s) : 0;
}

static int read_variables(builder *f)
{
    int rc = 0;
    for (int i = 0; i < f->b.n_evaluated && !rc; i++) {
        int v = f->b.evaluated[i];
        const cv_frame_source *s = &f->b.vars[v];
        rc = s->category ? read_level(f, s, &f->level[v])
                         : read_number(f, s, &f->number[v]);
    }
    return rc;
}

static int read_response(const builder *f, int64_t at)
{
    cv_frame *d = f->frame;
    const cv_frame_source *s = &f->b.response;
    int32_t level = 0;
    if (d->y && s->category) {
        int rc = read_level(f, s, &level);
        d->y[at] = level;
        return rc;
    }
    double *to = d->y ? d->y : d->time;
    int rc = read_number(f, s, &to[at]);
    if (!rc && d->time && !(d->time[at] >= 0.0))
        rc = fail_value(f, s, "expected times of 0 and above, found another");
    return rc;
}

static int read_event(const builder *f, int64_t at)
{
    const cv_frame_source *s = &f->b.event;
    double v = f->x[s->col];
    int is = f->b.f->event_is;
    f->frame->event[at] = is ? v == f->b.f->event_value : v == 1.0;
    if (is || v == 0.0 || v == 1.0)
        return 0;
    return fail_value(f, s,
                      "expected events 0 and 1, found another number; write "
                      "which one is the event: Surv(time, column == number)");
}

/* Everything beside the matrix. */
static int read_roles(const builder *f, int64_t at)
{
    cv_frame *d = f->frame;
    double v = 0.0;
    int rc = 0;
    if (f->b.has_response)
        rc = read_response(f, at);
    if (!rc && d->event)
        rc = read_event(f, at);
    if (!rc && d->weights) {
        rc = read_number(f, &f->b.weights, &d->weights[at]);
        if (!rc && d->weights[at] < 0.0)
            rc = fail_value(f, &f->b.weights,
                            "expected weights of 0 and above, found another");
    }
    if (d->offset)
        d->offset[at] = 0.0;
    for (int i = 0; i < f->b.f->n_offsets && !rc; i++) {
        rc = read_number(f, &f->b.offsets[i], &v);
        if (!rc)
            d->offset[at] += v;
    }
    if (!rc && d->offset && !isfinite(d->offset[at]))
        rc = fail_value(f, &f->b.offsets[0], "the sum of offsets is too large");
    return rc;
}

static int multiply(const builder *f, int column, double *out)
{
    const cv_frame_plan *plan = f->b.plan;
    const cv_frame_factor *factor = plan->factor[column];
    double v = 1.0;
    for (int j = 0; j < plan->n_factor[column] && v != 0.0; j++)
        if (factor[j].level < 0)
            v *= f->number[factor[j].var];
        else if (f->level[factor[j].var] != factor[j].level)
            v = 0.0;
    *out = v;
    if (isfinite(v))
        return 0;
    char where[40];
    cv_err_set(f->b.err, CV_ERR_INPUT, NULL, 0,
               "column '%s': a product is too large", plan->name[column]);
    cv_table_where(where, sizeof where, f->b.table, f->row);
    return cv_err_site(f->b.err, "%s", where);
}

static int do_step(const builder *f, const cv_frame_step *s, double *x)
{
    double *to = x + s->to;
    const double *lo = f->b.lo + s->to, *hi = f->b.hi + s->to;
    size_t n = (size_t)s->n;
    switch (s->kind) {
    case CV_STEP_ONE:
        *to = 1.0;
        return 0;
    case CV_STEP_COPY:
        memcpy(to, f->x + s->from, n * sizeof *to);
        for (size_t i = 0; s->clamps && i < n; i++)
            to[i] = clamp(to[i], lo[i], hi[i]);
        return 0;
    case CV_STEP_LEVELS:
        memset(to, 0, n * sizeof *to);
        if (f->level[s->var] >= s->first && f->level[s->var] < s->first + s->n)
            to[f->level[s->var] - s->first] = 1.0;
        return 0;
    case CV_STEP_PRODUCT:
        return multiply(f, s->to, to);
    }
    cv_bug(__FILE__, __LINE__, "known step");
}

/* The first used column in which the row has no value, or NULL. */
static const cv_frame_source *find_missing(const builder *f)
{
    unsigned any = 0;
    for (int i = 0; i < f->b.n_used; i++)
        any |= isnan(f->x[f->b.used[i]->col]) ? 1u : 0u;
    for (int i = 0; any && i < f->b.n_used; i++)
        if (isnan(f->x[f->b.used[i]->col]))
            return f->b.used[i];
    return NULL;
}

/* 0: the row is row number `at` of the frame; 1: it is left out. */
static int build_row(builder *f, int64_t at)
{
    const cv_table *t = f->b.table;
    cv_frame *d = f->frame;
    size_t n_cols = (size_t)t->n_cols;
    f->x = (const double *)t->x + (size_t)f->row * n_cols;
    if (f->in_place && n_cols)
        f->x = memcpy(f->copy, f->x, n_cols * sizeof(double));
    const cv_frame_source *missing = find_missing(f);
    if (missing && f->b.schema->missing == CV_MISSING_DROP)
        return 1;
    if (missing)
        return fail_value(f, missing,
                          f->b.with_response
                              ? "a value is missing; set data.missing to drop "
                                "(now fail)"
                              : "a value is missing; the model was fitted with "
                                "missing: fail, so fill it in or leave the row "
                                "out");
    int rc = read_variables(f);
    if (!rc)
        rc = read_roles(f, at);
    double *x = d->x + (size_t)at * (size_t)d->p;
    for (int i = 0; i < f->b.n_steps && !rc; i++)
        rc = do_step(f, &f->b.steps[i], x);
    d->row[at] = f->row;
    if (d->content)
        d->content[at] = t->content[f->row];
    return rc;
}

/* Rows only become shorter and move up, so a matrix that is no wider than the
 * table fits where the table is; a much narrower one would hold on to memory
 * that nobody needs. */
static void place(builder *f)
{
    cv_table *t = f->b.table;
    cv_frame *d = f->frame;
    d->p = f->b.plan->p;
    f->in_place = t->x && d->p <= t->n_cols && d->p > t->n_cols / 2;
    if (f->in_place) {
        f->copy = CV_NEW(t->n_cols, double);
        d->x = t->x; /* moved out of the table at the end */
    } else {
        d->x = cv_calloc((size_t)t->n_rows * (size_t)d->p, sizeof(double));
    }
    int survival = f->b.has_event;
    if (f->b.has_response && !survival)
        d->y = CV_NEW(t->n_rows, double);
    if (survival) {
        d->time = CV_NEW(t->n_rows, double);
        d->event = CV_NEW(t->n_rows, uint8_t);
    }
    if (f->b.has_weights)
        d->weights = CV_NEW(t->n_rows, double);
    if (f->b.f->n_offsets)
        d->offset = CV_NEW(t->n_rows, double);
    d->row = CV_NEW(t->n_rows, int64_t);
    if (t->content)
        d->content = CV_NEW(t->n_rows, uint64_t);
    f->number = CV_NEW(f->b.f->n_vars, double);
    f->level = CV_NEW(f->b.f->n_vars, int32_t);
}

static int build_rows(builder *f)
{
    cv_frame *d = f->frame;
    for (f->row = 0; f->row < f->b.table->n_rows; f->row++) {
        int rc = build_row(f, d->n);
        if (rc < 0)
            return rc;
        d->n += rc == 0;
        d->n_missing += rc > 0;
    }
    return 0;
}

int cv_frame_build(cv_table **table, const cv_formula *formula,
                   const cv_schema *schema, const cv_frame_plan *plan,
                   const cv_frame_roles *roles, int with_response,
                   cv_frame **out, cv_err *err)
{
    builder f = {.b = {.table = *table,
                       .f = formula,
                       .schema = schema,
                       .plan = plan,
                       .err = err,
                       .with_response = with_response}};
    int rc = cv_frame_bind(&f.b, roles);
    if (!rc) {
        f.frame = CV_NEW(1, cv_frame);
        place(&f);
        rc = build_rows(&f);
        if (f.in_place)
            f.b.table->x = NULL;
    }
    if (rc)
        cv_frame_destroy(&f.frame);
    *out = f.frame;
    cv_frame_unbind(&f.b);
    free(f.copy);
    free(f.number);
    free(f.level);
    cv_table_destroy(table);
    return rc;
}

void cv_frame_destroy(cv_frame **frame)
{
    cv_frame *d = *frame;
    if (!d)
        return;
    free(d->x);
    free(d->y);
    free(d->time);
    free(d->event);
    free(d->weights);
    free(d->offset);
    free(d->row);
    free(d->content);
    CV_FREE(*frame);
}
