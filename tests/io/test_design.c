#include "io/siphash.h"
#include "tests/io/data_fixture.h"

/* A job by hand: what io/design reads of it. */
typedef struct {
    cv_job job;
    cv_feature features[8];
} test_job;

static void job_init(test_job *j, const char *target)
{
    *j = (test_job){0};
    j->job.data.target = (char *)target;
    j->job.data.features = j->features;
    j->job.data.missing = CV_MISSING_DROP;
    j->job.data.standardize = CV_STANDARDIZE_POOLED;
}

static cv_feature *declare(test_job *j, const char *name, cv_feature_type type)
{
    cv_feature *f = &j->features[j->job.data.n_features++];
    f->name = (char *)name;
    f->type = type;
    return f;
}

static cv_feature *declare_bounds(test_job *j, const char *name, double lo,
                                  double hi)
{
    cv_feature *f = declare(j, name, CV_FEATURE_NUMBER);
    f->has_bounds = 1;
    f->lo = lo;
    f->hi = hi;
    return f;
}

/* A table out of CSV text, which is short to write. */
static cv_table *csv(const char *text, const test_job *j)
{
    cv_source src = {.path = "t.csv",
                     .role = "data",
                     .target = j->job.data.target,
                     .features = j->job.data.features,
                     .n_features = j->job.data.n_features};
    cv_table *t = NULL;
    cv_err err = {0};
    if (cv_csv_parse(&src, text, strlen(text), &t, &err))
        print_message("%s (%s)\n", err.text, err.site);
    assert_non_null(t);
    return t;
}

static cv_table *bytes(int64_t n_rows, int32_t n_cols, int y_whole)
{
    cv_table *t = cv_table_alloc(n_rows, n_cols, CV_TYPE_U8);
    t->scale = 0.5;
    for (int64_t i = 0; i < n_rows * n_cols; i++)
        ((uint8_t *)t->x)[i] = (uint8_t)(i * 37 >> 2);
    for (int32_t j = 0; j < n_cols; j++)
        t->cols[j].name = cv_asprintf("p%d", j);
    t->y = CV_NEW(n_rows, float);
    for (int64_t i = 0; i < n_rows; i++)
        t->y[i] = (float)(i % 4);
    t->target.name = cv_strdup("label");
    t->y_whole = y_whole;
    return t;
}

static cv_schema *must_schema(const cv_table *t, const test_job *j, int classes)
{
    cv_schema *s;
    cv_err err = {0};
    if (cv_schema_of_table(t, &j->job, classes, &s, &err))
        print_message("%s (%s)\n", err.text, err.site);
    assert_non_null(s);
    return s;
}

static cv_design *must_encode(cv_table *t, const cv_schema *s)
{
    cv_design *d;
    cv_err err = {0};
    if (cv_design_encode(&t, s, 1, &d, &err))
        print_message("%s (%s)\n", err.text, err.site);
    assert_non_null(d);
    assert_null(t);
    return d;
}

static double cell(const cv_design *d, int64_t i, int j)
{
    size_t k = (size_t)i * (size_t)d->n_cols + (size_t)j;
    return d->type == CV_TYPE_U8 ? ((uint8_t *)d->x)[k] * d->scale
                                 : (double)((float *)d->x)[k];
}

static void assert_row(const cv_design *d, int64_t i, const double *expect)
{
    for (int j = 0; j < d->n_cols; j++)
        if (!(cell(d, i, j) == expect[j] ||
              (isnan(cell(d, i, j)) && isnan(expect[j])))) {
            print_message("row %d column %d: %g, expected %g\n", (int)i, j,
                          cell(d, i, j), expect[j]);
            fail();
        }
}

static const char people[] = "age,sex,ward,ill\n"
                             "30,m,10,no\n"
                             "200,f,9,yes\n"
                             ",m,9,no\n"
                             "40,,2,yes\n"
                             "-5,f,10,\n"
                             "50,x,2,no\n";

static void people_job(test_job *j)
{
    job_init(j, "ill");
    declare_bounds(j, "age", 0, 120);
    declare(j, "sex", CV_FEATURE_CATEGORY);
    declare(j, "ward", CV_FEATURE_CATEGORY);
}

static void test_categories_and_clamping(void **state)
{
    (void)state;
    test_job j;
    people_job(&j);
    cv_table *t = csv(people, &j);
    cv_schema *s = must_schema(t, &j, 1);
    static const char *const cols[] = {"age", "sex=m", "sex=x", "ward=9",
                                       "ward=10"};
    assert_int_equal(s->n_features, 3);
    assert_int_equal(s->n_cols, 5);
    for (int k = 0; k < 5; k++)
        assert_string_equal(s->col_names[k], cols[k]);
    assert_int_equal(s->target.n_levels, 2);
    assert_string_equal(s->target.levels[1], "yes");
    assert_null(s->shift);
    cv_design *d = must_encode(t, s);
    static const double expect[3][5] = {
        {30, 1, 0, 0, 1}, {120, 0, 0, 1, 0}, {50, 0, 1, 0, 0}};
    static const int64_t kept[] = {0, 1, 5};
    assert_int_equal(d->n_rows, 3);
    assert_int_equal(d->n_dropped, 3);
    for (int i = 0; i < 3; i++) {
        assert_row(d, i, expect[i]);
        assert_int_equal(d->kept[i], kept[i]);
    }
    assert_true(d->y[0] == 0 && d->y[1] == 1 && d->y[2] == 0);
    cv_design_destroy(&d);
    /* mean: only the number may be missing */
    s->missing = CV_MISSING_MEAN;
    d = must_encode(csv(people, &j), s);
    static const double third[] = {NAN, 1, 0, 1, 0};
    assert_int_equal(d->n_rows, 4);
    assert_row(d, 2, third);
    assert_int_equal(d->kept[2], 2);
    cv_design_destroy(&d);
    /* fail: names the column, the row stays at the site */
    s->missing = CV_MISSING_FAIL;
    cv_err err = {0};
    t = csv(people, &j);
    assert_input_error(cv_design_encode(&t, s, 1, &d, &err), &err,
                       "'age': a value is missing", "line 4");
    assert_null(t);
    assert_null(d);
    cv_schema_destroy(&s);
}

/* Rows that would drop out keep their numbers, and say nothing. */
static void test_null_rows_stay(void **state)
{
    (void)state;
    test_job j;
    cv_err err = {0};
    people_job(&j);
    cv_table *t = csv(people, &j);
    cv_schema *s = must_schema(t, &j, 1);
    cv_design *d = NULL;
    assert_int_equal(
        cv_design_encode(&t, s, CV_DESIGN_TARGET | CV_DESIGN_NULL, &d, &err),
        0);
    static const double null[] = {NAN, NAN, NAN, NAN, NAN};
    static const double last[] = {50, 0, 1, 0, 0};
    assert_int_equal(d->n_rows, 6);
    assert_int_equal(d->n_dropped, 0);
    for (int i = 2; i < 5; i++) {
        assert_row(d, i, null);
        assert_true(d->y[i] == 0);
    }
    assert_row(d, 5, last);
    for (int i = 0; i < 6; i++)
        assert_int_equal(d->kept[i], i);
    cv_design_destroy(&d);
    cv_schema_destroy(&s);
}

static void test_bounds_standardize(void **state)
{
    (void)state;
    test_job j;
    people_job(&j);
    j.job.data.standardize = CV_STANDARDIZE_BOUNDS;
    cv_table *t = csv(people, &j);
    cv_schema *s = must_schema(t, &j, 1);
    assert_true(s->shift[0] == 0 && s->unit[0] == 120);
    for (int k = 1; k < 5; k++)
        assert_true(s->shift[k] == 0 && s->unit[k] == 1);
    assert_null(s->fill);
    cv_schema_destroy(&s);
    j.features[0].has_bounds = 0;
    cv_err err = {0};
    assert_input_error(cv_schema_of_table(t, &j.job, 1, &s, &err), &err,
                       "'age': standardize: bounds needs", NULL);
    assert_null(s);
    cv_table_destroy(&t);
}

/* No float may lie outside bounds that are no floats. */
static void test_bounds_are_never_exceeded(void **state)
{
    (void)state;
    test_job j;
    job_init(&j, "y");
    declare_bounds(&j, "a", 0.7, 1.1); /* as floats both lie outside */
    cv_table *t = csv("a,y\n-1,0\n9,0\n0.9,0\n", &j);
    cv_schema *s = must_schema(t, &j, 0);
    cv_design *d = must_encode(t, s);
    for (int i = 0; i < 3; i++)
        assert_true(cell(d, i, 0) >= 0.7 && cell(d, i, 0) <= 1.1);
    assert_true(cell(d, 0, 0) < 0.7 + 1e-6 && cell(d, 1, 0) > 1.1 - 1e-6);
    cv_design_destroy(&d);
    cv_schema_destroy(&s);
}

static void test_u8_without_a_copy(void **state)
{
    (void)state;
    test_job j;
    job_init(&j, "label");
    cv_table *t = bytes(6, 3, 1);
    t->y[2] = NAN; /* dropped in place */
    uint8_t before[18];
    memcpy(before, t->x, sizeof before);
    void *x = t->x;
    cv_schema *s = must_schema(t, &j, 2);
    assert_int_equal(s->target.type, CV_FEATURE_CATEGORY);
    assert_int_equal(s->target.n_levels, 4);
    cv_design *d = must_encode(t, s);
    assert_ptr_equal(d->x, x);
    assert_int_equal(d->type, CV_TYPE_U8);
    assert_true(d->scale == 0.5);
    assert_int_equal(d->n_rows, 5);
    assert_memory_equal(d->x, before, 6);
    assert_memory_equal((uint8_t *)d->x + 6, before + 9, 9);
    cv_design_destroy(&d);
    cv_schema_destroy(&s);
    /* other columns, another order: still bytes */
    declare(&j, "p2", CV_FEATURE_NUMBER);
    declare(&j, "p0", CV_FEATURE_NUMBER);
    t = bytes(6, 3, 1);
    s = must_schema(t, &j, 1);
    d = must_encode(t, s);
    assert_int_equal(d->type, CV_TYPE_U8);
    for (int i = 0; i < 6; i++)
        assert_true(cell(d, i, 0) == before[3 * i + 2] * 0.5 &&
                    cell(d, i, 1) == before[3 * i] * 0.5);
    cv_design_destroy(&d);
    cv_schema_destroy(&s);
    /* bounds that bite: floats, with the scale */
    declare_bounds(&j, "p1", 10, 20);
    t = bytes(6, 3, 1);
    s = must_schema(t, &j, 1);
    d = must_encode(t, s);
    assert_int_equal(d->type, CV_TYPE_F32);
    assert_true(d->scale == 1.0);
    for (int i = 0; i < 6; i++) {
        double v = before[3 * i + 1] * 0.5;
        assert_true(cell(d, i, 0) == before[3 * i + 2] * 0.5);
        assert_true(cell(d, i, 2) == (v < 10 ? 10 : v > 20 ? 20 : v));
    }
    cv_design_destroy(&d);
    cv_schema_destroy(&s);
    /* bounds that cannot bite */
    j.features[2].lo = 0;
    j.features[2].hi = 127.5;
    t = bytes(6, 3, 1);
    s = must_schema(t, &j, 1);
    d = must_encode(t, s);
    assert_int_equal(d->type, CV_TYPE_U8);
    cv_design_destroy(&d);
    cv_schema_destroy(&s);
}

static void test_floats_in_place(void **state)
{
    (void)state;
    test_job j;
    job_init(&j, "y");
    declare(&j, "a", CV_FEATURE_NUMBER);
    declare_bounds(&j, "b", 0, 10);
    cv_table *t = csv("a,b,y\n1,2,3\n,3,4\n5,-6,7\n8,9,\n-1,11,0.5\n", &j);
    void *x = t->x;
    cv_schema *s = must_schema(t, &j, 0);
    assert_int_equal(s->target.type, CV_FEATURE_NUMBER);
    cv_design *d = must_encode(t, s);
    static const double expect[3][2] = {{1, 2}, {5, 0}, {-1, 10}};
    assert_ptr_equal(d->x, x);
    assert_int_equal(d->n_rows, 3);
    for (int i = 0; i < 3; i++)
        assert_row(d, i, expect[i]);
    assert_true(d->y[0] == 3 && d->y[1] == 7 && d->y[2] == 0.5f);
    cv_design_destroy(&d);
    cv_schema_destroy(&s);
}

/* The target is a column of x; by name in any order. */
static void test_target_among_the_columns(void **state)
{
    (void)state;
    test_job j, none;
    job_init(&j, "p1");
    job_init(&none, NULL);
    cv_table *t = bytes(5, 3, 1);
    cv_schema *s = must_schema(t, &j, 0);
    assert_int_equal(s->n_cols, 2);
    assert_string_equal(s->col_names[1], "p2");
    cv_design *d = must_encode(t, s);
    assert_int_equal(d->type, CV_TYPE_U8);
    assert_true(d->y[1] == (float)(((4 * 37) >> 2) * 0.5));
    cv_design_destroy(&d);
    cv_schema_destroy(&s);
    t = bytes(5, 3, 1);
    s = must_schema(t, &none, 0);
    assert_string_equal(s->target.name, "label");
    cv_schema_destroy(&s);
    cv_table_destroy(&t);
}

static void test_targets(void **state)
{
    (void)state;
    enum { ERROR = -1, NUMBER = -2 };
    static const struct {
        const char *text;
        int n_levels[3]; /* under needs_classes 0, 1, 2; or ERROR, NUMBER */
        const char *error;
    } cases[] = {
        {"a,y\n1,0\n2,2\n3,1\n", {NUMBER, 3, NUMBER}, NULL},
        {"a,y\n1,\n2,2\n3,1\n", {NUMBER, 3, NUMBER}, NULL},
        {"a,y\n1,0.5\n2,2\n", {NUMBER, ERROR, NUMBER}, "target 'y': expected"},
        {"a,y\n1,0\n2,-1\n", {NUMBER, ERROR, NUMBER}, "target 'y': expected"},
        {"a,y\n1,65535\n", {NUMBER, 65536, NUMBER}, NULL},
        {"a,y\n1,65536\n", {NUMBER, ERROR, NUMBER}, "target 'y': expected"},
        {"a,y\n1,no\n2,yes\n", {ERROR, 2, 2}, "target 'y': this model needs"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int classes = 0; classes < 3; classes++) {
            test_job j;
            job_init(&j, "y");
            cv_table *t = csv(cases[i].text, &j);
            cv_schema *s;
            cv_err err = {0};
            int rc = cv_schema_of_table(t, &j.job, classes, &s, &err);
            int n = cases[i].n_levels[classes];
            if (n == ERROR) {
                assert_input_error(rc, &err, cases[i].error, NULL);
            } else {
                assert_int_equal(rc, 0);
                assert_int_equal(s->target.type == CV_FEATURE_NUMBER,
                                 n == NUMBER);
                if (n != NUMBER)
                    assert_int_equal(s->target.n_levels, n);
            }
            cv_schema_destroy(&s);
            cv_table_destroy(&t);
        }
    for (int whole = 0; whole < 2; whole++) {
        test_job j;
        job_init(&j, "label");
        cv_table *t = bytes(9, 2, whole);
        cv_schema *s = must_schema(t, &j, 2);
        assert_int_equal(s->target.type == CV_FEATURE_CATEGORY, whole);
        cv_schema_destroy(&s);
        cv_table_destroy(&t);
    }
}

/* Labels like -1 and 1, or a fixed list of classes, are declared. */
static void test_declared_target(void **state)
{
    (void)state;
    test_job j;
    char *levels[] = {"1", "-1", "7"};
    job_init(&j, "y");
    cv_table *t = csv("a,y\n1,1\n2,-1\n3,1\n", &j);
    cv_feature *f = declare(&j, "y", CV_FEATURE_CATEGORY);
    cv_schema *s = must_schema(t, &j, 1); /* found, by value */
    assert_int_equal(s->n_features, 1);   /* the target is no feature */
    assert_string_equal(s->features[0].name, "a");
    assert_int_equal(s->target.n_levels, 2);
    assert_string_equal(s->target.levels[0], "-1");
    assert_int_equal(s->target_declared, 0);
    cv_schema_destroy(&s);
    f->levels = levels;
    f->n_levels = 3;
    s = must_schema(t, &j, 2);
    assert_int_equal(s->target.n_levels, 3);
    assert_int_equal(s->target_declared, 1);
    cv_design *d = must_encode(t, s);
    assert_true(d->y[0] == 0 && d->y[1] == 1 && d->y[2] == 0);
    cv_design_destroy(&d);
    cv_schema_destroy(&s);
}

static void test_schema_errors(void **state)
{
    (void)state;
    static const struct {
        const char *target, *feature;
        cv_feature_type type;
        const char *text, *site;
    } cases[] = {
        {"age", "height", CV_FEATURE_NUMBER, "feature 'height' is not a col",
         NULL},
        {"age", "wieght", CV_FEATURE_NUMBER, "feature 'wieght' is not a col",
         "did you mean 'weight'"},
        {"aeg", "weight", CV_FEATURE_NUMBER, "target 'aeg' is not a col",
         "did you mean 'age'"},
        {"age", "sex", CV_FEATURE_NUMBER, "'sex': declared number", NULL}};
    test_job as_category;
    job_init(&as_category, "age");
    declare(&as_category, "sex", CV_FEATURE_CATEGORY);
    cv_table *t = csv("age,weight,sex\n1,2,m\n", &as_category);
    cv_err err = {0};
    cv_schema *s;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_job j;
        job_init(&j, cases[i].target);
        declare(&j, cases[i].feature, cases[i].type);
        assert_input_error(cv_schema_of_table(t, &j.job, 0, &s, &err), &err,
                           cases[i].text, cases[i].site);
        assert_null(s);
        /* without a header, the nearest name is somebody's value */
        assert_null(strstr(err.text, "did you"));
    }
    cv_table_destroy(&t);
    test_job j;
    job_init(&j, "y");
    t = csv("y\n1\n", &j);
    assert_input_error(cv_schema_of_table(t, &j.job, 0, &s, &err), &err,
                       "no column besides", NULL);
    cv_table_destroy(&t);
}

/* Words in a target that must be a number: what would make classes of them. */
static void test_words_in_a_number(void **state)
{
    (void)state;
    test_job j;
    job_init(&j, "y");
    cv_table *t = csv("a,y\n1,no\n2,yes\n", &j);
    cv_schema *s;
    cv_err err = {0};
    assert_input_error(cv_schema_of_table(t, &j.job, 0, &s, &err), &err,
                       "found a category; data.target_levels: [..] makes it a "
                       "class",
                       NULL);
    cv_table_destroy(&t);
}

static void test_encode_errors(void **state)
{
    (void)state;
    test_job j;
    people_job(&j);
    j.job.data.missing = CV_MISSING_DROP;
    cv_table *t = csv(people, &j);
    cv_schema *s = must_schema(t, &j, 1);
    cv_table_destroy(&t);
    static const struct {
        const char *text, *message, *site;
    } cases[] = {
        {"age,sex,ill\n1,m,no\n", "'ward': expected it in the data", NULL},
        {"age,sex,ward\n1,m,9\n", "'ill': expected the target", NULL},
        {"age,sex,ward,ill\n1,m,9,no\n1,secret,9,no\n",
         "'sex': a value is not one of the agreed levels", "line 3: 'secret'"},
        {"age,sex,ward,ill\n1,m,9,secret\n",
         "'ill': a label is not one of the agreed classes",
         "line 2: 'secret'"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cv_err err = {0};
        cv_design *d;
        t = csv(cases[i].text, &j);
        assert_input_error(cv_design_encode(&t, s, 1, &d, &err), &err,
                           cases[i].message, cases[i].site);
        assert_null(strstr(err.text, "secret"));
        assert_true(!t && !d);
    }
    test_job numbers; /* sex as numbers: matched by value, none fits */
    job_init(&numbers, "ill");
    declare(&numbers, "ward", CV_FEATURE_CATEGORY);
    cv_err err = {0};
    cv_design *d;
    t = csv("age,sex,ward,ill\n1,1,9,no\n", &numbers);
    assert_input_error(cv_design_encode(&t, s, 1, &d, &err), &err,
                       "'sex': a value", "line 2: '1'");
    /* a category where a number was agreed */
    declare(&numbers, "age", CV_FEATURE_CATEGORY);
    declare(&numbers, "sex", CV_FEATURE_CATEGORY);
    t = csv("age,sex,ward,ill\n1,m,9,no\n", &numbers);
    assert_input_error(cv_design_encode(&t, s, 1, &d, &err), &err,
                       "'age': expected a number", NULL);
    cv_schema_destroy(&s);
}

static void test_predict_needs_no_target(void **state)
{
    (void)state;
    test_job j;
    people_job(&j);
    cv_table *t = csv(people, &j);
    cv_schema *s = must_schema(t, &j, 1);
    cv_table_destroy(&t);
    static const char *const texts[] = {
        "ward,age,sex\n9,1,m\n10,,f\n2,3,x\n",
        "ward,age,sex,ill\n9,1,m,\n10,,f,nonsense\n2,3,x,no\n"};
    for (int k = 0; k < 2; k++) {
        cv_err err = {0};
        cv_design *d;
        t = csv(texts[k], &j);
        assert_int_equal(cv_design_encode(&t, s, 0, &d, &err), 0);
        static const double expect[2][5] = {{1, 1, 0, 1, 0}, {3, 0, 1, 0, 0}};
        assert_int_equal(d->n_rows, 2);
        assert_int_equal(d->kept[1], 2);
        assert_null(d->y);
        assert_row(d, 0, expect[0]);
        assert_row(d, 1, expect[1]);
        cv_design_destroy(&d);
    }
    cv_schema_destroy(&s);
}

/* A column of numbers where the others hold the same levels as text. */
static void test_levels_by_value(void **state)
{
    (void)state;
    test_job j, plain;
    job_init(&j, "y");
    declare(&j, "stage", CV_FEATURE_CATEGORY);
    job_init(&plain, "y");
    cv_table *t = csv("stage,y\n3,0\n1.5,0\n0.1,1\n,1\n", &j);
    cv_schema *s = must_schema(t, &j, 0);
    cv_table_destroy(&t);
    t = csv("stage,y\n3,0\n1.5,0\n0.1,1\n,1\n", &plain); /* numbers */
    cv_schema *found = must_schema(t, &j, 0);
    assert_int_equal(found->features[0].n_levels, 3);
    for (int k = 0; k < 3; k++)
        assert_string_equal(found->features[0].levels[k],
                            s->features[0].levels[k]);
    cv_schema_destroy(&found);
    cv_design *d = must_encode(t, s);
    static const double expect[3][2] = {{0, 1}, {1, 0}, {0, 0}};
    assert_int_equal(d->n_rows, 3);
    for (int i = 0; i < 3; i++)
        assert_row(d, i, expect[i]);
    cv_design_destroy(&d);
    cv_schema_destroy(&s);
}

static void test_no_rows(void **state)
{
    (void)state;
    test_job j;
    people_job(&j);
    for (int kind = 0; kind < 2; kind++) {
        cv_table *t = kind ? bytes(3, 2, 1) : csv(people, &j);
        test_job b;
        job_init(&b, "label");
        cv_schema *s = must_schema(t, kind ? &b : &j, 1);
        t->n_rows = 0;
        cv_schema *empty = must_schema(t, kind ? &b : &j, 1);
        assert_int_equal(empty->target.n_levels, kind ? 0 : 2);
        cv_err err = {0};
        assert_int_equal(cv_schema_merge(empty, s, &err), 0);
        assert_int_equal(empty->target.n_levels, s->target.n_levels);
        cv_design *d = must_encode(t, s);
        assert_int_equal(d->n_rows, 0);
        cv_design_split(d, 0.5, 1, "north", NULL);
        cv_design_destroy(&d);
        cv_schema_destroy(&s);
        cv_schema_destroy(&empty);
    }
}

static void assert_round_trip(const cv_schema *s)
{
    char *text = cv_schema_to_text(s), *again;
    cv_schema *back;
    cv_err err = {0};
    if (cv_schema_from_text(text, &back, &err))
        print_message("%s\n%s", err.text, text);
    assert_non_null(back);
    again = cv_schema_to_text(back);
    assert_string_equal(text, again);
    assert_int_equal(s->n_cols, back->n_cols);
    for (int k = 0; k < s->n_cols; k++) {
        assert_string_equal(s->col_names[k], back->col_names[k]);
        if (s->shift)
            assert_true(s->shift[k] == back->shift[k]);
        if (s->unit)
            assert_true(s->unit[k] == back->unit[k]);
        if (s->fill)
            assert_true(s->fill[k] == back->fill[k]);
    }
    assert_int_equal(s->shift == NULL, back->shift == NULL);
    assert_int_equal(s->fill == NULL, back->fill == NULL);
    assert_int_equal(s->missing, back->missing);
    assert_int_equal(s->standardize, back->standardize);
    cv_schema_destroy(&back);
    free(text);
    free(again);
}

static void test_text_round_trip(void **state)
{
    (void)state;
    test_job j;
    char *levels[] = {"a\\b", "\\n", "tab?", "\xc3\xa9", "=\"'#"};
    people_job(&j);
    cv_feature *f = declare(&j, "odd \\ na:me", CV_FEATURE_CATEGORY);
    f->levels = levels;
    f->n_levels = 5;
    for (int k = 0; k < 6; k++) {
        j.job.data.missing = k % 3;
        j.job.data.standardize = k / 2;
        cv_table *t = csv("age,sex,ward,odd \\ na:me,ill\n1,m,\"2,3\",\\n,no\n"
                          "2,m,\"a\"\"b\",\xc3\xa9,yes\n",
                          &j);
        cv_schema *s = must_schema(t, &j, 1);
        assert_round_trip(s);
        s->fill = CV_NEW(s->n_cols, double);
        free(s->shift);
        free(s->unit);
        s->shift = CV_NEW(s->n_cols, double);
        s->unit = CV_NEW(s->n_cols, double);
        for (int c = 0; c < s->n_cols; c++) {
            s->fill[c] = -1.0 / 3.0 - c;
            s->shift[c] = 0x1.fffffffffffffp-1022 * c;
            s->unit[c] = 1e300 / (c + 1);
        }
        assert_round_trip(s);
        cv_schema_destroy(&s);
        cv_table_destroy(&t);
    }
}

#define HEAD "covey-schema 1\tdrop\tnone\n"
#define Y    "target\tnumber\ty\n"
#define A    "feature\tnumber\ta\n"
#define NONE "no target\n"

static void test_hostile_text(void **state)
{
    (void)state;
    static const char *const good[] = {
        HEAD Y A "end\n", HEAD "target\tcategory\ty\tfound\n" A "end\n",
        HEAD Y "feature\tcategory\ta\tdeclared\tu\tv\nshift\t0x1p+0\nunit\t2\n"
               "end\n",
        HEAD NONE A "end\n"};
    static const char *const bad[] = {
        "",
        "\n",
        "covey-schema 2\tdrop\tnone\n" Y A "end\n",
        "covey-schema 1\tdrop\n" Y A "end\n",
        "covey-schema 1\tdrop\tnone\tmore\n" Y A "end\n",
        "covey-schema 1\tpray\tnone\n" Y A "end\n",
        HEAD A "end\n",
        HEAD Y "end\n",
        HEAD NONE "end\n",
        HEAD NONE Y A "end\n",
        HEAD NONE NONE A "end\n",
        HEAD Y NONE A "end\n",
        HEAD "no target\tnumber\ty\n" A "end\n",
        HEAD "no target\t\n" A "end\n",
        HEAD "no target \n" A "end\n",
        HEAD "target\n" A "end\n",
        HEAD "target\tnumber\t\n" A "end\n",
        HEAD Y A,
        HEAD Y A "end",
        HEAD Y A "end\nend\n",
        HEAD Y A "end\tmore\n",
        HEAD Y A A "end\n",
        HEAD Y "feature\tnumber\ty\nend\n",
        HEAD Y "feature\tnumber\t\nend\n",
        HEAD Y "feature\tnumber\nend\n",
        HEAD Y "feature\tword\ta\nend\n",
        HEAD Y "feature\tnumber\ta\\x01b\nend\n",
        HEAD Y "feature\tnumber\ta\\nb\nend\n",
        HEAD Y "feature\tnumber\ta\\q\nend\n",
        HEAD Y "feature\tnumber\ta\\x0\nend\n",
        HEAD Y "feature\tnumber\ta\\\nend\n",
        HEAD Y "feature\tnumber\ta\\x00\nend\n",
        HEAD Y "feature\tnumber\t\xff\nend\n",
        HEAD Y "feature\tnumber\ta\t0\nend\n",
        HEAD Y "feature\tnumber\ta\t1\t1\nend\n",
        HEAD Y "feature\tnumber\ta\t0\tinf\nend\n",
        HEAD Y "feature\tnumber\ta\tnan\t1\nend\n",
        HEAD Y "feature\tnumber\ta\t-1.7e308\t1.7e308\nend\n",
        HEAD Y "feature\tnumber\ta\t0\t1\t2\nend\n",
        HEAD Y "feature\tcategory\ta\nend\n",
        HEAD Y "feature\tcategory\ta\tinvented\tu\nend\n",
        HEAD Y "feature\tcategory\ta\tfound\tu\tu\nend\n",
        HEAD Y "feature\tcategory\ta\tfound\tu\t\nend\n",
        HEAD Y A "shift\nend\n",
        HEAD Y A "shift\t1\t2\nend\n",
        HEAD Y A "shift\tnan\nend\n",
        HEAD Y A "unit\t0\nend\n",
        HEAD Y A "unit\t-1\nend\n",
        HEAD Y A "fill\tx\nend\n",
        HEAD Y A "other\t1\nend\n",
        HEAD Y A "shift\t1\n" A "end\n",
        "covey-schema 1\tdrop\tbounds\n" Y A "end\n"};
    cv_schema *s;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cv_err err = {0};
        if (cv_schema_from_text(good[i], &s, &err))
            print_message("good %zu: %s\n", i, err.text);
        assert_non_null(s);
        cv_schema_destroy(&s);
        for (size_t n = 0; n < strlen(good[i]); n++) { /* every truncation */
            char cut[200];
            snprintf(cut, sizeof cut, "%.*s", (int)n, good[i]);
            assert_int_equal(cv_schema_from_text(cut, &s, &err), CV_ERR_INPUT);
            assert_null(s);
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cv_err err = {0};
        int rc = cv_schema_from_text(bad[i], &s, &err);
        if (rc != CV_ERR_INPUT)
            print_message("taken for good: %s\n", bad[i]);
        assert_int_equal(rc, CV_ERR_INPUT);
        assert_true(err.text[0] && !s);
    }
}

/* A model without a response: no target in text, merge and encoding. */
static void test_no_target(void **state)
{
    (void)state;
    test_job j;
    people_job(&j);
    j.job.data.target = NULL;
    cv_table *t = csv("age,sex,ward,ill\n1,m,3,1\n2,f,4,0\n", &j);
    cv_schema *s = must_schema(t, &j, 0), *other, *none = NULL;
    assert_null(s->target.name);
    assert_int_equal(s->n_features, j.job.data.n_features);
    assert_round_trip(s);
    char *text = cv_schema_to_text(s);
    assert_non_null(strstr(text, "\nno target\nfeature\t"));
    cv_err err = {0};
    assert_int_equal(cv_schema_from_text(text, &none, &err), 0);
    assert_int_equal(cv_schema_merge(none, s, &err), 0);
    free(text);
    /* every column of an undeclared file, and with secure_aggregation */
    test_job all;
    job_init(&all, NULL);
    all.job.secure_aggregation.enabled = 1;
    cv_table *u = csv("a,b\n1,2\n3,4\n", &all);
    other = must_schema(u, &all, 1);
    assert_int_equal(other->n_features, 2);
    cv_schema_destroy(&other);
    cv_table_destroy(&u);
    /* not to be mixed with one that has a target */
    j.job.data.target = "ill";
    cv_table *with = csv("age,sex,ward,ill\n1,m,3,1\n", &j);
    other = must_schema(with, &j, 0);
    assert_string_equal(other->target.name, "ill");
    assert_input_error(cv_schema_merge(s, other, &err), &err,
                       "target differs between silos: one has 'ill'", NULL);
    assert_input_error(cv_schema_merge(other, s, &err), &err,
                       "target differs between silos: one has 'ill'", NULL);
    cv_design *d;
    assert_int_equal(cv_design_encode(&t, s, CV_DESIGN_TARGET, &d, &err), 0);
    assert_true(d->n_rows == 2 && !d->y);
    cv_design_destroy(&d);
    cv_table_destroy(&with);
    cv_schema_destroy(&other);
    cv_schema_destroy(&none);
    cv_schema_destroy(&s);
}

/* A declared feature with the target's name says what the target is. */
static void test_declared_target_bounds(void **state)
{
    (void)state;
    test_job j;
    job_init(&j, "y");
    declare_bounds(&j, "a", 0, 1);
    declare_bounds(&j, "y", -0.1, 1e300);
    cv_row_filter wide = {.f64 = 1};
    static const char text[] = "a,b,y\n1,2,3\n";
    for (int kind = 0; kind < 2; kind++) {
        cv_source src = {
            .role = "data", .target = "y", .filter = kind ? &wide : NULL};
        cv_table *t = NULL;
        cv_err err = {0};
        assert_int_equal(cv_csv_parse(&src, text, strlen(text), &t, &err), 0);
        assert_int_equal(t->y == NULL, kind);
        cv_schema *s = must_schema(t, &j, 0), *back;
        assert_int_equal(s->n_features, 1);
        assert_round_trip(s);
        char *saved = cv_schema_to_text(s);
        assert_int_equal(cv_schema_from_text(saved, &back, &err), 0);
        assert_true(back->target.has_bounds && back->target.lo == -0.1 &&
                    back->target.hi == 1e300);
        back->target.hi = 2;
        assert_input_error(cv_schema_merge(s, back, &err), &err,
                           "target 'y': its bounds differ", NULL);
        free(saved);
        cv_schema_destroy(&back);
        cv_schema_destroy(&s);
        cv_table_destroy(&t);
    }
}

/* Of doubles the target is a column of x, and y_whole speaks of that. */
static void test_target_of_doubles(void **state)
{
    (void)state;
    test_job j;
    job_init(&j, "y");
    for (int k = 0; k < 4; k++) {
        int whole = k & 1, is_y = k >> 1;
        cv_table *t = cv_table_alloc(2, 2, CV_TYPE_F64);
        t->cols[0].name = cv_strdup(is_y ? "a" : "y");
        t->cols[1].name = cv_strdup(is_y ? "y" : "b");
        t->y_col = 1;
        t->y_whole = whole;
        ((double *)t->x)[2 + is_y] = 3;
        cv_schema *s = must_schema(t, &j, 2);
        int class = whole && is_y;
        assert_int_equal(s->target.type,
                         class ? CV_FEATURE_CATEGORY : CV_FEATURE_NUMBER);
        assert_int_equal(s->target.n_levels, class ? 4 : 0);
        assert_int_equal(s->n_features, 1);
        cv_schema_destroy(&s);
        cv_table_destroy(&t);
    }
    /* what a design makes of them is floats, as of any other table */
    job_init(&j, "y");
    declare_bounds(&j, "a", 0, 1);
    cv_table *t = cv_table_alloc(2, 2, CV_TYPE_F64);
    t->cols[0].name = cv_strdup("y");
    t->cols[1].name = cv_strdup("a");
    memcpy(t->x, (double[]){5, 0.1, 6, 7}, 4 * sizeof(double));
    cv_schema *s = must_schema(t, &j, 0);
    cv_design *d = must_encode(t, s);
    assert_int_equal(d->type, CV_TYPE_F32);
    assert_true(((float *)d->x)[0] == 0.1f && ((float *)d->x)[1] == 1.0f);
    assert_true(d->y[0] == 5 && d->y[1] == 6);
    cv_design_destroy(&d);
    cv_schema_destroy(&s);
}

static void test_flipped_text(void **state)
{
    (void)state;
    static const char good[] =
        HEAD "target\tcategory\ty\tfound\tno\tyes\n"
             "feature\tcategory\ta\tdeclared\tu\\\\\tv\\x41\n"
             "feature\tnumber\tb\t-1\t0x1p+3\nshift\t1\t2\nunit\t2\t3\nend\n";
    uint64_t r = 17;
    char text[sizeof good];
    for (int i = 0; i < 50000; i++) {
        memcpy(text, good, sizeof good);
        for (int k = 0; k < 1 + i % 3; k++) {
            uint64_t v = next_random(&r);
            text[v % (sizeof good - 1)] =
                v >> 60 & 1 ? (char)(v >> 20) : "\t\n\\x0"[v >> 20 & 3];
        }
        cv_err err = {0};
        cv_schema *s;
        int rc = cv_schema_from_text(text, &s, &err);
        assert_true(rc == (s ? 0 : CV_ERR_INPUT));
        if (s)
            assert_round_trip(s);
        cv_schema_destroy(&s);
    }
}

static void test_merge(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "ward,sex,y\n10,m,0\n9,f,1\n", "ward,sex,y\n2,m,4\n10,f,0\n",
        "ward,sex,y\nA,m,2\n100,m,0\n", "ward,sex,y\n,,1\n"};
    static const char *const wards[] = {"2", "9", "10", "100", "A"};
    static const char *const cols[] = {"ward=9", "ward=10", "ward=100",
                                       "ward=A", "sex=m"};
    static const int order[][4] = {
        {0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}};
    test_job j;
    job_init(&j, "y");
    declare(&j, "ward", CV_FEATURE_CATEGORY);
    declare(&j, "sex", CV_FEATURE_CATEGORY);
    for (int k = 0; k < 4; k++) {
        cv_schema *s[4];
        cv_err err = {0};
        for (int i = 0; i < 4; i++) {
            cv_table *t = csv(parts[order[k][i]], &j);
            s[i] = must_schema(t, &j, 1);
            cv_table_destroy(&t);
            if (i)
                assert_int_equal(cv_schema_merge(s[0], s[i], &err), 0);
        }
        assert_int_equal(s[0]->features[0].n_levels, 5);
        for (int i = 0; i < 5; i++) {
            assert_string_equal(s[0]->features[0].levels[i], wards[i]);
            assert_string_equal(s[0]->col_names[i], cols[i]);
        }
        assert_int_equal(s[0]->n_cols, 5);
        assert_int_equal(s[0]->target.n_levels, 5);
        assert_string_equal(s[0]->target.levels[4], "4");
        for (int i = 0; i < 4; i++)
            cv_schema_destroy(&s[i]);
    }
}

/* Where all silos found the same levels, their order is kept. */
static void test_merge_keeps_order(void **state)
{
    (void)state;
    static const char abc[] = HEAD Y "feature\tcategory\ta\tfound\tlow\tmid\t"
                                     "high\nend\n";
    static const char two[] = HEAD Y "feature\tcategory\ta\tfound\tlow\thigh\n"
                                     "end\n";
    cv_schema *s, *same, *other;
    cv_err err = {0};
    for (int k = 0; k < 2; k++) {
        assert_int_equal(cv_schema_from_text(abc, &s, &err), 0);
        assert_int_equal(cv_schema_from_text(abc, &same, &err), 0);
        assert_int_equal(cv_schema_from_text(two, &other, &err), 0);
        assert_int_equal(cv_schema_merge(s, k ? other : same, &err), 0);
        assert_string_equal(s->features[0].levels[0], k ? "high" : "low");
        assert_int_equal(cv_schema_merge(s, k ? same : other, &err), 0);
        assert_string_equal(s->features[0].levels[0], "high");
        assert_string_equal(s->features[0].levels[1], "low");
        cv_schema_destroy(&s);
        cv_schema_destroy(&same);
        cv_schema_destroy(&other);
    }
}

static void test_merge_errors(void **state)
{
    (void)state;
    static const char base[] = HEAD "target\tcategory\ty\tfound\t0\t1\n" A
                                    "feature\tcategory\tb\tdeclared\tu\tv\n"
                                    "feature\tnumber\tc\t0\t1\nend\n";
    static const struct {
        const char *text, *message;
    } cases[] = {
        {HEAD Y A "feature\tcategory\tb\tdeclared\tu\tv\n"
                  "feature\tnumber\tc\t0\t1\nend\n",
         "target differs"},
        {HEAD "target\tcategory\tz\tfound\t0\t1\n" A
              "feature\tcategory\tb\tdeclared\tu\tv\n"
              "feature\tnumber\tc\t0\t1\nend\n",
         "target differs between silos: expected 'y' (category), found 'z'"},
        {HEAD "target\tcategory\ty\tfound\t0\t1\n"
              "feature\tnumber\tx\nfeature\tnumber\tw\nend\n",
         "column 1 differs between silos: expected 'a'"},
        {HEAD "target\tcategory\ty\tfound\t0\t1\n" A
              "feature\tnumber\tb\nend\n",
         "column 2 differs"},
        {HEAD "target\tcategory\ty\tfound\t0\t1\n" A
              "feature\tcategory\tb\tfound\tu\tv\n"
              "feature\tnumber\tc\t0\t1\nend\n",
         "'b': its declared levels"},
        {HEAD "target\tcategory\ty\tfound\t0\t1\n" A
              "feature\tcategory\tb\tdeclared\tu\tv\tw\n"
              "feature\tnumber\tc\t0\t1\nend\n",
         "'b': its declared levels"},
        {HEAD "target\tcategory\ty\tfound\t0\t1\n" A
              "feature\tcategory\tb\tdeclared\tu\tv\n"
              "feature\tnumber\tc\t0\t2\nend\n",
         "'c': its bounds"},
        {HEAD "target\tcategory\ty\tfound\t0\t1\n" A
              "feature\tcategory\tb\tdeclared\tu\tv\nend\n",
         "column 3 'c' is not there in every silo"},
        {HEAD "target\tcategory\ty\tfound\t0\t1\n" A
              "feature\tcategory\tb\tdeclared\tu\tv\n"
              "feature\tnumber\tc\t0\t1\nfeature\tnumber\td\nend\n",
         "column 4 'd' is not there in every silo"},
        {"covey-schema 1\tmean\tnone\ntarget\tcategory\ty\tfound\t0\t1\n" A
         "feature\tcategory\tb\tdeclared\tu\tv\n"
         "feature\tnumber\tc\t0\t1\nend\n",
         "missing or standardize"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cv_err err = {0};
        cv_schema *a, *b;
        assert_int_equal(cv_schema_from_text(base, &a, &err), 0);
        if (cv_schema_from_text(cases[i].text, &b, &err))
            print_message("%s\n", err.text);
        assert_non_null(b);
        assert_input_error(cv_schema_merge(a, b, &err), &err, cases[i].message,
                           NULL);
        char *after = cv_schema_to_text(a);
        cv_schema *fresh;
        assert_int_equal(cv_schema_from_text(base, &fresh, &err), 0);
        char *before = cv_schema_to_text(fresh);
        assert_string_equal(after, before);
        free(after);
        free(before);
        cv_schema_destroy(&a);
        cv_schema_destroy(&b);
        cv_schema_destroy(&fresh);
    }
}

static cv_design *random_design(int64_t n, int n_cols, cv_type type,
                                uint64_t seed)
{
    cv_design *d = CV_NEW(1, cv_design);
    d->n_rows = n;
    d->n_cols = n_cols;
    d->type = type;
    d->scale = 1;
    d->x = cv_calloc((size_t)(n * n_cols), type == CV_TYPE_U8 ? 1 : 4);
    d->y = CV_NEW(n, float);
    for (int64_t i = 0; i < n * n_cols; i++)
        if (type == CV_TYPE_U8)
            ((uint8_t *)d->x)[i] = (uint8_t)(next_random(&seed) >> 40);
        else
            ((float *)d->x)[i] = (float)(next_random(&seed) >> 44);
    return d;
}

static void test_split(void **state)
{
    (void)state;
    enum { N = 20000, COLS = 9 };
    for (int type = 0; type < 2; type++) {
        cv_design *d = random_design(N, COLS, type, 1);
        size_t row = COLS * (type == CV_TYPE_U8 ? 1 : sizeof(float));
        uint8_t *a = CV_NEW(N, uint8_t), *b = CV_NEW(N, uint8_t);
        static const double fraction[] = {0.0, 0.2, 0.5, 1.0};
        for (int k = 0; k < 4; k++) {
            int n = 0, nested = 1;
            memcpy(b, a, N);
            cv_design_split(d, fraction[k], 42, "north", a);
            for (int i = 0; i < N; i++) {
                n += a[i];
                nested &= k == 0 || a[i] >= b[i];
            }
            /* five standard deviations */
            double spread = 5 * sqrt(N * fraction[k] * (1 - fraction[k]));
            assert_true(fabs(n - N * fraction[k]) <= spread);
            assert_true(nested); /* a larger share keeps the smaller one */
        }
        cv_design_split(d, 0.2, 42, "north", a);
        /* another seed or silo: another split */
        cv_design_split(d, 0.2, 43, "north", b);
        assert_memory_not_equal(a, b, N);
        cv_design_split(d, 0.2, 42, "south", b);
        assert_memory_not_equal(a, b, N);
        /* a row put in front, one taken out behind: no other row moves */
        memmove((uint8_t *)d->x + row, d->x, (N - 1) * row);
        memset(d->x, 7, row);
        cv_design_split(d, 0.2, 42, "north", b);
        assert_memory_equal(a, b + 1, N - 1);
        /* the target counts too */
        for (int i = 0; i < N; i++)
            d->y[i] = 1;
        cv_design_split(d, 0.2, 42, "north", b);
        assert_memory_not_equal(a, b + 1, N - 1);
        free(a);
        free(b);
        cv_design_destroy(&d);
    }
}

/* NaN of any kind and sign is the same content. */
static void test_split_of_missing(void **state)
{
    (void)state;
    enum { N = 4000 };
    cv_design *d = random_design(N, 2, CV_TYPE_F32, 1);
    uint8_t a[N], b[N];
    for (int i = 0; i < N; i++)
        ((float *)d->x)[2 * i] = NAN;
    cv_design_split(d, 0.5, 1, "s", a);
    for (int i = 0; i < N; i++) {
        uint32_t bits = 0xffc12345u;
        memcpy((float *)d->x + 2 * i, &bits, 4);
    }
    cv_design_split(d, 0.5, 1, "s", b);
    assert_memory_equal(a, b, N);
    cv_design_destroy(&d);
}

/* The vectors of the paper's reference code: key 00..0f, input 00..n-1. */
static void test_siphash(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint64_t hash;
    } cases[] = {{0, 0x726fdb47dd0e0e31u},
                 {1, 0x74f839c593dc67fdu},
                 {8, 0x93f5f5799a932462u},
                 {15, 0xa129ca6149be45e5u},
                 {63, 0x958a324ceb064572u}};
    uint8_t key[16], in[64];
    for (int i = 0; i < 64; i++)
        in[i] = (uint8_t)i;
    memcpy(key, in, 16);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(cv_siphash(key, in, cases[i].n), cases[i].hash);
}

/* Resuming depends on these: another split would mix test and training rows. */
static void test_known_split(void **state)
{
    (void)state;
    cv_design *d = random_design(24, 3, CV_TYPE_U8, 1);
    uint8_t test[24];
    char text[25] = "";
    for (int i = 0; i < 72; i++)
        ((uint8_t *)d->x)[i] = (uint8_t)i;
    cv_design_split(d, 0.5, 42, "north", test);
    for (int i = 0; i < 24; i++)
        text[i] = (char)('0' + test[i]);
    assert_string_equal(text, "000010100011010111101011");
    cv_design_destroy(&d);
}

int main(void)
{
    strcpy(test_dir, "/no/such/folder");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_categories_and_clamping),
        cmocka_unit_test(test_null_rows_stay),
        cmocka_unit_test(test_bounds_standardize),
        cmocka_unit_test(test_bounds_are_never_exceeded),
        cmocka_unit_test(test_u8_without_a_copy),
        cmocka_unit_test(test_floats_in_place),
        cmocka_unit_test(test_target_among_the_columns),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_declared_target),
        cmocka_unit_test(test_schema_errors),
        cmocka_unit_test(test_words_in_a_number),
        cmocka_unit_test(test_encode_errors),
        cmocka_unit_test(test_predict_needs_no_target),
        cmocka_unit_test(test_levels_by_value),
        cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_text_round_trip),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_no_target),
        cmocka_unit_test(test_declared_target_bounds),
        cmocka_unit_test(test_target_of_doubles),
        cmocka_unit_test(test_flipped_text),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_merge_keeps_order),
        cmocka_unit_test(test_merge_errors),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_split_of_missing),
        cmocka_unit_test(test_siphash),
        cmocka_unit_test(test_known_split)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
