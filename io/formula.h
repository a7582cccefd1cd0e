/** R's model formulas: "event ~ age + C(sex) + bmi + age:bmi + offset(lt)".
 *
 *  Read are  response ~ terms  and  Surv(time, event) ~ terms  (event: a column of
 *  0 and 1, or  column == number);  in the terms
 *  `+`, `-` (of terms, and of the intercept: -1, + 0), `:`, `*`, parentheses,
 *  `^` with a whole number, `.` (every other column of the data),
 *  offset(x), and variables: a column's name, in backquotes where it is no
 *  plain name; C(x) or factor(x), a category; log(x), log10(x), log1p(x),
 *  sqrt(x), exp(x), and I(x^k) with a whole k from 2 to 9.  Terms come in R's
 *  order: main effects, then interactions by order, each as first met; what is
 *  there twice counts once.
 *
 *  Where R would take a formula for something that nobody means, it is refused:
 *  0 and 1, an offset, or nothing at all multiplied with a term; x^2 of a
 *  variable (R: x); the response among the terms.
 *
 *  Scope: local.  The text comes from a job, which comes from outside: depth and
 *  sizes are bounded.
 *  Source: R Core Team, An Introduction to R, section 11.1; ?formula,
 *  ?terms.formula.
 */
#ifndef COVEY_IO_FORMULA_H
#define COVEY_IO_FORMULA_H

#include <stddef.h>

#include "core/err.h"

enum {
    CV_FORMULA_MAX_ORDER = 6,     /* variables in one interaction */
    CV_FORMULA_MAX_TERMS = 65536, /* after everything is multiplied out */
    /* of a text, an expanded one too: 65536 names of 250 bytes */
    CV_FORMULA_MAX_BYTES = 1 << 24
};

typedef enum {
    CV_FN_NONE,
    CV_FN_LOG,
    CV_FN_LOG10,
    CV_FN_LOG1P,
    CV_FN_SQRT,
    CV_FN_EXP,
    CV_FN_POWER
} cv_formula_fn;

/** A variable: a column, perhaps a function of it. */
typedef struct {
    char *column; /* the column of the data */
    char *label;  /* as written, in normal form: "age", "log(age)", "C(sex)",
                   * "I(age^2)" */
    cv_formula_fn fn;
    int power;    /* of POWER */
    int category; /* written as C() or factor() */
} cv_formula_var;

typedef struct {
    int order;                     /* 1: a main effect */
    int var[CV_FORMULA_MAX_ORDER]; /* numbers of variables, in the order of
                                    * their first mention */
} cv_formula_term;

typedef struct {
    int has_response;
    cv_formula_var response; /* of a survival formula: the time */
    char *
        event; /* column of Surv's second argument; NULL: no survival formula */
    int event_is;       /* written "status == 2": */
    double event_value; /* an event is where the column has this number; else
                         * the column is 0 or 1 */
    int intercept;
    int dot; /* `.` stands among the terms (as its own, main effect only, or in
              * interactions): cv_formula_expand is needed before use */
    int n_vars;
    cv_formula_var *vars; /* those of the terms, in the order of their first
                           * mention; `.` is one whose label is "." */
    int n_terms;
    cv_formula_term *terms;
    int n_offsets;
    cv_formula_var *offsets; /* of offset(log(x)): the column x, the label
                              * log(x) */
    char *text; /* normal form: reads back as the same formula. Multiplied out
                 * where there is no `.` */
} cv_formula;

/** Returns: 0; CV_ERR_INPUT with what was expected at which character. *out is
 *  freed with cv_formula_destroy. A formula without "~", or with nothing before
 *  it, has no response. */
int cv_formula_parse(const char *text, cv_formula **out, cv_err *err);

/** The formula in which `.` is replaced by those of n columns that are neither
 *  response, event nor offset nor in skip (n_skip), in their order. A formula
 *  without `.` is copied.
 *
 *  Returns: 0; CV_ERR_INPUT if there are too many terms then. */
int cv_formula_expand(const cv_formula *f, const char *const *columns, size_t n,
                      const char *const *skip, size_t n_skip, cv_formula **out,
                      cv_err *err);

void cv_formula_destroy(cv_formula **f);

#endif
