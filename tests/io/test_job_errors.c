/* Wrong job files: each is refused at the right line, in words that say what
 * was expected, what was found, and what was probably meant. */
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

#define KEY                                                                    \
    "0x02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_NAME                                                              \
    "a123456789b123456789c123456789d123456789e123456789f123456789abcde"

/* In base, `from` becomes `to`. */
static const struct {
    const char *from, *to;
    int line;
    const char *says[3];
} cases[] = {
    /* keys that are not there */
    {"batch: 32",
     "lerning_rate: 1",
     13,
     {"training.local: unknown key 'lerning_rate'; did you mean "
      "'learning_rate'?"}},
    {"silos:\n", "silo:\n", 3, {"unknown key 'silo'; did you mean 'silos'?"}},
    {"target: y", "tagret: y", 7, {"data: unknown key 'tagret'", "'target'?"}},
    {"batch: 32",
     "zzz: 1",
     13,
     {"the keys here are epochs, steps, batch, optimizer, learning_rate, "
      "momentum, weight_decay, proximal"}},
    {"checkpoint:",
     "xyzzy_plugh:",
     15,
     {"unknown key 'xyzzy_plugh'; the keys here are covey, name, silos, data, "
      "simulate, model, training, checkpoint, disclosure, secure_aggregation, "
      "privacy"}},
    {"rounds: 20",
     "rounds: 20\n  learning_rate: 1",
     11,
     {"training: unknown key 'learning_rate'; it belongs in 'training.local' "
      "or 'training.server'"}},
    {"target: y", "target: y\n  rounds: 1", 8, {"it belongs in 'training'"}},
    {"target: y", "target: y\n  covey: 1", 8, {"it belongs at the top"}},
    {"name: base\n", "name: base\nRounds: 1\n", 3, {"unknown key 'Rounds'"}},
    {"name: base\n",
     "name: base\ntraining.seed: 1\n",
     3,
     {"unknown key 'training.seed'"}},
    {"{name: south}",
     "{nmae: south}",
     5,
     {"silos: unknown key 'nmae'; did you mean 'name'?"}},
    {"{name: south}",
     "{name: south, data: /x}",
     5,
     {"silos: unknown key 'data'"}},
    {"name: base\n", "silos[]: 1\nname: base\n", 2, {"unknown key 'silos[]'"}},
    {"name: base\n", "\"\\e[31m\": 1\n", 2, {"unknown key '?[31m'"}},
    {"name: base\n", "'': 1\nname: base\n", 2, {"unknown key ''"}},
    {"target: y",
     "privacy: {}",
     7,
     {"data: unknown key 'privacy'; it belongs at the top"}},
    {"batch: 32",
     "batch: 32\n    batch: 33",
     14,
     {"key 'batch' is given twice, first on line 13"}},

    /* keys that must be there */
    {"covey: 1\n", "", 1, {"missing key 'covey' (version of the job file)"}},
    {"name: base\n", "", 1, {"missing key 'name'", "at most 64 letters"}},
    {"rounds: 20",
     "seed: 20",
     9,
     {"missing key 'training.rounds' (number of rounds); expected a whole "
      "number from 1"}},
    {"model: {kind: logistic}\n",
     "",
     1,
     {"missing key 'model.kind'", "one of linear, logistic, softmax"}},
    {"{kind: logistic}", "{}", 8, {"missing key 'model.kind'"}},
    {"{kind: logistic}", "", 8, {"missing key 'model.kind'"}},
    {"{kind: logistic}",
     "{kind: mlp}",
     8,
     {"missing key 'model.hidden'", "a list of 1 to 16 whole numbers from 1 to "
                                    "65536"}},
    {"{name: south}", "{ranks: 2}", 5, {"missing key 'silos.name'"}},
    {"{name: south}", "{}", 5, {"missing key 'silos.name'"}},
    {"target: y",
     "features: [{name: a},\n   {type: number}]",
     8,
     {"missing key 'data.features.name'"}},
    {"checkpoint: {every: 1}",
     "simulate:",
     15,
     {"missing key 'simulate.source'"}},
    {"checkpoint: {every: 1}",
     "simulate: {alpha: 1, partition: dirichlet}",
     15,
     {"missing key 'simulate.source'"}},

    /* wrong kinds of value */
    {"covey: 1",
     "covey: 2",
     1,
     {"covey: expected 1, the version of job files that this program reads; "
      "found '2'"}},
    {"covey: 1", "covey: 1.0", 1, {"covey: expected 1", "found '1.0'"}},
    {"rounds: 20",
     "rounds: \"20\"",
     10,
     {"training.rounds: expected a whole number from 1 to 1000000000; found "
      "\"20\"; the quotes make it text, remove them"}},
    {"rounds: 20", "rounds: '20'", 10, {"the quotes make it text"}},
    {"rounds: 20", "rounds: 20.5", 10, {"a whole number", "found '20.5'"}},
    {"rounds: 20", "rounds: 1e3", 10, {"a whole number", "found '1e3'"}},
    {"rounds: 20", "rounds: 0", 10, {"from 1 to 1000000000; found '0'"}},
    {"rounds: 20", "rounds: -3", 10, {"found '-3'"}},
    {"rounds: 20", "rounds: 020", 10, {"found '020'"}},
    {"rounds: 20", "rounds: 0x14", 10, {"found '0x14'"}},
    {"rounds: 20", "rounds: 1_000", 10, {"found '1_000'"}},
    {"rounds: 20", "rounds: 99999999999999999999", 10, {"found '999999999"}},
    {"rounds: 20", "rounds: many", 10, {"found 'many'"}},
    {"rounds: 20", "rounds:", 10, {"found nothing"}},
    {"rounds: 20", "rounds: ~", 10, {"found '~'"}},
    {"rounds: 20", "rounds: [20]", 10, {"found a list of 1"}},
    {"rounds: 20", "rounds: {a: 20}", 10, {"found keys and values"}},
    {"batch: 32",
     "learning_rate: 0",
     13,
     {"training.local.learning_rate: expected a number > 0; found '0'"}},
    {"batch: 32", "learning_rate: fast", 13, {"found 'fast'"}},
    {"batch: 32", "learning_rate: .inf", 13, {"found '.inf'"}},
    {"batch: 32", "learning_rate: .nan", 13, {"found '.nan'"}},
    {"batch: 32", "learning_rate: 1e999", 13, {"found '1e999'"}},
    {"batch: 32", "learning_rate: \"0.1\"", 13, {"the quotes make it text"}},
    {"batch: 32",
     "momentum: 1",
     13,
     {"expected a number >= 0 and < 1; found '1'"}},
    {"batch: 32", "momentum: -0.1", 13, {"found '-0.1'"}},
    {"batch: 32", "weight_decay: -1", 13, {"a number >= 0"}},
    {"batch: 32", "batch: 0", 13, {"training.local.batch"}},
    {"batch: 32", "epochs: 0", 13, {"training.local.epochs"}},
    {"batch: 32",
     "optimizer: adam",
     13,
     {"training.local.optimizer: expected sgd; found 'adam'"}},
    {"rounds: 20",
     "rounds: 20\n  participation: 0",
     11,
     {"expected a number > 0 and <= 1; found '0'"}},
    {"rounds: 20", "rounds: 20\n  participation: 1.01", 11, {"found '1.01'"}},
    {"rounds: 20",
     "rounds: 20\n  seed: -1",
     11,
     {"from 0 to 9223372036854775807; found '-1'"}},
    {"rounds: 20",
     "rounds: 20\n  seed: 9223372036854775808",
     11,
     {"training.seed"}},
    {"rounds: 20",
     "rounds: 20\n  tolerance: -1e-9",
     11,
     {"training.tolerance: expected a number >= 0"}},
    {"checkpoint: {every: 1}",
     "checkpoint: {every: 0}",
     15,
     {"checkpoint.every"}},
    {"checkpoint: {every: 1}",
     "checkpoint: {keep: -1}",
     15,
     {"checkpoint.keep: expected a whole number from 0"}},
    {"checkpoint: {every: 1}",
     "disclosure: {min_rows: 0}",
     15,
     {"disclosure.min_rows"}},
    {"checkpoint: {every: 1}",
     "checkpoint: often",
     15,
     {"checkpoint: expected 'key: value' lines below it; found 'often'"}},
    {"checkpoint: {every: 1}", "checkpoint: [1]", 15, {"found a list of 1"}},
    {"  server: {}",
     "  server: 1",
     14,
     {"training.server: expected 'key: value' lines below it; found '1'"}},

    /* words */
    {"fedavg",
     "fedagv",
     11,
     {"training.strategy: expected one of fedavg, fedprox, fedavgm, fedadam, "
      "fedyogi, fedadagrad, scaffold, fednova, newton; found 'fedagv'; did "
      "you mean 'fedavg'?"}},
    {"fedavg", "FedAvg", 11, {"found 'FedAvg'; did you mean 'fedavg'?"}},
    {"fedavg", "7", 11, {"found '7'"}},
    {"fedavg", "[fedavg]", 11, {"found a list of 1"}},
    {"logistic", "logisitc", 8, {"did you mean 'logistic'?"}},
    {"logistic",
     "forest",
     8,
     {"one of linear, logistic, softmax, poisson, mlp, glm, cox, ridge, "
      "kernel_ridge, pca; found 'forest'"}},
    {"logistic", "kernel-ridge", 8, {"did you mean 'kernel_ridge'?"}},
    {"target: y", "format: hdf", 7, {"did you mean 'hdf5'?"}},
    {"target: y",
     "format: parquet",
     7,
     {"expected one of hdf5, csv, idx; found 'parquet'"}},
    {"target: y", "missing: ignore", 7, {"one of drop, mean, fail"}},
    {"target: y", "standardize: pool", 7, {"did you mean 'pooled'?"}},
    {"target: y", "standardize: yes", 7, {"one of none, pooled, bounds"}},
    {"rounds: 20", "rounds: 20\n  weights: row", 11, {"'rows'?"}},
    {"logistic", "mlp, hidden: [3], activation: rlu", 8, {"'relu'?"}},
    {"checkpoint: {every: 1}",
     "simulate: {source: x, partition: dirchlet}",
     15,
     {"did you mean 'dirichlet'?"}},

    /* texts and names */
    {"name: base",
     "name: my job",
     2,
     {"name: expected a name of at most 64 letters", "found 'my job'"}},
    {"name: base", "name: " LONG_NAME, 2, {"at most 64", "..."}},
    {"name: base", "name: ../x", 2, {"found '../x'"}},
    {"name: base", "name: .x", 2, {"found '.x'"}},
    {"name: base", "name: -x", 2, {"found '-x'"}},
    {"name: base", "name: \xc3\xa9", 2, {"found '\xc3\xa9'"}},
    {"name: base", "name: ''", 2, {"found \"\""}},
    {"name: base", "name:", 2, {"found nothing"}},
    {"name: base", "name: null", 2, {"found 'null'"}},
    {"name: base", "name: [a]", 2, {"found a list"}},
    {"target: y",
     "target: \"a\\nb\"",
     7,
     {"text without control characters; found \"a?b\""}},
    {"target: y", "target: \"a\\u202Eb\"", 7, {"found \"a?b\""}},
    {"target: y", "target: ~", 7, {"data.target"}},

    /* silos */
    {"{name: south}",
     "{name: north}",
     5,
     {"silos.name: expected each only once; found 'north' again, first on "
      "line 4"}},
    {"{name: south}",
     "south",
     5,
     {"silos: expected 'key: value' in each item; found 'south'"}},
    {"{name: south}", "", 5, {"in each item; found nothing"}},
    {"{name: south}", "{name: a b}", 5, {"silos.name: expected a name"}},
    {"{name: south}", "{name: a/b}", 5, {"silos.name: expected a name"}},
    {"{name: south}",
     "{name: south, ranks: 0}",
     5,
     {"silos.ranks: expected a whole number from 1"}},
    {"{name: south}",
     "{name: south, public_key: 0x02ab}",
     5,
     {"silos.public_key: expected 0x02 or 0x03 and 64 more hex digits"}},
    {"{name: south}",
     "{name: south, public_key: " KEY "a}",
     5,
     {"silos.public_key"}},
    {"{name: south}",
     "{name: south, public_key: "
     "0x04aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}",
     5,
     {"silos.public_key"}},
    {"{name: south}",
     "{name: south, public_key: "
     "0x02gaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}",
     5,
     {"silos.public_key"}},
    {"- {name: north}\n  - {name: south}",
     "- {name: north, public_key: " KEY "}\n"
     "  - {name: mid}\n"
     "  - {name: south, public_key: 0x02"
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA}",
     6,
     {"silos.public_key: expected each only once", "first on line 4"}},
    {"{name: south}",
     "{name: south, weight: 2}",
     5,
     {"silos.weight: used only with training.weights declared; found "
      "training.weights 'rows'"}},
    {"  - {name: north}\n  - {name: south}\n",
     "  []\n",
     4,
     {"silos: expected a list such as [{name: north}", "found a list of 0"}},
    {"\n  - {name: north}\n  - {name: south}\n",
     " north\n",
     3,
     {"silos: expected a list", "found 'north'"}},
    {"\n  - {name: north}\n  - {name: south}\n", "\n", 3, {"found nothing"}},
    {"\n  - {name: north}\n  - {name: south}\n",
     " {count: 2}\n",
     3,
     {"silos: {count, prefix} makes simulated silos", "simulate"}},
    {"\n  - {name: north}\n  - {name: south}\n",
     " {prefix: s}\nsimulate: {source: x}\n",
     3,
     {"missing key 'silos.count'"}},
    {"\n  - {name: north}\n  - {name: south}\n",
     " {count: 1000001}\nsimulate: {source: x}\n",
     3,
     {"silos.count: expected a whole number from 1 to 1000000"}},
    {"\n  - {name: north}\n  - {name: south}\n",
     " {count: 0}\nsimulate: {source: x}\n",
     3,
     {"silos.count"}},
    {"\n  - {name: north}\n  - {name: south}\n",
     " {count: 2, prefix: a/b}\nsimulate: {source: x}\n",
     3,
     {"silos.prefix", "found 'a/b'"}},
    {"\n  - {name: north}\n  - {name: south}\n",
     " {count: 2, prefix: " LONG_NAME "}\nsimulate: {source: x}\n",
     3,
     {"silos.prefix: expected at most 56"}},
    {"\n  - {name: north}\n  - {name: south}\n",
     " {count: 2, ranks: 2}\nsimulate: {source: x}\n",
     3,
     {"silos: unknown key 'ranks'"}},
    {"rounds: 20",
     "rounds: 20\n  min_silos: 3",
     11,
     {"training.min_silos: expected at most the number of silos, which is 2; "
      "found 3"}},

    /* data */
    {"target: y", "test_fraction: 1", 7, {"a number >= 0 and < 1"}},
    {"target: y",
     "features: []",
     7,
     {"data.features: expected a list such as", "found a list of 0"}},
    {"target: y", "features: [age]", 7, {"data.features", "found 'age'"}},
    {"target: y",
     "features: {name: age}",
     7,
     {"data.features: expected a "
      "list"}},
    {"target: y",
     "features: [{name: a},\n {name: b},\n {name: a}]",
     9,
     {"data.features.name: expected each only once; found 'a' again, first on "
      "line 7"}},
    {"target: y",
     "features:\n  - name: a\n  - name: label\n",
     9,
     {"data.features: 'label' is the target"}},
    {"target: y",
     "features: [{name: a, type: integer}]",
     7,
     {"data.features.type: expected one of number, category; found "
      "'integer'"}},
    {"target: y",
     "features: [{name: a, bounds: [1]}]",
     7,
     {"two numbers [low, high] with low < high; found a list of 1"}},
    {"target: y", "features: [{name: a, bounds: [1, 1]}]", 7, {"low < high"}},
    {"target: y", "features: [{name: a, bounds: [0, x]}]", 7, {"found 'x'"}},
    {"target: y", "features: [{name: a, bounds: 5}]", 7, {"found '5'"}},
    {"target: y",
     "features: [{name: a, levels: [x]}]",
     7,
     {"data.features.levels: used only with data.features.type category; found "
      "data.features.type 'number'"}},
    {"target: y",
     "features: [{name: a, type: category,\n bounds: [0, 1]}]",
     8,
     {"data.features.bounds: used only with data.features.type number"}},
    {"target: y",
     "features: [{name: a, type: category,\n levels: [x, y,\n x]}]",
     9,
     {"data.features.levels: expected each only once; found 'x' again, first "
      "on line 8"}},
    {"target: y",
     "features: [{name: a, type: category, levels: []}]",
     7,
     {"a list of 1 to 1000000 texts"}},
    {"target: y",
     "features: [{name: a, type: category, levels: [[x]]}]",
     7,
     {"data.features.levels"}},
    {"target: y",
     "standardize: bounds",
     7,
     {"data.standardize: bounds needs data.features"}},
    {"target: y",
     "standardize: bounds\n  features:\n  - {name: a, bounds: [0, 1]}\n"
     "  - {name: c, type: category}\n  - {name: b}",
     11,
     {"data.features: 'b' needs bounds"}},

    /* keys that go together */
    {"checkpoint: {every: 1}",
     "simulate: {source: x, alpha: 1}",
     15,
     {"simulate.alpha: used only with simulate.partition dirichlet; found "
      "simulate.partition 'iid'"}},
    {"checkpoint: {every: 1}",
     "simulate: {source: x, partition: dirichlet, alpha: 0}",
     15,
     {"simulate.alpha: expected a number > 0"}},
    {"target: y\n",
     "target: y\n  test_fraction: 0.1\nsimulate: {source: x, test: t}\n",
     8,
     {"data.test_fraction: expected 0, for simulate.test gives the test "
      "rows"}},
    {"checkpoint: {every: 1}",
     "simulate: x.h5",
     15,
     {"simulate: expected 'key: value' lines below it; found 'x.h5'"}},
    {"logistic",
     "logistic, hidden: [3]",
     8,
     {"model.hidden: used only with model.kind mlp; found model.kind "
      "'logistic'"}},
    {"logistic",
     "logistic, activation: relu",
     8,
     {"model.activation: used only with model.kind mlp"}},
    {"logistic", "mlp, hidden: []", 8, {"model.hidden", "found a list of 0"}},
    {"logistic", "mlp, hidden: 200", 8, {"model.hidden", "found '200'"}},
    {"logistic", "mlp, hidden: [0]", 8, {"model.hidden", "found '0'"}},
    {"logistic", "mlp, hidden: [65537]", 8, {"found '65537'"}},
    {"logistic",
     "mlp, hidden: [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
     8,
     {"found a list of 17"}},
    {"batch: 32",
     "epochs: 1\n    steps: 1",
     14,
     {"training.local.steps: expected either epochs or steps, found both"}},
    {"fedavg",
     "fedprox",
     12,
     {"training.local.proximal: strategy fedprox needs a number > 0"}},
    {"batch: 32",
     "batch: 32\n    proximal: 0.1",
     14,
     {"training.local.proximal: used only with training.strategy fedprox, "
      "fednova; found training.strategy 'fedavg'"}},
    {"server: {}",
     "server: {momentum: 0.9}",
     14,
     {"training.server.momentum: used only with training.strategy fedavgm; "
      "found training.strategy 'fedavg'; remove the key or change "
      "training.strategy"}},
    {"server: {}",
     "server: {beta1: 0.9}",
     14,
     {"used only with training.strategy fedadam, fedyogi, fedadagrad"}},
    {"fedavg\n",
     "fedadagrad\n  server: {beta2: 0.9}\n",
     12,
     {"used only with training.strategy fedadam, fedyogi; found "
      "training.strategy 'fedadagrad'"}},
    {"server: {}", "server: {tau: 0.1}", 14, {"training.server.tau"}},
    {"fedavg\n", "fedadam\n  server: {tau: 0}\n", 12, {"a number > 0"}},
    {"fedavg\n",
     "fedadam\n  server: {beta2: 1}\n",
     12,
     {"a number >= 0 and < 1"}},
    {"server: {}",
     "server: {learning_rate: 0}",
     14,
     {"training.server.learning_rate: expected a number > 0"}},
    {"server: {}",
     "server: {learning_rate: '1'}",
     14,
     {"the quotes make it text"}},
};

/* base without the server line where a case brings its own. */
static char *edited(const char *from, const char *to)
{
    const char *at = strstr(base, from);
    assert_non_null(at);
    char *text =
        cv_asprintf("%.*s%s%s", (int)(at - base), base, to, at + strlen(from));
    char *mine = strstr(text, "  server: {}\n");
    if (mine && strstr(to, "server:") && strcmp(from, "server: {}") != 0)
        memmove(mine, mine + 13, strlen(mine + 13) + 1);
    return text;
}

static int refused(const char *text, int line, const char *const says[3])
{
    cv_job *job = (cv_job *)1;
    cv_err err = {0};
    int rc = cv_job_parse(text, "job.yaml", &job, &err);
    int ok = rc == CV_ERR_INPUT && !job && err.line == line &&
             strcmp(err.file, "job.yaml") == 0 && err.code == rc;
    for (int i = 0; i < 3 && says[i]; i++)
        ok = ok && strstr(err.text, says[i]);
    if (!ok)
        print_message("%s\nexpected line %d: %s\n%d, line %d: %s\n", text, line,
                      says[0], rc, err.line, err.text);
    return ok;
}

static void test_cases(void **state)
{
    (void)state;
    size_t n = sizeof cases / sizeof *cases, good = 0;
    for (size_t i = 0; i < n; i++) {
        char *text = edited(cases[i].from, cases[i].to);
        good += (size_t)refused(text, cases[i].line, cases[i].says);
        free(text);
    }
    print_message("%zu of %zu wrong files refused\n", good, n);
    assert_int_equal(good, n);
}

/* Files that are wrong as a whole. */
static void test_whole(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
        const char *says[3];
    } whole[] = {
        {"", 1, {"empty file"}},
        {"hello\n", 1, {"expected 'key: value' lines; found 'hello'"}},
        {"- a\n- b\n", 1, {"expected 'key: value' lines; found a list of 2"}},
        {"covey: 1\n---\ncovey: 1\n", 2, {"one document"}},
        {"covey: 1\n\tname: x\n", 2, {"tab"}},
        {"covey: 1\nname: &n x\n", 2, {"anchors"}},
        {"{}\n", 1, {"missing key 'covey'"}},
        {"<<: {covey: 1}\n", 1, {"unknown key '<<'"}},
    };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        assert_true(refused(whole[i].text, whole[i].line, whole[i].says));
}

/* An error object is not needed, and long values do not break messages. */
static void test_message_limits(void **state)
{
    (void)state;
    cv_job *job = NULL;
    assert_int_equal(cv_job_parse("covey: 2\n", NULL, &job, NULL),
                     CV_ERR_INPUT);
    cv_buf b = {0};
    cv_err err = {0};
    for (int i = 0; i < 5000; i++)
        cv_buf_printf(&b, "\xf0\x9f\x90\xa6");
    char *key = cv_asprintf("? \"%s\"\n: 1\n", cv_buf_text(&b));
    char *value = cv_asprintf("covey: \"%s\"\n", cv_buf_text(&b));
    assert_int_equal(cv_job_parse(key, "f", &job, &err), CV_ERR_INPUT);
    assert_non_null(strstr(err.text, "...'"));
    assert_int_equal(cv_job_parse(value, "f", &job, &err), CV_ERR_INPUT);
    assert_non_null(strstr(err.text, "...\""));
    free(key);
    free(value);
    cv_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_message_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
