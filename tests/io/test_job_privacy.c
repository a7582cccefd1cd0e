/* What secure_aggregation and privacy make of a job, and what they refuse. */
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

#define KEY(x)                                                                 \
    "\"0x02" x "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                               \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""

static const char masked[] =
    "covey: 1\n"   /* 1 */
    "name: base\n" /* 2 */
    "silos:\n"     /* 3 */
    "  - {name: north, public_key: " KEY(
        "1") "}\n" /* 4 */
             "  - {name: east, public_key: " KEY(
                 "2") "}\n" /* 5 */
                      "  - {name: south, public_key: " KEY(
                          "3") "}\n" /* 6 */
                               "  - {name: west, public_key: " KEY(
                                   "4") "}\n"                          /* 7 */
                                        "data:\n"                      /* 8 */
                                        "  target: y\n"                /* 9 */
                                        "  target_levels: [no, yes]\n" /* 10 */
                                        "model: {kind: logistic}\n"    /* 11 */
                                        "training:\n"                  /* 12 */
                                        "  rounds: 20\n"               /* 13 */
                                        "  weights: equal\n"           /* 14 */
                                        "  local:\n"                   /* 15 */
                                        "    steps: 50\n"              /* 16 */
                                        "secure_aggregation:\n"        /* 17 */
                                        "  collusion: 1\n";            /* 18 */

static const char noised[] = "privacy:\n"          /* 19 */
                             "  epsilon: 3\n"      /* 20 */
                             "  sampling: 0.01\n"; /* 21 */

/* Replace the one occurrence of from. */
static char *edit(char *text, const char *from, const char *to)
{
    if (!from)
        return text;
    const char *at = strstr(text, from);
    if (!at || strstr(at + 1, from))
        print_message("%s\nnot once: %s\n", text, from);
    assert_true(at && !strstr(at + 1, from));
    char *out =
        cv_asprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    free(text);
    return out;
}

static char *base(int with_privacy)
{
    return cv_asprintf("%s%s", masked, with_privacy ? noised : "");
}

static cv_job *parse(const char *text)
{
    cv_job *job = NULL, *again = NULL;
    cv_err err = {0};
    int rc = cv_job_parse(text, "job.yaml", &job, &err);
    if (rc)
        print_message("%s\n%d: %s\n", text, err.line, err.text);
    assert_int_equal(rc, 0);
    rc = cv_job_parse(job->text, "job.yaml", &again, &err);
    if (rc)
        print_message("%s\n%d: %s\n", job->text, err.line, err.text);
    assert_int_equal(rc, 0);
    assert_string_equal(again->text, job->text);
    assert_memory_equal(again->digest, job->digest, 32);
    cv_job_destroy(&again);
    return job;
}

static cv_job *parse_edited(int with_privacy, const char *from, const char *to)
{
    char *text = edit(base(with_privacy), from, to);
    cv_job *job = parse(text);
    free(text);
    return job;
}

static void test_masks(void **state)
{
    (void)state;
    cv_job *job = parse_edited(0, NULL, NULL);
    assert_int_equal(job->secure_aggregation.given, 1);
    assert_int_equal(job->secure_aggregation.enabled, 1);
    assert_int_equal(job->secure_aggregation.collusion, 1);
    assert_true(job->secure_aggregation.clip == 100);
    assert_int_equal(job->training.min_silos, 3);
    assert_int_equal(job->privacy.enabled, 0);
    assert_int_equal(job->data.n_target_levels, 2);
    assert_string_equal(job->data.target_levels[1], "yes");
    assert_null(job->data.test);
    assert_non_null(strstr(job->text, "secure_aggregation:\n"
                                      "  clip: 100\n"
                                      "  collusion: 1\n"
                                      "  enabled: true\n"));
    assert_non_null(strstr(job->text, "  target_levels: [\"no\", \"yes\"]\n"));
    assert_null(strstr(job->text, "privacy"));
    cv_job_destroy(&job);

    job =
        parse_edited(0, "  collusion: 1\n", "  enabled: false\n  clip: 2.5\n");
    assert_int_equal(job->secure_aggregation.given, 1);
    assert_int_equal(job->secure_aggregation.enabled, 0);
    assert_true(job->secure_aggregation.clip == 2.5);
    assert_int_equal(job->training.min_silos, 1);
    cv_job_destroy(&job);

    job = parse_edited(0, "secure_aggregation:\n  collusion: 1\n", "");
    assert_int_equal(job->secure_aggregation.given, 0);
    assert_int_equal(job->secure_aggregation.enabled, 0);
    assert_int_equal(job->secure_aggregation.collusion, 0);
    cv_job_destroy(&job);

    job = parse_edited(0, "collusion: 1", "collusion: 0");
    assert_int_equal(job->training.min_silos, 2);
    cv_job_destroy(&job);
}

static void test_record(void **state)
{
    (void)state;
    cv_job *job = parse_edited(1, NULL, NULL);
    assert_int_equal(job->privacy.enabled, 1);
    assert_int_equal(job->privacy.unit, CV_UNIT_RECORD);
    assert_true(job->privacy.epsilon == 3);
    assert_true(job->privacy.noise_multiplier == 0);
    assert_true(job->privacy.delta == 1e-5);
    assert_true(job->privacy.clip == 1);
    assert_true(job->privacy.sampling == 0.01);
    assert_int_equal(job->privacy.noise, CV_NOISE_DISTRIBUTED);
    assert_int_equal(job->privacy.accountant, CV_ACCOUNTANT_PLD);
    assert_int_equal(job->privacy.adaptive.enabled, 0);
    assert_true(job->secure_aggregation.clip == 0);
    assert_non_null(strstr(job->text, "privacy:\n"
                                      "  accountant: pld\n"
                                      "  clip: 1\n"
                                      "  delta: 1e-05\n"
                                      "  epsilon: 3\n"
                                      "  noise: distributed\n"
                                      "  sampling: 0.01\n"
                                      "  unit: record\n"
                                      "secure_aggregation:\n"
                                      "  collusion: 1\n"
                                      "  enabled: true\n"));
    cv_job_destroy(&job);

    job = parse_edited(1, "epsilon: 3",
                       "noise_multiplier: 1.1\n  noise: local\n  clip: 0.5\n"
                       "  delta: 1.0e-9\n  accountant: rdp");
    assert_true(job->privacy.epsilon == 0);
    assert_true(job->privacy.noise_multiplier == 1.1);
    assert_true(job->privacy.clip == 0.5);
    assert_int_equal(job->privacy.noise, CV_NOISE_LOCAL);
    assert_int_equal(job->privacy.accountant, CV_ACCOUNTANT_RDP);
    cv_job_destroy(&job);
}

static void test_silo_unit(void **state)
{
    (void)state;
    cv_job *job = parse_edited(1, "sampling: 0.01", "unit: silo\n  adaptive:");
    assert_int_equal(job->privacy.unit, CV_UNIT_SILO);
    assert_true(job->privacy.sampling == 0);
    assert_int_equal(job->privacy.adaptive.enabled, 1);
    assert_true(job->privacy.adaptive.quantile == 0.5);
    assert_true(job->privacy.adaptive.rate == 0.2);
    assert_null(strstr(job->text, "noise:"));
    assert_null(strstr(job->text, "sampling"));
    assert_non_null(strstr(job->text, "  adaptive:\n"
                                      "    quantile: 0.5\n"
                                      "    rate: 0.2\n"));
    cv_job_destroy(&job);
}

/* Jobs that are near a rule, on its good side. */
static void test_allowed(void **state)
{
    (void)state;
    static const struct {
        int privacy;
        const char *from, *to, *from2, *to2;
    } cases[] = {
        /* Two groups of two, or all. */
        {0, "rounds: 20", "rounds: 20\n  participation: 0.5", "collusion: 1",
         "collusion: 0"},
        {0, "rounds: 20", "rounds: 20\n  participation: 0.76", NULL, NULL},
        {0, "rounds: 20", "rounds: 20\n  min_silos: 4", "collusion: 1",
         "collusion: 2"},
        {0, "weights: equal", "weights: rows", "steps: 50", "epochs: 1"},
        {0, "target: y", "target: y\n  standardize: pooled\n  missing: mean",
         NULL, NULL},
        {0, "target: y", "target: y\n  test_fraction: 0.1", "collusion: 1",
         "collusion: 1\ndisclosure: {min_rows: 10}"},
        {0, "kind: logistic", "kind: linear", "  target_levels: [no, yes]\n",
         ""},
        {0, "kind: logistic", "kind: mlp, hidden: [3]", "target: y",
         "target: y\n  target_type: category"},
        {0, "kind: logistic", "kind: mlp, hidden: [3]",
         "target_levels: [no, yes]", "target_type: number"},
        {0, "kind: logistic", "kind: mlp, hidden: [3]", NULL, NULL},
        {0, "kind: logistic", "kind: softmax", "[no, yes]",
         "[\"0\", \"1\", \"2\"]"},
        {0, "target: y",
         "target: y\n  features: [{name: a, type: category, levels: [u]}]",
         NULL, NULL},
        {0, "target: y", "target: y\n  test: ../holdout.h5", NULL, NULL},
        {1, "target: y", "target: y\n  test: /data/holdout.h5", NULL, NULL},
        {1, "target: y",
         "target: y\n  missing: drop\n  standardize: bounds\n"
         "  features: [{name: a, bounds: [0, 1]}]",
         NULL, NULL},
        {1, "weights: equal", "weights: declared", NULL, NULL},
        {1, "rounds: 20", "rounds: 20\n  tolerance: 0.1", NULL, NULL},
        {1, "rounds: 20", "rounds: 20\n  participation: 0.75", "sampling: 0.01",
         "unit: silo"},
        {1, "rounds: 20", "rounds: 20\n  participation: 0.75", "sampling: 0.01",
         "sampling: 1\n  noise: local"},
        {1, "rounds: 20", "rounds: 20\n  strategy: scaffold", "sampling: 0.01",
         "unit: silo"},
        {1, "rounds: 20", "rounds: 20\n  strategy: fednova", "sampling: 0.01",
         "sampling: 1\n  noise: local"},
        {1, "rounds: 20", "rounds: 20\n  strategy: fedadam", NULL, NULL},
        {1, "privacy:", "disclosure: {min_rows: 1}\nprivacy:", NULL, NULL},
        {1, "epsilon: 3", "epsilon: 3\n  noise_multiplier: 2", NULL, NULL},
        /* Off: nothing is asked of the job. */
        {0, "collusion: 1", "enabled: false", ", public_key: " KEY("1"), ""},
        {0, "collusion: 1", "enabled: false", "rounds: 20",
         "rounds: 20\n  participation: 0.75"},
        /* A map for simulated silos: one party has all the data. */
        {0, "public_key: " KEY("1"), "ranks: 1", "  target_levels: [no, yes]\n",
         "  features: [{name: a, type: category}]\nsimulate: {source: x}\n"},
        {0, "logistic", "mlp, hidden: [3]", "  target_levels: [no, yes]\n",
         "simulate: {source: x}\n"},
        {1, "target: y", "target: y\nsimulate: {source: x, test: y}",
         "  target_levels: [no, yes]\n", ""},
        {0, "kind: logistic", "kind: logistic, transform: scattering", NULL,
         NULL},
        {0, "kind: logistic",
         "kind: logistic, transform: scattering, image: [1, 65536]", NULL,
         NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = edit(base(cases[i].privacy), cases[i].from, cases[i].to);
        text = edit(text, cases[i].from2, cases[i].to2);
        cv_job *job = parse(text);
        cv_job_destroy(&job);
        free(text);
    }
}

/* Wrong in one place: refused at that line, in words that help. */
static const struct {
    int privacy;
    const char *from, *to, *from2, *to2;
    int line;
    const char *says[2];
} wrong[] = {
    /* values */
    {0,
     "collusion: 1",
     "collusion: -1",
     NULL,
     NULL,
     18,
     {"secure_aggregation.collusion: expected a whole number from 0"}},
    {0,
     "collusion: 1",
     "enabled: yes",
     NULL,
     NULL,
     18,
     {"secure_aggregation.enabled: expected true or false"}},
    {0,
     "collusion: 1",
     "clip: 0",
     NULL,
     NULL,
     18,
     {"secure_aggregation.clip: expected a number > 0"}},
    {0,
     "secure_aggregation:\n  collusion: 1",
     "secure_aggregation: true",
     NULL,
     NULL,
     17,
     {"secure_aggregation: expected 'key: value' lines below it"}},
    {1,
     "epsilon: 3",
     "epsilon: 0",
     NULL,
     NULL,
     20,
     {"privacy.epsilon: expected a number > 0"}},
    {1,
     "epsilon: 3",
     "noise_multiplier: 0",
     NULL,
     NULL,
     20,
     {"privacy.noise_multiplier: expected a number from 0.0001 to "
      "1000000; found '0'"}},
    {1,
     "epsilon: 3",
     "epsilon: 3\n  delta: 1",
     NULL,
     NULL,
     21,
     {"privacy.delta: expected a number > 0 and < 1"}},
    {1,
     "epsilon: 3",
     "epsilon: 3\n  clip: 0",
     NULL,
     NULL,
     21,
     {"privacy.clip"}},
    {1,
     "sampling: 0.01",
     "sampling: 0",
     NULL,
     NULL,
     21,
     {"privacy.sampling: expected a number > 0 and <= 1"}},
    {1,
     "sampling: 0.01",
     "sampling: 1.5",
     NULL,
     NULL,
     21,
     {"privacy.sampling"}},
    {1,
     "  sampling: 0.01\n",
     "",
     NULL,
     NULL,
     19,
     {"missing key 'privacy.sampling'"}},
    {1,
     "sampling: 0.01",
     "unit: patient",
     NULL,
     NULL,
     21,
     {"privacy.unit: expected one of record, silo; found 'patient'"}},
    {1,
     "sampling: 0.01",
     "unit: silo\n  adaptive: {quantile: 1}",
     NULL,
     NULL,
     22,
     {"privacy.adaptive.quantile: expected a number > 0 and < 1"}},
    {1,
     "sampling: 0.01",
     "unit: silo\n  adaptive: {rate: 0}",
     NULL,
     NULL,
     22,
     {"privacy.adaptive.rate: expected a number > 0"}},
    {0,
     "[no, yes]",
     "[no]",
     NULL,
     NULL,
     10,
     {"data.target_levels: expected a list of 2 to 65536 texts"}},
    {0,
     "[no, yes]",
     "[no, no]",
     NULL,
     NULL,
     10,
     {"data.target_levels: expected each only once; found 'no' again"}},
    {0, "[no, yes]", "no", NULL, NULL, 10, {"data.target_levels"}},

    /* keys that go together */
    {1,
     "sampling: 0.01",
     "unit: silo\n  sampling: 0.01",
     NULL,
     NULL,
     22,
     {"privacy.sampling: used only with privacy.unit record"}},
    {1,
     "sampling: 0.01",
     "unit: silo\n  noise: local",
     NULL,
     NULL,
     22,
     {"privacy.noise: used only with privacy.unit record"}},
    {1,
     "sampling: 0.01",
     "sampling: 0.01\n  adaptive: {}",
     NULL,
     NULL,
     22,
     {"privacy.adaptive: used only with privacy.unit silo"}},
    {1,
     "  epsilon: 3\n",
     "",
     NULL,
     NULL,
     19,
     {"privacy: expected epsilon", "found neither"}},
    {1,
     "secure_aggregation:\n  collusion: 1\n",
     "",
     NULL,
     NULL,
     17,
     {"privacy: needs secure_aggregation", "add `secure_aggregation: {}`"}},
    {1,
     "collusion: 1",
     "enabled: false",
     NULL,
     NULL,
     19,
     {"privacy: needs secure_aggregation", "set it to true"}},
    {1,
     "collusion: 1",
     "clip: 10",
     NULL,
     NULL,
     18,
     {"secure_aggregation.clip: used only without a privacy section",
      "privacy.clip"}},
    {0,
     "kind: logistic",
     "kind: linear",
     NULL,
     NULL,
     10,
     {"data.target_levels: used only with model.kind logistic, softmax, mlp; "
      "found model.kind 'linear'"}},
    {0,
     "kind: logistic",
     "kind: mlp, hidden: [3]",
     "target: y",
     "target: y\n  target_type: number",
     11,
     {"data.target_levels: used only where the target is a category"}},
    {0,
     "[no, yes]",
     "[a, b, c]",
     NULL,
     NULL,
     10,
     {"two classes; found 3", "softmax"}},
    {0,
     "[no, yes]",
     "[\"1\", b]",
     "target: y",
     "format: csv",
     10,
     {"data.target_levels: expected numbers only or words only"}},
    {0,
     "target: y",
     "target: y\n  test: t.h5\n  test_fraction: 0.1",
     NULL,
     NULL,
     11,
     {"data.test_fraction: expected 0, for data.test gives the test rows"}},
    {0,
     "kind: logistic",
     "kind: logistic, image: [28, 28]",
     NULL,
     NULL,
     11,
     {"model.image: used only with model.transform scattering; found "
      "model.transform 'none'"}},
    {0,
     "kind: logistic",
     "kind: logistic, transform: scattering, image: [28]",
     NULL,
     NULL,
     11,
     {"model.image: expected two whole numbers from 1 to 65536, [height, "
      "width]; found a list of 1"}},
    {0,
     "kind: logistic",
     "kind: logistic, transform: scattering, image: [1, 2, 3]",
     NULL,
     NULL,
     11,
     {"found a list of 3"}},
    {0,
     "kind: logistic",
     "kind: mlp, hidden: [3], transform: scattering",
     NULL,
     NULL,
     11,
     {"model.transform: used only with model.kind linear, logistic, softmax, "
      "poisson; found model.kind 'mlp'"}},
    {0,
     "kind: logistic",
     "kind: mlp, hidden: [3], image: [2, 2]",
     NULL,
     NULL,
     11,
     {"model.image: used only with model.transform scattering"}},

    /* rosters */
    {0,
     "collusion: 1",
     "collusion: 3",
     NULL,
     NULL,
     18,
     {"with collusion 3 a sum needs at least 5 silos", "found 4 silos"}},
    {0, "collusion: 1", "collusion: 1000000", NULL, NULL, 18, {"1000002"}},
    {0,
     "rounds: 20",
     "rounds: 20\n  min_silos: 2",
     NULL,
     NULL,
     14,
     {"training.min_silos: expected at least 3, for with "
      "secure_aggregation.collusion 1",
      "found 2"}},
    {0,
     "rounds: 20",
     "rounds: 20\n  min_silos: 5",
     NULL,
     NULL,
     14,
     {"training.min_silos: expected at most the number of silos, which is 4"}},
    {0,
     "rounds: 20",
     "rounds: 20\n  participation: 0.5",
     NULL,
     NULL,
     14,
     {"training.participation: expected a draw of at least 3 silos", "found 2 "
                                                                     "of 4"}},
    {0,
     "rounds: 20",
     "rounds: 20\n  participation: 0.75",
     NULL,
     NULL,
     14,
     {"training.participation: without noise the silos must fall into 2 or "
      "more fixed groups",
      "found groups of 3 among 4 silos; set participation "
      "to 1"}},
    {0,
     "rounds: 20",
     "rounds: 20\n  participation: 0.6",
     "collusion: 1",
     "collusion: 0",
     14,
     {"or draw at most half of them"}},
    {1,
     "rounds: 20",
     "rounds: 20\n  participation: 0.5",
     "sampling: 0.01",
     "unit: silo",
     14,
     {"expected a draw of at least 3 silos"}},
    {0,
     ", public_key: " KEY("2"),
     "",
     ", public_key: " KEY("4"),
     "",
     5,
     {"silos: secure_aggregation needs the public_key of every silo",
      "'east' has none"}},

    /* what the data would tell */
    {0,
     "target: y",
     "target: y\n  features:\n  - {name: a}\n  - {name: b, type: category}",
     NULL,
     NULL,
     12,
     {"data.features: 'b' needs levels: [..]"}},
    {0,
     "  target_levels: [no, yes]\n",
     "",
     NULL,
     NULL,
     8,
     {"data.target_levels: expected a list of the target's classes"}},
    {0,
     "  target_levels: [no, yes]\n",
     "",
     "kind: logistic",
     "kind: softmax",
     8,
     {"data.target_levels: expected a list of the target's classes"}},
    {0,
     "target_levels: [no, yes]",
     "target_type: category",
     "kind: logistic",
     "kind: mlp, hidden: [3]",
     8,
     {"data.target_levels"}},
    {0,
     "target_levels: [no, yes]",
     "target_type: auto",
     "kind: logistic",
     "kind: mlp, hidden: [3]",
     10,
     {"data.target_type: expected number or category"}},
    {1,
     "weights: equal",
     "weights: rows",
     NULL,
     NULL,
     14,
     {"training.weights: expected equal or declared", "found rows"}},
    {1,
     "  weights: equal\n",
     "",
     NULL,
     NULL,
     12,
     {"training.weights: expected equal or declared",
      "found rows (the default); add weights: equal"}},
    {1,
     "target: y",
     "target: y\n  standardize: pooled",
     NULL,
     NULL,
     10,
     {"data.standardize: expected none or bounds", "found pooled"}},
    {1,
     "target: y",
     "target: y\n  missing: mean",
     NULL,
     NULL,
     10,
     {"data.missing: expected drop or fail", "found mean"}},
    {1,
     "target: y",
     "target: y\n  test_fraction: 0.1",
     NULL,
     NULL,
     10,
     {"data.test_fraction: expected 0", "data.test"}},
    {1,
     "privacy:",
     "disclosure: {min_rows: 5}\nprivacy:",
     NULL,
     NULL,
     19,
     {"disclosure.min_rows: used only without privacy", "found 5"}},
    {1,
     "steps: 50",
     "epochs: 2",
     NULL,
     NULL,
     16,
     {"training.local.epochs: expected training.local.steps", "found epochs"}},
    {1,
     "steps: 50",
     "batch: 50",
     NULL,
     NULL,
     15,
     {"training.local.epochs: expected training.local.steps", "found neither"}},

    /* the unit is a record */
    {1,
     "rounds: 20",
     "rounds: 20\n  strategy: scaffold",
     NULL,
     NULL,
     14,
     {"training.strategy: scaffold is not there for privacy.unit record"}},
    {1,
     "rounds: 20",
     "rounds: 20\n  strategy: scaffold",
     "sampling: 0.01",
     "sampling: 1\n  noise: local",
     14,
     {"training.strategy: scaffold is not there for privacy.unit record"}},
    {1,
     "rounds: 20",
     "rounds: 20\n  strategy: fednova",
     NULL,
     NULL,
     14,
     {"training.strategy: with privacy.noise distributed every step is common",
      "for fednova"}},
    {1,
     "rounds: 20",
     "rounds: 20\n  strategy: fedprox",
     "steps: 50",
     "steps: 50\n    proximal: 0.1",
     14,
     {"for fedprox to correct"}},
    {1,
     "rounds: 20",
     "rounds: 20\n  participation: 0.75",
     NULL,
     NULL,
     14,
     {"training.participation: expected 1 with privacy.unit record",
      "found 0.75"}},
};

static int refused(size_t i)
{
    char *text = edit(base(wrong[i].privacy), wrong[i].from, wrong[i].to);
    text = edit(text, wrong[i].from2, wrong[i].to2);
    cv_job *job = NULL;
    cv_err err = {0};
    int rc = cv_job_parse(text, "job.yaml", &job, &err);
    int ok = rc == CV_ERR_INPUT && !job && err.line == wrong[i].line &&
             strcmp(err.file, "job.yaml") == 0;
    for (int k = 0; k < 2 && wrong[i].says[k]; k++)
        ok = ok && strstr(err.text, wrong[i].says[k]);
    /* An error object is not needed. */
    cv_job *none = NULL;
    ok = ok && cv_job_parse(text, "job.yaml", &none, NULL) == CV_ERR_INPUT;
    if (!ok)
        print_message("%s\nexpected line %d: %s\n%d, line %d: %s\n", text,
                      wrong[i].line, wrong[i].says[0], rc, err.line, err.text);
    cv_job_destroy(&job);
    cv_job_destroy(&none);
    free(text);
    return ok;
}

static void test_refused(void **state)
{
    (void)state;
    size_t n = sizeof wrong / sizeof *wrong, good = 0;
    for (size_t i = 0; i < n; i++)
        good += (size_t)refused(i);
    print_message("%zu of %zu wrong files refused\n", good, n);
    assert_int_equal(good, n);
}

/* simulate has a test set of its own. */
static void test_public_test(void **state)
{
    (void)state;
    cv_job *job = NULL;
    cv_err err = {0};
    assert_int_equal(cv_job_parse("covey: 1\nname: a\nsilos: {count: 4}\n"
                                  "data: {test: t.h5}\n"
                                  "simulate: {source: x.h5}\n"
                                  "model: {kind: linear}\n"
                                  "training: {rounds: 1}\n",
                                  "job.yaml", &job, &err),
                     CV_ERR_INPUT);
    assert_int_equal(err.line, 4);
    assert_non_null(strstr(err.text, "data.test: used only without simulate"));
    assert_non_null(strstr(err.text, "simulate.test"));
}

/* Names of levels are at most 256 bytes, as in a schema. */
static void test_long_level(void **state)
{
    (void)state;
    char level[300] = {0};
    memset(level, 'x', 256);
    char *levels = cv_asprintf("[no, %s]", level);
    cv_job *job = parse_edited(0, "[no, yes]", levels);
    assert_int_equal(strlen(job->data.target_levels[1]), 256);
    cv_job_destroy(&job);
    free(levels);
    level[256] = 'x';
    levels = cv_asprintf("[no, %s]", level);
    char *text = edit(base(0), "[no, yes]", levels);
    cv_err err = {0};
    assert_int_equal(cv_job_parse(text, "f", &job, &err), CV_ERR_INPUT);
    assert_non_null(strstr(err.text, "at most 256 bytes"));
    free(levels);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks),      cmocka_unit_test(test_record),
        cmocka_unit_test(test_silo_unit),  cmocka_unit_test(test_allowed),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_public_test),
        cmocka_unit_test(test_long_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
