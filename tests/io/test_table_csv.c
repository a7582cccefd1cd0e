#include "tests/io/data_fixture.h"

/* Copies the text, so that ASan sees every read past its end. */
static int parse(const char *text, size_t len, const char *target,
                 const cv_feature *features, int n_features,
                 const cv_row_filter *filter, cv_table **t, cv_err *err)
{
    cv_source src = {.path = "/private/north.csv",
                     .role = "data",
                     .target = target,
                     .features = features,
                     .n_features = n_features,
                     .filter = filter};
    char *copy = malloc(len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    *t = NULL;
    int rc = cv_csv_parse(&src, copy, len, t, err);
    free(copy);
    return rc;
}

static cv_table *must_parse(const char *text, const char *target)
{
    cv_table *t;
    cv_err err = {0};
    int rc = parse(text, strlen(text), target, NULL, 0, NULL, &t, &err);
    if (rc)
        print_message("%s (%s)\n", err.text, err.site);
    assert_int_equal(rc, 0);
    return t;
}

static int same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void check_number(const char *s)
{
    double ours = -1.0, theirs = strtod(s, NULL);
    int rc = cv_number(&ours, s, strlen(s));
    if (rc != 0 || !same_bits(ours, theirs))
        print_message("%s: rc %d, %a, strtod %a\n", s, rc, ours, theirs);
    assert_int_equal(rc, 0);
    assert_true(same_bits(ours, theirs));
}

static void test_numbers_equal_strtod(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "0",
        "-0",
        "1",
        "+1",
        "007",
        "1.",
        ".5",
        "-.5e1",
        "1e22",
        "1e23",
        "9007199254740992",
        "9007199254740993",
        "9007199254740991e22",
        "123456789012345e-22",
        "0.1",
        "0.30000000000000004",
        "1e-22",
        "1e-23",
        "4.9e-324",
        "2.2250738585072014e-308",
        "1e-400",
        "0e999999999999",
        "1.7976931348623157e308",
        "0000000000000000000000000000000000001.5",
        "0.0000000000000000000000000000000000000000000000001",
        "1234567890123456789",
        "12345678901234567890",
        "99999999999999999999",
        "1.00000000000000000000000000000000000000000000000000001",
        "3.14159265358979323846264338327950288",
        "8.5",
        "1E5",
        "1e+5"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_number(cases[i]);
    uint64_t s = 1;
    char text[64];
    for (int i = 0; i < 300000; i++) {
        uint64_t bits = next_random(&s);
        double v;
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        static const char *const fmt[] = {"%.17g", "%.15g", "%.6g", "%.3e"};
        snprintf(text, sizeof text, fmt[i & 3], v);
        check_number(text);
        snprintf(text, sizeof text, "%.*f", (int)(bits & 15),
                 (double)(int64_t)bits / (double)(1u << (bits >> 60)) / 1e6);
        check_number(text);
        snprintf(text, sizeof text, "%llu.%llue%d",
                 (unsigned long long)(bits >> (bits & 63)),
                 (unsigned long long)(next_random(&s) >> (bits >> 58)),
                 (int)(bits % 50) - 25);
        check_number(text);
    }
}

static void test_numbers_in_long_fields(void **state)
{
    (void)state;
    /* 0.000...1e150001 = 1: exponents that only fit when they are exact */
    char *s = malloc(200000);
    for (int zeros = 10; zeros <= 150000; zeros = 17 * zeros + 231) {
        int n = sprintf(s, "0.");
        memset(s + n, '0', (size_t)zeros);
        sprintf(s + n + zeros, "1e%d", zeros + 1);
        check_number(s);
        sprintf(s + n + zeros, "1e%d", zeros + 6);
        check_number(s);
        sprintf(s + n + zeros, "1e5");
        check_number(s);
    }
    free(s);
}

static void test_what_is_no_number(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
    } cases[] = {{"", -1},         {" ", -1},     {"abc", -1},    {"1x", -1},
                 {"0x10", -1},     {"1e", -1},    {"1e+", -1},    {".", -1},
                 {"-", -1},        {"e5", -1},    {"1 2", -1},    {"1,5", -1},
                 {"--1", -1},      {"1.2.3", -1}, {"nan(1)", -1}, {"inf", 1},
                 {"-Infinity", 1}, {"1e400", 1},  {"-1e400", 1},  {"nan", 2},
                 {"NaN", 2},       {"+NAN", 2},   {" 1 ", 0},     {"\t2", 0},
                 {"infx", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double v;
        assert_int_equal(cv_number(&v, cases[i].text, strlen(cases[i].text)),
                         cases[i].rc);
    }
}

static void test_plain(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a,b,y\n1,2.5,0\n-3,NA,1\n,1e3,2\n",
        "a,b,y\r\n1,2.5,0\r\n-3,NaN,1\r\n,1e3,2\r\n",
        "\xef\xbb\xbf"
        "a,b,y\n1,2.5,0\n-3,,1\nnan,1000,2",
        "a;b;y\n1;2.5;0\n-3;;1\n ; 1000 ;2\n",
        "a\tb\ty\n1\t2.5\t0\n-3\t\t1\n\t1000\t2\n",
        "\"a\",\"b\",\"y\"\n\"1\",\"2.5\",\"0\"\n-3,\"\",1\n\"NA\",1000,2\n",
        "\n\na,b,y\n\n1,2.5,0\n\r\n-3,NA,1\n,1e3,2\n\n\n",
        "a,b,y\n1,2.5,0\n-3,NA,1\n,1e3,2\r"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cv_table *t = must_parse(texts[i], "y");
        assert_int_equal(t->n_rows, 3);
        assert_int_equal(t->n_cols, 2);
        assert_int_equal(t->type, CV_TYPE_F32);
        assert_string_equal(t->cols[0].name, "a");
        assert_string_equal(t->cols[1].name, "b");
        assert_string_equal(t->target.name, "y");
        assert_int_equal(t->target.n_levels, 0);
        assert_true(at(t, 0, 0) == 1 && at(t, 0, 1) == 2.5);
        assert_true(at(t, 1, 0) == -3 && isnan(at(t, 1, 1)));
        assert_true(isnan(at(t, 2, 0)) && at(t, 2, 1) == 1000);
        for (int k = 0; k < 3; k++)
            assert_true(t->y[k] == (float)k);
        cv_table_destroy(&t);
    }
}

static void test_separators(void **state)
{
    (void)state;
    static const struct {
        const char *text, *first;
        int n_cols;
    } cases[] = {
        {"a,b;c\n1,2\n", "a", 2},         {"a;b,c;d\n1;2;3\n", "a", 3},
        {"a\tb,c\td\n1\t2\t3\n", "a", 3}, {"\"a;;;\",b\n1,2\n", "a;;;", 2},
        {"a b\n1\n2;3\n", NULL, 0},       {"a b\n1\n2\n", "a b", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cv_table *t;
        cv_err err = {0};
        int rc = parse(cases[i].text, strlen(cases[i].text), NULL, NULL, 0,
                       NULL, &t, &err);
        if (!cases[i].first) {
            assert_input_error(rc, &err, "column 1: expected a number",
                               "line 3, column 'a b'");
            continue;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(t->n_cols, cases[i].n_cols);
        assert_string_equal(t->cols[0].name, cases[i].first);
        cv_table_destroy(&t);
    }
}

static void test_quotes(void **state)
{
    (void)state;
    cv_feature f = {.name = "a,b", .type = CV_FEATURE_CATEGORY};
    static const char text[] = "\"a,b\",\"say \"\"hi\"\"\"\n"
                               "\"x,\"\"y\"\"\",1\n\"\"\"\",\"2\"\nplain,3\n";
    cv_table *t;
    cv_err err = {0};
    assert_int_equal(parse(text, strlen(text), NULL, &f, 1, NULL, &t, &err), 0);
    assert_string_equal(t->cols[0].name, "a,b");
    assert_string_equal(t->cols[1].name, "say \"hi\"");
    assert_int_equal(t->cols[0].n_levels, 3);
    assert_string_equal(t->cols[0].levels[0], "\"");
    assert_string_equal(t->cols[0].levels[1], "plain");
    assert_string_equal(t->cols[0].levels[2], "x,\"y\"");
    assert_true(at(t, 0, 0) == 2 && at(t, 1, 0) == 0 && at(t, 2, 0) == 1);
    assert_true(at(t, 1, 1) == 2);
    assert_null(t->y);
    cv_table_destroy(&t);
}

static void test_categories(void **state)
{
    (void)state;
    cv_feature f[] = {{.name = "ward", .type = CV_FEATURE_CATEGORY}};
    static const char text[] = "ward,y\n10,no\n9,yes\nb,NA\n1e1,no\n,yes\n"
                               "a,no\n9,maybe\nNA,no\n";
    static const char *const wards[] = {"9", "10", "1e1", "a", "b"};
    static const float expect[] = {1, 0, 4, 2, NAN, 3, 0, NAN};
    static const float target[] = {1, 2, NAN, 1, 2, 1, 0, 1};
    cv_table *t;
    cv_err err = {0};
    assert_int_equal(parse(text, strlen(text), "y", f, 1, NULL, &t, &err), 0);
    assert_int_equal(t->cols[0].n_levels, 5);
    for (int k = 0; k < 5; k++)
        assert_string_equal(t->cols[0].levels[k], wards[k]);
    assert_int_equal(t->target.n_levels, 3);
    assert_string_equal(t->target.levels[0], "maybe");
    for (int i = 0; i < 8; i++) {
        assert_true(isnan(expect[i]) ? isnan(at(t, i, 0))
                                     : at(t, i, 0) == expect[i]);
        assert_true(isnan(target[i]) ? isnan(t->y[i]) : t->y[i] == target[i]);
    }
    cv_table_destroy(&t);
}

static void test_declared_levels(void **state)
{
    (void)state;
    char *levels[] = {"m", "f"};
    cv_feature f = {.name = "sex",
                    .type = CV_FEATURE_CATEGORY,
                    .n_levels = 2,
                    .levels = levels};
    cv_table *t;
    cv_err err = {0};
    static const char good[] = "sex\nf\nm\nf\n", bad[] = "sex\nf\nm\nsecret\n";
    assert_int_equal(parse(good, strlen(good), NULL, &f, 1, NULL, &t, &err), 0);
    assert_int_equal(t->cols[0].n_levels, 2); /* in the order of the job */
    assert_string_equal(t->cols[0].levels[0], "m");
    assert_true(at(t, 0, 0) == 1 && at(t, 1, 0) == 0);
    cv_table_destroy(&t);
    int rc = parse(bad, strlen(bad), NULL, &f, 1, NULL, &t, &err);
    assert_input_error(rc, &err, "'sex'", "line 4");
    assert_null(strstr(err.text, "secret"));
    assert_non_null(strstr(err.site, "secret"));
}

static void test_filter(void **state)
{
    (void)state;
    static const uint8_t keep[] = {0, 1, 0, 1};
    static const char text[] = "a,y\nbad,x\n2,3\nbad,y\n4,z\n";
    cv_row_filter f = {.keep = keep, .n_rows = 4};
    cv_table *t;
    cv_err err = {0};
    /* the target's first value, though not kept, makes it a category */
    assert_int_equal(parse(text, strlen(text), "y", NULL, 0, &f, &t, &err), 0);
    assert_int_equal(t->n_rows, 2);
    assert_true(at(t, 0, 0) == 2 && at(t, 1, 0) == 4);
    assert_int_equal(t->target.n_levels, 2);
    assert_string_equal(t->target.levels[0], "3");
    cv_table_destroy(&t);
    for (int64_t n = 3; n <= 5; n += 2) {
        static const uint8_t five[5];
        cv_row_filter g = {.keep = five, .n_rows = n};
        int rc = parse(text, strlen(text), "y", NULL, 0, &g, &t, &err);
        assert_input_error(rc, &err, "has changed", NULL);
    }
    static const uint8_t none[4];
    cv_row_filter g = {.keep = none, .n_rows = 4};
    assert_int_equal(parse(text, strlen(text), "y", NULL, 0, &g, &t, &err), 0);
    assert_int_equal(t->n_rows, 0);
    cv_table_destroy(&t);
}

static void test_declared_only(void **state)
{
    (void)state;
    static const char text[] = "id,age,y\nanna,3,1\nbert,4,0\n";
    cv_feature f = {.name = "age", .type = CV_FEATURE_NUMBER};
    cv_row_filter only = {.declared_only = 1};
    cv_table *t;
    cv_err err = {0};
    assert_input_error(parse(text, strlen(text), "y", &f, 1, NULL, &t, &err),
                       &err, "'id'", "line 2");
    assert_int_equal(parse(text, strlen(text), "y", &f, 1, &only, &t, &err), 0);
    assert_int_equal(t->n_cols, 1);
    assert_string_equal(t->cols[0].name, "age");
    assert_true(at(t, 1, 0) == 4 && t->y[0] == 1);
    cv_table_destroy(&t);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message, *site;
    } cases[] = {
        {"\n\n", "no header", NULL},
        {"a,b\n", "no rows", NULL},
        {"a,b", "no rows", NULL},
        {"a,b\n\n\n", "no rows", NULL},
        {"a,,c\n1,2,3\n", "column 2 has no name", NULL},
        {"\"\",a\n1,2\n", "column 1 has no name", NULL},
        {"a,b,a\n1,2,3\n", "column 3 has a name that is there twice",
         "column 'a'"},
        {"secret,7,secret\n1,2,3\n", "column 3 has a name", "secret"},
        {"7,secret,9\n1,2,3\n4,x,5\n", "column 2: expected a number",
         "column 'secret': 'x'"},
        {"a,b\xff\n1,2\n", "not UTF-8", NULL},
        {"a,b\x01\n1,2\n", "control character", NULL},
        {"a,b\n1,2\n1,2,3\n", "expected 2 fields", "line 3 has 3 fields"},
        {"a,b\n1,2\n\n1\n", "expected 2 fields", "line 4 has 1 fields"},
        {"a,b\n1,\"2\n", "not closed", "line 2"},
        {"a,b\n1,2\n1,\"2\"3\n", "after a closing quote", "line 3"},
        {"a,b\n1,2\"\n", "quote inside a field", "line 2"},
        {"a,b\n1,2\r1,3\n", "carriage return", "line 2"},
        {"a,b\n1,inf\n", "'b': a value is infinite",
         "line 2, column 'b': 'inf'"},
        {"a,b\n1,1e39\n", "'b': a value is infinite", "1e39"},
        {"a,b\n1,-1e999\n", "'b': a value is infinite", NULL},
        {"a,b\n1,2\nsecret,3\n", "'a': expected a number", "line 3"},
        {"a,b\n\"1\n2\",2\n", "'a': expected a number", "line 2"},
        {"a,b\n\"\n\n\",2\n1,x\n", "'a': expected a number", "line 2"},
        {"\x1f\x8b\x08", "gzip", NULL},
        {"\xff\xfe"
         "a",
         "UTF-16", NULL}};
    /* Only where a known name is in the first line may others see its names. */
    cv_feature known = {.name = "b", .type = CV_FEATURE_NUMBER};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cv_table *t;
        cv_err err = {0};
        int rc = parse(cases[i].text, strlen(cases[i].text), NULL, &known, 1,
                       NULL, &t, &err);
        assert_input_error(rc, &err, cases[i].message, cases[i].site);
        assert_null(t);
        assert_null(strstr(err.text, "private"));
        assert_null(strstr(err.text, "secret"));
        assert_non_null(strstr(err.site, "/private/north.csv"));
    }
    cv_table *t;
    cv_err err = {0};
    assert_input_error(parse("a\n1\0002\n", 6, NULL, NULL, 0, NULL, &t, &err),
                       &err, "zero bytes", NULL);
    char wide[600] = "a,";
    memset(wide + 2, 'b', 300);
    strcpy(wide + 302, "\n1,2\n");
    assert_input_error(parse(wide, strlen(wide), NULL, NULL, 0, NULL, &t, &err),
                       &err, "longer than 256", NULL);
}

static void test_line_numbers_with_quoted_newlines(void **state)
{
    (void)state;
    cv_feature f = {.name = "c", .type = CV_FEATURE_CATEGORY};
    cv_table *t;
    cv_err err = {0};
    static const char text[] = "c,\"v\"\nx,\"1\"\n\"y\",\n\"z\",bad\n";
    assert_input_error(parse(text, strlen(text), NULL, &f, 1, NULL, &t, &err),
                       &err, "'v'", "line 4,");
    static const char broken[] = "c,v\n\"a\nb\",1\n";
    assert_input_error(
        parse(broken, strlen(broken), NULL, &f, 1, NULL, &t, &err), &err,
        "control character", "line 2");
    cv_row_filter only = {.declared_only = 1};
    cv_feature g = {.name = "v", .type = CV_FEATURE_NUMBER};
    static const char left_out[] = "c,v\n\"a\n\n b\",1\nd,bad\n";
    assert_input_error(
        parse(left_out, strlen(left_out), NULL, &g, 1, &only, &t, &err), &err,
        "'v'", "line 5,");
}

static void test_files(void **state)
{
    (void)state;
    cv_table *t = NULL;
    cv_err err = {0};
    int64_t n;
    float *y;
    assert_input_error(cv_table_read(in_dir("no.csv"), CV_FORMAT_CSV, "data",
                                     NULL, NULL, 0, NULL, &t, &err),
                       &err, "data: cannot open", in_dir("no.csv"));
    assert_input_error(cv_table_read(test_dir, CV_FORMAT_CSV, "data", NULL,
                                     NULL, 0, NULL, &t, &err),
                       &err, "found a folder", NULL);
    assert_input_error(cv_table_read("/dev/zero", CV_FORMAT_CSV, "data", NULL,
                                     NULL, 0, NULL, &t, &err),
                       &err, "pipe or device", NULL);
    write_bytes(in_dir("empty.csv"), "", 0);
    assert_input_error(cv_table_read(in_dir("empty.csv"), CV_FORMAT_CSV, "data",
                                     NULL, NULL, 0, NULL, &t, &err),
                       &err, "is empty", NULL);
    static const char text[] = "a,b,y\n1,text,c\n2,text,\n3,text,b\n";
    write_bytes(in_dir("t.csv"), text, strlen(text));
    assert_int_equal(cv_table_read_target(in_dir("t.csv"), CV_FORMAT_CSV,
                                          "data", "y", NULL, 0, &n, &y, &err),
                     0);
    assert_int_equal(n, 3);
    assert_true(y[0] == 1 && isnan(y[1]) && y[2] == 0);
    free(y);
    assert_input_error(cv_table_read_target(in_dir("t.csv"), CV_FORMAT_CSV,
                                            "data", "z", NULL, 0, &n, &y, &err),
                       &err, "'z' is not in the file", "columns: a, b, y");
    /* A job's columns are looked for while all names are known. */
    t = NULL;
    cv_feature declared[] = {{.name = (char *)"a"}, {.name = (char *)"bb"}};
    cv_row_filter filter = {.declared_only = 1};
    const char *file = in_dir("t.csv");
    assert_input_error(cv_table_read(file, CV_FORMAT_CSV, "data", &filter,
                                     declared, 1, "yy", &t, &err),
                       &err, "target 'yy' is not in the file",
                       "columns: a, b, y");
    assert_input_error(cv_table_read(file, CV_FORMAT_CSV, "data", &filter,
                                     declared, 2, "y", &t, &err),
                       &err, "feature 'bb' is not in the file",
                       "columns: a, b, y");
    assert_input_error(cv_table_read(file, CV_FORMAT_CSV, "data", NULL, NULL, 0,
                                     "y", &t, &err),
                       &err, "data.features: {name: b, type: category}",
                       "line 2, column 'b': 'text'");
    assert_input_error(cv_table_read_for(CV_ADVISE_OPTION, file, CV_FORMAT_CSV,
                                         "t.csv", NULL, NULL, 0, NULL, &t,
                                         &err),
                       &err,
                       "'b': expected a number, found text: give "
                       "--category b",
                       "line 2");
    /* To a model a file without its target is as good as any. */
    assert_int_equal(cv_table_read_for(CV_ADVISE_MODEL, file, CV_FORMAT_CSV,
                                       "data", &filter, declared, 1, "yy", &t,
                                       &err),
                     0);
    assert_int_equal(t->lines[2], 4);
    cv_table_destroy(&t);
    cv_format format;
    assert_int_equal(cv_table_guess_format(in_dir("t.csv"), &format, &err), 0);
    assert_int_equal(format, CV_FORMAT_CSV);
    write_bytes(in_dir("odd"), "\x00\xff\x01", 3);
    assert_input_error(cv_table_guess_format(in_dir("odd"), &format, &err),
                       &err, "not known", NULL);
}

static const char sample[] =
    "\xef\xbb\xbf"
    "id;\"na\"\"me\";sex;y\r\n1;2.5;m;a\r\n2;NA;\"f;x\";b\r\n"
    "\r\n3;1e-5;;NaN\r\n4;\"7\";m;b";

static int parse_sample(const char *text, size_t len)
{
    cv_feature f = {.name = "sex", .type = CV_FEATURE_CATEGORY};
    cv_table *t;
    cv_err err = {0};
    int rc = parse(text, len, "y", &f, 1, NULL, &t, &err);
    assert_true(rc == 0 || (rc == CV_ERR_INPUT && err.text[0]));
    assert_true((rc == 0) == (t != NULL));
    cv_table_destroy(&t);
    return rc;
}

static void test_truncations(void **state)
{
    (void)state;
    size_t n = sizeof sample - 1;
    assert_int_equal(parse_sample(sample, n), 0);
    for (size_t k = 0; k < n; k++)
        parse_sample(sample, k);
}

static void test_byte_flips(void **state)
{
    (void)state;
    uint64_t s = 7;
    char text[sizeof sample];
    static const char special[] = ",;\t\"\n\r\\x0NA";
    for (int i = 0; i < 20000; i++) {
        memcpy(text, sample, sizeof sample);
        for (int k = 0; k < 1 + i % 4; k++) {
            uint64_t r = next_random(&s);
            size_t p = (size_t)(r >> 8) % (sizeof sample - 1);
            text[p] = r & 1 ? (char)(r >> 40)
                            : special[(r >> 40) % (sizeof special - 1)];
        }
        parse_sample(text, sizeof sample - 1);
    }
}

/* Many columns and many short lines must not make a table of their product. */
static void test_memory_is_bounded(void **state)
{
    (void)state;
    size_t n_cols = 100000, n_lines = 2000000, at_ = 0;
    char *text = malloc(8 * n_cols + n_lines + 16);
    for (size_t j = 0; j < n_cols; j++)
        at_ += (size_t)sprintf(text + at_, "%s%zu", j ? "," : "c", j);
    for (size_t i = 0; i < n_lines; i++)
        text[at_++] = '\n';
    text[at_++] = '1';
    cv_table *t;
    cv_err err = {0};
    assert_input_error(parse(text, at_, NULL, NULL, 0, NULL, &t, &err), &err,
                       "expected 100000 fields", "has 1 fields");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_equal_strtod),
        cmocka_unit_test(test_numbers_in_long_fields),
        cmocka_unit_test(test_what_is_no_number),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_separators),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_categories),
        cmocka_unit_test(test_declared_levels),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_declared_only),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_line_numbers_with_quoted_newlines),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_byte_flips),
        cmocka_unit_test(test_memory_is_bounded)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
