#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/text.h"
#include "io/formula_parts.h"

static void put_text(cv_buf *b, const char *text)
{
    cv_buf_add(b, text, strlen(text));
}

static void put_name(cv_buf *b, const char *name)
{
    if (cv_token_is_plain(name)) {
        put_text(b, name);
        return;
    }
    put_text(b, "`");
    for (; *name; name++) {
        if (*name == '`' || *name == '\\')
            put_text(b, "\\");
        cv_buf_add(b, name, 1);
    }
    put_text(b, "`");
}

const char *cv_formula_fn_name(const cv_formula_var *v)
{
    static const char *const names[] = {NULL,   "log", "log10", "log1p",
                                        "sqrt", "exp", "I"};
    return v->category ? "C" : names[v->fn];
}

void cv_formula_var_set(cv_formula_var *v, const char *column, cv_formula_fn fn,
                        int power, int category)
{
    *v = (cv_formula_var){.fn = fn, .power = power, .category = category};
    cv_buf label = {0};
    const char *name = cv_formula_fn_name(v);
    if (name) {
        put_text(&label, name);
        put_text(&label, "(");
    }
    put_name(&label, column);
    if (fn == CV_FN_POWER)
        cv_buf_printf(&label, "^%d", power);
    if (name)
        put_text(&label, ")");
    v->column = cv_strdup(column);
    v->label = cv_strdup(cv_buf_text(&label));
    cv_buf_free(&label);
}

void cv_formula_var_set_dot(cv_formula_var *v)
{
    *v = (cv_formula_var){.column = cv_strdup("."), .label = cv_strdup(".")};
}

void cv_formula_var_clear(cv_formula_var *v)
{
    free(v->column);
    free(v->label);
    *v = (cv_formula_var){0};
}

uint32_t cv_var_list_add(cv_var_list *list, cv_formula_var *v)
{
    uint32_t number;
    if (!cv_name_set_add(&list->labels, v->label, strlen(v->label), &number)) {
        cv_formula_var_clear(v);
        return number;
    }
    if (number == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 16;
        list->v = cv_realloc(list->v, list->cap, sizeof *list->v);
    }
    list->v[number] = *v;
    *v = (cv_formula_var){0};
    return number;
}

void cv_var_list_free(cv_var_list *list)
{
    for (uint32_t i = 0; i < list->labels.n; i++)
        cv_formula_var_clear(&list->v[i]);
    free(list->v);
    cv_name_set_free(&list->labels);
    *list = (cv_var_list){0};
}

/* Shortest that gives the same number back. */
static void put_number(cv_buf *b, double v)
{
    char text[40];
    double back = 0;
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (cv_parse_f64(&back, text) == 0 && back == v)
            break;
    }
    put_text(b, text);
}

static void put_response(cv_buf *b, const cv_formula *f)
{
    if (f->event) {
        put_text(b, "Surv(");
        put_name(b, f->response.column);
        put_text(b, ", ");
        put_name(b, f->event);
        if (f->event_is) {
            put_text(b, " == ");
            put_number(b, f->event_value);
        }
        put_text(b, ")");
    } else if (f->has_response) {
        put_text(b, f->response.label);
    }
    put_text(b, f->has_response ? " ~ " : "~ ");
}

/* Terms are written such that reading them back meets the variables in the same
 * order (it shows in "b:a") and finds the same order of terms. The latter holds
 * however the orders are mixed, since they are sorted when read; so what is
 * written next is the first term of the lowest order that mentions the next
 * variables and no later ones. */
typedef struct {
    const cv_formula *f;
    cv_buf *b;
    const char *plus;                 /* "" before the first */
    int at[CV_FORMULA_MAX_ORDER + 2]; /* next term of each order */
    int end[CV_FORMULA_MAX_ORDER + 2];
    int met; /* variables 0 to met - 1 were mentioned */
} writer;

static void put_piece(writer *w, const char *text)
{
    put_text(w->b, w->plus);
    put_text(w->b, text);
    w->plus = " + ";
}

static void put_term(writer *w, const cv_formula_term *t)
{
    put_piece(w, w->f->vars[t->var[0]].label);
    for (int k = 1; k < t->order; k++) {
        put_text(w->b, ":");
        put_text(w->b, w->f->vars[t->var[k]].label);
    }
}

/* How many variables are met after this term; -1 if one would be passed
 * over. */
static int met_after(const writer *w, const cv_formula_term *t)
{
    int met = w->met;
    for (int k = 0; k < t->order; k++) {
        if (t->var[k] > met)
            return -1;
        met += t->var[k] == met;
    }
    return met;
}

static int put_next_term(writer *w)
{
    for (int k = 1; k <= CV_FORMULA_MAX_ORDER; k++) {
        if (w->at[k] == w->end[k])
            continue;
        const cv_formula_term *t = &w->f->terms[w->at[k]];
        int met = met_after(w, t);
        if (met < 0)
            continue;
        put_term(w, t);
        w->met = met;
        w->at[k]++;
        return 1;
    }
    return 0;
}

/* A variable whose terms all come after another's that was first met after it,
 * as in "a - a + b + a": mentioned for its place alone. */
static void put_place(writer *w)
{
    CV_CHECK(w->met < w->f->n_vars);
    const char *label = w->f->vars[w->met++].label;
    put_piece(w, label);
    put_text(w->b, " - ");
    put_text(w->b, label);
}

static void put_terms(cv_buf *b, const cv_formula *f)
{
    writer w = {.f = f, .b = b, .plus = ""};
    for (int i = 0; i < f->n_terms; i++)
        w.end[f->terms[i].order]++;
    for (int k = 1; k <= CV_FORMULA_MAX_ORDER; k++) {
        w.at[k] = w.end[k - 1];
        w.end[k] += w.end[k - 1];
    }
    if (!f->intercept)
        put_piece(&w, "0");
    for (int left = f->n_terms; left > 0;) {
        if (put_next_term(&w))
            left--;
        else
            put_place(&w);
    }
    for (int i = 0; i < f->n_offsets; i++) {
        put_piece(&w, "offset(");
        put_text(b, f->offsets[i].label);
        put_text(b, ")");
    }
    if (!*w.plus)
        put_piece(&w, "1");
}

void cv_formula_write(cv_formula *f, const char *terms)
{
    cv_buf b = {0};
    put_response(&b, f);
    if (terms)
        put_text(&b, terms);
    else
        put_terms(&b, f);
    CV_CHECK(!f->text);
    f->text = cv_strdup(cv_buf_text(&b));
    cv_buf_free(&b);
}
