/** One reading of a formula: what formula_column.c (tokens, columns and their
 *  functions, the response) and formula_parse.c (terms) share. Local.
 *
 *  All return 0 or CV_ERR_INPUT, with p->err set.
 */
#ifndef COVEY_IO_FORMULA_PARSER_H
#define COVEY_IO_FORMULA_PARSER_H

#include "io/formula_parts.h"

typedef struct {
    const char *text;
    cv_token token; /* the next one */
    cv_formula_draft *d;
    const cv_formula_dot *dot;
    cv_term_budget budget;
    int depth; /* parentheses that are open */
    int minus; /* what is read now is to be removed: -1, a - (b + 1) */
    cv_err *err;
} cv_formula_parser;

int cv_formula_fail(const cv_formula_parser *p, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** The next token is not `expected`. */
int cv_formula_unexpected(const cv_formula_parser *p, const char *expected);
int cv_formula_advance(cv_formula_parser *p);
/** Past a token of this kind. */
int cv_formula_take(cv_formula_parser *p, int kind, const char *expected);

int cv_token_is_dot(const cv_token *name);
/** Past the name of a column. */
int cv_formula_take_column(cv_formula_parser *p, cv_token *name,
                           const char *expected);
/** Past a whole number from 2 to 9, which is what ^ takes. */
int cv_formula_take_power(cv_formula_parser *p, int *power);
/** A column or a function of one; its name was taken. *v is cleared by the
 *  caller if it is set. */
int cv_formula_take_variable(cv_formula_parser *p, const cv_token *name,
                             cv_formula_var *v);
/** Past response and "~". */
int cv_formula_take_response(cv_formula_parser *p);

#endif
