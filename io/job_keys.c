/* Every key of job.yaml. To add one: a member in io/job.h and a row here. */
#include "io/job_keys.h"

#include <math.h>
#include <string.h>

#include "io/formula.h"
#include "io/names.h"

#define MAX_INT 1000000000

/* Words in the order of their enums in io/job.h. */
static const char *const formats[] = {"hdf5", "csv", "idx", NULL};
static const char *const feature_types[] = {"number", "category", NULL};
static const char *const target_types[] = {"auto", "number", "category", NULL};
static const char *const missing[] = {"drop", "mean", "fail", NULL};
static const char *const standardize[] = {"none", "pooled", "bounds", NULL};
static const char *const partitions[] = {"iid", "modulo", "dirichlet", "shards",
                                         NULL};
static const char *const weights[] = {"rows", "equal", "declared", NULL};
static const char *const strata[] = {"none", "silo", NULL};
static const char *const collinear[] = {"drop", "refuse", NULL};
static const char *const units[] = {"record", "silo", NULL};
static const char *const noises[] = {"distributed", "local", NULL};
static const char *const finalities[] = {"mined", "safe", "finalized", NULL};
static const char *const rewards[] = {"equal",      "declared", "data_size",
                                      "validation", "shapley",  NULL};
static const char *const accountants[] = {"pld", "rdp", NULL};
_Static_assert(sizeof(cv_format) == sizeof(int), "words are kept as int");

/* Words that solver/ knows as well; tests/jobs compares the lists. */
static const char *const kinds[] = {
    "linear", "logistic", "softmax",      "poisson", "mlp", "glm",
    "cox",    "ridge",    "kernel_ridge", "pca",     NULL};
static const char *const families[] = {"gaussian", "binomial", "poisson",
                                       "gamma", NULL};
static const char *const links[] = {"identity", "log",     "logit",
                                    "probit",   "cloglog", "cauchit",
                                    "inverse",  "sqrt",    NULL};
static const char *const tie_rules[] = {"efron", "breslow", NULL};
static const char *const transforms[] = {"none", "scattering", NULL};
static const char *const networks[] = {"none", "local", "base-sepolia", "base",
                                       NULL};
static const char *const activations[] = {"relu", "tanh", "sigmoid", NULL};
static const char *const optimizers[] = {"sgd", NULL};
static const char *const strategies[] = {
    "fedavg",     "fedprox",  "fedavgm", "fedadam", "fedyogi",
    "fedadagrad", "scaffold", "fednova", "newton",  NULL};

/* Groups of words for `among`. */
static const char *const only_mlp[] = {"mlp", NULL};
static const char *const linear_kinds[] = {"linear", "logistic", "softmax",
                                           "poisson", NULL};
static const char *const fits[] = {"glm",          "cox", "ridge",
                                   "kernel_ridge", "pca", NULL};
static const char *const trained_kinds[] = {"linear",  "logistic", "softmax",
                                            "poisson", "mlp",      NULL};
static const char *const only_glm[] = {"glm", NULL};
static const char *const only_cox[] = {"cox", NULL};
static const char *const only_pca[] = {"pca", NULL};
static const char *const only_kernel_ridge[] = {"kernel_ridge", NULL};
static const char *const regressions[] = {"glm", "cox", NULL};
static const char *const penalised[] = {"glm", "cox", "ridge", "kernel_ridge",
                                        NULL};
static const char *const on_chain[] = {"local", "base-sepolia", "base", NULL};
static const char *const only_shapley[] = {"shapley", NULL};
static const char *const only_record[] = {"record", NULL};
static const char *const only_number[] = {"number", NULL};
static const char *const only_category[] = {"category", NULL};
static const char *const only_dirichlet[] = {"dirichlet", NULL};
static const char *const only_declared[] = {"declared", NULL};
static const char *const only_fedavgm[] = {"fedavgm", NULL};
static const char *const adaptive[] = {"fedadam", "fedyogi", "fedadagrad",
                                       NULL};
static const char *const adam_like[] = {"fedadam", "fedyogi", NULL};
static const char *const only_fedadagrad[] = {"fedadagrad", NULL};
static const char *const averaging[] = {"fedavg",   "fedprox", "fedavgm",
                                        "scaffold", "fednova", NULL};

/* With up to six digits behind it still a name of at most 64. */
static int check_prefix(char *text)
{
    return strlen(text) <= 56 ? cv_keys_check_name(text) : -1;
}

static int check_level(char *text)
{
    return cv_name_fault(text, strlen(text)) ? -1 : 0;
}

#define JOB(member)      .offset = offsetof(cv_job, member)
#define SILO(member)     .offset = offsetof(cv_job_silo, member)
#define FEATURE(member)  .offset = offsetof(cv_feature, member)
#define COUNT(s, member) .count = offsetof(s, member)
#define FROM(a)          .range = {a, INFINITY, 0, 0}
#define ABOVE(a)         .range = {a, INFINITY, 1, 0}
#define WITHIN(a, b)     .range = {a, b, 0, 0}
#define ABOVE_TO(a, b)   .range = {a, b, 1, 0}
#define BETWEEN(a, b)    .range = {a, b, 1, 1}
#define FROM_BELOW(a, b) .range = {a, b, 0, 1}
#define WHEN(key, group) .when = key, .among = group
#define STRATEGY(group)  WHEN("training.strategy", group)
#define NAME_RULE                                                              \
    "a name of at most 64 letters (a-z, A-Z), digits, '-', '_' and '.', not "  \
    "beginning with '-' or '.'"

static const cv_key rows[] = {
    {"covey", CV_KEY_INT, JOB(version), CV_KEY_REQUIRED, WITHIN(1, 1),
     .expected = "1, the version of job files that this program reads",
     .meaning = "version of the job file"},
    {"name", CV_KEY_TEXT, JOB(name), CV_KEY_REQUIRED,
     .check = cv_keys_check_name, .expected = NAME_RULE,
     .meaning = "name of the job"},

    {"silos", CV_KEY_LIST_OR_MAP, JOB(silos), CV_KEY_REQUIRED,
     COUNT(cv_job, n_silos), .flag = offsetof(cv_job, silos_counted),
     .size = sizeof(cv_job_silo), .max_items = 1000000,
     .expected = "a list such as [{name: north}, {name: south}], or {count: "
                 "100, prefix: s} with simulate",
     .meaning = "the institutions that take part"},
    {"silos.count", CV_KEY_INT, JOB(silos_counted), CV_KEY_REQUIRED,
     WITHIN(1, 1000000), .meaning = "number of simulated silos"},
    {"silos.prefix", CV_KEY_TEXT, JOB(silos_prefix), .def = "s",
     .check = check_prefix,
     .expected = "at most 56 letters (a-z, A-Z), digits, '-', '_' and '.', not "
                 "beginning with '-' or '.'",
     .meaning = "what the names of simulated silos begin with"},
    {"silos[].name", CV_KEY_TEXT, SILO(name), CV_KEY_REQUIRED | CV_KEY_UNIQUE,
     .check = cv_keys_check_name, .expected = NAME_RULE,
     .meaning = "name of the silo"},
    {"silos[].public_key", CV_KEY_TEXT, SILO(public_key), CV_KEY_UNIQUE,
     .check = cv_keys_check_public_key, .expected = CV_KEYS_PUBLIC_KEY_RULE,
     .meaning = "key with which the silo signs"},
    {"silos[].ranks", CV_KEY_INT, SILO(ranks), .def = "1", WITHIN(1, 1000000),
     .meaning = "MPI ranks the silo would like"},
    {"silos[].weight", CV_KEY_NUMBER, SILO(weight), .def = "1",
     WITHIN(1e-9, 1e9), WHEN("training.weights", only_declared),
     .meaning = "weight of the silo in the sum"},
    {"silos[].payee", CV_KEY_TEXT, SILO(payee), .check = cv_keys_check_address,
     .expected = CV_KEYS_ADDRESS_RULE,
     .meaning = "address that the silo's rewards go to; left out, that of its "
                "public_key"},
    {"silos[].share", CV_KEY_INT, SILO(share), .def = "1", WITHIN(1, 1000000),
     WHEN("chain.rewards.method", only_declared),
     .meaning = "share of the silo in the rewards"},

    {"data.format", CV_KEY_WORD, JOB(data.format), .def = "hdf5",
     .words = formats, .meaning = "format of the data files"},
    {"data.target", CV_KEY_TEXT, JOB(data.target), .def = "label",
     .meaning = "column that is predicted"},
    {"data.target_type", CV_KEY_WORD, JOB(data.target_type), .def = "auto",
     .words = target_types, WHEN("model.kind", only_mlp),
     .meaning = "what an mlp predicts; auto: a category if the file holds "
                "words or integers"},
    {"data.features", CV_KEY_LIST, JOB(data.features),
     COUNT(cv_job, data.n_features), .size = sizeof(cv_feature),
     .max_items = 1000000,
     .expected = "a list such as [{name: age}, {name: sex, type: category}]; "
                 "left out, every column but the target is used",
     .meaning = "columns that predict"},
    {"data.features[].name", CV_KEY_TEXT, FEATURE(name),
     CV_KEY_REQUIRED | CV_KEY_UNIQUE, .meaning = "name of the column"},
    {"data.features[].type", CV_KEY_WORD, FEATURE(type), .def = "number",
     .words = feature_types, .meaning = "a number or a category"},
    {"data.features[].bounds", CV_KEY_PAIR, FEATURE(lo),
     COUNT(cv_feature, has_bounds), WHEN("data.features[].type", only_number),
     .meaning = "lowest and highest value known in advance"},
    {"data.features[].levels", CV_KEY_TEXTS, FEATURE(levels), CV_KEY_UNIQUE,
     COUNT(cv_feature, n_levels), .max_items = 1000000,
     WHEN("data.features[].type", only_category),
     .meaning = "values of a category; left out, those found in the data"},
    {"data.missing", CV_KEY_WORD, JOB(data.missing), .def = "fail",
     .words = missing, .meaning = "what to do with a missing value"},
    {"data.standardize", CV_KEY_WORD, JOB(data.standardize), .def = "none",
     .words = standardize, .meaning = "how columns are brought to one scale"},
    {"data.test_fraction", CV_KEY_NUMBER, JOB(data.test_fraction), .def = "0",
     FROM_BELOW(0, 1), WHEN("model.kind", trained_kinds),
     .meaning = "share of rows kept for testing"},
    {"data.target_levels", CV_KEY_TEXTS, JOB(data.target_levels), CV_KEY_UNIQUE,
     COUNT(cv_job, data.n_target_levels), .min_items = 2,
     .max_items = CV_CLASSES_MAX, .check = check_level,
     .expected = "a list of 2 to 65536 texts of at most 256 bytes",
     .meaning = "classes of the target, in the model's order; left out, those "
                "found in the data"},
    {"data.test", CV_KEY_TEXT, JOB(data.test),
     WHEN("model.kind", trained_kinds),
     .meaning = "public data set to test on, relative to the job file"},

    {"simulate", CV_KEY_SECTION, .flag = offsetof(cv_job, simulate.enabled),
     .meaning = "split one data set into silos"},
    {"simulate.source", CV_KEY_TEXT, JOB(simulate.source), CV_KEY_REQUIRED,
     .meaning = "data set to split, relative to the job file"},
    {"simulate.test", CV_KEY_TEXT, JOB(simulate.test),
     WHEN("model.kind", trained_kinds),
     .meaning = "data set to test on, relative to the job file"},
    {"simulate.partition", CV_KEY_WORD, JOB(simulate.partition), .def = "iid",
     .words = partitions, .meaning = "how rows are given to silos"},
    {"simulate.alpha", CV_KEY_NUMBER, JOB(simulate.alpha), .def = "0.5",
     ABOVE(0), WHEN("simulate.partition", only_dirichlet),
     .meaning = "evenness of the labels; small is uneven"},

    {"model.kind", CV_KEY_NAME, JOB(model.kind), CV_KEY_REQUIRED,
     .words = kinds, .meaning = "kind of model"},
    {"model.hidden", CV_KEY_INTS, JOB(model.hidden), CV_KEY_REQUIRED,
     COUNT(cv_job, model.n_hidden), .max_items = CV_MAX_HIDDEN,
     WITHIN(1, 65536), WHEN("model.kind", only_mlp),
     .meaning = "widths of the hidden layers"},
    {"model.activation", CV_KEY_NAME, JOB(model.activation), .def = "relu",
     .words = activations, WHEN("model.kind", only_mlp),
     .meaning = "function after each hidden layer"},
    {"model.transform", CV_KEY_NAME, JOB(model.transform), CV_KEY_QUIET,
     .def = "none", .words = transforms, WHEN("model.kind", linear_kinds),
     .meaning = "a fixed feature map in front of a linear model"},
    {"model.image", CV_KEY_INTS, JOB(model.image), COUNT(cv_job, model.n_image),
     .max_items = 2, .min_items = 2, WITHIN(1, 65536),
     .expected = "two whole numbers from 1 to 65536, [height, width]",
     .meaning = "size of the images that scattering maps; left out, a square"},

    /* Written out, with all columns that `.` stands for, it may be long. */
    {"model.formula", CV_KEY_TEXT, JOB(model.formula), WHEN("model.kind", fits),
     .max_bytes = CV_FORMULA_MAX_BYTES,
     .meaning = "response and terms, as in R: event ~ age + C(sex)"},
    {"model.family", CV_KEY_NAME, JOB(model.family), .def = "gaussian",
     .words = families, WHEN("model.kind", only_glm),
     .meaning = "distribution of the response"},
    /* Its default is filled in by the check: the family's. */
    {"model.link", CV_KEY_NAME, JOB(model.link), .words = links,
     WHEN("model.kind", only_glm),
     .meaning = "link of mean and linear predictor; left out, the canonical "
                "one"},
    {"model.strata", CV_KEY_WORD, JOB(model.strata), .def = "none",
     .words = strata, WHEN("model.kind", only_glm),
     .meaning = "silo: each has an intercept of its own, which it keeps"},
    {"model.strata", CV_KEY_WORD, JOB(model.strata), .def = "silo",
     .words = strata, WHEN("model.kind", only_cox),
     .meaning = "silo: each has a baseline hazard of its own; none: all have "
                "one, over model.bins"},
    {"model.ties", CV_KEY_NAME, JOB(model.ties), .def = "efron",
     .words = tie_rules, WHEN("model.kind", only_cox),
     .meaning = "how events at one time are counted"},
    {"model.bins", CV_KEY_TEXTS, JOB(model.bins), CV_KEY_UNIQUE,
     COUNT(cv_job, model.n_bins), .min_items = 2, .max_items = 10000,
     WHEN("model.kind", only_cox),
     .expected = "a list of 2 to 10000 ascending numbers",
     .meaning = "edges of the time bins of a fit without strata"},
    {"model.ridge", CV_KEY_NUMBER, JOB(model.ridge), .def = "0", FROM(0),
     WHEN("model.kind", penalised),
     .meaning = "penalty on the squares of the coefficients"},
    {"model.weights", CV_KEY_TEXT, JOB(model.weights),
     WHEN("model.kind", regressions), .meaning = "column of prior weights"},
    {"model.collinear", CV_KEY_WORD, JOB(model.collinear), .def = "drop",
     .words = collinear, WHEN("model.kind", regressions),
     .meaning = "what to do with columns that follow from others"},
    {"model.features", CV_KEY_INT, JOB(model.features), .def = "1000",
     WITHIN(1, 65536), WHEN("model.kind", only_kernel_ridge),
     .meaning = "random Fourier features"},
    {"model.gamma", CV_KEY_NUMBER, JOB(model.gamma), .def = "0", FROM(0),
     WHEN("model.kind", only_kernel_ridge),
     .meaning = "of the kernel exp(-gamma d^2); 0: 1 / columns"},
    {"model.components", CV_KEY_INT, JOB(model.components), .def = "2",
     WITHIN(1, 65536), WHEN("model.kind", only_pca),
     .meaning = "principal components that are kept"},
    {"model.scale", CV_KEY_BOOL, JOB(model.scale), .def = "false",
     WHEN("model.kind", only_pca),
     .meaning = "bring columns to unit variance first"},

    {"training.strategy", CV_KEY_NAME, JOB(training.strategy), .def = "fedavg",
     .words = strategies, WHEN("model.kind", trained_kinds),
     .meaning = "how updates are combined"},
    {"training.strategy", CV_KEY_NAME, JOB(training.strategy), .def = "newton",
     .words = strategies, WHEN("model.kind", fits),
     .meaning = "how updates are combined"},
    {"training.rounds", CV_KEY_INT, JOB(training.rounds),
     CV_KEY_REQUIRED | CV_KEY_NO_DIGEST, WITHIN(1, MAX_INT),
     .meaning = "number of rounds"},
    {"training.participation", CV_KEY_NUMBER, JOB(training.participation),
     .def = "1", ABOVE_TO(0, 1), WHEN("model.kind", trained_kinds),
     .meaning = "share of silos drawn each round"},
    {"training.min_silos", CV_KEY_INT, JOB(training.min_silos), .def = "1",
     WITHIN(1, 1000000), .meaning = "fewest silos a round needs"},
    {"training.weights", CV_KEY_WORD, JOB(training.weights), .def = "rows",
     .words = weights, .meaning = "how silos are weighted"},
    {"training.seed", CV_KEY_I64, JOB(training.seed), .def = "1", FROM(0),
     .expected = "a whole number from 0 to 9223372036854775807",
     .meaning = "seed of all public random draws"},
    {"training.tolerance", CV_KEY_NUMBER, JOB(training.tolerance), .def = "0",
     FROM(0), .meaning = "stop when the model changes less; 0: never"},

    {"training.local.epochs", CV_KEY_INT, JOB(training.local.epochs),
     WITHIN(1, MAX_INT), WHEN("model.kind", trained_kinds),
     .meaning = "passes over the silo's rows a round"},
    {"training.local.steps", CV_KEY_INT, JOB(training.local.steps),
     WITHIN(1, MAX_INT), WHEN("model.kind", trained_kinds),
     .meaning = "steps a round, instead of epochs"},
    {"training.local.batch", CV_KEY_INT, JOB(training.local.batch), .def = "32",
     WITHIN(1, MAX_INT), WHEN("model.kind", trained_kinds),
     .meaning = "rows in a step; with privacy their public expected number, by "
                "which sums are divided"},
    {"training.local.optimizer", CV_KEY_NAME, JOB(training.local.optimizer),
     .def = "sgd", .words = optimizers, WHEN("model.kind", trained_kinds),
     .meaning = "local optimizer"},
    {"training.local.learning_rate", CV_KEY_NUMBER,
     JOB(training.local.learning_rate), .def = "0.1", ABOVE(0),
     WHEN("model.kind", trained_kinds), .meaning = "length of a local step"},
    {"training.local.momentum", CV_KEY_NUMBER, JOB(training.local.momentum),
     .def = "0", FROM_BELOW(0, 1), WHEN("model.kind", trained_kinds),
     .meaning = "momentum of local steps"},
    {"training.local.weight_decay", CV_KEY_NUMBER,
     JOB(training.local.weight_decay), .def = "0", FROM(0),
     WHEN("model.kind", trained_kinds),
     .meaning = "pull of parameters towards 0"},
    {"training.local.proximal", CV_KEY_NUMBER, JOB(training.local.proximal),
     .def = "0", FROM(0), WHEN("model.kind", trained_kinds),
     .meaning = "pull towards the round's first model (fedprox, fednova)"},

    {"training.server.learning_rate", CV_KEY_NUMBER,
     JOB(training.server.learning_rate), .def = "1", ABOVE(0),
     STRATEGY(averaging), .meaning = "length of the server's step"},
    /* An adaptive step is about this long in every parameter, whatever the
     * updates' size: 0.01 is the order of the best rates in Reddi et al. 2021;
     * fedadagrad's steps shrink from there, so it begins larger. */
    {"training.server.learning_rate", CV_KEY_NUMBER,
     JOB(training.server.learning_rate), .def = "0.01", ABOVE(0),
     STRATEGY(adam_like), .meaning = "length of the server's step"},
    {"training.server.learning_rate", CV_KEY_NUMBER,
     JOB(training.server.learning_rate), .def = "0.1", ABOVE(0),
     STRATEGY(only_fedadagrad), .meaning = "length of the server's step"},
    {"training.server.momentum", CV_KEY_NUMBER, JOB(training.server.momentum),
     .def = "0.9", FROM_BELOW(0, 1), STRATEGY(only_fedavgm),
     .meaning = "momentum of the server's steps"},
    {"training.server.beta1", CV_KEY_NUMBER, JOB(training.server.beta1),
     .def = "0.9", FROM_BELOW(0, 1), STRATEGY(adaptive),
     .meaning = "memory of the mean update"},
    {"training.server.beta2", CV_KEY_NUMBER, JOB(training.server.beta2),
     .def = "0.99", FROM_BELOW(0, 1), STRATEGY(adam_like),
     .meaning = "memory of the squared update"},
    {"training.server.tau", CV_KEY_NUMBER, JOB(training.server.tau),
     .def = "0.001", ABOVE(0), STRATEGY(adaptive),
     .meaning = "floor under the square root; large is less adaptive"},

    {"checkpoint.every", CV_KEY_INT, JOB(checkpoint.every), CV_KEY_NO_DIGEST,
     .def = "1", WITHIN(1, MAX_INT), .meaning = "rounds between checkpoints"},
    {"checkpoint.keep", CV_KEY_INT, JOB(checkpoint.keep), CV_KEY_NO_DIGEST,
     .def = "3", WITHIN(0, MAX_INT),
     .meaning = "older checkpoints kept beside the newest"},

    {"disclosure.min_rows", CV_KEY_INT, JOB(disclosure.min_rows), .def = "1",
     WITHIN(1, MAX_INT), WHEN("model.kind", trained_kinds),
     .meaning = "a silo with fewer training rows sits out"},
    {"disclosure.min_rows", CV_KEY_INT, JOB(disclosure.min_rows), .def = "10",
     WITHIN(1, MAX_INT), WHEN("model.kind", fits),
     .meaning = "a silo with fewer rows refuses"},
    {"disclosure.min_cell", CV_KEY_INT, JOB(disclosure.min_cell), .def = "3",
     WITHIN(1, MAX_INT), WHEN("model.kind", fits),
     .meaning = "fewest rows of a level, outcome or time bin in a silo that "
                "has any"},
    {"disclosure.rows_per_parameter", CV_KEY_NUMBER,
     JOB(disclosure.rows_per_parameter), .def = "3", FROM(0),
     WHEN("model.kind", fits),
     .meaning = "fewest rows of a silo for each coefficient"},

    {"secure_aggregation", CV_KEY_SECTION,
     .flag = offsetof(cv_job, secure_aggregation.given),
     .meaning = "masked updates: only their sum is seen"},
    {"secure_aggregation.enabled", CV_KEY_BOOL, JOB(secure_aggregation.enabled),
     .def = "true", .meaning = "mask the updates"},
    {"secure_aggregation.collusion", CV_KEY_INT,
     JOB(secure_aggregation.collusion), .def = "1", WITHIN(0, 1000000),
     .meaning = "operators that may pool what they see"},
    /* Its default is filled in by the check: with privacy there is none. */
    {"secure_aggregation.clip", CV_KEY_NUMBER, JOB(secure_aggregation.clip),
     ABOVE(0), WHEN("model.kind", trained_kinds),
     .meaning = "largest L2 norm of a silo's update before weighting"},

    {"privacy", CV_KEY_SECTION, .flag = offsetof(cv_job, privacy.enabled),
     .meaning = "differential privacy"},
    {"privacy.unit", CV_KEY_WORD, JOB(privacy.unit), .def = "record",
     .words = units, .meaning = "what is hidden: one record, or a whole silo"},
    {"privacy.epsilon", CV_KEY_NUMBER, JOB(privacy.epsilon), ABOVE(0),
     .meaning = "privacy loss that the whole run may not exceed"},
    {"privacy.noise_multiplier", CV_KEY_NUMBER, JOB(privacy.noise_multiplier),
     WITHIN(1e-4, 1e6), .meaning = "deviation of the noise over the clip"},
    {"privacy.delta", CV_KEY_NUMBER, JOB(privacy.delta), .def = "1.0e-5",
     BETWEEN(0, 1), .meaning = "chance that the loss exceeds epsilon"},
    {"privacy.clip", CV_KEY_NUMBER, JOB(privacy.clip), .def = "1", ABOVE(0),
     .meaning = "largest L2 norm of a record's gradient or a silo's update"},
    {"privacy.sampling", CV_KEY_NUMBER, JOB(privacy.sampling), CV_KEY_REQUIRED,
     ABOVE_TO(0, 1), WHEN("privacy.unit", only_record),
     .meaning = "chance of each record to be in a step"},
    {"privacy.noise", CV_KEY_WORD, JOB(privacy.noise), .def = "distributed",
     .words = noises, WHEN("privacy.unit", only_record),
     .meaning = "noise in shares, or each silo's own in full"},
    {"privacy.accountant", CV_KEY_WORD, JOB(privacy.accountant), .def = "pld",
     .words = accountants, .meaning = "how the privacy loss is added up"},
    {"privacy.adaptive", CV_KEY_SECTION,
     .flag = offsetof(cv_job, privacy.adaptive.enabled),
     .meaning = "a clip that follows the updates"},
    {"privacy.adaptive.quantile", CV_KEY_NUMBER, JOB(privacy.adaptive.quantile),
     .def = "0.5", BETWEEN(0, 1),
     .meaning = "share of the updates that are not clipped"},
    {"privacy.adaptive.rate", CV_KEY_NUMBER, JOB(privacy.adaptive.rate),
     .def = "0.2", ABOVE(0), .meaning = "speed at which the clip follows"},

    {"chain", CV_KEY_SECTION, .flag = offsetof(cv_job, chain.enabled),
     .meaning = "proofs and rewards on a chain"},
    {"chain.network", CV_KEY_NAME, JOB(chain.network), CV_KEY_REQUIRED,
     .words = networks, .meaning = "the chain"},
    {"chain.federation", CV_KEY_TEXT, JOB(chain.federation), CV_KEY_REQUIRED,
     .check = cv_keys_check_address, .expected = CV_KEYS_ADDRESS_RULE,
     WHEN("chain.network", on_chain),
     .meaning = "the federation's contract; `covey chain deploy` makes it"},
    {"chain.settle.batch", CV_KEY_INT, JOB(chain.settle.batch),
     CV_KEY_NO_DIGEST, .def = "50", WITHIN(1, 1024),
     WHEN("chain.network", on_chain), .meaning = "rounds in a transaction"},
    {"chain.settle.finality", CV_KEY_WORD, JOB(chain.settle.finality),
     CV_KEY_NO_DIGEST, .def = "finalized", .words = finalities,
     WHEN("chain.network", on_chain),
     .meaning = "when `covey settle --watch` is done"},
    {"chain.rewards", CV_KEY_SECTION,
     .flag = offsetof(cv_job, chain.rewards.enabled),
     .meaning = "what the silos are paid"},
    {"chain.rewards.method", CV_KEY_WORD, JOB(chain.rewards.method),
     .def = "equal", .words = rewards, .meaning = "how the pool is shared out"},
    {"chain.rewards.token", CV_KEY_TEXT, JOB(chain.rewards.token),
     CV_KEY_REQUIRED, .check = cv_keys_check_address,
     .expected = CV_KEYS_ADDRESS_RULE, .meaning = "token that is paid"},
    {"chain.rewards.sponsor", CV_KEY_TEXT, JOB(chain.rewards.sponsor),
     CV_KEY_REQUIRED, .check = cv_keys_check_address,
     .expected = CV_KEYS_ADDRESS_RULE, .meaning = "address that pays"},
    {"chain.rewards.pool", CV_KEY_TEXT, JOB(chain.rewards.pool),
     CV_KEY_REQUIRED, .check = cv_keys_check_amount,
     .expected = CV_KEYS_AMOUNT_RULE, .meaning = "what is shared out"},
    {"chain.rewards.decimals", CV_KEY_INT, JOB(chain.rewards.decimals),
     .def = "18", WITHIN(0, 36), .meaning = "decimals of the token"},
    {"chain.rewards.cap", CV_KEY_NUMBER, JOB(chain.rewards.cap), .def = "1",
     ABOVE_TO(0, 1), .meaning = "largest share of one silo"},
    {"chain.rewards.groups", CV_KEY_INT, JOB(chain.rewards.groups), .def = "2",
     WITHIN(2, 8), WHEN("chain.rewards.method", only_shapley),
     .meaning = "groups whose contributions are compared"},
    {"chain.rewards.version", CV_KEY_INT, JOB(chain.rewards.version),
     CV_KEY_NO_DIGEST, .def = "1", WITHIN(1, 1000000),
     .meaning = "raised to sign anew after an objection"},
};

const cv_keys cv_job_keys = {rows, sizeof rows / sizeof *rows};
