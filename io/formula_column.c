#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "core/text.h"
#include "io/formula_parser.h"

int cv_formula_fail(const cv_formula_parser *p, size_t at, const char *fmt, ...)
{
    char what[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return cv_err_set(p->err, CV_ERR_INPUT, NULL, 0,
                      "formula: at character %zu: %s",
                      cv_token_character(p->text, at), what);
}

int cv_formula_advance(cv_formula_parser *p)
{
    return cv_token_read(&p->token, p->text, p->token.at + p->token.len,
                         p->err);
}

/* The next token is not `expected`. */
int cv_formula_unexpected(const cv_formula_parser *p, const char *expected)
{
    const cv_token *t = &p->token;
    const char *s = p->text + t->at;
    if (t->kind == '/')
        return cv_formula_fail(p, t->at,
                               "'/' is not known here; a/b is a + a:b");
    if (t->kind == '|')
        return cv_formula_fail(p, t->at,
                               "'|' (random effects) is not known here");
    if (t->kind == CV_TOKEN_SPECIAL)
        return cv_formula_fail(p, t->at,
                               "'%.*s' is not known here; a %%in%% b is a:b",
                               (int)t->len, s);
    if (t->kind == CV_TOKEN_END)
        return cv_formula_fail(p, t->at, "expected %s, found the end",
                               expected);
    if (t->kind == CV_TOKEN_NUMBER && t->len > 40)
        return cv_formula_fail(p, t->at, "expected %s, found a number",
                               expected);
    return cv_formula_fail(p, t->at, "expected %s, found %s%.*s%s", expected,
                           t->quoted ? "" : "'", (int)t->len, s,
                           t->quoted ? "" : "'");
}

int cv_formula_take(cv_formula_parser *p, int kind, const char *expected)
{
    return p->token.kind == kind ? cv_formula_advance(p)
                                 : cv_formula_unexpected(p, expected);
}

int cv_token_is_dot(const cv_token *name)
{
    return !name->quoted && strcmp(name->name, ".") == 0;
}

/* The name of a column. */
int cv_formula_take_column(cv_formula_parser *p, cv_token *name,
                           const char *expected)
{
    *name = p->token;
    if (p->token.kind != CV_TOKEN_NAME || cv_token_is_dot(name))
        return cv_formula_unexpected(p, expected);
    return cv_formula_advance(p);
}

/* A whole number from 2 to 9: what ^ takes. */
int cv_formula_take_power(cv_formula_parser *p, int *power)
{
    double v = p->token.number;
    if (p->token.kind != CV_TOKEN_NUMBER || !(v >= 2 && v <= 9) ||
        v != (double)(int)v)
        return cv_formula_unexpected(p, "a whole number from 2 to 9 after '^'");
    *power = (int)v;
    return cv_formula_advance(p);
}

/* ---- variables ---- */

static const struct {
    const char *name;
    cv_formula_fn fn;
    int category;
} functions[] = {
    {"C", CV_FN_NONE, 1},      {"factor", CV_FN_NONE, 1},
    {"log", CV_FN_LOG, 0},     {"log10", CV_FN_LOG10, 0},
    {"log1p", CV_FN_LOG1P, 0}, {"sqrt", CV_FN_SQRT, 0},
    {"exp", CV_FN_EXP, 0},     {"I", CV_FN_POWER, 0},
    {"offset", CV_FN_NONE, 0}, {"Surv", CV_FN_NONE, 0},
};
enum { N_FUNCTIONS = sizeof functions / sizeof *functions };

static int find_function(const cv_formula_parser *p, const cv_token *name,
                         int *number)
{
    const char *names[N_FUNCTIONS];
    char list[120];
    for (int i = 0; i < N_FUNCTIONS; i++)
        names[i] = functions[i].name;
    *number = cv_word_index(name->name, names, N_FUNCTIONS);
    if (*number >= 0)
        return 0;
    const char *near = cv_closest(name->name, names, N_FUNCTIONS);
    cv_names_list(list, sizeof list, names, N_FUNCTIONS, N_FUNCTIONS);
    return cv_formula_fail(
        p, name->at, "there is no function '%s' here%s%s%s; there are: %s",
        name->name, near ? "; did you mean '" : "", near ? near : "",
        near ? "'?" : "", list);
}

/* A function of a column; its name was read, "(" is next. */
static int take_call(cv_formula_parser *p, const cv_token *name,
                     cv_formula_var *v)
{
    int number, power = 0;
    cv_token column;
    char expected[60];
    if (find_function(p, name, &number) != 0)
        return CV_ERR_INPUT;
    int is_power = functions[number].fn == CV_FN_POWER;
    if (functions[number].fn == CV_FN_NONE && !functions[number].category)
        return cv_formula_fail(p, name->at, "%s() cannot stand here",
                               name->name);
    snprintf(expected, sizeof expected,
             is_power ? "%s(x^2), a power of one column"
                      : "the name of one column in %s()",
             name->name);
    int rc = cv_formula_advance(p);
    if (!rc)
        rc = cv_formula_take_column(p, &column, expected);
    if (!rc && is_power)
        rc = cv_formula_take(p, '^', expected);
    if (!rc && is_power)
        rc = cv_formula_take_power(p, &power);
    if (!rc && p->token.kind != ')')
        rc = cv_formula_unexpected(p, is_power
                                          ? "')' after the power"
                                          : "')' after the name of one column");
    if (!rc)
        rc = cv_formula_advance(p);
    if (!rc)
        cv_formula_var_set(v, column.name, functions[number].fn, power,
                           functions[number].category);
    return rc;
}

/* A column or a function of one; its name was read. */
int cv_formula_take_variable(cv_formula_parser *p, const cv_token *name,
                             cv_formula_var *v)
{
    if (cv_token_is_dot(name))
        return cv_formula_fail(p, name->at, "'.' cannot stand here");
    if (!name->quoted && p->token.kind == '(')
        return take_call(p, name, v);
    cv_formula_var_set(v, name->name, CV_FN_NONE, 0, 0);
    return 0;
}

/* ---- response ---- */

/* "== 2" of an event. */
static int take_event_value(cv_formula_parser *p)
{
    int rc = cv_formula_advance(p), minus = p->token.kind == '-';
    if (!rc && (minus || p->token.kind == '+'))
        rc = cv_formula_advance(p);
    if (!rc && p->token.kind != CV_TOKEN_NUMBER)
        rc = cv_formula_unexpected(p, "a number after '=='");
    if (rc)
        return rc;
    double v = p->token.number;
    p->d->f->event_is = 1;
    p->d->f->event_value = minus && v != 0 ? -v : v;
    return cv_formula_advance(p);
}

/* Surv(time, event); the word was read. */
static int take_surv(cv_formula_parser *p)
{
    cv_formula *f = p->d->f;
    cv_token time, event;
    int rc = cv_formula_advance(p);
    if (!rc)
        rc = cv_formula_take_column(p, &time, "the column of times in Surv()");
    if (!rc)
        rc = cv_formula_take(p, ',', "',' after the column of times");
    if (!rc)
        rc =
            cv_formula_take_column(p, &event, "the column of events in Surv()");
    if (rc)
        return rc;
    f->event = cv_strdup(event.name);
    cv_formula_var_set(&f->response, time.name, CV_FN_NONE, 0, 0);
    if (p->token.kind == CV_TOKEN_EQUAL)
        rc = take_event_value(p);
    return rc ? rc
              : cv_formula_take(p, ')',
                                "')': Surv() takes a column of times and one "
                                "of events, or 'column == number'");
}

int cv_formula_take_response(cv_formula_parser *p)
{
    cv_token name;
    int rc = cv_formula_take_column(p, &name, "a response");
    if (rc)
        return rc;
    p->d->f->has_response = 1;
    if (!name.quoted && p->token.kind == '(' && strcmp(name.name, "Surv") == 0)
        rc = take_surv(p);
    else
        rc = cv_formula_take_variable(p, &name, &p->d->f->response);
    return rc ? rc : cv_formula_take(p, '~', "'~' after the response");
}
