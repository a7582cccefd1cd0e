/** What the tests of formulas share: reading one that is good, comparing two. */
#ifndef COVEY_TESTS_IO_FORMULA_FIXTURE_H
#define COVEY_TESTS_IO_FORMULA_FIXTURE_H

#include <string.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "io/formula.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* "a + b + a:b". Free it. */
static inline char *labels(const cv_formula *f)
{
    cv_buf b = {0};
    for (int i = 0; i < f->n_terms; i++)
        for (int k = 0; k < f->terms[i].order; k++)
            cv_buf_printf(&b, "%s%s",
                          k   ? ":"
                          : i ? " + "
                              : "",
                          f->vars[f->terms[i].var[k]].label);
    return b.data ? b.data : cv_strdup("");
}

static inline cv_formula *parse(const char *text)
{
    cv_formula *f = NULL;
    cv_err err = {0};
    if (cv_formula_parse(text, &f, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    return f;
}

static inline void check_same_vars(const cv_formula_var *a,
                                   const cv_formula_var *b, int n)
{
    for (int i = 0; i < n; i++) {
        assert_string_equal(a[i].column, b[i].column);
        assert_string_equal(a[i].label, b[i].label);
        assert_int_equal(a[i].fn, b[i].fn);
        assert_int_equal(a[i].power, b[i].power);
        assert_int_equal(a[i].category, b[i].category);
    }
}

static inline void check_same(const cv_formula *a, const cv_formula *b)
{
    assert_string_equal(a->text, b->text);
    assert_int_equal(a->has_response, b->has_response);
    if (a->has_response)
        check_same_vars(&a->response, &b->response, 1);
    assert_int_equal(!a->event, !b->event);
    if (a->event)
        assert_string_equal(a->event, b->event);
    assert_int_equal(a->event_is, b->event_is);
    assert_true(a->event_value == b->event_value);
    assert_int_equal(a->intercept, b->intercept);
    assert_int_equal(a->dot, b->dot);
    assert_int_equal(a->n_vars, b->n_vars);
    check_same_vars(a->vars, b->vars, a->n_vars);
    assert_int_equal(a->n_offsets, b->n_offsets);
    check_same_vars(a->offsets, b->offsets, a->n_offsets);
    assert_int_equal(a->n_terms, b->n_terms);
    for (int i = 0; i < a->n_terms; i++) {
        assert_int_equal(a->terms[i].order, b->terms[i].order);
        assert_memory_equal(a->terms[i].var, b->terms[i].var,
                            sizeof a->terms[i].var);
    }
}

static inline void check_round_trip(const cv_formula *f)
{
    cv_formula *again = parse(f->text);
    check_same(f, again);
    cv_formula_destroy(&again);
}

#endif
