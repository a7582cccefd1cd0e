#include "io/formula.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/mem.h"
#include "io/formula_parts.h"

/* The variables that terms are made of, numbered anew; the others, all of whose
 * terms were removed, stay in the draft. */
static void take_vars(cv_formula_draft *d)
{
    cv_formula *f = d->f;
    int *number = CV_NEW(d->vars.labels.n, int);
    for (int i = 0; i < f->n_terms; i++)
        for (int k = 0; k < f->terms[i].order; k++)
            number[f->terms[i].var[k]] = 1;
    for (uint32_t v = 0; v < d->vars.labels.n; v++)
        f->n_vars += number[v];
    f->vars = CV_NEW(f->n_vars, cv_formula_var);
    int n = 0;
    for (uint32_t v = 0; v < d->vars.labels.n; v++)
        if (number[v]) {
            f->vars[n] = d->vars.v[v];
            d->vars.v[v] = (cv_formula_var){0};
            number[v] = n++;
        }
    for (int i = 0; i < f->n_terms; i++)
        for (int k = 0; k < f->terms[i].order; k++)
            f->terms[i].var[k] = number[f->terms[i].var[k]];
    free(number);
}

static void take_offsets(cv_formula_draft *d)
{
    cv_formula *f = d->f;
    f->n_offsets = (int)d->offsets.labels.n;
    f->offsets = CV_NEW(f->n_offsets, cv_formula_var);
    for (int i = 0; i < f->n_offsets; i++) {
        f->offsets[i] = d->offsets.v[i];
        d->offsets.v[i] = (cv_formula_var){0};
    }
}

/* R drops such a term with a warning; nobody means it. */
static int check_response(const cv_formula *f, cv_err *err)
{
    cv_formula_var event = {0};
    if (!f->has_response)
        return 0;
    if (f->event)
        cv_formula_var_set(&event, f->event, CV_FN_NONE, 0, 0);
    int rc = 0;
    for (int i = 0; i < f->n_vars && !rc; i++) {
        const char *label = f->vars[i].label;
        if (strcmp(label, f->response.label) == 0 ||
            (f->event && strcmp(label, event.label) == 0))
            rc = cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                            "formula: %s is in the response and cannot be "
                            "among the terms",
                            label);
    }
    cv_formula_var_clear(&event);
    return rc;
}

static int finish(cv_formula_draft *d, cv_err *err)
{
    cv_formula *f = d->f;
    f->n_terms = (int)d->terms.live;
    f->terms = cv_term_set_sorted(&d->terms);
    take_vars(d);
    take_offsets(d);
    if (check_response(f, err) != 0)
        return CV_ERR_INPUT;
    cv_formula_write(f, f->dot ? cv_buf_text(&d->written) : NULL);
    if (strlen(f->text) > CV_FORMULA_MAX_BYTES)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "formula: longer than %d bytes when it is written "
                          "out",
                          CV_FORMULA_MAX_BYTES);
    return 0;
}

static int read_text(const char *text, const cv_formula_dot *dot,
                     cv_formula **out, cv_err *err)
{
    uint8_t key[16] = {0};
    if (getrandom(key, sizeof key, GRND_NONBLOCK) < 0)
        memcpy(key, &text, sizeof text); /* early boot: good enough */
    cv_formula_draft d = {.f = CV_NEW(1, cv_formula), .terms.key = key};
    int rc = cv_formula_read(&d, text, dot, err);
    if (!rc)
        rc = finish(&d, err);
    cv_var_list_free(&d.vars);
    cv_var_list_free(&d.offsets);
    cv_term_set_free(&d.terms);
    cv_buf_free(&d.written);
    if (rc)
        cv_formula_destroy(&d.f);
    *out = d.f;
    return rc;
}

int cv_formula_parse(const char *text, cv_formula **out, cv_err *err)
{
    *out = NULL;
    if (strnlen(text, CV_FORMULA_MAX_BYTES + 1) > CV_FORMULA_MAX_BYTES)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "formula: expected at most %d bytes",
                          CV_FORMULA_MAX_BYTES);
    return read_text(text, NULL, out, err);
}

static void leave_out(cv_name_set *set, const char *column)
{
    if (column)
        cv_name_set_add(set, column, strlen(column), NULL);
}

static int choose_columns(cv_formula_dot *dot, const char *const *columns,
                          size_t n, const cv_name_set *left_out, cv_err *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(columns[i]);
        const char *fault = cv_name_fault(columns[i], len);
        if (fault)
            return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                              "formula: column %zu of the data: a name that %s",
                              i + 1, fault);
        if (cv_name_set_find(left_out, columns[i], len) < 0)
            dot->columns[dot->n++] = columns[i];
    }
    return 0;
}

int cv_formula_expand(const cv_formula *f, const char *const *columns, size_t n,
                      const char *const *skip, size_t n_skip, cv_formula **out,
                      cv_err *err)
{
    cv_formula_dot dot = {.columns = CV_NEW(n, const char *)};
    cv_name_set left_out = {0};
    *out = NULL;
    leave_out(&left_out, f->response.column);
    leave_out(&left_out, f->event);
    for (int i = 0; i < f->n_offsets; i++)
        leave_out(&left_out, f->offsets[i].column);
    for (size_t i = 0; i < n_skip; i++)
        leave_out(&left_out, skip[i]);
    int rc = choose_columns(&dot, columns, n, &left_out, err);
    if (!rc) {
        /* Terms may have been removed from `.`, so it is the text, not the
         * terms, that knows what is meant. */
        rc = read_text(f->text, &dot, out, err);
        if (rc)
            cv_err_prefix(err, "where `.` is %zu columns", dot.n);
    }
    cv_name_set_free(&left_out);
    free(dot.columns);
    return rc;
}

static void free_vars(cv_formula_var *v, int n)
{
    for (int i = 0; i < n; i++)
        cv_formula_var_clear(&v[i]);
    free(v);
}

void cv_formula_destroy(cv_formula **formula)
{
    cv_formula *f = *formula;
    if (!f)
        return;
    cv_formula_var_clear(&f->response);
    free(f->event);
    free_vars(f->vars, f->n_vars);
    free_vars(f->offsets, f->n_offsets);
    free(f->terms);
    free(f->text);
    free(f);
    *formula = NULL;
}
