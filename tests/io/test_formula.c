/* Model formulas: terms and labels as R has them, what is refused, `.`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/io/formula_fixture.h"

static const struct {
    const char *text, *labels;
    int intercept;
} from_r[] = {
    /* attr(terms(f), "term.labels") and attr(, "intercept") of R 4.2.2 */
    {"y ~ a + b:c + d + a:b", "a + d + b:c + a:b", 1},
    {"y ~ b:a + a", "a + b:a", 1},
    {"y ~ b:a + b", "b + b:a", 1},
    {"y ~ a*b - a", "b + a:b", 1},
    {"y ~ (a+b)^2 - a:b", "a + b", 1},
    {"y ~ a:b + b:a", "a:b", 1},
    {"y ~ a + b:c:a", "a + a:b:c", 1},
    {"y ~ (a:b+c)*(d+a)", "c + d + a + a:b + c:d + a:c + a:b:d", 1},
    {"y ~ c:b:a + b:a", "b:a + c:b:a", 1},
    {"y ~ (a+b+c)^2", "a + b + c + a:b + a:c + b:c", 1},
    {"y ~ a - (a+b)", "", 1},
    {"y ~ a+b-1+1", "a + b", 1},
    {"y ~ 0+a", "a", 0},
    {"y ~ a+0", "a", 0},
    {"y ~ -1+a", "a", 0},
    {"y ~ a+1-1", "a", 0},
    {"y ~ a-0", "a", 1},
    {"y ~ a*b*c - a:b:c", "a + b + c + a:b + a:c + b:c", 1},
    {"y ~ a + offset(z) + b", "a + b", 1},
    {"y ~ 1", "", 1},
    {"y ~ 0", "", 0},
    {"y ~ -1", "", 0},
    {"y ~ a - (b-1)", "a", 1},
    {"y ~ a - (b+1)", "a", 0},
    {"y ~ a - (-1)", "a", 1},
    {"y ~ (a-1)+b", "a + b", 0},
    {"y ~ (b-1)+a+1", "b + a", 1},
    {"y ~ -a + b", "b", 1},
    {"y ~ a - -1", "a", 1},
    {"y ~ +a*b", "a + b + a:b", 1},
    {"y ~ --a", "", 1},
    {"y ~ log(a) + a", "log(a) + a", 1},
    {"log(y) ~ a", "a", 1},
    {"y ~ I(a^2) + I(a ^ 2) + a", "I(a^2) + a", 1},
    {"y ~ (a+b):(c+d)", "a:c + a:d + b:c + b:d", 1},
    {"y ~ c + b:(a+c)", "c + b:a + c:b", 1},
    {"y ~ (a*b*c)^2", "a + b + c + a:b + a:c + b:c + a:b:c", 1},
    {"y ~ a*a", "a", 1},
    {"y ~ a:a", "a", 1},
    {"y ~ b+a+b:a+a:b:c+c:a", "b + a + b:a + a:c + b:a:c", 1},
    {"y ~ (a*b-a)*c", "b + c + a:b + b:c + a:b:c", 1},
    {"y ~ (a+b)*(a+b)", "a + b + a:b", 1},
    {"y ~ a+(b+(c+(d)))", "a + b + c + d", 1},
    {"y ~ (a:b)^2", "a:b", 1},
    {"y ~ (a:b+c)^2", "c + a:b + a:b:c", 1},
    {"y ~ a + b - b:a", "a + b", 1},
    {"y ~ a + b - (a-b)", "b", 1},
    {"y ~ a - (a-b)", "", 1},
    {"y ~ a + (offset(z)+b)", "a + b", 1},
    {"y ~ a + b - a + a", "b + a", 1},
    {"y ~ b + a:c + a - b", "a + a:c", 1},
    {"y ~ a*b*c - b", "a + c + a:b + a:c + b:c + a:b:c", 1},
    {"y ~ (a+b+c+d)^3 - a:b:c",
     "a + b + c + d + a:b + a:c + a:d + b:c + b:d + c:d + a:b:d + a:c:d + "
     "b:c:d",
     1},
    {"y ~ (a+b+c)^2 : d", "a:d + b:d + c:d + a:b:d + a:c:d + b:c:d", 1},
    {"y ~ a:b*c", "c + a:b + a:b:c", 1},
    {"y ~ a*b:c", "a + b:c + a:b:c", 1},
    {"y ~ `x y`*a", "`x y` + a + `x y`:a", 1},
    {"y ~ \xc3\xa9:a", "\xc3\xa9:a", 1},
    {"y ~ sqrt(a)*exp(b) + log1p(c):log10(d)",
     "sqrt(a) + exp(b) + sqrt(a):exp(b) + log1p(c):log10(d)", 1},
    {"y ~ offset(log(z))", "", 1},
    {"y ~ a:(b+c)^2 - c:b:a", "a:b + a:c", 1},
    {"y ~ d:c:b:a + a:b + b:a:d", "b:a + d:b:a + d:c:b:a", 1},
    {"y ~ a + b + c - (a + c)", "b", 1},
    {"y ~ (((a)))", "a", 1},
    {"y ~ (a + b - a):c", "b:c", 1},
};

static void test_as_r(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(from_r); k++) {
        cv_formula *f = parse(from_r[k].text);
        char *found = labels(f);
        print_message("%s\n", from_r[k].text);
        assert_string_equal(found, from_r[k].labels);
        assert_int_equal(f->intercept, from_r[k].intercept);
        assert_int_equal(f->dot, 0);
        check_round_trip(f);
        free(found);
        cv_formula_destroy(&f);
    }
}

static void test_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *normal;
    } cases[] = {
        {"a+b", "~ a + b"},
        {" ~\ta\n+ b ", "~ a + b"},
        {"y~1", "y ~ 1"},
        {"y~0", "y ~ 0"},
        {"y~a-1", "y ~ 0 + a"},
        {"y~b:a+a", "y ~ b:a + a"},
        {"y~d+a:b", "y ~ d + a:b"},
        {"y~a:b+c", "y ~ a:b + c"},
        {"y~a*b-a", "y ~ a:b + b"},
        {"y~a+b-a+a", "y ~ a - a + b + a"},
        {"y~x-x+offset(z)+a", "y ~ a + offset(z)"},
        {"y~offset(log(z))", "y ~ offset(log(z))"},
        {"y~factor( `a b` )", "y ~ C(`a b`)"},
        {"y~`age`", "y ~ age"},
        {"log(y)~ I( a ^ 3 )", "log(y) ~ I(a^3)"},
        {"y~I(a^2.0)", "y ~ I(a^2)"},
        {"factor(y)~C(a)+a", "C(y) ~ C(a) + a"},
        {"y~.", "y ~ ."},
        {"y~.-a+offset( z )", "y ~ . - a + offset(z)"},
        {"y~(.- a)*factor(b)-1", "y ~ (. - a) * C(b) - 1"},
        {"y~(a+.)^2:b", "y ~ (a + .)^2:b"},
        {"y~-1+.", "y ~ -1 + ."},
        {"y~- -1+.", "y ~ --1 + ."},
        {"Surv(t,`a d`)~a", "Surv(t, `a d`) ~ a"},
        {"Surv(t,d==2)~a", "Surv(t, d == 2) ~ a"},
        {"Surv(t,d== - 1.50e1)~a", "Surv(t, d == -15) ~ a"},
        {"Surv(t,d==-0)~a", "Surv(t, d == 0) ~ a"},
        {"Surv(t,d==0.1)~a", "Surv(t, d == 0.1) ~ a"},
        {"Surv(t,d==.30000000000000004)~1",
         "Surv(t, d == 0.30000000000000004) ~ 1"},
        {"y~`.`+`a\\`b`+`a\\\\b`+`2x`+`_x`+`NA`+`..1`+..x",
         "y ~ `.` + `a\\`b` + `a\\\\b` + `2x` + `_x` + `NA` + `..1` + ..x"},
        {"y~`a~b`", "y ~ `a~b`"},
        {"y~C+log+I+Surv+offset", "y ~ C + log + I + Surv + offset"},
    };
    for (size_t k = 0; k < COUNT(cases); k++) {
        cv_formula *f = parse(cases[k].text);
        assert_string_equal(f->text, cases[k].normal);
        check_round_trip(f);
        cv_formula_destroy(&f);
    }
}

static void test_parts(void **state)
{
    (void)state;
    cv_formula *f = parse("Surv(days, status == 2) ~ factor(`my sex`) + age + "
                          "offset(log(pop)) + I(age^3) + age:log10(z) + "
                          "offset(w) + offset( w ) + C(age)");
    assert_int_equal(f->has_response, 1);
    assert_string_equal(f->response.column, "days");
    assert_string_equal(f->event, "status");
    assert_int_equal(f->event_is, 1);
    assert_true(f->event_value == 2);
    assert_int_equal(f->n_vars, 5);
    static const cv_formula_var vars[] = {
        {"my sex", "C(`my sex`)", CV_FN_NONE, 0, 1},
        {"age", "age", CV_FN_NONE, 0, 0},
        {"age", "I(age^3)", CV_FN_POWER, 3, 0},
        {"z", "log10(z)", CV_FN_LOG10, 0, 0},
        {"age", "C(age)", CV_FN_NONE, 0, 1}};
    check_same_vars(f->vars, vars, 5);
    static const cv_formula_var offsets[] = {
        {"pop", "log(pop)", CV_FN_LOG, 0, 0}, {"w", "w", CV_FN_NONE, 0, 0}};
    assert_int_equal(f->n_offsets, 2);
    check_same_vars(f->offsets, offsets, 2);
    assert_int_equal(f->n_terms, 5);
    static const cv_formula_term last = {2, {1, 3}};
    assert_memory_equal(&f->terms[4], &last, sizeof last);
    cv_formula_destroy(&f);
    assert_null(f);
    cv_formula_destroy(&f);

    f = parse("sqrt(a) + exp(b) + log1p(c) + log(d)");
    static const cv_formula_fn fns[] = {CV_FN_SQRT, CV_FN_EXP, CV_FN_LOG1P,
                                        CV_FN_LOG};
    for (int i = 0; i < 4; i++)
        assert_int_equal(f->vars[i].fn, fns[i]);
    assert_int_equal(f->has_response, 0);
    assert_null(f->event);
    cv_formula_destroy(&f);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "character 1: expected a term, found the end"},
        {"  ", "character 3: expected a term"},
        {"y ~", "character 4: expected a term"},
        {"y ~ a +", "character 8: expected a term, found the end"},
        {"y ~ a b", "character 7: expected an operator or the end, found 'b'"},
        {"y ~ a ~ b",
         "character 7: expected an operator or the end, found '~'"},
        {"y ~ a)", "character 6: expected an operator or the end, found ')'"},
        {"y ~ (a", "character 7: expected an operator or ')', found the end"},
        {"y ~ ()", "character 6: expected a term, found ')'"},
        {"y ~ a + / b", "character 9: '/'"},
        {"y ~ a/b", "character 6: '/' is not known here; a/b is a + a:b"},
        {"y ~ a + (1|b)", "character 11: '|'"},
        {"y ~ a %in% b", "character 7: '%in%' is not known here; a %in% b is "},
        {"y ~ a % b", "character 7: '%' has no meaning"},
        {"y ~ a == 2", "character 7: expected an operator or the end"},
        {"y ~ a & b", "character 7: '&' has no meaning"},
        {"y ~ d$a", "character 6: '$' has no meaning"},
        {"y ~ \"a\"", "character 5: '\"' has no meaning"},
        {"y ~ a\001", "character 6: a character (byte 0x01)"},
        {"y ~ a\xc2\xa0+ b", "character 6: a character (byte 0xc2)"},
        {"y ~ \xc3\xa9 + \xc3\xa9 \xff",
         "character 11: a character (byte 0xff"},
        {"y ~ \xe0\x80\x80z", "character 5: a character (byte 0xe0)"},
        {"y ~ \xed\xa0\x80z", "character 5: a name that is not UTF-8"},
        {"y ~ lg(x)", "character 5: there is no function 'lg' here; did you "
                      "mean 'log'?"},
        {"y ~ a + facotr(x)", "character 9: there is no function 'facotr' "
                              "here; did you mean 'factor'?"},
        {"y ~ as.factor(x)", "did you mean 'factor'?"},
        {"y ~ poly.spline.basis(x, 2)", "here; there are: C, factor, log, "},
        {"cbind(a, b) ~ c", "character 1: there is no function 'cbind'"},
        {"y ~ log(x + 1)", "character 11: expected ')' after the name of one "
                           "column, found '+'"},
        {"y ~ log(log(x))", "character 12: expected ')' after the name of one "
                            "column, found '('"},
        {"y ~ log(2)", "character 9: expected the name of one column in log()"},
        {"y ~ log(.)", "character 9: expected the name of one column in log()"},
        {"y ~ log()", "character 9: expected the name"},
        {"y ~ `log`(x)", "character 10: expected an operator"},
        {"y ~ I(x)", "character 8: expected I(x^2), a power of one column"},
        {"y ~ I(x*x)", "character 8: expected I(x^2), a power of one column"},
        {"y ~ I(2*x)", "character 7: expected I(x^2), a power of one column"},
        {"y ~ I(x^1)", "character 9: expected a whole number from 2 to 9"},
        {"y ~ I(x^10)", "character 9: expected a whole number from 2 to 9"},
        {"y ~ I(x^2.5)", "character 9: expected a whole number from 2 to 9"},
        {"y ~ I(x^2 + 1)", "character 11: expected ')' after the power"},
        {"y ~ x^2", "character 6: '^' multiplies terms"},
        {"y ~ a:log(x)^2", "character 13: '^' multiplies terms"},
        {"y ~ (a+b)^1", "character 11: expected a whole number from 2 to 9"},
        {"y ~ (a+b)^c", "character 11: expected a whole number"},
        {"y ~ (a+b)^(2)", "character 11: expected a whole number"},
        {"y ~ (a+b)^2^2", "character 12: expected an operator"},
        {"y ~ 2*a", "character 5: among the terms, expected no number but 0"},
        {"y ~ a + 1.5", "character 9: among the terms, expected no number"},
        {"y ~ 1:a", "character 5: 0 and 1 stand for the intercept"},
        {"y ~ a*1", "character 7: 0 and 1 stand for the intercept"},
        {"y ~ (a - 1)*b", "character 10: 0 and 1 stand for the intercept"},
        {"y ~ (1 + a)^2", "character 6: 0 and 1 stand for the intercept"},
        {"y ~ -a*b", "character 5: there is no term here"},
        {"y ~ a*-b", "character 7: there is no term here"},
        {"y ~ (a - a):b", "character 5: there is no term here"},
        {"y ~ a:offset(z)", "character 7: an offset can be added"},
        {"y ~ (a + offset(z))^2", "character 10: an offset can be added"},
        {"y ~ a - offset(z)", "character 9: an offset cannot be removed"},
        {"y ~ -offset(z)", "character 6: an offset cannot be removed"},
        {"y ~ a - (1 + offset(z))", "character 14: an offset cannot be"},
        {"y ~ offset(a + b)", "character 14: expected ')'"},
        {"y ~ offset(C(a))", "character 12: a category cannot be an offset"},
        {"y ~ offset(.)", "character 12: expected a column in offset()"},
        {"y ~ offset(offset(a))", "character 12: offset() cannot stand here"},
        {"offset(y) ~ a", "character 1: offset() cannot stand here"},
        {"y ~ Surv(a, b)", "character 5: Surv() cannot stand here"},
        {". ~ a", "character 1: expected a response, found '.'"},
        {"(y) ~ a", "character 1: expected a response, found '('"},
        {"y + z ~ a", "character 3: expected '~' after the response"},
        {"Surv(t) ~ a", "character 7: expected ',' after the column of times"},
        {"Surv(t, d, e) ~ a", "character 10: expected ')': Surv() takes"},
        {"Surv(t, d = 1) ~ a", "character 11: '=' has no meaning"},
        {"Surv(t, d == x) ~ a", "character 14: expected a number after '=='"},
        {"Surv(t, d == 1e999) ~ a", "character 14: a number that is too large"},
        {"Surv(t, d == --1) ~ a", "character 15: expected a number"},
        {"Surv(t, d == 2L) ~ a", "character 14: a number that goes on as a "},
        {"Surv(t, d == 0x10) ~ a", "character 14: a number that goes on as"},
        {"Surv(log(t), d) ~ a", "character 9: expected ',' after the column"},
        {"Surv(t, d)", "character 1: Surv() cannot stand here"},
        {"y ~ 2nd", "character 5: a number that goes on as a name"},
        {"y ~ _a", "character 5: '_' has no meaning"},
        {"y ~ NA + TRUE", "character 5: 'NA' is a word of R"},
        {"y ~ a + ...", "character 9: '...' is a word of R"},
        {"y ~ ..12", "character 5: '..12' is a word of R"},
        {"y ~ `a", "character 5: a backquote that is never closed"},
        {"y ~ `a\\", "character 5: in backquotes, a backslash"},
        {"y ~ `a\\n`", "character 5: in backquotes, a backslash"},
        {"y ~ ``", "character 5: a name that is empty"},
        {"y ~ `a\tb`", "character 5: a name that holds a control character"},
        {"y ~ `\xff`", "character 5: a name that is not UTF-8"},
        {"y ~ a*b*c*d*e*f*g", "character 16: an interaction of more than 6"},
        {"y ~ a + y", "y is in the response"},
        {"y ~ a:y", "y is in the response"},
        {"log(y) ~ a + log(y)", "log(y) is in the response"},
        {"Surv(t, `d d`) ~ t", "t is in the response"},
        {"Surv(t, `d d`) ~ `d d`", "`d d` is in the response"},
    };
    for (size_t k = 0; k < COUNT(cases); k++) {
        cv_formula *f = (cv_formula *)&cases;
        cv_err err = {0};
        print_message("%s\n", cases[k].text);
        assert_int_equal(cv_formula_parse(cases[k].text, &f, &err),
                         CV_ERR_INPUT);
        assert_null(f);
        if (!strstr(err.text, cases[k].says))
            fail_msg("expected \"%s\" in \"%s\"", cases[k].says, err.text);
        assert_int_equal(cv_formula_parse(cases[k].text, &f, NULL),
                         CV_ERR_INPUT);
    }
}

/* What is near the line and still allowed. */
static void test_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int terms;
    } cases[] = {{"y ~ a*b*c*d*e*f", 63}, {"y ~ (a+b+c+d+e+f)^9", 63},
                 {"log(y) ~ y", 1},       {"y ~ a + y - y", 1},
                 {"y ~ C(y)", 1},         {"y ~ (a)^2", 1},
                 {"y ~ (-a + b)*c", 3},   {"y ~ a + 1.0", 1},
                 {"y ~ .^2", 1},          {"y ~ a:b:c:d:e:f:a", 1}};
    for (size_t k = 0; k < COUNT(cases); k++) {
        cv_formula *f = parse(cases[k].text);
        print_message("%s\n", cases[k].text);
        assert_int_equal(f->n_terms, cases[k].terms);
        check_round_trip(f);
        cv_formula_destroy(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_r),    cmocka_unit_test(test_text),
        cmocka_unit_test(test_parts),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
