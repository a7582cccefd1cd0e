/* Jobs whose model is fitted: what follows from the formula, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "io/job.h"

static cv_job *parse(const char *data, const char *model, const char *rest,
                     cv_err *err)
{
    char *text =
        cv_asprintf("covey: 1\nname: t\nsilos: [{name: a}, {name: b}]\n"
                    "data: {format: csv%s}\nmodel: {%s}\n"
                    "training: {rounds: 5}\n%s",
                    data, model, rest);
    cv_job *job = NULL;
    int rc = cv_job_parse(text, "t.yaml", &job, err);
    assert_int_equal(rc == 0, job != NULL);
    free(text);
    return job;
}

/* features: "name" or "name*" for a category, as the fit reads them. */
static const struct {
    const char *data, *model, *target, *formula, *features;
} right[] = {
    {"", "kind: glm, formula: y ~ b + a", "y", "y ~ b + a", "b a"},
    {"", "kind: glm, formula: 'log(y) ~ a + a:C(g) + offset(log(w))'", "y",
     "log(y) ~ a + a:C(g) + offset(log(w))", "a g* w"},
    {"", "kind: glm, formula: y ~ a, weights: w", "y", "y ~ a", "a w"},
    {", features: [{name: g, type: category, levels: [u, v]}, {name: a}]",
     "kind: glm, formula: y ~ .", "y", "y ~ g + a", "g* a"},
    {", features: [{name: g, type: category, levels: [u, v]}]",
     "kind: glm, formula: y ~ a * g", "y", "y ~ a + g + a:g", "a g*"},
    {"", "kind: glm, formula: y ~ .", "y", "y ~ .", ""},
    {"", "kind: cox, formula: 'Surv(t, e == 2) ~ a'", "t",
     "Surv(t, e == 2) ~ a", "a e"},
    {"", "kind: ridge", "label", "label ~ .", ""},
    {", target: cost", "kind: ridge", "cost", "cost ~ .", ""},
    {"", "kind: pca, formula: '~ a + b'", NULL, "~a + b", "a b"},
    {"", "kind: pca", NULL, "~.", ""},
};

static void what_follows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        cv_err err = {0};
        char found[200] = "";
        cv_job *job = parse(right[i].data, right[i].model, "", &err);
        if (!job)
            fail_msg("%s: %s", right[i].model, err.text);
        assert_true(cv_job_is_fit(job));
        if (right[i].target)
            assert_string_equal(job->data.target, right[i].target);
        else
            assert_null(job->data.target);
        for (int k = 0; k < job->data.n_features; k++) {
            const cv_feature *f = &job->data.features[k];
            size_t at = strlen(found);
            snprintf(found + at, sizeof found - at, "%s%s%s", k ? " " : "",
                     f->name, f->type == CV_FEATURE_CATEGORY ? "*" : "");
        }
        assert_string_equal(found, right[i].features);
        /* Blanks do not matter. */
        char a[200] = "", b[200] = "";
        for (const char *c = job->model.formula; *c; c++)
            if (*c != ' ')
                strncat(a, c, 1);
        for (const char *c = right[i].formula; *c; c++)
            if (*c != ' ')
                strncat(b, c, 1);
        assert_string_equal(a, b);
        assert_true(job->training.tolerance == 1e-10);
        assert_true(job->training.participation == 1.0);
        assert_int_equal(job->disclosure.min_rows, 10);
        assert_int_equal(job->disclosure.min_cell, 3);
        assert_true(job->disclosure.rows_per_parameter == 3.0);
        /* The canonical text is the same job. */
        cv_job *again = NULL;
        assert_int_equal(cv_job_parse(job->text, "again", &again, &err), 0);
        assert_string_equal(again->text, job->text);
        assert_memory_equal(again->digest, job->digest, 32);
        cv_job_destroy(&again);
        cv_job_destroy(&job);
    }
}

static const struct {
    const char *data, *model, *rest;
    int line;
    const char *word;
} wrong[] = {
    {"", "kind: glm", "", 5, "expected a formula such as"},
    {"", "kind: cox", "", 5, "Surv(time, status)"},
    {"", "kind: glm, formula: y ~ +", "", 5, "at character"},
    {"", "kind: glm, formula: 'Surv(t, e) ~ a'", "", 5, "model.kind cox"},
    {"", "kind: cox, formula: y ~ a", "", 5, "Surv(time, event)"},
    {"", "kind: pca, formula: y ~ a", "", 5, "no response"},
    {"", "kind: glm, formula: ~ a", "", 5, "no response"},
    {"", "kind: ridge, formula: y ~ a + offset(b)", "", 5, "offset()"},
    {"", "kind: glm, formula: 'C(y) ~ a'", "", 5, ""},
    {"", "kind: glm, formula: y ~ a, link: logit", "", 5,
     "identity, log, inverse with family gaussian"},
    {"", "kind: glm, formula: y ~ a, ties: efron", "", 5, "model.ties"},
    {"", "kind: mlp, hidden: [3], formula: y ~ a", "", 5, "model.formula"},
    {"", "kind: glm, formula: y ~ a, strata: silo", "", 0, NULL},
    {"", "kind: glm, formula: y ~ a - 1, strata: silo", "", 5,
     "leave the formula's in place"},
    {"", "kind: cox, formula: 'Surv(t, e) ~ a', bins: [0, 1]", "", 5,
     "model.strata none"},
    {"", "kind: cox, formula: 'Surv(t, e) ~ a', strata: none", "", 5,
     "time bins"},
    {"", "kind: cox, formula: 'Surv(t, e) ~ a', strata: none, bins: [1, 0]", "",
     5, "ascending"},
    {"", "kind: cox, formula: 'Surv(t, e) ~ a', strata: none, bins: [1, x]", "",
     5, "ascending"},
    {", missing: mean", "kind: glm, formula: y ~ a", "", 4, "whole rows"},
    {", standardize: pooled", "kind: glm, formula: y ~ a", "", 4,
     "per unit of the columns"},
    {", standardize: pooled", "kind: ridge, formula: y ~ a", "", 0, NULL},
    {", test_fraction: 0.5", "kind: glm, formula: y ~ a", "", 4,
     "data.test_fraction"},
    {", test: x.csv", "kind: glm, formula: y ~ a", "", 4, "data.test"},
    {", target_levels: [n, j]", "kind: glm, formula: y ~ a, family: poisson",
     "", 4, "family binomial"},
    {", target: z", "kind: glm, formula: y ~ a", "", 4, "remove the key"},
    {", features: [{name: q}]", "kind: glm, formula: y ~ a", "", 4,
     "'q' is not in model.formula"},
    {"", "kind: glm, formula: y ~ a", "checkpoint: {every: 0}\n", 7, ""},
    {"", "kind: glm, formula: y ~ a", "disclosure: {rows_per_parameter: -1}\n",
     7, ""},
};

static void what_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cv_err err = {0};
        cv_job *job = parse(wrong[i].data, wrong[i].model, wrong[i].rest, &err);
        if (!wrong[i].word) { /* the neighbour that is right */
            if (!job)
                fail_msg("%s: %s", wrong[i].model, err.text);
            cv_job_destroy(&job);
            continue;
        }
        if (job)
            fail_msg("taken: %s %s", wrong[i].data, wrong[i].model);
        if (!strstr(err.text, wrong[i].word) || err.line != wrong[i].line)
            fail_msg("%s: line %d: %s", wrong[i].model, (int)err.line,
                     err.text);
        assert_int_equal(err.code, CV_ERR_INPUT);
    }
}

/* Rules that need another frame than the table's. */
static void refused_elsewhere(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *word;
    } edits[] = {
        {"rounds: 5", "rounds: 26", "at most 25"},
        {"rounds: 5", "rounds: 5, strategy: fedavg", "expected newton"},
        {"rounds: 5", "rounds: 5, weights: declared", "counts every row once"},
        {"rounds: 5", "rounds: 5, local: {epochs: 1}", "training.local"},
        {"rounds: 5", "rounds: 5, participation: 0.5",
         "training.participation"},
        {"kind: glm, formula: y ~ a", "kind: mlp, hidden: [2]", NULL},
    };
    const char *base = "covey: 1\nname: t\nsilos: [{name: a}, {name: b}]\n"
                       "model: {kind: glm, formula: y ~ a}\n"
                       "training: {rounds: 5}\n";
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        const char *at = strstr(base, edits[i].from);
        char *text = cv_asprintf("%.*s%s%s", (int)(at - base), base,
                                 edits[i].to, at + strlen(edits[i].from));
        cv_err err = {0};
        cv_job *job = NULL;
        int rc = cv_job_parse(text, "t.yaml", &job, &err);
        if (!edits[i].word)
            assert_int_equal(rc, 0);
        else if (rc != CV_ERR_INPUT || !strstr(err.text, edits[i].word))
            fail_msg("%s: %d %s", edits[i].to, rc, err.text);
        cv_job_destroy(&job);
        free(text);
    }
}

/* Under masks levels are declared, and the line is that of who needs them. */
static void levels_under_masks(void **state)
{
    (void)state;
    cv_err err = {0};
    cv_job *job = NULL;
    int rc = cv_job_parse(
        "covey: 1\nname: t\nsilos:\n"
        "  - {name: a, public_key: "
        "\"0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
        "\""
        "}\n"
        "  - {name: b, public_key: "
        "\"0x02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"
        "\""
        "}\n"
        "  - {name: c, public_key: "
        "\"0x02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9"
        "\""
        "}\n"
        "model: {kind: glm, formula: y ~ C(g)}\ntraining: {rounds: 5}\n"
        "secure_aggregation: {}\n",
        "t.yaml", &job, &err);
    assert_int_equal(rc, CV_ERR_INPUT);
    assert_non_null(strstr(err.text, "'g' needs levels"));
    assert_int_equal(err.line, 7);
}

static void noisy_sums(void **state)
{
    (void)state;
    cv_err err = {0};
    cv_job *job = parse("", "kind: glm, formula: y ~ a", "", &err);
    assert_int_equal(cv_job_noisy_sums(job), 1);
    cv_job_destroy(&job);
    job = parse("", "kind: glm, family: binomial, formula: y ~ a", "", &err);
    assert_int_equal(cv_job_noisy_sums(job), 5);
    cv_job_destroy(&job);
    job = parse("", "kind: ridge, formula: y ~ a", "", &err);
    assert_int_equal(cv_job_noisy_sums(job), 1);
    cv_job_destroy(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_follows),       cmocka_unit_test(what_is_refused),
        cmocka_unit_test(refused_elsewhere),  cmocka_unit_test(noisy_sums),
        cmocka_unit_test(levels_under_masks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
