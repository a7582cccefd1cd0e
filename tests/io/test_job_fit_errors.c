/* Wrong jobs of models that are fitted: each is refused at the right line, in
 * words that say what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

#define SEX "{name: sex, type: category, levels: [F, M]}"

#define MASKS   "secure_aggregation: {}\nsimulate: {source: s}\n"
#define PRIVATE MASKS "privacy: {epsilon: 1, sampling: 1}"
#define REWARDS(method)                                                        \
    "chain: {network: local, federation: "                                     \
    "'0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed', rewards: {method: " method  \
    ", token: '0xfB6916095Ca1df60bB79Ce92cE3Ea74c37c5d359', sponsor: "         \
    "'0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed', pool: '1'}}"
#define BOUNDED                                                                \
    "features: [{name: x, bounds: [0, 1]}, {name: y, bounds: [0, 1]}]"
#define GLM "kind: glm, formula: y ~ x"
#define COX "kind: cox, formula: 'Surv(t, d) ~ x'"

static const struct {
    const char *data, *model, *training, *rest;
    int line;
    const char *says; /* pieces of the message, in order, " ... " between */
} wrong[] = {
    /* formulas */
    {NULL, "kind: glm", NULL, NULL, 5,
     "model.formula: model.kind 'glm' needs one, such as formula: \"y ~ "
     "age\"; "
     "found none"},
    {NULL, "kind: cox", NULL, NULL, 5,
     "such as formula: \"Surv(time, status) ~ age\"; found none"},
    {NULL, "kind: glm, formula: ''", NULL, NULL, 5, "model.formula: expected"},
    {NULL, "kind: glm, formula: 'y ~ x +'", NULL, NULL, 5,
     "model.formula: at character 8"},
    {NULL, "kind: glm,\n formula: 'y ~ x + $z'", NULL, NULL, 6,
     "model.formula: at character 9: '$' has no meaning in a formula"},
    {NULL, "kind: glm, formula: 'y ~ x + y'", NULL, NULL, 5,
     "model.formula: y is in the response and cannot be among the terms"},
    {NULL, "kind: glm, formula: 'y ~ (a+b+c+d+e+f+g)^7'", NULL, NULL, 5,
     "model.formula: "},
    {NULL, "kind: glm, formula: '~ x'", NULL, NULL, 5,
     "expected a response before the ~, such as \"y ~ age\"; found none"},
    {NULL, "kind: ridge, formula: '~ x'", NULL, NULL, 5,
     "expected a response before the ~"},
    {NULL, "kind: glm, formula: 'Surv(t, d) ~ x'", NULL, NULL, 5,
     "model.formula: Surv(time, event) is for model.kind cox; found "
     "model.kind 'glm'; change it, or name one column as the response"},
    {NULL, "kind: ridge, formula: 'Surv(t, d) ~ x'", NULL, NULL, 5,
     "Surv(time, event) is for model.kind cox; found model.kind 'ridge'"},
    {NULL, "kind: cox, formula: 't ~ x'", NULL, NULL, 5,
     "expected Surv(time, event) before the ~, such as \"Surv(time, status) ~ "
     "age\"; found t"},
    {NULL, "kind: cox, formula: '~ x'", NULL, NULL, 5,
     "expected Surv(time, event) before the ~ ... "
     "found nothing"},
    {NULL, "kind: pca, formula: 'y ~ x'", NULL, NULL, 5,
     "pca has no response; expected \"~ terms\", found 'y' before the ~"},
    {NULL, "kind: pca, formula: 'Surv(t, d) ~ x'", NULL, NULL, 5,
     "pca has no response ... "
     "found 't'"},
    {NULL, "kind: glm, formula: 'C(y) ~ x', family: binomial", NULL, NULL, 5,
     "the response is written without C(): 'y'; its two classes stand in "
     "data.target_levels"},
    {NULL, "kind: ridge, formula: 'y ~ x + offset(log(t))'", NULL, NULL, 5,
     "offset() is for model.kind glm and cox; found model.kind 'ridge'; take "
     "offset(log(t)) out"},
    {NULL, "kind: pca, formula: '~ x + offset(t)'", NULL, NULL, 5,
     "offset() is for model.kind glm and cox"},
    {NULL, "kind: glm, strata: silo, formula: 'y ~ x - 1'", NULL, NULL, 5,
     "model.formula: model.strata: silo gives every silo an intercept of its "
     "own; leave the formula's in place"},

    /* data that do not go with it */
    {"target: z", GLM, NULL, NULL, 6,
     "data.target: the formula says what is explained: 'y'; remove the key"},
    {"target: d", COX, NULL, NULL, 6, "what is explained: 't'"},
    {"target: y", "kind: pca", NULL, NULL, 6,
     "data.target: pca predicts nothing; remove the key"},
    {"features: [{name: x},\n {name: z}]", GLM, NULL, NULL, 7,
     "data.features: 'z' is not in model.formula; add it there, or leave it "
     "out here"},
    {"features: [{name: x}]", "kind: pca, formula: '~ u'", NULL, NULL, 6,
     "'x' is not in model.formula"},
    {"features: [{name: x, bounds: [0, 1]}]", "kind: glm, formula: 'y ~ C(x)'",
     NULL, NULL, 6,
     "'x' is a category, C(x), in model.formula; found bounds, which numbers "
     "have; replace them by type: category"},
    {"features: [\n" SEX "]", "kind: glm, formula: 'y ~ log(sex)'", NULL, NULL,
     7,
     "'sex' is a category, and model.formula has log(sex), a function of "
     "numbers"},
    {NULL, "kind: glm, formula: 'y ~ C(x) + log(x)'", NULL, NULL, 5,
     "'x' is a category, and model.formula has log(x)"},
    {"features: [\n {name: y, type: category, levels: [no, yes]}]",
     "kind: glm, family: binomial, formula: y ~ x", NULL, NULL, 7,
     "'y' is the response: a number, or one of the two words in "
     "data.target_levels of a binomial glm; found type: category; leave the "
     "entry out"},
    {"features: [{name: d, type: category}]", COX, NULL, NULL, 6,
     "'d' is the event, which must be a number; found a category"},
    {"features: [{name: t, type: category}]", COX, NULL, NULL, 6,
     "'t' is the time, which must be a number"},
    {NULL, "kind: glm, weights: w, formula: 'y ~ C(w)'", NULL, NULL, 5,
     "'w' is the weight of the rows, which must be a number"},
    {NULL, "kind: glm, formula: 'y ~ C(z) + offset(z)'", NULL, NULL, 5,
     "'z' is the offset, which must be a number"},
    {"features: [{name: y, bounds: [0, 1]}]", "kind: glm, formula: y ~ .", NULL,
     NULL, 6,
     "data.features: `.` in model.formula stands for the columns that are "
     "listed here, and none of them explains anything"},
    {"features: [{name: t}, {name: w}]",
     "kind: glm, weights: w, formula: 'y ~ . + offset(t)'", NULL, NULL, 6,
     "none of them explains anything"},
    {"missing: mean", GLM, NULL, NULL, 6,
     "data.missing: expected drop or fail, for a fit takes whole rows and "
     "fills no gaps; found mean"},
    {"standardize: pooled", GLM, NULL, NULL, 6,
     "data.standardize: expected none, for coefficients are per unit of the "
     "columns as they are; found pooled; remove the key"},
    {"standardize: bounds, features: [{name: x, bounds: [0, 1]}]", COX, NULL,
     NULL, 6,
     "expected none ... "
     "found bounds"},
    {"standardize: pooled", "kind: pca", NULL, NULL, 6,
     "expected none; found pooled; remove the key, and set model.scale: "
     "true"},
    {"standardize: bounds", "kind: ridge", NULL, NULL, 6,
     "expected none or pooled; found bounds"},
    {"target_levels: [a, b]", "kind: glm, family: poisson, formula: y ~ x",
     NULL, NULL, 6,
     "data.target_levels: used only with model.kind glm and family binomial; "
     "found family 'poisson'; remove the key"},
    {"target_levels: [a, b]", COX, NULL, NULL, 6, "found model.kind 'cox'"},
    {"target_levels: [a, b, c]", "kind: glm, family: binomial, formula: y ~ x",
     NULL, NULL, 6,
     "expected 2 texts, of which the second is the event; found 3"},
    {"format: csv, target_levels: [a, 1]",
     "kind: glm, family: binomial, formula: y ~ x", NULL, NULL, 6,
     "expected numbers only or words only"},
    {"test_fraction: 0.1", GLM, NULL, NULL, 6,
     "data.test_fraction: used only with model.kind linear, logistic, "
     "softmax, poisson, mlp; found model.kind 'glm'; remove the key"},
    {"test: t.h5", GLM, NULL, NULL, 6,
     "data.test: used only with model.kind linear"},
    {NULL, GLM, NULL, "simulate: {source: s, test: t}", 7,
     "simulate.test: used only with model.kind linear"},
    {"target_type: number", GLM, NULL, NULL, 6,
     "data.target_type: used only with model.kind mlp"},

    /* the model's own keys */
    {NULL, "kind: logistic, formula: y ~ x", NULL, NULL, 5,
     "model.formula: used only with model.kind glm, cox, ridge, kernel_ridge, "
     "pca; found model.kind 'logistic'"},
    {NULL, GLM ", family: binomial, link: sqrt", NULL, NULL, 5,
     "model.link: expected one of logit, probit, cauchit, log, cloglog with "
     "family binomial; found 'sqrt'"},
    {NULL, GLM ", link: logit", NULL, NULL, 5,
     "expected one of identity, log, inverse with family gaussian"},
    {NULL, GLM ", link: logti", NULL, NULL, 5, "did you mean 'logit'?"},
    {NULL, GLM ", family: Gamma", NULL, NULL, 5, "did you mean 'gamma'?"},
    {NULL, "kind: ridge, link: log", NULL, NULL, 5,
     "model.link: used only with model.kind glm"},
    {NULL, "kind: ridge, strata: silo", NULL, NULL, 5,
     "model.strata: used only with model.kind glm, cox; found model.kind "
     "'ridge'"},
    {NULL, GLM ", ties: efron", NULL, NULL, 5,
     "model.ties: used only with model.kind cox"},
    {NULL, COX ", ties: exact", NULL, NULL, 5,
     "expected one of efron, breslow; found 'exact'"},
    {NULL, GLM ", bins: [0, 1]", NULL, NULL, 5,
     "model.bins: used only with model.kind cox"},
    {NULL, COX ", strata: silo, bins: [0, 1]", NULL, NULL, 5,
     "model.bins: used only with model.strata none; found silo, with which ... "
     "remove the key, or set strata: none"},
    {NULL, COX ", bins: [0, 1]", NULL, NULL, 5, "found silo (the default)"},
    {NULL, COX ", strata: none", NULL, NULL, 5,
     "model.bins: one baseline hazard for all silos needs time bins ... "
     "bins: [\"0\", \"30\", \"60\"], or set strata: silo"},
    {NULL, COX ", strata: none, bins: [0, 30, 20]", NULL, NULL, 5,
     "model.bins: expected ascending numbers; found '20' after '30'"},
    {NULL, COX ", strata: none, bins: ['1', '1.0']", NULL, NULL, 5,
     "found '1.0' after '1'"},
    {NULL, COX ", strata: none, bins: [0, soon]", NULL, NULL, 5,
     "expected ascending numbers; found 'soon'"},
    {NULL, COX ", strata: none, bins: [0, inf]", NULL, NULL, 5, "found 'inf'"},
    {NULL, COX ", strata: none, bins: ['nan', 1]", NULL, NULL, 5,
     "found 'nan'"},
    {NULL, COX ", strata: none, bins: [0]", NULL, NULL, 5,
     "a list of 2 to 10000 ascending numbers; found a list of 1"},
    {NULL, "kind: pca, ridge: 1", NULL, NULL, 5,
     "model.ridge: used only with model.kind glm, cox, ridge, kernel_ridge"},
    {NULL, GLM ", ridge: -1", NULL, NULL, 5, "a number >= 0; found '-1'"},
    {NULL, "kind: ridge, weights: w", NULL, NULL, 5,
     "model.weights: used only with model.kind glm, cox"},
    {NULL, "kind: ridge, collinear: drop", NULL, NULL, 5, "model.collinear"},
    {NULL, "kind: ridge, features: 9", NULL, NULL, 5,
     "model.features: used only with model.kind kernel_ridge"},
    {NULL, "kind: kernel_ridge, features: 0", NULL, NULL, 5,
     "from 1 to 65536; found '0'"},
    {NULL, "kind: kernel_ridge, gamma: -1", NULL, NULL, 5, "model.gamma"},
    {NULL, "kind: pca, components: 0", NULL, NULL, 5, "model.components"},
    {NULL, "kind: pca, scale: 1", NULL, NULL, 5, "true or false"},
    {NULL, GLM ", transform: none", NULL, NULL, 5, "model.transform"},

    /* training */
    {NULL, GLM, "rounds: 5, strategy: fedavg", NULL, 4,
     "training.strategy: expected newton, the only one for model.kind 'glm'; "
     "leave the key out"},
    {NULL, "kind: mlp, hidden: [3]", "rounds: 5, strategy: newton", NULL, 4,
     "training.strategy: newton is for model.kind glm, cox, ridge, "
     "kernel_ridge and pca; found model.kind 'mlp'"},
    {NULL, GLM, "rounds: 5, local: {epochs: 1}", NULL, 4,
     "training.local.epochs: used only with model.kind linear, logistic, "
     "softmax, poisson, mlp; found model.kind 'glm'; remove the key"},
    {NULL, GLM, "rounds: 5, local: {batch: 32}", NULL, 4,
     "training.local.batch: used only with model.kind linear"},
    {NULL, GLM, "rounds: 5, server: {learning_rate: 1}", NULL, 4,
     "training.server.learning_rate: used only with training.strategy "
     "fedavg"},
    {NULL, GLM, "rounds: 5, participation: 0.5", NULL, 4,
     "training.participation: used only with model.kind linear"},
    {NULL, GLM, "rounds: 26", NULL, 4,
     "training.rounds: expected at most 25 with model.kind 'glm' ... "
     "found "
     "26"},
    {NULL, "kind: pca", "rounds: 26", NULL, 4, "expected at most 25"},
    {NULL, GLM, "rounds: 5, weights: declared", NULL, 4,
     "training.weights: expected rows, for a fit counts every row of every "
     "silo alike ... "
     "remove the key"},
    {NULL, GLM, "rounds: 5, weights: equal", NULL, 4,
     "training.weights: expected rows"},
    {NULL, GLM, NULL, REWARDS("shapley"), 7,
     "chain.rewards.method: expected equal or declared with model.kind "
     "'glm'"},
    {NULL, GLM, NULL, REWARDS("data_size"), 7, "expected equal or declared"},
    {NULL, GLM, NULL, REWARDS("validation"), 7, "expected equal or declared"},
    {NULL, GLM, NULL, "disclosure: {min_cell: 0}", 7,
     "disclosure.min_cell: expected a whole number from 1"},
    {NULL, GLM, NULL, "disclosure: {min_rows: 0}", 7, "disclosure.min_rows"},
    {NULL, GLM, NULL, "disclosure: {rows_per_parameter: -1}", 7,
     "disclosure.rows_per_parameter: expected a number >= 0"},
    {NULL, "kind: logistic", NULL, "disclosure: {min_cell: 3}", 7,
     "disclosure.min_cell: used only with model.kind glm, cox, ridge, "
     "kernel_ridge, pca"},

    /* masks */
    {NULL, "kind: glm, formula: 'y ~ C(x)'", NULL, "secure_aggregation: {}", 3,
     "secure_aggregation needs the public_key of every silo"},
    {NULL, GLM, NULL, MASKS "privacy: {epsilon: 1}", 9,
     "missing key 'privacy.sampling'"},
    {NULL, GLM, NULL, "secure_aggregation: {clip: 1}", 7,
     "secure_aggregation.clip: used only with model.kind linear"},

    /* privacy */
    {BOUNDED, GLM, NULL, "privacy: {epsilon: 1, sampling: 1}", 7,
     "privacy: needs secure_aggregation"},
    {BOUNDED, COX, NULL, PRIVATE, 6, "'y' is not in model.formula"},
    {NULL, COX, NULL, PRIVATE, 9,
     "privacy: there are private fits of ridge and of glm (family gaussian "
     "with link identity, binomial with logit); found model.kind 'cox'; "
     "remove the section, or change the model"},
    {NULL, "kind: pca", NULL, PRIVATE, 9, "found model.kind 'pca'"},
    {NULL, "kind: kernel_ridge", NULL, PRIVATE, 9,
     "found model.kind 'kernel_ridge'"},
    {BOUNDED, GLM ", family: poisson", NULL, PRIVATE, 9,
     "found model.kind 'glm', family poisson, link log"},
    {BOUNDED, GLM ", family: binomial, link: probit", NULL, PRIVATE, 9,
     "family binomial, link probit"},
    {BOUNDED, GLM, NULL, MASKS "privacy: {unit: silo, epsilon: 1}", 9,
     "privacy.unit: expected record, for a private fit hides single records; "
     "found silo"},
    {BOUNDED, GLM, NULL, MASKS "privacy: {epsilon: 1, sampling: 0.5}", 9,
     "privacy.sampling: expected 1, for a fit takes all rows in every round; "
     "found 0.5"},
    {BOUNDED, GLM, NULL,
     MASKS "privacy: {epsilon: 1, sampling: 1,\n  noise: local}", 10,
     "privacy.noise: expected distributed"},
    {BOUNDED, GLM, NULL,
     MASKS "privacy: {epsilon: 1, sampling: 1, adaptive: {}}", 9,
     "privacy.adaptive: used only with privacy.unit silo"},
    {BOUNDED, GLM, NULL, MASKS "privacy: {sampling: 1}", 9, "expected epsilon"},
    {BOUNDED, GLM ", strata: silo", NULL, PRIVATE, 5,
     "model.strata: expected none with privacy"},
    {BOUNDED, GLM ", weights: w", NULL, PRIVATE, 5,
     "model.weights: a private fit has no weights; remove the key"},
    {BOUNDED, "kind: glm, formula: 'y ~ x + offset(o)'", NULL, PRIVATE, 5,
     "model.formula: a private fit has no offset; take offset(o) out, or the "
     "privacy section"},
    {BOUNDED ", standardize: pooled", "kind: ridge, formula: y ~ x", NULL,
     PRIVATE, 6, "data.standardize: expected none with privacy"},
    {"features: [{name: y, bounds: [0, 1]},\n {name: x}]", GLM, NULL, PRIVATE,
     7,
     "data.features: 'x' needs bounds with privacy; add {name: x, bounds: "
     "[low, high]}"},
    {"features: [{name: y, bounds: [0, 1]}]", GLM, NULL, PRIVATE, 5,
     "data.features: 'x' needs bounds with privacy"},
    {"features: [{name: x, bounds: [0, 1]}]", GLM, NULL, PRIVATE, 6,
     "data.features: the response 'y' needs bounds with privacy as well; add "
     "{name: y, bounds: [low, high]}"},
    {"features: [{name: x, bounds: [0, 1]},\n {name: y}]", GLM, NULL, PRIVATE,
     7, "'y' needs bounds with privacy"},
    {NULL, "kind: glm, family: binomial, formula: y ~ .", NULL, PRIVATE, 6,
     "data.features: privacy needs bounds of every column; found no "
     "features; list each"},
};

/* Do the pieces of `says` stand in the text, in order? */
static int holds(const char *text, const char *says)
{
    while (*says) {
        const char *end = strstr(says, " ... ");
        size_t n = end ? (size_t)(end - says) : strlen(says);
        char *piece = cv_asprintf("%.*s", (int)n, says);
        text = strstr(text, piece);
        free(piece);
        if (!text)
            return 0;
        text += n;
        says += end ? n + 5 : n;
    }
    return 1;
}

static int refused(const char *text, int line, const char *says)
{
    cv_job *job = (cv_job *)1;
    cv_err err = {0};
    int rc = cv_job_parse(text, "job.yaml", &job, &err);
    int ok = rc == CV_ERR_INPUT && !job && err.line == line &&
             strcmp(err.file, "job.yaml") == 0;
    ok = ok && holds(err.text, says);
    if (!ok)
        print_message("%s\nexpected line %d: %s\n%d, line %d: %s\n", text, line,
                      says, rc, err.line, err.text);
    return ok;
}

static void test_refused(void **state)
{
    (void)state;
    size_t n = sizeof wrong / sizeof *wrong, good = 0;
    for (size_t i = 0; i < n; i++) {
        char *text = job_text(wrong[i].data, wrong[i].model, wrong[i].training,
                              wrong[i].rest);
        good += (size_t)refused(text, wrong[i].line, wrong[i].says);
        free(text);
    }
    print_message("%zu of %zu wrong jobs refused\n", good, n);
    assert_int_equal(good, n);
}

/* Levels that are found in the data would be seen by all. */
static void test_levels_under_masks(void **state)
{
    (void)state;
    static const char keys[] =
        "covey: 1\nname: m\nsilos:\n"
        "  - {name: a, public_key: 0x02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n"
        "  - {name: b, public_key: 0x02bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb}\n"
        "  - {name: c, public_key: 0x02cccccccccccccccccccccccccccccccc"
        "cccccccccccccccccccccccccccccccc}\n"
        "training: {rounds: 5}\nsecure_aggregation: {}\n"
        "model: {kind: glm, formula: 'y ~ age + C(sex)'}\n"; /* 9 */
    const char *says = "data.features: 'sex' needs levels: [..] with "
                       "secure_aggregation";
    char *other = cv_asprintf("%sdata:\n  features:\n  - {name: age}\n"
                              "  - {name: sex, type: category}\n",
                              keys);
    assert_true(refused(keys, 9, says));
    assert_true(refused(other, 13, says));
    /* With levels it is a job. */
    char *right = cv_asprintf("%sdata: {features: [" SEX "]}\n", keys);
    cv_job *job = NULL;
    cv_err err = {0};
    assert_int_equal(cv_job_parse(right, "job.yaml", &job, &err), 0);
    assert_int_equal(job->training.min_silos, 3);
    cv_job_destroy(&job);
    free(other);
    free(right);
}

/* Names that no formula can hold are refused before one is made of them. */
static void test_names(void **state)
{
    (void)state;
    char name[300];
    memset(name, 'n', sizeof name);
    name[257] = '\0';
    char *target = cv_asprintf("target: %s", name);
    char *feature = cv_asprintf("features: [{name: a},\n {name: %s}]", name);
    char *a = job_text(target, "kind: ridge", NULL, NULL);
    char *b = job_text(feature, "kind: pca", NULL, NULL);
    assert_true(
        refused(a, 6, "data.target: a name that is longer than 256 bytes"));
    assert_true(
        refused(b, 7, "data.features: a name that is longer than 256 bytes"));
    free(target);
    free(feature);
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_levels_under_masks),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
