/* The columns of a model matrix: formula and schema, no data. */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/mem.h"
#include "io/frame.h"
#include "io/names.h"

/* The terms that a variable stands in, in order. */
typedef struct {
    int n, cap;
    int *term;
} term_list;

typedef struct {
    const cv_formula *f;
    const cv_schema *schema;
    cv_err *err;
    cv_frame_plan *plan;
    term_list *terms_of; /* (n_vars) of the terms so far */
    int dummy_term;      /* without an intercept, the one category that has */
    int dummy_at;        /* all its levels for that; -1: none */
    int cap;             /* of columns */
} planner;

/* How one variable is coded in a term. */
typedef struct {
    const cv_feature *category; /* NULL: a number */
    int var, first, n;          /* levels [first, first + n) */
} coding;

static const cv_feature *feature_of(const planner *p, int var)
{
    return &p->schema->features[p->plan->feature[var]];
}

static int is_category(const planner *p, int var)
{
    return feature_of(p, var)->type == CV_FEATURE_CATEGORY;
}

static int fail(planner *p, const char *column, const char *what)
{
    return cv_err_set(p->err, CV_ERR_INPUT, NULL, 0, "column '%s': %s", column,
                      what);
}

/* In a file without a header line the names are somebody's values. */
static int not_there(planner *p, const char *name)
{
    const cv_schema *s = p->schema;
    if (s->target.name && strcmp(s->target.name, name) == 0)
        return fail(p, name,
                    "it is the response, and stands among the terms of the "
                    "formula as well; take it out of them");
    const char **names = CV_NEW(s->n_features, const char *);
    for (int i = 0; i < s->n_features; i++)
        names[i] = s->features[i].name;
    char hint[400];
    cv_names_hint(hint, sizeof hint, name, names, (size_t)s->n_features);
    free((void *)names);
    fail(p, name, "the formula names it, but it is not a column of the data");
    return cv_err_site(p->err, "%s", hint);
}

static int bind_variable(planner *p, const cv_name_set *features, int i)
{
    const cv_formula_var *v = &p->f->vars[i];
    int64_t at = cv_name_set_find(features, v->column, strlen(v->column));
    if (at < 0)
        return not_there(p, v->column);
    p->plan->feature[i] = (int)at;
    int category = is_category(p, i);
    if (category && v->fn != CV_FN_NONE)
        return cv_err_set(p->err, CV_ERR_INPUT, NULL, 0,
                          "column '%s': %s is a function of numbers, and the "
                          "column is a category",
                          v->column, v->label);
    if (!category && v->category)
        return fail(p, v->column,
                    "the formula makes it a category, but it is a number in "
                    "data.features; declare it type: category");
    return 0;
}

static int bind_variables(planner *p)
{
    cv_name_set features = {0};
    int rc = 0;
    for (int i = 0; i < p->schema->n_features; i++) {
        const char *name = p->schema->features[i].name;
        cv_name_set_add(&features, name, strlen(name), NULL);
    }
    p->plan->feature = CV_NEW(p->f->n_vars, int);
    for (int i = 0; i < p->f->n_vars && !rc; i++)
        rc = bind_variable(p, &features, i);
    cv_name_set_free(&features);
    return rc;
}

static int has_var(const cv_formula_term *t, int var)
{
    for (int i = 0; i < t->order; i++)
        if (t->var[i] == var)
            return 1;
    return 0;
}

/* Has `whole` all variables of `t` but the one at `without`? */
static int holds_margin(const cv_formula_term *whole, const cv_formula_term *t,
                        int without)
{
    for (int i = 0; i < t->order; i++)
        if (i != without && !has_var(whole, t->var[i]))
            return 0;
    return 1;
}

/* R codes a category by contrasts where the rest of the term is a margin of a
 * term before it, and so in the model. The rarest variable of that rest names
 * the terms to look at: all of them would take too long for 65536 terms. */
static int margin_is_there(const planner *p, const cv_formula_term *t, int at)
{
    const term_list *rarest = NULL;
    for (int i = 0; i < t->order; i++) {
        const term_list *l = &p->terms_of[t->var[i]];
        if (i != at && (!rarest || l->n < rarest->n))
            rarest = l;
    }
    if (!rarest) /* of the term itself nothing is left: the intercept */
        return 1;
    for (int i = 0; i < rarest->n; i++)
        if (holds_margin(&p->f->terms[rarest->term[i]], t, at))
            return 1;
    return 0;
}

static void remember_term(planner *p, int term)
{
    const cv_formula_term *t = &p->f->terms[term];
    for (int i = 0; i < t->order; i++) {
        term_list *l = &p->terms_of[t->var[i]];
        if (l->n == l->cap) {
            l->cap = l->cap ? 2 * l->cap : 4;
            l->term = cv_realloc(l->term, (size_t)l->cap, sizeof *l->term);
        }
        l->term[l->n++] = term;
    }
}

/* Without an intercept its place is taken by the first category of the first
 * term that has one, and by no other. */
static void find_dummy(planner *p)
{
    p->dummy_term = p->dummy_at = -1;
    for (int k = 0; k < p->f->n_terms && !p->f->intercept; k++)
        for (int i = 0; i < p->f->terms[k].order; i++)
            if (is_category(p, p->f->terms[k].var[i])) {
                p->dummy_term = k;
                p->dummy_at = i;
                return;
            }
}

static int code(planner *p, int term, int at, coding *c)
{
    const cv_formula_term *t = &p->f->terms[term];
    *c = (coding){.var = t->var[at], .n = 1};
    if (!is_category(p, c->var))
        return 0;
    c->category = feature_of(p, c->var);
    int full = (term == p->dummy_term && at == p->dummy_at) ||
               !margin_is_there(p, t, at);
    c->first = full ? 0 : 1;
    c->n = c->category->n_levels - c->first;
    if (c->n > 0)
        return 0;
    return fail(p, c->category->name,
                c->category->n_levels == 1
                    ? "a category with one level only, which says nothing; "
                      "take it out of the formula"
                    : "a category without levels: every value is missing");
}

static void reserve(planner *p, int n)
{
    cv_frame_plan *plan = p->plan;
    if (plan->p + n <= p->cap)
        return;
    p->cap = 2 * p->cap > plan->p + n ? 2 * p->cap : plan->p + n;
    size_t cap = (size_t)p->cap;
    plan->name = cv_realloc((void *)plan->name, cap, sizeof *plan->name);
    plan->n_factor = cv_realloc(plan->n_factor, cap, sizeof *plan->n_factor);
    plan->factor = cv_realloc(plan->factor, cap, sizeof *plan->factor);
    plan->term = cv_realloc(plan->term, cap, sizeof *plan->term);
}

/* Column number i of a term: its first variable runs fastest. */
static void add_column(planner *p, int term, const coding *c, int order, int i)
{
    cv_frame_plan *plan = p->plan;
    cv_buf name = {0};
    int k = plan->p++;
    plan->term[k] = term;
    plan->n_factor[k] = order;
    for (int j = 0; j < order; j++) {
        int level = c[j].first + i % c[j].n;
        i /= c[j].n;
        plan->factor[k][j] =
            (cv_frame_factor){c[j].var, c[j].category ? level : -1};
        cv_buf_printf(&name, "%s%s", j ? ":" : "", p->f->vars[c[j].var].label);
        if (c[j].category)
            cv_buf_printf(&name, "=%s", c[j].category->levels[level]);
    }
    plan->name[k] = name.data ? name.data : cv_strdup("(Intercept)");
}

static int add_term(planner *p, int term)
{
    coding c[CV_FORMULA_MAX_ORDER];
    const cv_formula_term *t = &p->f->terms[term];
    int64_t n = 1;
    CV_CHECK(t->order >= 1 && t->order <= CV_FORMULA_MAX_ORDER);
    for (int i = 0; i < t->order; i++) {
        int rc = code(p, term, i, &c[i]);
        if (rc)
            return rc;
        n *= c[i].n;
        if (p->plan->p + n > CV_FRAME_MAX_COLUMNS)
            return cv_err_set(p->err, CV_ERR_INPUT, NULL, 0,
                              "the formula's matrix has more than %d columns; "
                              "'%s' is where it grows too large: is a category "
                              "an identifier?",
                              CV_FRAME_MAX_COLUMNS, p->f->vars[c[i].var].label);
    }
    reserve(p, (int)n);
    for (int i = 0; i < (int)n; i++)
        add_column(p, term, c, t->order, i);
    remember_term(p, term);
    return 0;
}

int cv_frame_plan_make(const cv_formula *f, const cv_schema *schema,
                       int hide_intercept, cv_frame_plan **out, cv_err *err)
{
    planner p = {.f = f, .schema = schema, .err = err};
    CV_CHECK(!f->dot);
    p.plan = CV_NEW(1, cv_frame_plan);
    p.terms_of = CV_NEW(f->n_vars, term_list);
    int rc = bind_variables(&p);
    if (!rc) {
        find_dummy(&p);
        reserve(&p, 1);
        if (f->intercept && !hide_intercept)
            add_column(&p, -1, NULL, 0, 0);
    }
    for (int k = 0; k < f->n_terms && !rc; k++)
        rc = add_term(&p, k);
    for (int i = 0; i < f->n_vars; i++)
        free(p.terms_of[i].term);
    free(p.terms_of);
    if (rc)
        cv_frame_plan_destroy(&p.plan);
    *out = p.plan;
    return rc;
}

void cv_frame_plan_destroy(cv_frame_plan **plan)
{
    cv_frame_plan *p = *plan;
    if (!p)
        return;
    for (int k = 0; k < p->p; k++)
        free(p->name[k]);
    free((void *)p->name);
    free(p->n_factor);
    free(p->factor);
    free(p->term);
    free(p->feature);
    CV_FREE(*plan);
}
