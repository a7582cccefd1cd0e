/* Jobs of models that are fitted: what follows from a formula, and what is there
 * when nobody says it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/mem.h"
#include "io/job.h"

/* The data, model, training and last lines of a job; NULL: the usual ones. */
static char *job_text(const char *data, const char *model, const char *training,
                      const char *rest)
{
    return cv_asprintf("covey: 1\n" /* 1 */
                       "name: f\n"  /* 2 */
                       "silos: [{name: a}, {name: b}, {name: c}]\n"
                       "training: {%s}\n" /* 4 */
                       "model: {%s}\n"    /* 5 */
                       "data: {%s}\n"     /* 6 */
                       "%s\n",            /* 7 */
                       training ? training : "rounds: 25", model,
                       data ? data : "", rest ? rest : "");
}

static cv_job *parse(const char *text)
{
    cv_job *job = NULL;
    cv_err err = {0};
    int rc = cv_job_parse(text, "job.yaml", &job, &err);
    if (rc)
        print_message("%s\n%s:%d: %s\n", text, err.file, err.line, err.text);
    assert_int_equal(rc, 0);
    return job;
}

/* "x z=F|M w[0,1]": x a number, z a category with two levels, w with bounds. */
static char *features_of(const cv_job *job)
{
    cv_buf b = {0};
    for (int i = 0; i < job->data.n_features; i++) {
        const cv_feature *f = &job->data.features[i];
        cv_buf_printf(&b, "%s%s", i ? " " : "", f->name);
        if (f->type == CV_FEATURE_CATEGORY)
            cv_buf_printf(&b, "=");
        for (int k = 0; k < f->n_levels; k++)
            cv_buf_printf(&b, "%s%s", k ? "|" : "", f->levels[k]);
        if (f->has_bounds)
            cv_buf_printf(&b, "[%g,%g]", f->lo, f->hi);
    }
    char *out = cv_strdup(cv_buf_text(&b));
    cv_buf_free(&b);
    return out;
}

/* Every other rank parses the canonical text and must come to the same job. */
static void check_fixed_point(const cv_job *job)
{
    cv_job *again = parse(job->text);
    char *a = features_of(job), *b = features_of(again);
    assert_string_equal(again->text, job->text);
    assert_memory_equal(again->digest, job->digest, 32);
    assert_string_equal(again->model.formula, job->model.formula);
    assert_string_equal(a, b);
    assert_int_equal(!again->data.target, !job->data.target);
    if (job->data.target)
        assert_string_equal(again->data.target, job->data.target);
    free(a);
    free(b);
    cv_job_destroy(&again);
}

#define SEX "{name: sex, type: category, levels: [F, M]}"

static const struct {
    const char *data, *model, *rest;
    const char *formula, *target, *features;
} good[] = {
    {NULL, "kind: glm, formula: y ~ x", NULL, "y ~ x", "y", "x"},
    {"target: y", "kind: glm, formula: y~x", NULL, "y ~ x", "y", "x"},
    {NULL, "kind: glm, formula: 'y ~ b*a + b'", NULL, "y ~ b + a + b:a", "y",
     "b a"},
    {NULL, "kind: glm, formula: 'log(y) ~ log(x) + I(x^2) + x'", NULL,
     "log(y) ~ log(x) + I(x^2) + x", "y", "x"},
    {NULL, "kind: glm, formula: 'y ~ factor(sex) + age - 1'", NULL,
     "y ~ 0 + C(sex) + age", "y", "sex= age"},
    {"features: [" SEX "]", "kind: glm, formula: 'y ~ age*sex'", NULL,
     "y ~ age + sex + age:sex", "y", "age sex=F|M"},
    {"features: [" SEX "]", "kind: glm, formula: 'y ~ C(sex)'", NULL,
     "y ~ C(sex)", "y", "sex=F|M"},
    /* C() says more than that nothing was said. */
    {"features: [{name: sex, type: number}]",
     "kind: glm, formula: 'y ~ C(sex)'", NULL, "y ~ C(sex)", "y", "sex="},
    {NULL, "kind: glm, formula: '`a b` ~ `1` + `x\\\\y`'", NULL,
     "`a b` ~ `1` + `x\\\\y`", "a b", "1 x\\y"},
    {NULL, "kind: glm, family: poisson, formula: 'n ~ x + offset(log(t))'",
     NULL, "n ~ x + offset(log(t))", "n", "x t"},
    {NULL, "kind: glm, formula: y ~ x, weights: w", NULL, "y ~ x", "y", "x w"},
    {NULL, "kind: glm, formula: y ~ x + w, weights: w", NULL, "y ~ x + w", "y",
     "x w"},
    {NULL, "kind: glm, formula: y ~ x, strata: silo", NULL, "y ~ x", "y", "x"},
    {"target_levels: [no, yes]", "kind: glm, family: binomial, formula: y ~ x",
     NULL, "y ~ x", "y", "x"},
    /* `.`: all columns of the data, or those that are declared. */
    {NULL, "kind: glm, formula: y ~ .", NULL, "y ~ .", "y", ""},
    {NULL, "kind: glm, formula: y ~ . + a:b - c", NULL, "y ~ . + a:b - c", "y",
     ""},
    {"features: [{name: b}, " SEX ", {name: y}, {name: t}]",
     "kind: glm, formula: 'y ~ . + offset(t) + c:d', weights: w", NULL,
     "y ~ b + sex + c:d + offset(t)", "y", "b sex=F|M c d t w y"},
    {"features: [{name: b}, {name: w}]",
     "kind: glm, formula: y ~ ., weights: w", NULL, "y ~ b", "y", "b w"},
    {"features: [{name: b}, {name: a}]", "kind: glm, formula: y ~ .^2", NULL,
     "y ~ b + a + b:a", "y", "b a"},
    /* cox */
    {NULL, "kind: cox, formula: 'Surv(t, d) ~ x'", NULL, "Surv(t, d) ~ x", "t",
     "x d"},
    {"target: t", "kind: cox, formula: 'Surv(t, d == 2) ~ C(x)*z'", NULL,
     "Surv(t, d == 2) ~ C(x) + z + C(x):z", "t", "x= z d"},
    {"features: [{name: x}, {name: t}, {name: d}]",
     "kind: cox, formula: 'Surv(t, d) ~ .'", NULL, "Surv(t, d) ~ x", "t",
     "x d t"},
    {NULL,
     "kind: cox, strata: none, bins: [-1.5, 0, 1e3], formula: 'Surv(t, d) ~ "
     "x'",
     NULL, "Surv(t, d) ~ x", "t", "x d"},
    /* ridge and kernel_ridge: the response suffices */
    {NULL, "kind: ridge, ridge: 1", NULL, "label ~ .", "label", ""},
    {"target: y", "kind: ridge", NULL, "y ~ .", "y", ""},
    {"target: 'a`b\\c'", "kind: ridge", NULL, "`a\\`b\\\\c` ~ .", "a`b\\c", ""},
    {"target: y, features: [{name: u}, {name: v}]", "kind: kernel_ridge", NULL,
     "y ~ u + v", "y", "u v"},
    {"standardize: pooled", "kind: ridge, formula: y ~ x", NULL, "y ~ x", "y",
     "x"},
    /* pca: no response at all */
    {NULL, "kind: pca", NULL, "~ .", NULL, ""},
    {NULL, "kind: pca, formula: ~ a + log(b)", NULL, "~ a + log(b)", NULL,
     "a b"},
    {NULL, "kind: pca, formula: 'b + a'", NULL, "~ b + a", NULL, "b a"},
    {"features: [{name: label}, {name: u}]", "kind: pca", NULL, "~ label + u",
     NULL, "label u"},
    /* masks and privacy */
    {"features: [" SEX "]", "kind: glm, formula: 'y ~ age + C(sex)'",
     "secure_aggregation: {}\nsimulate: {source: s}", "y ~ age + C(sex)", "y",
     "age sex=F|M"},
    {"features: [{name: x, bounds: [0, 1]}, {name: y, bounds: [2, 3]}]",
     "kind: ridge, formula: y ~ x, ridge: 1",
     "secure_aggregation: {}\nsimulate: {source: s}\n"
     "privacy: {epsilon: 1, sampling: 1}",
     "y ~ x", "y", "x[0,1] y[2,3]"},
    {"features: [{name: x, bounds: [0, 1]}, " SEX "]",
     "kind: glm, family: binomial, formula: y ~ .",
     "secure_aggregation: {}\nsimulate: {source: s}\n"
     "privacy: {epsilon: 1, sampling: 1}",
     "y ~ x + sex", "y", "x[0,1] sex=F|M"},
    /* 0 and 1 need no bounds. */
    {"features: [{name: x, bounds: [0, 1]}, {name: y}]",
     "kind: glm, family: binomial, formula: y ~ x",
     "secure_aggregation: {}\nsimulate: {source: s}\n"
     "privacy: {epsilon: 1, sampling: 1}",
     "y ~ x", "y", "x[0,1] y"},
};

static void test_formulas(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char *text = job_text(good[i].data, good[i].model, NULL, good[i].rest);
        cv_job *job = parse(text);
        char *features = features_of(job);
        assert_string_equal(job->model.formula, good[i].formula);
        assert_string_equal(features, good[i].features);
        assert_int_equal(!job->data.target, !good[i].target);
        if (good[i].target)
            assert_string_equal(job->data.target, good[i].target);
        assert_int_equal(cv_job_is_fit(job), 1);
        check_fixed_point(job);
        free(features);
        cv_job_destroy(&job);
        free(text);
    }
}

/* One formula has one text, and so one digest. */
static void test_same_fit(void **state)
{
    (void)state;
    static const char *const same[] = {
        "kind: glm, formula: 'y ~ a*b'",
        "kind: glm, formula: 'y~a+b+b:a-b+b'",
        "kind: glm, formula: '`y` ~ (a + b)^2', family: gaussian, strata: none",
        "kind: glm, formula: 'y ~ 1 + a + b + a:b', link: identity",
    };
    char *first = job_text(NULL, same[0], NULL, NULL);
    cv_job *want = parse(first);
    for (size_t i = 1; i < sizeof same / sizeof *same; i++) {
        char *text = job_text("target: y, features: [{name: b}, {name: a}]",
                              same[i], "rounds: 3, strategy: newton", NULL);
        cv_job *job = parse(text);
        char *features = features_of(job);
        assert_string_equal(job->model.formula, want->model.formula);
        assert_memory_equal(job->digest, want->digest, 32);
        assert_string_equal(features, "a b");
        free(features);
        free(text);
        cv_job_destroy(&job);
    }
    cv_job_destroy(&want);
    free(first);
}

/* What is not said. */
static void test_defaults(void **state)
{
    (void)state;
    static const char *const links[][2] = {{"gaussian", "identity"},
                                           {"binomial", "logit"},
                                           {"poisson", "log"},
                                           {"gamma", "inverse"}};
    for (size_t i = 0; i < 4; i++) {
        char *model =
            cv_asprintf("kind: glm, family: %s, formula: y ~ x", links[i][0]);
        char *text = job_text(NULL, model, NULL, NULL);
        cv_job *job = parse(text);
        assert_string_equal(job->model.link, links[i][1]);
        cv_job_destroy(&job);
        free(text);
        free(model);
    }
    char *text = job_text(NULL, "kind: glm, formula: y ~ x", NULL, NULL);
    cv_job *job = parse(text);
    assert_string_equal(job->model.family, "gaussian");
    assert_int_equal(job->model.strata, CV_STRATA_NONE);
    assert_int_equal(job->model.collinear, CV_COLLINEAR_DROP);
    assert_true(job->model.ridge == 0);
    assert_null(job->model.weights);
    assert_null(job->model.ties);
    assert_string_equal(job->training.strategy, "newton");
    assert_true(job->training.tolerance == 1e-10);
    assert_true(job->training.participation == 1);
    assert_int_equal(job->training.local.batch, 0);
    assert_int_equal(job->disclosure.min_rows, 10);
    assert_int_equal(job->disclosure.min_cell, 3);
    assert_true(job->disclosure.rows_per_parameter == 3);
    /* Golden: the digest of a job may not change from version to version. */
    assert_string_equal(job->text, "checkpoint:\n"
                                   "  every: 1\n"
                                   "  keep: 3\n"
                                   "covey: 1\n"
                                   "data:\n"
                                   "  features:\n"
                                   "    - name: \"x\"\n"
                                   "      type: number\n"
                                   "  format: hdf5\n"
                                   "  missing: fail\n"
                                   "  standardize: none\n"
                                   "  target: \"y\"\n"
                                   "disclosure:\n"
                                   "  min_cell: 3\n"
                                   "  min_rows: 10\n"
                                   "  rows_per_parameter: 3\n"
                                   "model:\n"
                                   "  collinear: drop\n"
                                   "  family: gaussian\n"
                                   "  formula: \"y ~ x\"\n"
                                   "  kind: glm\n"
                                   "  link: identity\n"
                                   "  ridge: 0\n"
                                   "  strata: none\n"
                                   "name: \"f\"\n"
                                   "silos:\n"
                                   "  - name: \"a\"\n"
                                   "    ranks: 1\n"
                                   "  - name: \"b\"\n"
                                   "    ranks: 1\n"
                                   "  - name: \"c\"\n"
                                   "    ranks: 1\n"
                                   "training:\n"
                                   "  min_silos: 1\n"
                                   "  rounds: 25\n"
                                   "  seed: 1\n"
                                   "  strategy: newton\n"
                                   "  tolerance: 1e-10\n"
                                   "  weights: rows\n");
    char hex[65];
    cv_hex(hex, job->digest, 32);
    assert_string_equal(hex, "0ab3bfdef42938d7f291c35acb00a4c1"
                             "5ee4e571090ce353f97af2a58b2fccc7");
    cv_job_destroy(&job);
    free(text);

    text = job_text(NULL, "kind: cox, formula: 'Surv(t, d) ~ x'",
                    "rounds: 5, tolerance: 0",
                    "disclosure: {min_cell: 1, rows_per_parameter: 0}");
    job = parse(text);
    assert_string_equal(job->model.ties, "efron");
    assert_int_equal(job->model.strata, CV_STRATA_SILO);
    assert_int_equal(job->model.n_bins, 0);
    assert_true(job->training.tolerance == 0);
    assert_int_equal(job->disclosure.min_rows, 10);
    assert_int_equal(job->disclosure.min_cell, 1);
    assert_true(job->disclosure.rows_per_parameter == 0);
    cv_job_destroy(&job);
    free(text);

    text = job_text(NULL, "kind: kernel_ridge", NULL, NULL);
    job = parse(text);
    assert_int_equal(job->model.features, 1000);
    assert_true(job->model.gamma == 0 && job->model.ridge == 0);
    cv_job_destroy(&job);
    free(text);

    text = job_text(NULL, "kind: pca", NULL, NULL);
    job = parse(text);
    assert_int_equal(job->model.components, 2);
    assert_int_equal(job->model.scale, 0);
    assert_null(strstr(job->text, "target"));
    cv_job_destroy(&job);
    free(text);
}

/* With all the columns that `.` stands for, a formula is longer than other
 * texts may be; it is read again for all that. */
static void test_many_columns(void **state)
{
    (void)state;
    enum { N = 20000 };
    cv_buf b = {0};
    cv_buf_printf(&b, "features: [");
    for (int i = 0; i < N; i++)
        cv_buf_printf(&b, "%s{name: column_%d}", i ? ", " : "", i * 7919 % N);
    cv_buf_printf(&b, "]");
    char *text = job_text(cv_buf_text(&b), "kind: ridge", NULL, NULL);
    cv_job *job = parse(text);
    assert_int_equal(job->data.n_features, N);
    assert_string_equal(job->data.features[1].name, "column_7919");
    assert_true(strlen(job->model.formula) > 4096);
    check_fixed_point(job);
    cv_job_destroy(&job);
    free(text);

    /* So is one that is short before it is multiplied out. */
    text = job_text(NULL,
                    "kind: glm, formula: "
                    "'y ~ (a+b+c+d+e+f+g+h+i+j+k+l+m+n+o+p)^4'",
                    NULL, NULL);
    job = parse(text);
    assert_int_equal(job->data.n_features, 16);
    assert_true(strlen(job->model.formula) > 4096);
    check_fixed_point(job);
    cv_job_destroy(&job);
    free(text);
    cv_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formulas),
        cmocka_unit_test(test_same_fit),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_many_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
