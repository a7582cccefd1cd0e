/* Model formulas: `.` when the columns are known, bounds, random formulas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/io/formula_fixture.h"

static cv_formula *expand(const cv_formula *f, const char *const *columns,
                          size_t n)
{
    cv_formula *out = NULL;
    cv_err err = {0};
    if (cv_formula_expand(f, columns, n, NULL, 0, &out, &err) != 0)
        fail_msg("%s: %s", f->text, err.text);
    assert_int_equal(out->dot, 0);
    check_round_trip(out);
    return out;
}

static void test_dot(void **state)
{
    (void)state;
    static const struct {
        const char *text, *labels;
        int intercept;
    } cases[] = {
        /* terms(f, data = data.frame(y, a, b, c)) of R 4.2.2 */
        {"y ~ .", "a + b + c", 1},
        {"y ~ . - a", "b + c", 1},
        {"y ~ .*a", "a + b + c + a:b + a:c", 1},
        {"y ~ a*.", "a + b + c + a:b + a:c", 1},
        {"y ~ .^2", "a + b + c + a:b + a:c + b:c", 1},
        {"log(y) ~ .", "a + b + c", 1},
        {"y ~ .:a", "a + a:b + a:c", 1},
        {"y ~ a + .", "a + b + c", 1},
        {"y ~ b + .", "b + a + c", 1},
        {"y ~ .:.", "a + b + c + a:b + a:c + b:c", 1},
        {"y ~ . - .", "", 1},
        {"y ~ log(a) + .", "log(a) + a + b + c", 1},
        {"y ~ . - a:b", "a + b + c", 1},
        {"y ~ .*b", "a + b + c + a:b + b:c", 1},
        {"y ~ (. - a)*b", "b + c + b:c", 1},
        {"y ~ (. - a):(. - b)", "c + a:b + b:c + a:c", 1},
        {"y ~ . - 1", "a + b + c", 0},
        {"y ~ (. - b)^2", "a + c + a:c", 1},
        {"~ .", "y + a + b + c", 1},
        {"y ~ c:a + .", "a + b + c + c:a", 1},
        {"y ~ . - y", "a + b + c", 1},
        {"y ~ . - a + a", "b + c + a", 1},
        {"y ~ (.)*b - .:b", "a + c", 1},
        {"y ~ (.:. - .)*b", "b + a:b + a:c + b:c + a:b:c", 1},
        /* not R's: the column of an offset is none of `.` */
        {"y ~ . + offset(log(a))", "b + c", 1},
        {"y ~ offset(a) + . + a", "b + c + a", 1},
        /* a survival formula */
        {"Surv(y, b == 1) ~ .", "a + c", 1},
        /* a name that is none of the columns */
        {"y ~ . + `.` - z", "a + b + c + `.`", 1},
        /* nothing to replace */
        {"y ~ b*a - 1", "b + a + b:a", 0},
    };
    static const char *const columns[] = {"y", "a", "b", "c"};
    for (size_t k = 0; k < COUNT(cases); k++) {
        cv_formula *f = parse(cases[k].text);
        print_message("%s\n", cases[k].text);
        assert_int_equal(f->dot, k + 1 < COUNT(cases));
        check_round_trip(f);
        cv_formula *g = expand(f, columns, COUNT(columns));
        char *found = labels(g);
        assert_string_equal(found, cases[k].labels);
        assert_int_equal(g->intercept, cases[k].intercept);
        free(found);
        cv_formula *again = expand(g, columns, COUNT(columns));
        check_same(g, again);
        cv_formula_destroy(&again);
        cv_formula_destroy(&g);
        cv_formula_destroy(&f);
    }
}

static void test_skip(void **state)
{
    (void)state;
    static const char *const columns[] = {"y", "a b", "silo", "w", "x`", "a b"};
    static const char *const skip[] = {"w", "silo", "nowhere"};
    cv_formula *f = parse("y ~ ."), *g = NULL;
    cv_err err = {0};
    assert_int_equal(cv_formula_expand(f, columns, COUNT(columns), skip,
                                       COUNT(skip), &g, &err),
                     0);
    assert_string_equal(g->text, "y ~ `a b` + `x\\``");
    assert_string_equal(g->vars[1].column, "x`");
    cv_formula_destroy(&g);
    g = expand(f, NULL, 0);
    assert_string_equal(g->text, "y ~ 1");
    cv_formula_destroy(&g);
    cv_formula_destroy(&f);
}

/* "x0", "x1", ..; free with free_names. */
static char **make_names(size_t n, const char *format)
{
    char **names = CV_NEW(n, char *);
    for (size_t i = 0; i < n; i++) {
        char text[300];
        snprintf(text, sizeof text, format, (int)i);
        names[i] = cv_strdup(text);
    }
    return names;
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

static void test_many_columns(void **state)
{
    (void)state;
    enum { N = 20000 };
    char **names = make_names(N, "x%d");
    const char *const *columns = (const char *const *)names;
    static const struct {
        const char *text;
        int vars, terms;
    } cases[] = {{"x7 ~ .", N - 1, N - 1},
                 {"x7 ~ . - x9 - C(x9)", N - 2, N - 2},
                 {"x7 ~ . - x3 + x3 + x3", N - 1, N - 1},
                 {"x7 ~ . - x3 + x3 - x3", N - 2, N - 2},
                 {"x7 ~ . * z", N, 2 * N - 1},
                 {"log(x7) ~ . + offset(x9)", N - 2, N - 2},
                 {"Surv(x7, x8) ~ . - .", 0, 0}};
    for (size_t k = 0; k < COUNT(cases); k++) {
        cv_formula *f = parse(cases[k].text);
        cv_formula *g = expand(f, columns, N);
        assert_int_equal(g->n_vars, cases[k].vars);
        assert_int_equal(g->n_terms, cases[k].terms);
        if (k == 0)
            for (int i = 0; i < N - 1; i++)
                assert_string_equal(g->vars[g->terms[i].var[0]].column,
                                    columns[i + (i >= 7)]);
        cv_formula_destroy(&g);
        cv_formula_destroy(&f);
    }
    free_names(names, N);
}

static void check_refused(const cv_formula *f, char **names, size_t n,
                          const char *says)
{
    cv_formula *g = NULL;
    cv_err err = {0};
    assert_int_equal(
        cv_formula_expand(f, (const char *const *)names, n, NULL, 0, &g, &err),
        CV_ERR_INPUT);
    assert_null(g);
    if (!strstr(err.text, says))
        fail_msg("expected \"%s\" in \"%s\"", says, err.text);
}

static void test_expand_refused(void **state)
{
    (void)state;
    enum { N = CV_FORMULA_MAX_TERMS + 1 };
    char **names = make_names(N, "x%d");
    cv_formula *all = parse("y ~ ."), *square = parse("y ~ .^2"),
               *z = parse("y ~ . * z"), *often = parse("y ~ .*z*z*z");
    check_refused(all, names, N,
                  "where `.` is 65537 columns: formula: at "
                  "character 5: more than 65536 variables");
    cv_formula *g = expand(all, (const char *const *)names, N - 1);
    assert_int_equal(g->n_terms, CV_FORMULA_MAX_TERMS);
    cv_formula_destroy(&g);
    check_refused(square, names, 400, "at character 6: more than 65536 terms");
    check_refused(z, names, 32768, "at character 7: more than 65536 terms");
    g = expand(often, (const char *const *)names, 32767);
    assert_int_equal(g->n_terms, 65535);
    cv_formula_destroy(&g);
    check_refused(z, names, 0, "at character 5: there is no term here");
    free_names(names, N);

    char long_name[] = "%0256d";
    names = make_names(N, long_name);
    check_refused(all, names, N - 1, "longer than 16777216 bytes");
    free_names(names, N);

    char *bad[] = {"a", "b\n"};
    check_refused(all, bad, 2,
                  "column 2 of the data: a name that holds a "
                  "control character");
    cv_formula_destroy(&all);
    cv_formula_destroy(&square);
    cv_formula_destroy(&z);
    cv_formula_destroy(&often);
}

/* head, then n times piece, then tail. */
static char *repeat(const char *head, const char *piece, size_t n,
                    const char *tail)
{
    cv_buf b = {0};
    cv_buf_add(&b, head, strlen(head));
    for (size_t i = 0; i < n; i++)
        cv_buf_add(&b, piece, strlen(piece));
    cv_buf_add(&b, tail, strlen(tail));
    return b.data;
}

/* Takes text. says: NULL where it is allowed. */
static void check_bound(char *text, const char *says)
{
    cv_formula *f = NULL;
    cv_err err = {0};
    int rc = cv_formula_parse(text, &f, &err);
    if (says && !strstr(err.text, says))
        fail_msg("expected \"%s\" in \"%s\"", says, err.text);
    if (!says && rc)
        fail_msg("%.60s: %s", text, err.text);
    cv_formula_destroy(&f);
    free(text);
}

static char *sum_of(size_t n, const char *format, const char *tail)
{
    char **names = make_names(n, format);
    cv_buf b = {0};
    cv_buf_printf(&b, "y ~ (");
    for (size_t i = 0; i < n; i++)
        cv_buf_printf(&b, "%s%s", i ? "+" : "", names[i]);
    cv_buf_printf(&b, ")%s", tail);
    free_names(names, n);
    return b.data;
}

static void test_bounds(void **state)
{
    (void)state;
    check_bound(repeat("y ~ ", "(", 100, "a") /* never closed */,
                "expected an operator or ')'");
    check_bound(repeat("y ~ ", "(", 101, "a"),
                "at character 105: more than 100 parentheses");
    check_bound(repeat("y ~ ", "(", 1000000, ""), "more than 100 parentheses");
    check_bound(repeat("y ~ a ", "- ", 1000000, "a"), NULL);
    check_bound(repeat("y ~ a", " - a + a", 1000000, ""), NULL);
    check_bound(sum_of(26, "x%d", "^6"), "more than 65536 terms");
    check_bound(sum_of(26, "x%d", "^9"), "more than 65536 terms");
    check_bound(sum_of(15, "x%d", "^6"), NULL);
    check_bound(sum_of(300, "x%d", "^2"), NULL);
    check_bound(sum_of(400, "x%d", "^2"), "more than 65536 terms");
    check_bound(sum_of(20000, "x%d", "*(x1+x2+x3)"), "more than 65536 terms");
    check_bound(sum_of(65536, "x%d", ""), NULL);
    check_bound(sum_of(65537, "x%d", ""), "more than 65536 variables");
    check_bound(sum_of(65537, "x%d - 1 - xq", ""), "more than 65536 variables");
    check_bound(sum_of(65537, "offset(x%d)", ""), "more than 65536 offsets");
    /* Few terms, much work. */
    check_bound(repeat("y ~ a", "*(a*b*c*d*e*f)", 100000, ""),
                "too much to multiply out");
    check_bound(sum_of(30000, "x%d",
                       "*x1*x1*x1*x1*x1*x1*x1*x1*x1*x1*x1*x1*x1"
                       "*x1*x1*x1*x1*x1*x1*x1*x1*x1*x1*x1*x1*x1"
                       "*x1*x1*x1*x1*x1*x1*x1*x1*x1*x1*x1*x1"),
                "too much to multiply out");
    check_bound(repeat("y ~ a", " ", CV_FORMULA_MAX_BYTES - 5, ""), NULL);
    check_bound(repeat("y ~ a", " ", CV_FORMULA_MAX_BYTES - 4, ""),
                "expected at most 16777216 bytes");
    char *text = repeat("y ~ ", "\xc3\xa9", 128, "");
    check_bound(text, NULL);
    check_bound(repeat("y ~ ", "\xc3\xa9", 128, "a"), "longer than 256 bytes");
    check_bound(repeat("y ~ `", "a", 257, "`"), "longer than 256 bytes");
    check_bound(repeat("y ~ ", "f", 256, "(x)"), "there is no function 'fff");
    check_bound(repeat("y ~ ", "1", 100000, "+x"), "a number that is too lar");
    check_bound(repeat("y ~ 1.", "0", 100000, "+x"), NULL);
    check_bound(repeat("y ~ a 1.", "0", 100000, ""), "found a number");
}

/* ---- random formulas ---- */

static uint64_t draws; /* of a generator of this file, seeded in each test */

static unsigned draw(unsigned n)
{
    draws = draws * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(draws >> 33) % n;
}

static const char *const leaves[] = {
    "a",      "b",           "c",        "`x y`",
    "C(a)",   "factor( b )", "z",        "d ",
    "log(a)", "I(c^3)",      "`a`",      "sqrt(`x\\`y`)",
    "b",      "\na ",        "log1p(d)", "\xc3\xa9t\xc3\xa9"};

/* An expression; *b may refuse some of these (order, nothing to multiply). */
static void put_random(cv_buf *b, int depth, const char *dot)
{
    unsigned kind = depth > 0 ? draw(9) : 8;
    if (kind == 8) {
        unsigned leaf = draw(COUNT(leaves) + (dot ? 4 : 0));
        cv_buf_printf(b, "%s", leaf < COUNT(leaves) ? leaves[leaf] : dot);
        return;
    }
    static const char *const op[] = {" + ", "+", " - ", ":", "*", "+"};
    cv_buf_printf(b, kind > 3 ? "(" : "");
    put_random(b, depth - 1, dot);
    if (kind == 7) {
        cv_buf_printf(b, ")^%u", 2 + draw(2));
        return;
    }
    cv_buf_printf(b, "%s", op[kind % 6]);
    if (draw(12) == 0)
        cv_buf_printf(b, draw(2) ? "0 + " : "offset(log(w)) + ");
    if (draw(20) == 0)
        cv_buf_printf(b, "-1 + ");
    put_random(b, depth - 1, dot);
    cv_buf_printf(b, kind > 3 ? ")" : "");
}

static void test_random(void **state)
{
    (void)state;
    enum { N = 20000 };
    int good = 0, with_place = 0;
    draws = 1;
    for (int k = 0; k < N; k++) {
        cv_buf b = {0};
        cv_formula *f;
        cv_buf_printf(&b, draw(2) ? "y ~ " : "Surv(t, `d d` == 2) ~ ");
        put_random(&b, 1 + (int)draw(5), NULL);
        if (cv_formula_parse(b.data, &f, NULL) == 0) {
            good++;
            with_place += strstr(f->text, " - ") != NULL;
            check_round_trip(f);
        }
        cv_formula_destroy(&f);
        cv_buf_free(&b);
    }
    print_message("%d of %d read, %d with a place\n", good, N, with_place);
    assert_true(good > N / 2 && with_place > 10);
}

/* `.` is the sum of its columns in parentheses. */
static void test_random_dot(void **state)
{
    (void)state;
    enum { N = 10000 };
    static const char *const columns[] = {"c", "y", "new", "a"};
    int good = 0;
    for (int k = 0; k < N; k++) {
        cv_buf b[2] = {0};
        cv_formula *dot, *sum, *out = NULL;
        for (int i = 0; i < 2; i++) {
            draws = (uint64_t)k;
            cv_buf_printf(&b[i], "y ~ ");
            put_random(&b[i], 1 + (int)draw(4), i ? "(c + new + a)" : ".");
        }
        if (cv_formula_parse(b[0].data, &dot, NULL) == 0)
            check_round_trip(dot);
        int rc = cv_formula_parse(b[1].data, &sum, NULL);
        if (dot && cv_formula_expand(dot, columns, COUNT(columns), NULL, 0,
                                     &out, NULL) == 0) {
            if (rc)
                fail_msg("%s", b[1].data);
            check_same(out, sum);
            good += dot->dot;
        } else if (dot) {
            assert_int_equal(rc, CV_ERR_INPUT);
        }
        cv_formula_destroy(&out);
        cv_formula_destroy(&sum);
        cv_formula_destroy(&dot);
        cv_buf_free(&b[0]);
        cv_buf_free(&b[1]);
    }
    print_message("%d with `.`\n", good);
    assert_true(good > N / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dot),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_many_columns),
        cmocka_unit_test(test_expand_refused),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_random_dot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
