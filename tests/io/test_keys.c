/* What a table of keys can say and job.yaml uses little or not yet: booleans,
 * values without a default, optional sections that are empty or not in the
 * digest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/keys.h"

typedef struct {
    int flag, other_flag, has_a, has_b, count;
    int64_t big;
    double number;
    char *text;
    int kind;
} thing;

#define AT(member) .offset = offsetof(thing, member)

static const char *const kinds[] = {"one", "two", NULL};
static const char *const two[] = {"two", NULL};

static const cv_key rows[] = {
    {"flag", CV_KEY_BOOL, AT(flag), .def = "true", .meaning = "a switch"},
    {"a.deep.other", CV_KEY_BOOL, AT(other_flag), .meaning = "a switch"},
    {"a", CV_KEY_SECTION, .flag = offsetof(thing, has_a), .meaning = "part a"},
    {"a.text", CV_KEY_TEXT, AT(text), .meaning = "a text"},
    {"b", CV_KEY_SECTION, 0, CV_KEY_NO_DIGEST, .flag = offsetof(thing, has_b),
     .meaning = "part b"},
    {"b.number", CV_KEY_NUMBER, AT(number), CV_KEY_NO_DIGEST,
     .range = {-1, 1, 0, 0}, .meaning = "a number"},
    {"big", CV_KEY_I64, AT(big), .range = {-1e18, 1e18, 0, 0}, .when = "kind",
     .among = two, .meaning = "a large number"},
    {"kind", CV_KEY_WORD, AT(kind), .def = "one", .words = kinds,
     .meaning = "a kind"},
};
static const cv_keys keys = {rows, sizeof rows / sizeof *rows};

static int read_thing(const char *text, thing *t, cv_err *err)
{
    cv_yaml *tree = NULL;
    memset(t, 0, sizeof *t);
    assert_int_equal(cv_yaml_parse(text, strlen(text), "f", &tree, err), 0);
    int rc = cv_keys_read(&keys, t, tree, "f", err);
    cv_yaml_destroy(&tree);
    return rc;
}

static void test_written(void **state)
{
    (void)state;
    static const struct {
        const char *text, *all, *lasting;
    } cases[] = {
        {"{}", "flag: true\nkind: one\n", NULL},
        {"{flag: false, kind: two, big: -1000000000000000000}",
         "big: -1000000000000000000\nflag: false\nkind: two\n", NULL},
        {"{a: {}}", "a: {}\nflag: true\nkind: one\n", NULL},
        {"a:", "a: {}\nflag: true\nkind: one\n", NULL},
        {"a: {text: x, deep: {other: true}}",
         "a:\n  deep:\n    other: true\n  text: \"x\"\nflag: true\nkind: one\n",
         NULL},
        {"a: {deep: {other: false}}", "a: {}\nflag: true\nkind: one\n", NULL},
        {"b: {}", "b: {}\nflag: true\nkind: one\n", "flag: true\nkind: one\n"},
        {"b: {number: -0.5}", "b:\n  number: -0.5\nflag: true\nkind: one\n",
         "flag: true\nkind: one\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        thing t, again;
        cv_err err = {0};
        cv_buf all = {0}, lasting = {0}, same = {0};
        assert_int_equal(read_thing(cases[i].text, &t, &err), 0);
        cv_keys_write(&keys, &all, &t, 0);
        cv_keys_write(&keys, &lasting, &t, CV_KEY_NO_DIGEST);
        assert_string_equal(cv_buf_text(&all), cases[i].all);
        assert_string_equal(cv_buf_text(&lasting),
                            cases[i].lasting ? cases[i].lasting : cases[i].all);
        assert_int_equal(read_thing(cv_buf_text(&all), &again, &err), 0);
        cv_keys_write(&keys, &same, &again, 0);
        assert_string_equal(cv_buf_text(&all), cv_buf_text(&same));
        cv_keys_free(&keys, &t);
        cv_keys_free(&keys, &again);
        cv_buf_free(&all);
        cv_buf_free(&lasting);
        cv_buf_free(&same);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"flag: yes", "flag: expected true or false; found 'yes'"},
        {"flag: on", "true or false"},
        {"flag: 1", "true or false"},
        {"flag: True", "true or false"},
        {"flag: 'true'", "the quotes make it text"},
        {"big: 1", "big: used only with kind two; found kind 'one'"},
        {"{kind: two, big: 1.5}", "a whole number from -1e+18 to 1e+18"},
        {"a: {deep: 1}", "a.deep: expected 'key: value' lines below it"},
        {"a: {deep: {text: x}}", "a.deep: unknown key 'text'; it belongs in "
                                 "'a'"},
        {"b: {number: 2}", "a number from -1 to 1; found '2'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        thing t;
        cv_err err = {0};
        assert_int_equal(read_thing(cases[i].text, &t, &err), CV_ERR_INPUT);
        print_message("%s\n", err.text);
        assert_non_null(strstr(err.text, cases[i].says));
        cv_keys_free(&keys, &t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
