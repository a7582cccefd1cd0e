/* libFuzzer target: a job's model formula.
 *
 * An input that begins with '+' is a list of words, one a byte: so that an
 * empty corpus soon gets to formulas that are read.
 */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "io/formula.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void from_words(cv_buf *b, const uint8_t *data, size_t size)
{
    static const char *const words[] = {
        "y ~ ",  "Surv(t, d", ") ~ ",      " == ", "+",    " - ",
        ":",     "*",         "(",         ")",    "^2",   "^3",
        ".",     "a",         "b",         "c",    "d",    "e",
        "y",     "`x y`",     "log(a)",    "I(a^", "C(b)", "0",
        "1",     "2",         "offset(z)", "`",    "\\",   "factor(",
        "sqrt(", "\xc3\xa9",  "1e5",       "%in%", "/",    " "};
    for (size_t i = 0; i < size; i++) {
        const char *w = words[data[i] % (sizeof words / sizeof *words)];
        cv_buf_add(b, w, strlen(w));
    }
}

static void check_terms(const cv_formula *f)
{
    CV_CHECK(f->n_terms >= 0 && f->n_terms <= CV_FORMULA_MAX_TERMS);
    for (int i = 0; i < f->n_terms; i++) {
        const cv_formula_term *t = &f->terms[i];
        CV_CHECK(t->order >= 1 && t->order <= CV_FORMULA_MAX_ORDER);
        CV_CHECK(i == 0 || t[-1].order <= t->order);
        for (int k = 0; k < t->order; k++) {
            CV_CHECK(t->var[k] >= 0 && t->var[k] < f->n_vars);
            CV_CHECK(k == 0 || t->var[k - 1] < t->var[k]);
        }
    }
}

static void check_equal(const cv_formula *a, const cv_formula *b)
{
    CV_CHECK(strcmp(a->text, b->text) == 0);
    CV_CHECK(a->intercept == b->intercept && a->dot == b->dot);
    CV_CHECK(a->n_vars == b->n_vars && a->n_terms == b->n_terms);
    CV_CHECK(a->n_offsets == b->n_offsets);
    CV_CHECK(!a->event == !b->event && a->event_value == b->event_value);
    for (int i = 0; i < a->n_vars; i++)
        CV_CHECK(strcmp(a->vars[i].label, b->vars[i].label) == 0);
    for (int i = 0; i < a->n_terms; i++)
        CV_CHECK(memcmp(&a->terms[i], &b->terms[i], sizeof *a->terms) == 0);
}

static void check_text(const cv_formula *f)
{
    cv_formula *again;
    cv_err err;
    CV_CHECK(cv_formula_parse(f->text, &again, &err) == 0);
    check_equal(f, again);
    cv_formula_destroy(&again);
}

static void check_expand(const cv_formula *f)
{
    static const char *const columns[] = {"y", "b", "x y", "new", "."};
    static const char *const skip[] = {"new"};
    cv_formula *g;
    cv_err err = {0};
    if (cv_formula_expand(f, columns, 5, skip, 1, &g, &err) == 0) {
        CV_CHECK(!g->dot);
        check_terms(g);
        check_text(g);
        if (!f->dot)
            check_equal(f, g);
        cv_formula_destroy(&g);
    } else {
        CV_CHECK(f->dot && !g && err.code == CV_ERR_INPUT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cv_buf b = {0};
    if (size && data[0] == '+')
        from_words(&b, data + 1, size - 1);
    else
        cv_buf_add(&b, data, size);
    /* Of its own, so that over-reads are seen. */
    size_t len = strlen(cv_buf_text(&b));
    char *text = malloc(len + 1);
    memcpy(text, cv_buf_text(&b), len + 1);
    cv_formula *f;
    cv_err err = {0};
    if (cv_formula_parse(text, &f, &err) == 0) {
        check_terms(f);
        check_text(f);
        check_expand(f);
        cv_formula_destroy(&f);
    } else {
        CV_CHECK(!f && err.code == CV_ERR_INPUT && err.text[0]);
    }
    free(text);
    cv_buf_free(&b);
    return 0;
}
