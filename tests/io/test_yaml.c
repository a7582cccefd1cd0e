/* The YAML tree: lines, strict scalars, refusals, hostile input. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "io/yaml.h"

static cv_yaml *parse(const char *text)
{
    cv_yaml *root = NULL;
    cv_err err = {0};
    int rc = cv_yaml_parse(text, strlen(text), "f.yaml", &root, &err);
    if (rc)
        print_message("%s\n%s:%d: %s\n", text, err.file, err.line, err.text);
    assert_int_equal(rc, 0);
    return root;
}

static void test_tree(void **state)
{
    (void)state;
    cv_yaml *root = parse("\xef\xbb\xbf# comment\r\n"
                          "a: 1\r\n"
                          "b:\r\n"
                          "  - x\r\n"
                          "  - 'y z'\r\n"
                          "  - k: \"v\\tw\"\r\n"
                          "    l: |\r\n"
                          "      5\r\n"
                          "c:\r\n"
                          "?   d\r\n"
                          ": e\r\n");
    assert_int_equal(root->kind, CV_YAML_MAP);
    assert_int_equal(root->n, 4);
    const cv_yaml *a = cv_yaml_get(root, "a"), *b = cv_yaml_get(root, "b");
    assert_string_equal(a->text, "1");
    assert_int_equal(a->line, 2);
    assert_int_equal(a->quoted, 0);
    assert_int_equal(b->kind, CV_YAML_LIST);
    assert_int_equal(b->key_line, 3);
    assert_int_equal(b->n, 3);
    assert_int_equal(b->item[1].line, 5);
    assert_int_equal(b->item[1].quoted, 1);
    assert_string_equal(b->item[1].text, "y z");
    assert_string_equal(cv_yaml_get(&b->item[2], "k")->text, "v\tw");
    assert_string_equal(cv_yaml_get(&b->item[2], "l")->text, "5\n");
    assert_int_equal(cv_yaml_get(&b->item[2], "l")->quoted, 1);
    assert_true(cv_yaml_is_null(cv_yaml_get(root, "c")));
    assert_string_equal(cv_yaml_get(root, "d")->text, "e");
    assert_null(cv_yaml_get(root, "x"));
    assert_null(cv_yaml_get(a, "x"));
    assert_null(cv_yaml_get(NULL, "x"));
    cv_yaml_destroy(&root);
    assert_null(root);
    cv_yaml_destroy(&root);
}

static void test_scalars(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int is_int;
        int64_t i;
        int is_num;
        double d;
        int is_bool; /* 1 + value */
        int is_null;
    } cases[] = {
        {"0", 1, 0, 1, 0, 0, 0},
        {"-7", 1, -7, 1, -7, 0, 0},
        {"+7", 1, 7, 1, 7, 0, 0},
        {"9223372036854775807", 1, INT64_MAX, 1, 9223372036854775808.0, 0, 0},
        {"9223372036854775808", 0, 0, 1, 9223372036854775808.0, 0, 0},
        {"-9223372036854775808", 1, INT64_MIN, 1, -9223372036854775808.0, 0, 0},
        {"1e-3", 0, 0, 1, 1e-3, 0, 0},
        {"1.5E+2", 0, 0, 1, 150, 0, 0},
        {"1.", 0, 0, 1, 1, 0, 0},
        {".5", 0, 0, 1, 0.5, 0, 0},
        {"-.5", 0, 0, 1, -0.5, 0, 0},
        {"20.0", 0, 0, 1, 20, 0, 0},
        {"1e999", 0, 0, 0, 0, 0, 0},
        {"010", 0, 0, 0, 0, 0, 0},
        {"00.5", 0, 0, 0, 0, 0, 0},
        {"0o17", 0, 0, 0, 0, 0, 0},
        {"0x1f", 0, 0, 0, 0, 0, 0},
        {"0x1p3", 0, 0, 0, 0, 0, 0},
        {"1_000", 0, 0, 0, 0, 0, 0},
        {"1,5", 0, 0, 0, 0, 0, 0},
        {".inf", 0, 0, 0, 0, 0, 0},
        {"inf", 0, 0, 0, 0, 0, 0},
        {".nan", 0, 0, 0, 0, 0, 0},
        {"nan", 0, 0, 0, 0, 0, 0},
        {".", 0, 0, 0, 0, 0, 0},
        {"1e", 0, 0, 0, 0, 0, 0},
        {"1 2", 0, 0, 0, 0, 0, 0},
        {"\"20\"", 0, 0, 0, 0, 0, 0},
        {"'1'", 0, 0, 0, 0, 0, 0},
        {"true", 0, 0, 0, 0, 2, 0},
        {"false", 0, 0, 0, 0, 1, 0},
        {"True", 0, 0, 0, 0, 0, 0},
        {"yes", 0, 0, 0, 0, 0, 0},
        {"off", 0, 0, 0, 0, 0, 0},
        {"'true'", 0, 0, 0, 0, 0, 0},
        {"~", 0, 0, 0, 0, 0, 1},
        {"null", 0, 0, 0, 0, 0, 1},
        {"", 0, 0, 0, 0, 0, 1},
        {"''", 0, 0, 0, 0, 0, 0},
        {"'null'", 0, 0, 0, 0, 0, 0},
        {"[1]", 0, 0, 0, 0, 0, 0},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char *text = cv_asprintf("v: %s\n", cases[k].text);
        cv_yaml *root = parse(text);
        const cv_yaml *v = cv_yaml_get(root, "v");
        int64_t i = 0;
        double d = 0;
        int b = 0;
        print_message("[%s]\n", cases[k].text);
        assert_int_equal(cv_yaml_i64(v, &i), cases[k].is_int ? 0 : -1);
        assert_true(i == cases[k].i);
        assert_int_equal(cv_yaml_f64(v, &d), cases[k].is_num ? 0 : -1);
        assert_true(d == cases[k].d);
        assert_int_equal(cv_yaml_bool(v, &b), cases[k].is_bool ? 0 : -1);
        assert_int_equal(b, cases[k].is_bool == 2);
        assert_int_equal(cv_yaml_is_null(v), cases[k].is_null);
        cv_yaml_destroy(&root);
        free(text);
    }
    cv_yaml *root = parse("v: -0\n");
    double d;
    assert_int_equal(cv_yaml_f64(cv_yaml_get(root, "v"), &d), 0);
    assert_false(signbit(d));
    cv_yaml_destroy(&root);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
        const char *says;
    } cases[] = {
        {"", 1, "empty file"},
        {"# only a comment\n", 2, "empty file"},
        {"a: 1\nb: 2\na: 3\n", 3, "'a' is given twice, first on line 1"},
        {"a: 1\n'a': 3\n", 2, "given twice"},
        {"x: {b: 1, c: 2,\n b: 3}\n", 2, "'b' is given twice"},
        {"\"\\e[2J\": 1\n\"\\e[2J\": 1\n", 2, "'?[2J' is given twice"},
        {"a: 1\n\tb: 2\n", 2, "a tab is used for indentation"},
        {"a:\n\tb: 2\n", 2, "a tab is used for indentation"},
        {"a: 1\nb: @x\n", 2, "put the text in quotes"},
        {"a: 1\nb: x: y\n", 2, "found a ':' where none can be"},
        {"a: 1\n  b: 2\n", 2, "found a ':' where none can be"},
        {"a: 1\nb\nc: 2\n", 3, "expected ':' after the key"},
        {"a:\n  - 1\n  b: 2\n", 3, "list item that begins with '-'"},
        {"a: [1, 2\nb: 3\n", 2, "']'"},
        {"a: [1, 2\n\n\n", 4, "began on line 1"},
        {"a: {b: 1\nc: [\n", 2, "a map in { } lacks"},
        {"a: \"x\nb: 1\n", 3,
         "a text in quotes is not closed (it began on "
         "line 1)"},
        {"a: 'x\n---\n", 2, "not closed before the line of '---'"},
        {"a: \"\\q\"\n", 1, "unknown \\ escape"},
        {"a: *b\n", 1, "anchors (&) and aliases (*)"},
        {"a: *\n", 1, "cannot begin with '*'"},
        {"a: &b 1\n", 1, "anchors (&) and aliases (*)"},
        {"&a a: 1\n", 1, "anchors"},
        {"a: 1\nb: &c [1]\n", 2, "anchors"},
        {"a: &c {d: 1}\n", 1, "anchors"},
        {"a: !!str 1\n", 1, "tags (!)"},
        {"a: !x [1]\n", 1, "tags (!)"},
        {"!x\na: 1\n", 1, "tags (!)"},
        {"a: !<tag:x> {b: 1}\n", 1, "tags (!)"},
        {"a: 1\n---\nb: 2\n", 2, "second one after '---'"},
        {"a: 1\n...\nb: 2\n", 3, "expected the end of the file"},
        {"%YAML 3.0\n---\na: 1\n", 1, "not valid YAML"},
        {"[a, b]: 1\n", 1, "expected a word as key"},
        {"? {a: 1}\n: 2\n", 1, "expected a word as key"},
        {"a: 1\nb: \"x\\0y\"\n", 2, "NUL byte"},
        {"a: 1\nb: \xff\n", 2, "UTF-8"},
        {"a: 1\n\nb: \xc3\n", 3, "UTF-8"},
        {"a: \xed\xa0\x80\n", 1, "UTF-8"},
        {"a: \xc0\x80\n", 1, "UTF-8"},
        {"a: \x01\n", 1, "UTF-8"},
        {"a: \"\\ud800\"\n", 1, "not valid YAML"},
        {"\xff\xfe"
         "a\n",
         1, "UTF-16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cv_yaml *root = (cv_yaml *)1;
        cv_err err = {0};
        int rc = cv_yaml_parse(cases[i].text, strlen(cases[i].text), "f.yaml",
                               &root, &err);
        print_message("%d: %s\n", err.line, err.text);
        assert_int_equal(rc, CV_ERR_INPUT);
        assert_null(root);
        assert_string_equal(err.file, "f.yaml");
        assert_int_equal(err.line, cases[i].line);
        assert_non_null(strstr(err.text, cases[i].says));
    }
}

static void refuse_bytes(const char *text, size_t n, const char *says, int line)
{
    cv_yaml *root = NULL;
    cv_err err = {0};
    assert_int_equal(cv_yaml_parse(text, n, "f", &root, &err), CV_ERR_INPUT);
    print_message("%d: %s\n", err.line, err.text);
    assert_null(root);
    assert_non_null(strstr(err.text, says));
    assert_int_equal(err.line, line);
}

/* A text of n times `unit` between head and tail. */
static void repeat(cv_buf *b, const char *head, const char *unit, size_t n,
                   const char *tail)
{
    cv_buf_printf(b, "%s", head);
    for (size_t i = 0; i < n; i++)
        cv_buf_printf(b, "%s", unit);
    cv_buf_printf(b, "%s", tail);
}

static void test_hostile(void **state)
{
    (void)state;
    refuse_bytes("a: 1\nb: x\0y\n", 12, "NUL byte", 2);
    refuse_bytes("\0", 1, "NUL byte", 1);

    static const char *const nests[] = {"[", "{a: ", "- ", "[{a: "};
    for (size_t i = 0; i < sizeof nests / sizeof *nests; i++) {
        cv_buf b = {0};
        repeat(&b, "", nests[i], 100000, "");
        refuse_bytes(b.data, b.len, "levels of nesting", 1);
        cv_buf_free(&b);
    }
    cv_buf keys = {0};
    repeat(&keys, "", "? ", 100000, "");
    refuse_bytes(keys.data, keys.len, "expected a word as key", 1);
    cv_buf_free(&keys);
    /* The deepest that is allowed, and one more. */
    for (int extra = 0; extra < 2; extra++) {
        cv_buf b = {0};
        repeat(&b, "a: ", "[", (size_t)(CV_YAML_MAX_DEPTH - 1 + extra), "");
        repeat(&b, "1", "]", (size_t)(CV_YAML_MAX_DEPTH - 1 + extra), "\n");
        cv_yaml *root = NULL;
        assert_int_equal(cv_yaml_parse(b.data, b.len, "f", &root, NULL),
                         extra ? CV_ERR_INPUT : 0);
        cv_yaml_destroy(&root);
        cv_buf_free(&b);
    }
    /* Billion laughs: refused at its first anchor. */
    const char *laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
    refuse_bytes(laughs, strlen(laughs), "anchors", 1);

    cv_buf many = {0};
    repeat(&many, "[", "x,", CV_YAML_MAX_NODES, "]");
    refuse_bytes(many.data, many.len, "values and keys", 1);
    cv_buf_free(&many);

    cv_buf big = {0};
    repeat(&big, "", "################", CV_YAML_MAX_BYTES / 16, "\n");
    refuse_bytes(big.data, big.len, "bytes", 0);
    cv_buf_free(&big);
}

static void test_long(void **state)
{
    (void)state;
    cv_buf b = {0};
    for (int i = 0; i < 100000; i++)
        cv_buf_printf(&b, "key%d: value %d # comment\n", i, i);
    cv_yaml *root = parse(cv_buf_text(&b));
    assert_int_equal(root->n, 100000);
    assert_int_equal(cv_yaml_get(root, "key99999")->line, 100000);
    cv_yaml_destroy(&root);
    cv_buf_printf(&b, "key50000: again\n");
    refuse_bytes(b.data, b.len,
                 "'key50000' is given twice, first on line 50001", 100001);
    cv_buf_free(&b);
}

static void test_put(void **state)
{
    (void)state;
    static const double numbers[] = {0,
                                     1,
                                     -1,
                                     0.1,
                                     1.0 / 3,
                                     1e300,
                                     5e-324,
                                     123456789012345678,
                                     2.5e-8,
                                     1e15,
                                     1e16,
                                     0.30000000000000004,
                                     100000,
                                     1e22,
                                     1.7976931348623157e308};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        cv_buf b = {0};
        double back = -2;
        cv_buf_printf(&b, "v: ");
        cv_yaml_put_f64(&b, numbers[i]);
        cv_yaml *root = parse(cv_buf_text(&b));
        assert_int_equal(cv_yaml_f64(cv_yaml_get(root, "v"), &back), 0);
        assert_true(back == numbers[i]);
        cv_yaml_destroy(&root);
        cv_buf_free(&b);
    }
    static const char *const texts[] = {"x",
                                        "",
                                        " a  b ",
                                        "1",
                                        "true",
                                        "~",
                                        "- x",
                                        "a: b",
                                        "#",
                                        "a\\b\"c'",
                                        "tab\tnew\nline\x7f\x1b",
                                        "\xc3\xa9t\xc3\xa9",
                                        "\xe2\x98\x83",
                                        "\xf0\x9f\x90\xa6",
                                        "---",
                                        "@%&*!|>"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cv_buf b = {0};
        cv_buf_printf(&b, "v: ");
        cv_yaml_put_text(&b, texts[i]);
        cv_yaml *root = parse(cv_buf_text(&b));
        assert_string_equal(cv_yaml_get(root, "v")->text, texts[i]);
        assert_true(cv_yaml_get(root, "v")->quoted);
        cv_yaml_destroy(&root);
        cv_buf_free(&b);
    }
    cv_buf b = {0};
    cv_yaml_put_f64(&b, 0.1);
    assert_string_equal(cv_buf_text(&b), "0.1");
    cv_buf_free(&b);
}

static void test_excerpt(void **state)
{
    (void)state;
    char out[80], line[200];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\0';
    cv_yaml_excerpt(out, line);
    assert_int_equal(strlen(out), 63);
    /* 4-byte characters are not cut. */
    char birds[4 * 40 + 1] = "";
    for (int i = 0; i < 40; i++)
        strcat(birds, "\xf0\x9f\x90\xa6");
    cv_yaml_excerpt(out, birds);
    assert_int_equal(strlen(out), 63);
    cv_yaml_excerpt(out, "a\033[2Jb\xc2\x85\xe2\x80\xae");
    assert_string_equal(out, "a?[2Jb??");
    assert_true(cv_yaml_is_clean("\xc3\xa9 \xf0\x9f\x90\xa6"));
    assert_false(cv_yaml_is_clean("a\xe2\x80\xae"));
    assert_false(cv_yaml_is_clean("a\xef\xbb\xbf"));
}

static void test_repeat(void **state)
{
    (void)state;
    static const char *const texts[] = {"c", "b", NULL, "a", NULL, "b", "c"};
    size_t a = 0, b = 0;
    assert_int_equal(cv_yaml_repeat(texts, 5, &a, &b), 0);
    assert_int_equal(cv_yaml_repeat(texts, 7, &a, &b), 1);
    assert_int_equal(a, 1);
    assert_int_equal(b, 5);
    assert_int_equal(cv_yaml_repeat(texts, 0, &a, &b), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),    cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_long),    cmocka_unit_test(test_put),
        cmocka_unit_test(test_excerpt), cmocka_unit_test(test_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
