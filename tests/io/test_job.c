/* job.yaml: what is accepted, how it is written down, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/mem.h"
#include "io/job_keys.h"
#include "io/template.h"

#define KEY_A                                                                  \
    "0x02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B                                                                  \
    "0x03BBBBbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* The start of most cases: an edit replaces one line or part of it. */
static const char base[] = "covey: 1\n"                /* 1 */
                           "name: base\n"              /* 2 */
                           "silos:\n"                  /* 3 */
                           "  - {name: north}\n"       /* 4 */
                           "  - {name: south}\n"       /* 5 */
                           "data:\n"                   /* 6 */
                           "  target: y\n"             /* 7 */
                           "model: {kind: logistic}\n" /* 8 */
                           "training:\n"               /* 9 */
                           "  rounds: 20\n"            /* 10 */
                           "  strategy: fedavg\n"      /* 11 */
                           "  local:\n"                /* 12 */
                           "    batch: 32\n"           /* 13 */
                           "  server: {}\n"            /* 14 */
                           "checkpoint: {every: 1}\n"; /* 15 */

/* text with the only occurrence of `from` replaced. malloc'd. */
static char *edit(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    assert_null(strstr(at + 1, from));
    return cv_asprintf("%.*s%s%s", (int)(at - text), text, to,
                       at + strlen(from));
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

static cv_job *parse_edited(const char *text, const char *from, const char *to)
{
    char *edited = edit(text, from, to);
    cv_job *job = parse(edited);
    free(edited);
    return job;
}

/* The canonical text is a fixed point, with the same digest. */
static void check_fixed_point(const cv_job *job)
{
    cv_job *again = parse(job->text);
    assert_string_equal(again->text, job->text);
    assert_memory_equal(again->digest, job->digest, 32);
    assert_int_equal(again->n_silos, job->n_silos);
    assert_int_equal(again->silos_counted, job->silos_counted);
    for (int i = 0; i < job->n_silos; i++)
        assert_string_equal(again->silos[i].name, job->silos[i].name);
    cv_job_destroy(&again);
}

static void test_defaults(void **state)
{
    (void)state;
    cv_job *job = parse(base);
    assert_string_equal(job->file, "job.yaml");
    assert_string_equal(job->name, "base");
    assert_int_equal(job->n_silos, 2);
    assert_string_equal(job->silos[1].name, "south");
    assert_null(job->silos[1].public_key);
    assert_int_equal(job->silos[1].ranks, 1);
    assert_int_equal(job->data.format, CV_FORMAT_HDF5);
    assert_int_equal(job->data.missing, CV_MISSING_FAIL);
    assert_int_equal(job->data.standardize, CV_STANDARDIZE_NONE);
    assert_int_equal(job->data.n_features, 0);
    assert_int_equal(job->simulate.enabled, 0);
    assert_null(job->model.activation);
    assert_int_equal(job->training.weights, CV_WEIGHTS_ROWS);
    assert_true(job->training.participation == 1);
    assert_true(job->training.seed == 1);
    assert_int_equal(job->training.local.epochs, 1);
    assert_int_equal(job->training.local.steps, 0);
    assert_string_equal(job->training.local.optimizer, "sgd");
    assert_true(job->training.server.learning_rate == 1);
    assert_true(job->training.server.momentum == 0);
    assert_int_equal(job->checkpoint.keep, 3);
    assert_int_equal(job->disclosure.min_rows, 1);
    /* Golden: the digest of a job may not change from version to version. */
    assert_string_equal(job->text, "checkpoint:\n"
                                   "  every: 1\n"
                                   "  keep: 3\n"
                                   "covey: 1\n"
                                   "data:\n"
                                   "  format: hdf5\n"
                                   "  missing: fail\n"
                                   "  standardize: none\n"
                                   "  target: \"y\"\n"
                                   "  test_fraction: 0\n"
                                   "disclosure:\n"
                                   "  min_rows: 1\n"
                                   "model:\n"
                                   "  kind: logistic\n"
                                   "name: \"base\"\n"
                                   "silos:\n"
                                   "  - name: \"north\"\n"
                                   "    ranks: 1\n"
                                   "  - name: \"south\"\n"
                                   "    ranks: 1\n"
                                   "training:\n"
                                   "  local:\n"
                                   "    batch: 32\n"
                                   "    epochs: 1\n"
                                   "    learning_rate: 0.1\n"
                                   "    momentum: 0\n"
                                   "    optimizer: sgd\n"
                                   "    proximal: 0\n"
                                   "    weight_decay: 0\n"
                                   "  min_silos: 1\n"
                                   "  participation: 1\n"
                                   "  rounds: 20\n"
                                   "  seed: 1\n"
                                   "  server:\n"
                                   "    learning_rate: 1\n"
                                   "  strategy: fedavg\n"
                                   "  tolerance: 0\n"
                                   "  weights: rows\n");
    char hex[65];
    cv_hex(hex, job->digest, 32);
    assert_string_equal(hex, "9718ce6a6fd73da3234d65acc3af95964627"
                             "9a46eb491e0611c2c63890778896");
    check_fixed_point(job);
    cv_job_destroy(&job);
    assert_null(job);
    cv_job_destroy(&job);
}

/* Everything at once, in an order and notation of its own. */
static const char full[] =
    "{\"training\": {\"rounds\": 3, \"strategy\": \"fedyogi\",\n"
    "  participation: 0.75, min_silos: 2, weights: declared,\n"
    "  seed: 9223372036854775807, tolerance: 1e-6,\n"
    "  local: {steps: 7, batch: 5, optimizer: sgd, learning_rate: .5,\n"
    "    momentum: 0.9, weight_decay: 1.0e-4, proximal: 0},\n"
    "  server: {learning_rate: 0.03, beta1: 0.5, beta2: 0.75, tau: 1e-2}},\n"
    "simulate: {source: 'a \"b\".h5', partition: dirichlet, alpha: 0.25},\n"
    "data: {format: csv, target: '5', missing: mean, standardize: bounds,\n"
    "  test_fraction: 0.125, features: [\n"
    "    {name: age, type: number, bounds: [-1.5, 120]},\n"
    "    {name: \"gr\xc3\xb6\xc3\x9f"
    "e\", bounds: [0, 1e6]},\n"
    "    {name: sex, type: category, levels: [f, m, 'no', 1, true]},\n"
    "    {name: town, type: category}]},\n"
    "model: {kind: mlp, hidden: [200, 65536], activation: tanh},\n"
    "checkpoint: {every: 5, keep: 0}, disclosure: {min_rows: 10},\n"
    "silos: [{name: b, public_key: " KEY_A ", ranks: 4, weight: 2.5},\n"
    "  {name: a.1_-, public_key: \"" KEY_B "\"}, {name: C}],\n"
    "name: all-of_it.1, covey: 1}\n";

static void test_full(void **state)
{
    (void)state;
    cv_job *job = parse(full);
    assert_true(job->training.seed == INT64_MAX);
    assert_true(job->training.participation == 0.75);
    assert_int_equal(job->training.weights, CV_WEIGHTS_DECLARED);
    assert_int_equal(job->training.local.epochs, 0);
    assert_int_equal(job->training.local.steps, 7);
    assert_true(job->training.local.learning_rate == 0.5);
    assert_true(job->training.server.beta2 == 0.75);
    assert_int_equal(job->simulate.enabled, 1);
    assert_string_equal(job->simulate.source, "a \"b\".h5");
    assert_null(job->simulate.test);
    assert_int_equal(job->simulate.partition, CV_PARTITION_DIRICHLET);
    assert_int_equal(job->data.format, CV_FORMAT_CSV);
    assert_string_equal(job->data.target, "5");
    assert_int_equal(job->data.missing, CV_MISSING_MEAN);
    assert_int_equal(job->data.standardize, CV_STANDARDIZE_BOUNDS);
    assert_int_equal(job->data.n_features, 4);
    assert_true(job->data.features[0].has_bounds);
    assert_true(job->data.features[0].lo == -1.5);
    assert_true(job->data.features[0].hi == 120);
    assert_int_equal(job->data.features[2].type, CV_FEATURE_CATEGORY);
    assert_int_equal(job->data.features[2].n_levels, 5);
    assert_string_equal(job->data.features[2].levels[2], "no");
    assert_string_equal(job->data.features[2].levels[3], "1");
    assert_int_equal(job->data.features[3].n_levels, 0);
    assert_int_equal(job->model.n_hidden, 2);
    assert_int_equal(job->model.hidden[1], 65536);
    assert_string_equal(job->model.activation, "tanh");
    assert_true(job->silos[0].weight == 2.5);
    assert_true(job->silos[2].weight == 1);
    assert_int_equal(job->silos[0].ranks, 4);
    assert_string_equal(job->silos[0].public_key, KEY_A);
    /* One key has one text, whatever the case it was written in. */
    assert_non_null(strstr(job->silos[1].public_key, "0x03bbbb"));
    assert_int_equal(cv_job_silo_index(job, "b"), 0);
    assert_int_equal(cv_job_silo_index(job, "a.1_-"), 1);
    assert_int_equal(cv_job_silo_index(job, "C"), 2);
    assert_int_equal(cv_job_silo_index(job, "c"), -1);
    check_fixed_point(job);
    cv_job_destroy(&job);
}

static void test_counted(void **state)
{
    (void)state;
    static const struct {
        const char *silos;
        int n;
        const char *first, *last;
    } cases[] = {
        {"{count: 1}", 1, "s0", "s0"},
        {"{count: 10}", 10, "s0", "s9"},
        {"{count: 11, prefix: site-}", 11, "site-00", "site-10"},
        {"{count: 10001, prefix: \"7\"}", 10001, "700000", "710000"},
        {"{count: 1000000}", 1000000, "s000000", "s999999"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = cv_asprintf("covey: 1\nname: c\nsilos: %s\n"
                                 "simulate: {source: x.h5}\n"
                                 "model: {kind: linear}\n"
                                 "training: {rounds: 1}\n",
                                 cases[i].silos);
        cv_job *job = parse(text);
        assert_int_equal(job->n_silos, cases[i].n);
        assert_int_equal(job->silos_counted, cases[i].n);
        assert_string_equal(job->silos[0].name, cases[i].first);
        assert_string_equal(job->silos[job->n_silos - 1].name, cases[i].last);
        assert_int_equal(job->silos[0].ranks, 1);
        assert_true(job->silos[0].weight == 1);
        assert_int_equal(cv_job_silo_index(job, cases[i].last), cases[i].n - 1);
        assert_non_null(strstr(job->text, "\n  count: "));
        assert_null(strstr(job->text, cases[i].last));
        if (cases[i].n < 100000)
            check_fixed_point(job);
        cv_job_destroy(&job);
        free(text);
    }
}

/* Canonical texts of many shapes read back as themselves. */
static void test_fixed_points(void **state)
{
    (void)state;
    static const char *const edits[][2] = {
        {"strategy: fedavg", "strategy: fedavgm"},
        {"strategy: fedavg", "strategy: fedadam"},
        {"strategy: fedavg", "strategy: fedyogi"},
        {"strategy: fedavg", "strategy: fedadagrad"},
        {"strategy: fedavg", "strategy: scaffold"},
        {"strategy: fedavg", "strategy: fednova"},
        {"batch: 32", "batch: 32\n    proximal: 0"},
        {"batch: 32", "steps: 100"},
        {"batch: 32", "learning_rate: 0.30000000000000004"},
        {"batch: 32", "weight_decay: 5e-324"},
        {"batch: 32", "learning_rate: 12345678901234567890"},
        {"{kind: logistic}", "{kind: mlp, hidden: [1]}"},
        {"target: y", "target: \"# 'a': \\\\ [\""},
        {"target: y", "target: \xe2\x98\x83"},
        {"target: y", "target: 'null'"},
        {"target: y", "features: [{name: a, type: category, levels: [\"\\\"\", "
                      "'~']}]"},
        {"checkpoint: {every: 1}", "checkpoint:"},
        {"checkpoint: {every: 1}", "simulate: {source: a, test: b}"},
        {"checkpoint: {every: 1}", "simulate: {source: a, partition: shards}"},
        {"server: {}", "server:"},
        {"server: {}", "weights: declared"},
    };
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        cv_job *job = parse_edited(base, edits[i][0], edits[i][1]);
        check_fixed_point(job);
        cv_job_destroy(&job);
    }
    cv_job *job = parse_edited(base, "strategy: fedavg", "strategy: fedadam");
    assert_true(job->training.server.learning_rate == 0.01);
    assert_true(job->training.server.beta1 == 0.9);
    assert_true(job->training.server.beta2 == 0.99);
    assert_true(job->training.server.tau == 1e-3);
    cv_job_destroy(&job);
    job = parse_edited(base, "strategy: fedavg", "strategy: fedadagrad");
    assert_true(job->training.server.learning_rate == 0.1);
    assert_true(job->training.server.beta2 == 0);
    cv_job_destroy(&job);
    job = parse_edited(base, "strategy: fedavg", "strategy: fedavgm");
    assert_true(job->training.server.learning_rate == 1);
    assert_true(job->training.server.momentum == 0.9);
    cv_job_destroy(&job);
}

static const char counted[] = "covey: 1\n"
                              "name: c\n"
                              "silos: {count: 4, prefix: s}\n"
                              "simulate: {source: x.h5}\n"
                              "model: {kind: linear}\n"
                              "training: {rounds: 1}\n";

static const char masked[] = "covey: 1\n"
                             "name: m\n"
                             "silos: {count: 4}\n"
                             "simulate: {source: x.h5}\n"
                             "model: {kind: linear}\n"
                             "training: {rounds: 1, min_silos: 4}\n"
                             "secure_aggregation: {}\n";

static const char private[] =
    "covey: 1\n"
    "name: p\n"
    "silos: {count: 4}\n"
    "simulate: {source: x.h5}\n"
    "model: {kind: linear}\n"
    "training: {rounds: 1, weights: equal, local: {steps: 10}}\n"
    "secure_aggregation: {}\n"
    "privacy: {epsilon: 3, sampling: 0.5}\n";

#define ADDRESS_A "'0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'"
#define ADDRESS_B "'0xfB6916095Ca1df60bB79Ce92cE3Ea74c37c5d359'"
static const char chained[] =
    "covey: 1\nname: chained\n"
    "silos: [{name: a}, {name: b}, {name: c}, {name: d}, {name: e}, {name: f},"
    " {name: g}, {name: h}, {name: i}]"
    "\n"
    "simulate: {source: x.h5, test: t.h5}\n"
    "model: {kind: softmax}\n"
    "training: {rounds: 3, weights: equal, local: {steps: 5}}\n"
    "secure_aggregation: {}\n"
    "chain:\n"
    "  network: local\n"
    "  federation: " ADDRESS_A "\n"
    "  settle: {batch: 20, finality: safe}\n"
    "  rewards: {method: declared, token: " ADDRESS_B ", sponsor: " ADDRESS_A
    ", pool: '10.5', cap: 0.5}\n";

static const char glm[] = "covey: 1\n"
                          "name: g\n"
                          "silos: [{name: a}, {name: b}]\n"
                          "model: {kind: glm, formula: y ~ x + z}\n"
                          "training: {rounds: 25}\n";

#define COX "kind: cox, formula: 'Surv(t, d) ~ x'"

/* Two values of each key, which the digest must tell apart but for those that
 * may change when a run is extended.  Every path of the table must be here, so
 * a new key needs a line. */
static const struct {
    const char *path, *text, *from, *a, *b;
} changes[] = {
    {"name", base, "name: base", "name: base", "name: other"},
    {"silos", full, ", {name: C}", ", {name: C}", ""},
    {"silos.count", counted, "count: 4", "count: 4", "count: 5"},
    {"silos.prefix", counted, "prefix: s", "prefix: s", "prefix: t"},
    {"silos[].name", full, "{name: C}", "{name: C}", "{name: D}"},
    {"silos[].public_key", full, ", public_key: " KEY_A, "",
     ", public_key: " KEY_A},
    {"silos[].ranks", full, "ranks: 4", "ranks: 4", "ranks: 5"},
    {"silos[].weight", full, "weight: 2.5", "weight: 2.5", "weight: 2.25"},
    {"data.format", full, "format: csv", "format: csv", "format: idx"},
    {"data.target", full, "target: '5'", "target: '5'", "target: '6'"},
    {"data.target_type", full, "target: '5'", "target: '5'",
     "target: '5', target_type: category"},
    {"data.features", full, "{name: age, type: number, bounds: [-1.5, 120]},",
     "{name: age, type: number, bounds: [-1.5, 120]},", ""},
    {"data.features[].name", full, "name: age", "name: age", "name: ago"},
    {"data.features[].type", full, "name: town, type: category",
     "name: town, type: category", "name: town, bounds: [0, 1]"},
    {"data.features[].bounds", full, "-1.5", "-1.5", "-1.25"},
    {"data.features[].levels", full, "f, m,", "f, m,", "m, f,"},
    {"data.missing", full, "missing: mean", "missing: mean", "missing: drop"},
    {"data.standardize", full, "standardize: bounds", "standardize: bounds",
     "standardize: pooled"},
    {"data.test_fraction", full, "0.125", "0.125", "0.25"},
    {"data.target_levels", base, "target: y",
     "target: y\n  target_levels: [a, b]",
     "target: y\n  target_levels: [b, a]"},
    {"data.test", base, "target: y", "target: y", "target: y\n  test: t.h5"},
    {"simulate", base, "checkpoint: {every: 1}", "", "simulate: {source: x}"},
    {"simulate.source", counted, "x.h5", "x.h5", "y.h5"},
    {"simulate.test", counted, "x.h5", "x.h5", "x.h5, test: t.h5"},
    {"simulate.partition", counted, "x.h5", "x.h5, partition: modulo",
     "x.h5, partition: shards"},
    {"simulate.alpha", full, "alpha: 0.25", "alpha: 0.25", "alpha: 0.3"},
    {"model.kind", base, "logistic", "logistic", "softmax"},
    {"model.hidden", full, "[200, 65536]", "[200, 65536]", "[200]"},
    {"model.activation", full, "tanh", "tanh", "relu"},
    {"model.transform", base, "{kind: logistic}", "{kind: logistic}",
     "{kind: logistic, transform: scattering}"},
    {"model.image", base, "{kind: logistic}",
     "{kind: logistic, transform: scattering}",
     "{kind: logistic, transform: scattering, image: [28, 30]}"},
    {"training.strategy", base, "fedavg", "fedavg", "scaffold"},
    {"training.rounds", base, "rounds: 20", "rounds: 20", "rounds: 40"},
    {"training.participation", full, "participation: 0.75",
     "participation: 0.75", "participation: 0.875"},
    {"training.min_silos", full, "min_silos: 2", "min_silos: 2",
     "min_silos: 3"},
    {"training.weights", base, "server: {}", "weights: equal", "weights: rows"},
    {"training.seed", full, "seed: 9223372036854775807",
     "seed: 9223372036854775807", "seed: 9223372036854775806"},
    {"training.tolerance", full, "1e-6", "1e-6", "1e-7"},
    {"training.local.epochs", full, "steps: 7", "epochs: 7", "epochs: 8"},
    {"training.local.steps", full, "steps: 7", "steps: 7", "steps: 8"},
    {"training.local.batch", full, "batch: 5", "batch: 5", "batch: 6"},
    {"training.local.learning_rate", full, "learning_rate: .5",
     "learning_rate: .5", "learning_rate: .6"},
    {"training.local.momentum", full, "momentum: 0.9", "momentum: 0.9",
     "momentum: 0.8"},
    {"training.local.weight_decay", full, "1.0e-4", "1.0e-4", "2.0e-4"},
    {"training.local.proximal", base, "fedavg\n  local:\n",
     "fedprox\n  local:\n    proximal: 0.1\n",
     "fedprox\n  local:\n    proximal: 0.2\n"},
    {"training.server.learning_rate", base, "server: {}",
     "server: {learning_rate: 0.5}", "server: {learning_rate: 0.4}"},
    {"training.server.momentum", base,
     "fedavg\n  local:\n    batch: 32\n"
     "  server: {}",
     "fedavgm\n  server: {momentum: 0.5}", "fedavgm\n  server: {momentum: 0}"},
    {"training.server.beta1", full, "beta1: 0.5", "beta1: 0.5", "beta1: 0.6"},
    {"training.server.beta2", full, "beta2: 0.75", "beta2: 0.75", "beta2: 0.8"},
    {"training.server.tau", full, "tau: 1e-2", "tau: 1e-2", "tau: 2e-2"},
    {"checkpoint.every", full, "every: 5", "every: 5", "every: 6"},
    {"checkpoint.keep", full, "keep: 0", "keep: 0", "keep: 1"},
    {"disclosure.min_rows", full, "min_rows: 10", "min_rows: 10",
     "min_rows: 11"},
    {"secure_aggregation", masked, "secure_aggregation: {}", "",
     "secure_aggregation: {}"},
    {"secure_aggregation.enabled", masked, "secure_aggregation: {}",
     "secure_aggregation: {}", "secure_aggregation: {enabled: false}"},
    {"secure_aggregation.collusion", masked, "secure_aggregation: {}",
     "secure_aggregation: {}", "secure_aggregation: {collusion: 2}"},
    {"secure_aggregation.clip", masked, "secure_aggregation: {}",
     "secure_aggregation: {}", "secure_aggregation: {clip: 99}"},
    {"privacy", private, "privacy: {epsilon: 3, sampling: 0.5}", "",
     "privacy: {epsilon: 3, sampling: 0.5}"},
    {"privacy.unit", private, "{epsilon: 3, sampling: 0.5}",
     "{epsilon: 3, sampling: 0.5}", "{epsilon: 3, unit: silo}"},
    {"privacy.epsilon", private, "epsilon: 3", "epsilon: 3", "epsilon: 2"},
    {"privacy.noise_multiplier", private, "epsilon: 3", "epsilon: 3",
     "epsilon: 3, noise_multiplier: 1.5"},
    {"privacy.delta", private, "epsilon: 3", "epsilon: 3",
     "epsilon: 3, delta: 1.0e-6"},
    {"privacy.clip", private, "epsilon: 3", "epsilon: 3",
     "epsilon: 3, clip: 2"},
    {"privacy.sampling", private, "0.5", "0.5", "0.25"},
    {"privacy.noise", private, "epsilon: 3", "epsilon: 3",
     "epsilon: 3, noise: local"},
    {"privacy.accountant", private, "epsilon: 3", "epsilon: 3",
     "epsilon: 3, accountant: rdp"},
    {"privacy.adaptive", private, "sampling: 0.5", "unit: silo",
     "unit: silo, adaptive: {}"},
    {"privacy.adaptive.quantile", private, "sampling: 0.5",
     "unit: silo, adaptive: {}", "unit: silo, adaptive: {quantile: 0.75}"},
    {"privacy.adaptive.rate", private, "sampling: 0.5",
     "unit: silo, adaptive: {}", "unit: silo, adaptive: {rate: 0.25}"},
    {"silos[].payee", chained, "{name: a}", "{name: a}",
     "{name: a, payee: " ADDRESS_A "}"},
    {"silos[].share", chained, "{name: a}", "{name: a, share: 2}",
     "{name: a, share: 3}"},
    {"chain", chained,
     "chain:\n  network: local\n  federation: " ADDRESS_A
     "\n  settle: {batch: 20, finality: safe}\n  rewards: {method: declared, "
     "token: " ADDRESS_B ", sponsor: " ADDRESS_A ", pool: '10.5', cap: 0.5}\n",
     "", "chain: {network: none}\n"},
    {"chain.network", chained,
     "chain:\n  network: local\n  federation: " ADDRESS_A
     "\n  settle: {batch: 20, finality: safe}\n  rewards: {method: declared, "
     "token: " ADDRESS_B ", sponsor: " ADDRESS_A ", pool: '10.5', cap: 0.5}\n",
     "chain: {network: none}\n",
     "chain: {network: local, federation: " ADDRESS_A "}\n"},
    {"chain.federation", chained, "federation: " ADDRESS_A,
     "federation: " ADDRESS_A, "federation: " ADDRESS_B},
    {"chain.settle.batch", chained, "batch: 20", "batch: 20", "batch: 21"},
    {"chain.settle.finality", chained, "finality: safe", "finality: safe",
     "finality: mined"},
    {"chain.rewards", chained,
     "  rewards: {method: declared, token: " ADDRESS_B ", sponsor: " ADDRESS_A
     ", pool: '10.5', cap: 0.5}\n",
     "",
     "  rewards: {token: " ADDRESS_B ", sponsor: " ADDRESS_A
     ", pool: '10.5'}\n"},
    {"chain.rewards.method", chained, "method: declared", "method: equal",
     "method: shapley"},
    {"chain.rewards.token", chained, "token: " ADDRESS_B, "token: " ADDRESS_B,
     "token: " ADDRESS_A},
    {"chain.rewards.sponsor", chained, "sponsor: " ADDRESS_A,
     "sponsor: " ADDRESS_A, "sponsor: " ADDRESS_B},
    {"chain.rewards.pool", chained, "'10.5'", "'10.5'", "'10.50'"},
    {"chain.rewards.decimals", chained, "'10.5'", "'10.5', decimals: 6",
     "'10.5', decimals: 7"},
    {"chain.rewards.cap", chained, "cap: 0.5", "cap: 0.5", "cap: 0.4"},
    {"chain.rewards.groups", chained, "method: declared",
     "method: shapley, groups: 3", "method: shapley"},
    {"chain.rewards.version", chained, "cap: 0.5", "cap: 0.5, version: 1",
     "cap: 0.5, version: 2"},
    {"model.formula", glm, "y ~ x + z", "y ~ x + z", "y ~ x * z"},
    {"model.family", glm, "kind: glm", "kind: glm", "kind: glm, family: gamma"},
    {"model.link", glm, "kind: glm", "kind: glm, link: identity",
     "kind: glm, link: log"},
    {"model.strata", glm, "kind: glm", "kind: glm", "kind: glm, strata: silo"},
    {"model.ties", glm, "kind: glm, formula: y ~ x + z", COX,
     COX ", ties: breslow"},
    {"model.bins", glm, "kind: glm, formula: y ~ x + z",
     COX ", strata: none, bins: [0, 30]", COX ", strata: none, bins: [0, 60]"},
    {"model.ridge", glm, "kind: glm", "kind: glm", "kind: glm, ridge: 0.5"},
    {"model.weights", glm, "kind: glm", "kind: glm", "kind: glm, weights: w"},
    {"model.collinear", glm, "kind: glm", "kind: glm",
     "kind: glm, collinear: refuse"},
    {"model.features", glm, "kind: glm", "kind: kernel_ridge, features: 99",
     "kind: kernel_ridge, features: 98"},
    {"model.gamma", glm, "kind: glm", "kind: kernel_ridge",
     "kind: kernel_ridge, gamma: 0.5"},
    {"model.components", glm, "kind: glm, formula: y ~ x + z", "kind: pca",
     "kind: pca, components: 3"},
    {"model.scale", glm, "kind: glm, formula: y ~ x + z", "kind: pca",
     "kind: pca, scale: true"},
    {"disclosure.min_cell", glm, "training: {rounds: 25}",
     "training: {rounds: 25}\n",
     "training: {rounds: 25}\ndisclosure: {min_cell: 4}\n"},
    {"disclosure.rows_per_parameter", glm, "training: {rounds: 25}",
     "training: {rounds: 25}\n",
     "training: {rounds: 25}\ndisclosure: {rows_per_parameter: 0.5}\n"},
    /* These have one value so far. */
    {"covey", NULL, NULL, NULL, NULL},
    {"training.local.optimizer", NULL, NULL, NULL, NULL},
};

static void test_digest(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        if (!changes[i].text)
            continue;
        print_message("%s\n", changes[i].path);
        cv_job *a =
            parse_edited(changes[i].text, changes[i].from, changes[i].a);
        cv_job *b =
            parse_edited(changes[i].text, changes[i].from, changes[i].b);
        int same = strcmp(changes[i].path, "training.rounds") == 0 ||
                   strcmp(changes[i].path, "chain.rewards.version") == 0 ||
                   strncmp(changes[i].path, "chain.settle.", 13) == 0 ||
                   strncmp(changes[i].path, "checkpoint.", 11) == 0;
        assert_int_equal(memcmp(a->digest, b->digest, 32) == 0, same);
        assert_string_not_equal(a->text, b->text);
        check_fixed_point(a);
        check_fixed_point(b);
        cv_job_destroy(&a);
        cv_job_destroy(&b);
    }
    for (size_t i = 0; i < cv_job_keys.n; i++) {
        int found = 0; /* rows of one path share a case */
        for (size_t k = 0; k < sizeof changes / sizeof *changes; k++)
            found += strcmp(changes[k].path, cv_job_keys.row[i].path) == 0;
        if (found != 1)
            print_message("no case for %s\n", cv_job_keys.row[i].path);
        assert_int_equal(found, 1);
    }
}

/* Digests of jobs from before the keys for masks, privacy and transforms were
 * there: what is not used changes no text. */
static void test_old_digests(void **state)
{
    (void)state;
    char *mlp = edit(base, "logistic", "mlp, hidden: [3]");
    char *poisson = edit(base, "logistic", "poisson");
    const char *const old[][2] = {
        {base, "9718ce6a6fd73da3234d65acc3af9596"
               "46279a46eb491e0611c2c63890778896"},
        {full, "20a4fc60d96ae33d554c8c5c472642ba"
               "90e94b58a46617dda225bf1f2d709021"},
        {counted, "ad2f001435d114728bc7a3785a37eecc"
                  "fdb520e0e6fc245f1887410e680805f3"},
        {cv_template_job, "08b79aef46f3f11dd4507819aaea3c1a"
                          "a76c1b9d6c7d9b664da53f8d3444a9ba"},
        {mlp, "c15821a9f265f109222926582e5233f4"
              "9d6b0fdc172162b568557232cb0c4d50"},
        {poisson, "06566c8da940dc41acfc7ac35cada3c4"
                  "25ce1b216001b1aaff996e9f434bc6ca"},
    };
    for (size_t i = 0; i < sizeof old / sizeof *old; i++) {
        cv_job *job = parse(old[i][0]);
        char hex[65];
        cv_hex(hex, job->digest, 32);
        assert_string_equal(hex, old[i][1]);
        assert_string_equal(job->model.transform, "none");
        cv_job_destroy(&job);
    }
    /* Saying the default says nothing. */
    cv_job *job = parse_edited(base, "{kind: logistic}",
                               "{kind: logistic, transform: none}");
    cv_job *same = parse(base);
    assert_memory_equal(job->digest, same->digest, 32);
    cv_job_destroy(&job);
    cv_job_destroy(&same);
    free(mlp);
    free(poisson);
}

/* Order, notation and comments are not part of the job. */
static void test_same_job(void **state)
{
    (void)state;
    cv_job *a = parse(base), *b = parse("# same\n"
                                        "training:\n"
                                        "    local: {batch: 32, epochs: 1}\n"
                                        "    rounds: +20\n"
                                        "    participation: 1.0e0\n"
                                        "model:\n"
                                        "    kind: 'logistic'\n"
                                        "silos:\n"
                                        "- name: \"north\"\n"
                                        "  ranks: 1\n"
                                        "- {name: south}\n"
                                        "data: {target: \"y\"}\n"
                                        "name: base\n"
                                        "covey: 1\n");
    assert_string_equal(a->text, b->text);
    assert_memory_equal(a->digest, b->digest, 32);
    cv_job_destroy(&b);
    /* Nor is the order of the silos free: they are numbered by it. */
    b = parse_edited(base, "{name: north}\n  - {name: south}",
                     "{name: south}\n  - {name: north}");
    assert_memory_not_equal(a->digest, b->digest, 32);
    cv_job_destroy(&a);
    cv_job_destroy(&b);
}

static void test_load(void **state)
{
    (void)state;
    char dir[] = "/tmp/covey-job-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path = cv_fs_join(dir, "job.yaml");
    cv_job *job = (cv_job *)1;
    cv_err err = {0};
    assert_int_equal(cv_job_load(path, &job, &err), CV_ERR_INPUT);
    assert_null(job);
    assert_string_equal(err.file, path);
    assert_int_equal(cv_job_load(dir, &job, &err), CV_ERR_INPUT);

    assert_int_equal(cv_fs_write(path, base, sizeof base - 1, 0644, &err), 0);
    assert_int_equal(cv_job_load(path, &job, &err), 0);
    assert_string_equal(job->file, path);
    assert_string_equal(job->name, "base");
    cv_job *same = parse(base);
    assert_memory_equal(job->digest, same->digest, 32);
    cv_job_destroy(&job);
    cv_job_destroy(&same);

    /* The NUL byte at the end of the array. */
    assert_int_equal(cv_fs_write(path, base, sizeof base, 0644, &err), 0);
    assert_int_equal(cv_job_load(path, &job, &err), CV_ERR_INPUT);
    assert_non_null(strstr(err.text, "NUL"));
    assert_int_equal(err.line, 16);
    unlink(path);
    rmdir(dir);
    free(path);
}

static void test_words(void **state)
{
    (void)state;
    size_t n;
    const char *const *words = cv_job_words("training.strategy", &n);
    assert_int_equal(n, 9);
    assert_string_equal(words[7], "fednova");
    assert_string_equal(words[8], "newton");
    words = cv_job_words("data.standardize", &n);
    assert_int_equal(n, 3);
    assert_string_equal(words[CV_STANDARDIZE_POOLED], "pooled");
    words = cv_job_words("simulate.partition", &n);
    assert_string_equal(words[CV_PARTITION_SHARDS], "shards");
    words = cv_job_words("privacy.unit", &n);
    assert_string_equal(words[CV_UNIT_SILO], "silo");
    words = cv_job_words("privacy.noise", &n);
    assert_string_equal(words[CV_NOISE_LOCAL], "local");
    words = cv_job_words("privacy.accountant", &n);
    assert_string_equal(words[CV_ACCOUNTANT_RDP], "rdp");
    words = cv_job_words("model.strata", &n);
    assert_string_equal(words[CV_STRATA_SILO], "silo");
    words = cv_job_words("model.collinear", &n);
    assert_string_equal(words[CV_COLLINEAR_REFUSE], "refuse");
    words = cv_job_words("data.features[].type", &n);
    assert_string_equal(words[CV_FEATURE_CATEGORY], "category");
}

/* Many silos: names are found and compared without n^2 steps. */
static void test_many_silos(void **state)
{
    (void)state;
    cv_buf b = {0};
    cv_buf_printf(&b, "covey: 1\nname: many\nmodel: {kind: linear}\n"
                      "training: {rounds: 1}\nsilos:\n");
    for (int i = 0; i < 100000; i++)
        cv_buf_printf(&b, "- {name: n%d}\n", i * 7919 % 100000);
    cv_job *job = parse(cv_buf_text(&b));
    assert_int_equal(job->n_silos, 100000);
    for (int i = 0; i < job->n_silos; i += 997)
        assert_int_equal(cv_job_silo_index(job, job->silos[i].name), i);
    check_fixed_point(job);
    cv_job_destroy(&job);
    cv_buf_printf(&b, "- {name: n7919}\n");
    cv_err err = {0};
    assert_int_equal(cv_job_parse(cv_buf_text(&b), "f", &job, &err),
                     CV_ERR_INPUT);
    assert_int_equal(err.line, 100006);
    assert_non_null(strstr(err.text, "'n7919' again, first on line 7"));

    /* What is readable as a file but not once the defaults are in. */
    for (int i = 100000; i < 300000; i++)
        cv_buf_printf(&b, "- {name: n%d}\n", i);
    char *text = edit(cv_buf_text(&b), "- {name: n7919}\n- {name: n100000}",
                      "- {name: n100000}");
    int rc = cv_job_parse(text, "f", &job, &err);
    print_message("%s\n", err.text);
    assert_int_equal(rc, CV_ERR_INPUT);
    assert_non_null(strstr(err.text, "too large"));
    free(text);
    cv_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_full),
        cmocka_unit_test(test_counted),  cmocka_unit_test(test_fixed_points),
        cmocka_unit_test(test_digest),   cmocka_unit_test(test_old_digests),
        cmocka_unit_test(test_same_job), cmocka_unit_test(test_load),
        cmocka_unit_test(test_words),    cmocka_unit_test(test_many_silos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
