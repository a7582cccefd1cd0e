/* libFuzzer target: job.yaml from anybody.
 *
 * The template of `covey init` is mixed in when the input begins with '+', so
 * that an empty corpus gets past the required keys.  An input that begins with
 * a byte that no text begins with (0x80 to 0xbf) is a job of a fit, made of words
 * and keys, one a byte: almost all of them are YAML, so the rules behind the keys
 * are reached.
 */
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/err.h"
#include "core/mem.h"
#include "io/job.h"
#include "io/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const char *kind, *formula;
} kinds[] = {{"glm", "y ~ x"},   {"cox", "Surv(t, d) ~ x"},
             {"ridge", "y ~ x"}, {"kernel_ridge", "y ~ ."},
             {"pca", "~ x"},     {"mlp, hidden: [2]", ""}};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static const char *const words[] = {"",
                                    " ~ ",
                                    "y ~ ",
                                    "Surv(t, d) ~ ",
                                    "Surv(t, d == 2) ~ ",
                                    " + ",
                                    ":",
                                    "*",
                                    " - ",
                                    "(",
                                    ")",
                                    "^2",
                                    ".",
                                    "x",
                                    "s",
                                    "t",
                                    "d",
                                    "y",
                                    "w",
                                    "`a b`",
                                    "`e\\\\`",
                                    "C(s)",
                                    "C(x)",
                                    "C(y)",
                                    "log(x)",
                                    "log(s)",
                                    "I(x^2)",
                                    "0",
                                    "1",
                                    "offset(t)",
                                    "offset(s)",
                                    "offset(log(x))"};
enum { N_WORDS = sizeof words / sizeof *words };

typedef enum { MODEL, DATA, FEATURE, TRAINING, REST, N_PARTS } part;

#define MASKS "secure_aggregation: {}\nsimulate: {source: s}\n"

static const struct {
    part part;
    const char *text;
} keys[] = {
    {MODEL, "family: gaussian"},
    {MODEL, "family: binomial"},
    {MODEL, "family: poisson"},
    {MODEL, "family: gamma"},
    {MODEL, "link: identity"},
    {MODEL, "link: logit"},
    {MODEL, "link: log"},
    {MODEL, "link: sqrt"},
    {MODEL, "strata: none"},
    {MODEL, "strata: silo"},
    {MODEL, "ties: breslow"},
    {MODEL, "strata: none, bins: [0, '30', 6e1]"},
    {MODEL, "strata: none, bins: [0, 30, 20]"},
    {MODEL, "strata: none, bins: [a, inf]"},
    {MODEL, "ridge: 0.5"},
    {MODEL, "weights: w"},
    {MODEL, "weights: x"},
    {MODEL, "collinear: refuse"},
    {MODEL, "features: 9"},
    {MODEL, "gamma: 0.25"},
    {MODEL, "components: 3"},
    {MODEL, "scale: true"},
    {MODEL, "transform: scattering"},
    {DATA, "target: y"},
    {DATA, "target: 'a`b\\c'"},
    {DATA, "target_levels: [no, yes]"},
    {DATA, "target_levels: [a, b, c]"},
    {DATA, "missing: drop"},
    {DATA, "missing: mean"},
    {DATA, "standardize: pooled"},
    {DATA, "standardize: bounds"},
    {DATA, "test_fraction: 0.5"},
    {FEATURE, "{name: x}"},
    {FEATURE, "{name: x, bounds: [0, 1]}"},
    {FEATURE, "{name: x, bounds: [0, 1]}, {name: y, bounds: [2, 3]}"},
    {FEATURE, "{name: x, type: category}"},
    {FEATURE, "{name: s, type: category, levels: [u, v]}"},
    {FEATURE, "{name: s, type: category}"},
    {FEATURE, "{name: y, bounds: [-1, 1e3]}"},
    {FEATURE, "{name: y, type: category}"},
    {FEATURE, "{name: t, bounds: [1, 2]}"},
    {FEATURE, "{name: t, type: category}"},
    {FEATURE, "{name: d}"},
    {FEATURE, "{name: d, type: category}"},
    {FEATURE, "{name: w}"},
    {FEATURE, "{name: w, type: category}"},
    {FEATURE, "{name: 'a b'}"},
    {TRAINING, "strategy: newton"},
    {TRAINING, "strategy: fedavg"},
    {TRAINING, "tolerance: 0"},
    {TRAINING, "weights: equal"},
    {TRAINING, "min_silos: 3"},
    {TRAINING, "local: {epochs: 1}"},
    {TRAINING, "rounds: 26"},
    {REST, "disclosure: {min_rows: 1, min_cell: 9, rows_per_parameter: 0}"},
    {REST, "secure_aggregation: {}"},
    {REST, "simulate: {source: s}"},
    {REST, "simulate: {source: s, partition: shards}"},
    {REST, MASKS "privacy: {epsilon: 1, sampling: 1}"},
    {REST, MASKS "privacy: {epsilon: 1, sampling: 0.5, noise: local}"},
    {REST, MASKS "privacy: {epsilon: 1, sampling: 1, noise: local}"},
    {REST, MASKS "privacy: {epsilon: 1, unit: silo}"},
    {REST, "chain: {network: none}"},
    {REST, "chain: {network: none, rewards: {method: shapley}}"},
};
enum { N_KEYS = sizeof keys / sizeof *keys };

/* A byte for the kind, words of the formula up to a byte from 0xc0 on, keys.
 * Without words it is a formula that suits the kind, or from 0xf0 on none. */
static char *fit_job(const uint8_t *data, size_t size)
{
    cv_buf formula = {0}, in[N_PARTS] = {{0}};
    size_t i = 1;
    for (; i < size && data[i] < 0xc0; i++) {
        const char *w = words[data[i] % N_WORDS];
        cv_buf_add(&formula, w, strlen(w));
    }
    int kind = (size ? data[0] : 0) % N_KINDS;
    if (!formula.len && !(i < size && data[i] >= 0xf0))
        cv_buf_printf(&formula, "%s", kinds[kind].formula);
    for (i++; i < size; i++) {
        cv_buf *b = &in[keys[data[i] % N_KEYS].part];
        int flow = keys[data[i] % N_KEYS].part != REST;
        cv_buf_printf(b, "%s%s",
                      !b->len ? ""
                      : flow  ? ", "
                              : "\n",
                      keys[data[i] % N_KEYS].text);
    }
    int rounds = !strstr(cv_buf_text(&in[TRAINING]), "rounds");
    char *text = cv_asprintf(
        "covey: 1\nname: f\nsilos: [{name: a}, {name: b}, {name: c}]\n"
        "model: {kind: %s%s%s%s, %s}\ndata: {%s%s%s%s}\n"
        "training: {%s%s}\n%s\n",
        kinds[kind].kind, formula.len ? ", formula: '" : "",
        cv_buf_text(&formula), formula.len ? "'" : "", cv_buf_text(&in[MODEL]),
        in[FEATURE].len ? "features: [" : "", cv_buf_text(&in[FEATURE]),
        in[FEATURE].len ? "], " : "", cv_buf_text(&in[DATA]),
        rounds ? "rounds: 5, " : "", cv_buf_text(&in[TRAINING]),
        cv_buf_text(&in[REST]));
    cv_buf_free(&formula);
    for (int k = 0; k < N_PARTS; k++)
        cv_buf_free(&in[k]);
    return text;
}

static void check_features(const cv_job *a, const cv_job *b)
{
    CV_CHECK(a->data.n_features == b->data.n_features);
    CV_CHECK(!a->data.target == !b->data.target);
    for (int i = 0; i < a->data.n_features; i++) {
        const cv_feature *f = &a->data.features[i], *g = &b->data.features[i];
        CV_CHECK(strcmp(f->name, g->name) == 0 && f->type == g->type);
        CV_CHECK(f->n_levels == g->n_levels && f->has_bounds == g->has_bounds);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int mixed = size > 0 && data[0] == '+';
    int fit = size > 0 && (data[0] & 0xc0) == 0x80;
    char *text = fit ? fit_job(data + 1, size - 1)
                     : cv_asprintf("%.*s\n%s", (int)(size - (size_t)mixed),
                                   (const char *)data + mixed,
                                   mixed ? cv_template_job : "");
    cv_err err = {0};
    cv_job *job = NULL, *again = NULL;
    if (cv_job_parse(text, "job.yaml", &job, &err) == 0) {
        /* What was accepted must be readable by every other rank. */
        CV_CHECK(cv_job_parse(job->text, "job.yaml", &again, &err) == 0);
        CV_CHECK(strcmp(job->text, again->text) == 0);
        CV_CHECK(memcmp(job->digest, again->digest, 32) == 0);
        check_features(job, again);
    } else {
        CV_CHECK(!job && err.code == CV_ERR_INPUT && err.text[0]);
    }
    cv_job_destroy(&job);
    cv_job_destroy(&again);
    free(text);
    return 0;
}
