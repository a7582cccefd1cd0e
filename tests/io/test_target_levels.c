/* data.target_levels: the classes that the job gives hold for every silo and
 * every format, and nothing that was found in the rows goes into a schema. */
#include "tests/io/data_fixture.h"

typedef struct {
    cv_job job;
    cv_feature features[2];
} test_job;

static void job_init(test_job *j, char **levels, int n_levels)
{
    *j = (test_job){0};
    j->job.data.target = (char *)"y";
    j->job.data.features = j->features;
    j->job.data.missing = CV_MISSING_DROP;
    j->job.data.target_levels = levels;
    j->job.data.n_target_levels = n_levels;
}

static cv_source source_of(const test_job *j)
{
    return (cv_source){.path = "t",
                       .role = "data",
                       .target = j->job.data.target,
                       .features = j->job.data.features,
                       .n_features = j->job.data.n_features};
}

static cv_table *csv(const char *text, const test_job *j)
{
    cv_source src = source_of(j);
    cv_table *t = NULL;
    cv_err err = {0};
    if (cv_csv_parse(&src, text, strlen(text), &t, &err))
        print_message("%s (%s)\n", err.text, err.site);
    assert_non_null(t);
    return t;
}

/* Three images of one pixel. */
static cv_table *idx(const uint8_t label[3], const test_job *j)
{
    uint8_t images[] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0,
                        0, 1, 0, 0, 0, 1, 5, 6, 7};
    uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 3, label[0], label[1], label[2]};
    cv_source src = source_of(j);
    cv_table *t = NULL;
    cv_err err = {0};
    assert_int_equal(cv_idx_parse(&src, images, sizeof images, labels,
                                  sizeof labels, &t, &err),
                     0);
    return t;
}

/* Three rows in a file, with a target of whole numbers, of numbers (whole = 0)
 * or of levels. */
static cv_table *hdf5(const float y[3], int whole, char **levels, int n_levels)
{
    cv_table *t = cv_table_alloc(3, 1, CV_TYPE_F32), *back = NULL;
    t->cols[0].name = cv_strdup("a");
    t->target.name = cv_strdup("y");
    t->y = CV_NEW(3, float);
    memcpy(t->y, y, 3 * sizeof *y);
    t->y_whole = whole;
    t->target.n_levels = n_levels;
    t->target.levels = n_levels ? CV_NEW(n_levels, char *) : NULL;
    for (int i = 0; i < n_levels; i++)
        t->target.levels[i] = cv_strdup(levels[i]);
    cv_err err = {0};
    const char *path = in_dir("t.h5");
    assert_int_equal(cv_table_write_hdf5(path, t, &err), 0);
    cv_table_destroy(&t);
    int rc = cv_table_read(path, CV_FORMAT_HDF5, "data", NULL, NULL, 0, "y",
                           &back, &err);
    if (rc)
        print_message("%s (%s)\n", err.text, err.site);
    assert_int_equal(rc, 0);
    assert_int_equal(back->target.n_levels, n_levels);
    return back;
}

static cv_schema *schema_of(const cv_table *t, const test_job *j, int classes)
{
    cv_schema *s = NULL;
    cv_err err = {0};
    if (cv_schema_of_table(t, &j->job, classes, &s, &err))
        print_message("%s (%s)\n", err.text, err.site);
    assert_non_null(s);
    return s;
}

/* The classes of the three rows under the job. Takes t. */
static void check(cv_table *t, const test_job *j, int classes,
                  const float want[3])
{
    cv_schema *s = schema_of(t, j, classes);
    cv_design *d = NULL;
    cv_err err = {0};
    assert_int_equal(s->target.type, CV_FEATURE_CATEGORY);
    assert_int_equal(s->target_declared, 1);
    assert_int_equal(s->target.n_levels, j->job.data.n_target_levels);
    for (int i = 0; i < s->target.n_levels; i++)
        assert_string_equal(s->target.levels[i], j->job.data.target_levels[i]);
    if (cv_design_encode(&t, s, 1, &d, &err))
        print_message("%s (%s)\n", err.text, err.site);
    assert_non_null(d);
    assert_int_equal(d->n_rows, 3);
    assert_memory_equal(d->y, want, 3 * sizeof *want);
    cv_design_destroy(&d);
    cv_schema_destroy(&s);
}

static void test_words(void **state)
{
    (void)state;
    test_job j;
    char *levels[] = {"well", "ill", "unknown"};
    char *stored[] = {"ill", "never", "well"};
    job_init(&j, levels, 3);
    for (int classes = 1; classes < 3; classes++) {
        check(csv("a,y\n1,ill\n2,well\n3,ill\n", &j), &j, classes,
              (float[]){1, 0, 1});
        check(csv("a,y\n1,unknown\n2,unknown\n3,unknown\n", &j), &j, classes,
              (float[]){2, 2, 2});
        /* Level numbers of a file are its own. */
        check(hdf5((float[]){0, 2, 0}, 0, stored, 3), &j, classes,
              (float[]){1, 0, 1});
    }
}

static void test_numbers(void **state)
{
    (void)state;
    test_job j;
    char *digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    char *signs[] = {"1", "-1"};
    job_init(&j, digits, 10);
    for (int classes = 1; classes < 3; classes++) {
        check(idx((uint8_t[]){9, 0, 4}, &j), &j, classes, (float[]){9, 0, 4});
        check(hdf5((float[]){3, 1, 0}, 1, NULL, 0), &j, classes,
              (float[]){3, 1, 0});
        check(hdf5((float[]){3, 1, 0}, 0, NULL, 0), &j, classes,
              (float[]){3, 1, 0});
        check(csv("a,y\n1,9\n2,1.0\n3,00\n", &j), &j, classes,
              (float[]){9, 1, 0});
    }
    j.job.data.n_target_levels = 0;
    cv_table *t = idx((uint8_t[]){2, 0, 1}, &j);
    cv_schema *s = schema_of(t, &j, 1);
    assert_int_equal(s->target.n_levels, 3); /* as found, without the job's */
    assert_int_equal(s->target_declared, 0);
    cv_schema_destroy(&s);
    cv_table_destroy(&t);
    /* In the job's order, not by value. */
    job_init(&j, signs, 2);
    check(csv("a,y\n1,-1\n2,1\n3,-1\n", &j), &j, 1, (float[]){1, 0, 1});
    check(hdf5((float[]){1, -1, 1}, 1, NULL, 0), &j, 1, (float[]){0, 1, 0});
}

/* What is none of the classes stays at the site. */
static void test_unknown(void **state)
{
    (void)state;
    test_job words, numbers;
    char *levels[] = {"no", "yes"}, *digits[] = {"0", "1"};
    char *stored[] = {"no", "secret"};
    job_init(&words, levels, 2);
    job_init(&numbers, digits, 2);
    const struct {
        const test_job *job;
        cv_table *table;
        const char *site;
    } cases[] = {
        {&words, csv("a,y\n1,no\n2,secret\n", &words), "line 3: 'secret'"},
        {&words, hdf5((float[]){0, 1, 0}, 0, stored, 2), "row 2: 'secret'"},
        {&words, csv("a,y\n1,7\n", &words), "line 2: '7'"},
        {&words, idx((uint8_t[]){1, 0, 1}, &words), "row 1: '1'"},
        {&numbers, idx((uint8_t[]){1, 0, 7}, &numbers), "row 3: '7'"},
        {&numbers, hdf5((float[]){0, 7, 0}, 1, NULL, 0), "row 2: '7'"},
        {&numbers, hdf5((float[]){0, 0.5f, 0}, 0, NULL, 0), "row 2: '0.5'"},
        {&numbers, csv("a,y\n1,secret\n", &numbers), "line 2: 'secret'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cv_table *t = cases[i].table;
        cv_schema *s = schema_of(t, cases[i].job, 1);
        cv_design *d = NULL;
        cv_err err = {0};
        int rc = cv_design_encode(&t, s, 1, &d, &err);
        assert_input_error(rc, &err,
                           cases[i].job == &words
                               ? "'y': a label is not one of the agreed "
                                 "classes: no, yes"
                               : "'y': a label is not one of the agreed "
                                 "classes: 0, 1",
                           cases[i].site);
        assert_null(strstr(err.text, "secret"));
        assert_null(strstr(err.text, "7"));
        assert_true(!t && !d);
        cv_schema_destroy(&s);
    }
}

/* Silos that hold different labels, in different formats, offer one schema. */
static void test_silos_agree(void **state)
{
    (void)state;
    test_job j;
    char *levels[] = {"2", "1", "0"};
    job_init(&j, levels, 3);
    cv_table *tables[] = {csv("a,y\n1,1\n", &j), csv("a,y\n1,2\n2,2\n", &j),
                          hdf5((float[]){0, 0, 1}, 1, NULL, 0),
                          hdf5((float[]){2, 1, 2}, 0, levels, 3)};
    char *first = NULL;
    cv_schema *all = NULL;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        cv_schema *s = schema_of(tables[i], &j, 1);
        char *text = cv_schema_to_text(s);
        cv_err err = {0};
        if (first)
            assert_string_equal(text, first);
        else
            assert_int_equal(cv_schema_from_text(text, &all, &err), 0);
        assert_int_equal(cv_schema_merge(all, s, &err), 0);
        free(first);
        first = text;
        cv_schema_destroy(&s);
        cv_table_destroy(&tables[i]);
    }
    assert_int_equal(all->target.n_levels, 3);
    assert_string_equal(all->target.levels[0], "2");
    cv_schema_destroy(&all);
    free(first);
}

/* Under masks a schema travels in the clear, so found levels are refused;
 * simulated silos have no secrets from one another. */
static void test_found_levels_are_refused(void **state)
{
    (void)state;
    char *levels[] = {"no", "yes"}, *sexes[] = {"f", "m"};
    for (int i = 0; i < 16; i++) {
        int masked = i & 1, simulated = i & 2, sex = i & 4, target = i & 8;
        test_job j;
        job_init(&j, levels, target ? 2 : 0);
        j.job.secure_aggregation.enabled = masked;
        j.job.simulate.enabled = simulated;
        j.job.data.n_features = 1;
        j.features[0] = (cv_feature){.name = (char *)"sex",
                                     .type = CV_FEATURE_CATEGORY,
                                     .levels = sexes,
                                     .n_levels = sex ? 2 : 0};
        cv_table *t = csv("sex,y\nf,no\nm,yes\n", &j);
        cv_schema *s = NULL;
        cv_err err = {0};
        int rc = cv_schema_of_table(t, &j.job, 1, &s, &err);
        if (masked && !simulated && !(sex && target)) {
            assert_input_error(rc, &err,
                               sex ? "target 'y': with secure_aggregation"
                                   : "column 'sex': a category whose levels "
                                     "are not in the job",
                               NULL);
            assert_null(s);
        } else {
            assert_int_equal(rc, 0);
        }
        cv_schema_destroy(&s);
        cv_table_destroy(&t);
    }
    /* A file may hold categories that no job speaks of. */
    char *stored[] = {"u", "v"};
    test_job j;
    job_init(&j, NULL, 0);
    j.job.secure_aggregation.enabled = 1;
    cv_table *t = hdf5((float[]){1, 2, 3}, 0, NULL, 0);
    cv_schema *s = schema_of(t, &j, 0);
    cv_schema_destroy(&s);
    t->cols[0].n_levels = 2;
    t->cols[0].levels = CV_NEW(2, char *);
    for (int k = 0; k < 2; k++)
        t->cols[0].levels[k] = cv_strdup(stored[k]);
    cv_err err = {0};
    assert_input_error(cv_schema_of_table(t, &j.job, 0, &s, &err), &err,
                       "column 'a': a category whose levels", NULL);
    assert_null(strstr(err.text, "'u'"));
    cv_table_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_silos_agree),
        cmocka_unit_test(test_found_levels_are_refused),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
