#include <string.h>

#include "io/formula_parser.h"

/* R's grammar of operators, from the loosest: + and -, then *, then :, then a
 * sign, then ^.  Parentheses are the one way to go deeper. */
enum {
    MAX_DEPTH = 100,
    BUDGET = 64 * CV_FORMULA_MAX_TERMS /* more than any sum of 65536 needs */
};

typedef struct {
    cv_term_set set;
    size_t at;         /* where it begins */
    const char *fixed; /* why it cannot be multiplied, or NULL */
    size_t fixed_at;
    size_t offset_at; /* 1 + where an offset is, or 0 */
    int bare;         /* one variable without parentheses */
} operand;

static const char *const no_offset =
    "an offset can be added to a formula, not be multiplied with a term";

static void written(cv_formula_parser *p, const char *text)
{
    cv_buf_add(&p->d->written, text, strlen(text));
}

static void operand_free(operand *o)
{
    cv_term_set_free(&o->set);
}

static operand operand_begin(const cv_formula_parser *p)
{
    return (operand){.set = {.key = p->d->terms.key}, .at = p->token.at};
}

/* Adds the variable, which is taken, as a term. */
static int put_variable(cv_formula_parser *p, operand *out, cv_formula_var *v)
{
    cv_formula_term t = {.order = 1};
    t.var[0] = (int)cv_var_list_add(&p->d->vars, v);
    if (p->d->vars.labels.n > CV_FORMULA_MAX_TERMS)
        return cv_formula_fail(p, out->at, "more than 65536 variables");
    cv_term_set_add(&out->set, &t);
    return 0;
}

static int take_dot(cv_formula_parser *p, operand *out)
{
    cv_formula_var v = {0};
    written(p, ".");
    if (!p->dot) {
        p->d->f->dot = 1;
        cv_formula_var_set_dot(&v);
        return put_variable(p, out, &v);
    }
    const char *fault = cv_term_spend(&p->budget, p->dot->n);
    if (fault)
        return cv_formula_fail(p, out->at, "%s", fault);
    int rc = 0;
    for (size_t i = 0; i < p->dot->n && !rc; i++) {
        cv_formula_var_set(&v, p->dot->columns[i], CV_FN_NONE, 0, 0);
        rc = put_variable(p, out, &v);
    }
    return rc;
}

/* offset(x); the word was read. */
static int take_offset(cv_formula_parser *p, operand *out, size_t at)
{
    cv_token name;
    cv_formula_var v = {0};
    int rc = cv_formula_advance(p);
    if (!rc)
        rc = cv_formula_take_column(p, &name, "a column in offset()");
    if (!rc)
        rc = cv_formula_take_variable(p, &name, &v);
    if (!rc && v.category)
        rc = cv_formula_fail(p, name.at, "a category cannot be an offset");
    if (!rc)
        rc = cv_formula_take(p, ')', "')' after the offset's column");
    if (rc) {
        cv_formula_var_clear(&v);
        return rc;
    }
    written(p, "offset(");
    written(p, v.label);
    written(p, ")");
    cv_var_list_add(&p->d->offsets, &v);
    if (p->d->offsets.labels.n > CV_FORMULA_MAX_TERMS)
        return cv_formula_fail(p, at, "more than 65536 offsets");
    out->offset_at = at + 1;
    out->fixed = no_offset;
    out->fixed_at = at;
    return 0;
}

static int take_name(cv_formula_parser *p, operand *out)
{
    cv_token name = p->token;
    cv_formula_var v = {0};
    int rc = cv_formula_advance(p);
    if (rc)
        return rc;
    if (cv_token_is_dot(&name))
        return take_dot(p, out);
    if (!name.quoted && p->token.kind == '(' &&
        strcmp(name.name, "offset") == 0)
        return take_offset(p, out, name.at);
    rc = cv_formula_take_variable(p, &name, &v);
    if (rc)
        return rc;
    out->bare = 1;
    written(p, v.label);
    return put_variable(p, out, &v);
}

static int take_intercept(cv_formula_parser *p, operand *out)
{
    double v = p->token.number;
    size_t at = p->token.at; /* out->at may be a parenthesis around it */
    if (v != 0 && v != 1)
        return cv_formula_fail(
            p, at,
            "among the terms, expected no number but 0 and 1 (the "
            "intercept)");
    /* Also where it is removed twice, as in a - (b - 1): R's. */
    p->d->f->intercept = (v == 1) != p->minus;
    out->fixed = "0 and 1 stand for the intercept, which can be added or "
                 "removed, not be multiplied with a term";
    out->fixed_at = at;
    written(p, v == 1 ? "1" : "0");
    return cv_formula_advance(p);
}

static int sum(cv_formula_parser *p, operand *out);

static int take_group(cv_formula_parser *p, operand *out)
{
    if (++p->depth > MAX_DEPTH)
        return cv_formula_fail(p, p->token.at,
                               "more than %d parentheses in each other",
                               MAX_DEPTH);
    written(p, "(");
    int rc = cv_formula_advance(p);
    if (!rc)
        rc = sum(p, out);
    if (!rc)
        rc = cv_formula_take(p, ')', "an operator or ')'");
    written(p, ")");
    out->bare = 0;
    p->depth--;
    return rc;
}

/* Can it be multiplied? What is left when `.` stands for itself says nothing
 * about what is left of its columns. */
static int check_factor(const cv_formula_parser *p, const operand *o)
{
    if (o->fixed)
        return cv_formula_fail(p, o->fixed_at, "%s", o->fixed);
    if (o->set.live == 0 && !p->d->f->dot)
        return cv_formula_fail(
            p, o->at,
            "there is no term here to multiply with (a sign before a product "
            "needs parentheses after it)");
    return 0;
}

static int power(cv_formula_parser *p, operand *out)
{
    int rc, k;
    if (p->token.kind == '(')
        rc = take_group(p, out);
    else if (p->token.kind == CV_TOKEN_NUMBER)
        rc = take_intercept(p, out);
    else if (p->token.kind == CV_TOKEN_NAME)
        rc = take_name(p, out);
    else
        rc = cv_formula_unexpected(p, "a term");
    if (rc || p->token.kind != '^')
        return rc;
    size_t at = p->token.at;
    if (out->bare)
        return cv_formula_fail(
            p, at,
            "'^' multiplies terms, and a variable with itself is "
            "itself; the square of x is I(x^2)");
    rc = cv_formula_advance(p);
    if (!rc)
        rc = cv_formula_take_power(p, &k);
    if (!rc)
        rc = check_factor(p, out);
    if (rc)
        return rc;
    cv_buf_printf(&p->d->written, "^%d", k);
    const char *fault = cv_term_set_power(&out->set, k, &p->budget);
    return fault ? cv_formula_fail(p, at, "%s", fault) : 0;
}

static int check_removable(const cv_formula_parser *p, const operand *o)
{
    return o->offset_at ? cv_formula_fail(p, o->offset_at - 1,
                                          "an offset cannot be removed again")
                        : 0;
}

static int sign(cv_formula_parser *p, operand *out)
{
    int was = p->minus, removed = 0, rc = 0;
    while (!rc && (p->token.kind == '+' || p->token.kind == '-')) {
        if (p->token.kind == '-') {
            removed = 1;
            p->minus = !p->minus;
            written(p, "-");
        }
        rc = cv_formula_advance(p);
    }
    if (!rc)
        rc = power(p, out);
    p->minus = was;
    if (!rc && removed) {
        rc = check_removable(p, out);
        cv_term_set_free(&out->set); /* from nothing */
    }
    return rc;
}

/* out = out:right, or out*right. */
static int multiply(cv_formula_parser *p, operand *out, const operand *right,
                    int all, size_t at)
{
    if (check_factor(p, out) != 0 || check_factor(p, right) != 0)
        return CV_ERR_INPUT;
    cv_term_set both = {.key = out->set.key};
    const char *fault =
        cv_term_set_interact(&both, &out->set, &right->set, &p->budget);
    if (all && !fault)
        fault = cv_term_set_join(&out->set, &right->set, &p->budget);
    if (all && !fault)
        fault = cv_term_set_join(&out->set, &both, &p->budget);
    if (all) {
        cv_term_set_free(&both);
    } else {
        cv_term_set_free(&out->set);
        out->set = both;
    }
    out->bare = 0;
    return fault ? cv_formula_fail(p, at, "%s", fault) : 0;
}

static int interaction(cv_formula_parser *p, operand *out)
{
    int rc = sign(p, out);
    while (!rc && p->token.kind == ':') {
        size_t at = p->token.at;
        written(p, ":");
        rc = cv_formula_advance(p);
        operand right = operand_begin(p);
        if (!rc)
            rc = sign(p, &right);
        if (!rc)
            rc = multiply(p, out, &right, 0, at);
        operand_free(&right);
    }
    return rc;
}

static int product(cv_formula_parser *p, operand *out)
{
    int rc = interaction(p, out);
    while (!rc && p->token.kind == '*') {
        size_t at = p->token.at;
        written(p, " * ");
        rc = cv_formula_advance(p);
        operand right = operand_begin(p);
        if (!rc)
            rc = interaction(p, &right);
        if (!rc)
            rc = multiply(p, out, &right, 1, at);
        operand_free(&right);
    }
    return rc;
}

static int add(cv_formula_parser *p, operand *out, const operand *right,
               int minus, size_t at)
{
    if (minus && check_removable(p, right) != 0)
        return CV_ERR_INPUT;
    const char *fault =
        minus ? cv_term_set_drop(&out->set, &right->set, &p->budget)
              : cv_term_set_join(&out->set, &right->set, &p->budget);
    if (!out->fixed) {
        out->fixed = right->fixed;
        out->fixed_at = right->fixed_at;
    }
    if (!out->offset_at)
        out->offset_at = right->offset_at;
    out->bare = 0;
    return fault ? cv_formula_fail(p, at, "%s", fault) : 0;
}

static int sum(cv_formula_parser *p, operand *out)
{
    int was = p->minus;
    int rc = product(p, out);
    while (!rc && (p->token.kind == '+' || p->token.kind == '-')) {
        size_t at = p->token.at;
        int minus = p->token.kind == '-';
        written(p, minus ? " - " : " + ");
        rc = cv_formula_advance(p);
        operand right = operand_begin(p);
        p->minus = was != minus;
        if (!rc)
            rc = product(p, &right);
        p->minus = was;
        if (!rc)
            rc = add(p, out, &right, minus, at);
        operand_free(&right);
    }
    return rc;
}

/* Is there a "~" that is no part of a name? */
static int has_response_part(const char *s)
{
    for (int quoted = 0; *s; s++) {
        if (*s == '`')
            quoted = !quoted;
        else if (*s == '~' && !quoted)
            return 1;
        else if (*s == '\\' && quoted && s[1])
            s++;
    }
    return 0;
}

int cv_formula_read(cv_formula_draft *draft, const char *text,
                    const cv_formula_dot *dot, cv_err *err)
{
    cv_formula_parser p = {
        .text = text, .d = draft, .dot = dot, .budget = {BUDGET}, .err = err};
    draft->f->intercept = 1;
    int rc = cv_formula_advance(&p);
    if (!rc && p.token.kind == '~')
        rc = cv_formula_advance(&p);
    else if (!rc && has_response_part(text))
        rc = cv_formula_take_response(&p);
    if (rc)
        return rc;
    operand all = operand_begin(&p);
    rc = sum(&p, &all);
    draft->terms = all.set;
    if (!rc && p.token.kind != CV_TOKEN_END)
        rc = cv_formula_unexpected(&p, "an operator or the end");
    return rc;
}
