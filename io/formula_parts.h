/** The inside of io/formula: tokens (formula_token.c), sets of terms
 *  (formula_terms.c), variables and normal form (formula_text.c), the grammar
 *  (formula_parse.c), what a caller gets (formula.c). Local. */
#ifndef COVEY_IO_FORMULA_PARTS_H
#define COVEY_IO_FORMULA_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/bytes.h"
#include "io/formula.h"
#include "io/names.h"

/* ---- tokens ---- */

/** Kinds of a token; an operator of one character is its own kind. */
enum {
    CV_TOKEN_END = 0,
    CV_TOKEN_NAME = 'a',
    CV_TOKEN_NUMBER = '0',
    CV_TOKEN_EQUAL = '=',  /* == */
    CV_TOKEN_SPECIAL = '%' /* %in% and its like */
};

typedef struct {
    int kind;
    size_t at, len; /* bytes of the text */
    int quoted;     /* a name in backquotes */
    double number;
    char name[CV_NAME_MAX + 1];
} cv_token;

/** The character of the text at this byte, from 1: for messages. */
size_t cv_token_character(const char *text, size_t at);

/** Read the token at or after byte `at`. CV_ERR_INPUT saying where. */
int cv_token_read(cv_token *token, const char *text, size_t at, cv_err *err);

/** May this name stand in a formula without backquotes? */
int cv_token_is_plain(const char *name);

/* ---- sets of terms ---- */

/** Terms in the order of arrival, each once. Start with {.key = ...}. */
typedef struct {
    const uint8_t *key; /* 16 random bytes, so that no one outside can choose
                         * terms that collide */
    cv_formula_term *t; /* (n) variables ascending; order < 0: removed */
    size_t n, cap, live;
    uint32_t *slots; /* (n_slots) 0 = free, else index + 1; NULL while small */
    size_t n_slots;
} cv_term_set;

void cv_term_set_add(cv_term_set *set, const cv_formula_term *t);
void cv_term_set_remove(cv_term_set *set, const cv_formula_term *t);
void cv_term_set_free(cv_term_set *set);

/** What may still be spent on terms, however they are written: a short text can
 *  ask for very much work even where few terms come out. */
typedef struct {
    size_t left;
} cv_term_budget;

/** Returns NULL, or what is too much. */
const char *cv_term_spend(cv_term_budget *budget, size_t terms);
/** set + more, set - less. */
const char *cv_term_set_join(cv_term_set *set, const cv_term_set *more,
                             cv_term_budget *budget);
const char *cv_term_set_drop(cv_term_set *set, const cv_term_set *less,
                             cv_term_budget *budget);
/** Add a:b for each a and b. out is neither of them. */
const char *cv_term_set_interact(cv_term_set *out, const cv_term_set *a,
                                 const cv_term_set *b, cv_term_budget *budget);
/** set^power, power >= 2. */
const char *cv_term_set_power(cv_term_set *set, int power,
                              cv_term_budget *budget);
/** Terms in R's order, as a new array of set->live. */
cv_formula_term *cv_term_set_sorted(const cv_term_set *set);

/* ---- variables and normal form ---- */

/** Variables of distinct labels. Start with {0}. */
typedef struct {
    cv_name_set labels;
    cv_formula_var *v; /* (labels.n) */
    size_t cap;
} cv_var_list;

/** Number of the variable, which is taken: its texts are the list's or freed.
 */
uint32_t cv_var_list_add(cv_var_list *list, cv_formula_var *v);
void cv_var_list_free(cv_var_list *list);

/** Fill v from its parts, with its label. */
void cv_formula_var_set(cv_formula_var *v, const char *column, cv_formula_fn fn,
                        int power, int category);
/** `.` itself. */
void cv_formula_var_set_dot(cv_formula_var *v);
void cv_formula_var_clear(cv_formula_var *v);

/** "log", "C": of a variable that is a function of its column, else NULL. */
const char *cv_formula_fn_name(const cv_formula_var *v);

/** Set f->text: from terms and variables, or with `terms` as it is written. */
void cv_formula_write(cv_formula *f, const char *terms);

/* ---- grammar ---- */

/** What a text says; the variables of all that it mentions. */
typedef struct {
    cv_formula *f; /* response and event; intercept and dot */
    cv_var_list vars, offsets;
    cv_term_set terms;
    cv_buf written; /* the terms as they are written, in normal form */
} cv_formula_draft;

/** Columns that `.` stands for; NULL: it stands for itself. */
typedef struct {
    const char **columns;
    size_t n;
} cv_formula_dot;

/** draft->f is there, the rest zero; terms.key is set. Either way the caller
 *  frees what draft holds. */
int cv_formula_read(cv_formula_draft *draft, const char *text,
                    const cv_formula_dot *dot, cv_err *err);

#endif
