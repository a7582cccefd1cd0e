/* Rules of models that are fitted: formula, family, strata, and which columns
 * follow from them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "io/formula.h"
#include "io/job_check.h"
#include "io/names.h"

typedef cv_job_checker checker;

/* The canonical one first; solver/family.h has the same, and a test compares. */
static const struct {
    const char *family, *links[6];
} family_links[] = {
    {"gaussian", {"identity", "log", "inverse"}},
    {"binomial", {"logit", "probit", "cauchit", "log", "cloglog"}},
    {"poisson", {"log", "identity", "sqrt"}},
    {"gamma", {"inverse", "identity", "log"}},
};

static int is_kind(const cv_job *job, const char *kind)
{
    return strcmp(job->model.kind, kind) == 0;
}

int cv_job_is_fit(const cv_job *job)
{
    return job->training.strategy &&
           strcmp(job->training.strategy, "newton") == 0;
}

/* A private linear fit is one noisy sum, and the rest is arithmetic on it; a
 * logistic one takes all its rounds. */
static int is_one_shot(const cv_job *job)
{
    return cv_job_is_fit(job) &&
           (is_kind(job, "ridge") ||
            (job->model.family && strcmp(job->model.family, "gaussian") == 0));
}

int64_t cv_job_noisy_sums(const cv_job *job)
{
    int64_t rounds = job->training.rounds;
    if (is_one_shot(job))
        return 1;
    return job->privacy.unit == CV_UNIT_RECORD && !cv_job_is_fit(job)
               ? rounds * job->training.local.steps
               : rounds;
}

static int is_fit_kind(const cv_job *job)
{
    return is_kind(job, "glm") || is_kind(job, "cox") ||
           is_kind(job, "ridge") || is_kind(job, "kernel_ridge") ||
           is_kind(job, "pca");
}

static int check_strategy(const checker *c)
{
    const cv_job *job = c->job;
    int newton = cv_job_is_fit(job);
    if (is_fit_kind(job) == newton)
        return 0;
    return cv_job_wrong(
        c, "training.strategy",
        newton ? "newton is for model.kind glm, cox, ridge, kernel_ridge and "
                 "pca; found model.kind '%s'"
               : "expected newton, the only one for model.kind '%s'; leave the "
                 "key out",
        job->model.kind);
}

/* ---- formula ---------------------------------------------------------------
 */

static int parse_formula(const checker *c, cv_formula **f)
{
    cv_job *job = c->job;
    int pca = is_kind(job, "pca"), cox = is_kind(job, "cox");
    cv_err why;
    if (!job->model.formula && (cox || is_kind(job, "glm")))
        return cv_job_wrong(c, "model.formula",
                            "expected a formula such as \"%s\", found none",
                            cox ? "Surv(time, status) ~ age" : "y ~ age");
    if (!job->model.formula)
        job->model.formula =
            pca ? cv_strdup("~ .") : cv_asprintf("`%s` ~ .", job->data.target);
    int rc = cv_formula_parse(job->model.formula, f, &why);
    if (rc)
        return cv_job_wrong(c, "model.formula", "%s", why.text);
    if (pca && (*f)->has_response)
        return cv_job_wrong(c, "model.formula",
                            "pca has no response; expected \"~ terms\"");
    if (!pca && !(*f)->has_response)
        return cv_job_wrong(c, "model.formula",
                            "expected \"%s ~ terms\", found no response",
                            cox ? "Surv(time, event)" : "response");
    if (cox != ((*f)->event != NULL))
        return cv_job_wrong(c, "model.formula",
                            cox ? "expected Surv(time, event) on the left of ~"
                                : "Surv() is for model.kind cox");
    if ((*f)->n_offsets && !cox && !is_kind(job, "glm"))
        return cv_job_wrong(c, "model.formula",
                            "offset() is for model.kind glm and cox");
    if ((*f)->response.category)
        return cv_job_wrong(c, "model.formula",
                            "the response is written without C(); its classes "
                            "stand in data.target_levels");
    return 0;
}

/* data.target is the formula's response. */
static int take_response(const checker *c, const cv_formula *f)
{
    cv_job *job = c->job;
    const char *response = f->has_response ? f->response.column : NULL;
    if (cv_job_gives(c, "data", "target") && job->data.target &&
        (!response || strcmp(response, job->data.target) != 0))
        return cv_job_wrong(c, "data.target",
                            "the formula says what is explained (%s); remove "
                            "the key",
                            response ? response : "nothing, in pca");
    free(job->data.target);
    job->data.target = response ? cv_strdup(response) : NULL;
    return 0;
}

static void add_feature(cv_job *job, cv_feature *list, int *n,
                        const char *column, int category)
{
    for (int i = 0; i < *n; i++)
        if (strcmp(list[i].name, column) == 0) {
            if (category && !list[i].has_bounds)
                list[i].type = CV_FEATURE_CATEGORY;
            return;
        }
    cv_feature *f = &list[(*n)++];
    *f = (cv_feature){.type =
                          category ? CV_FEATURE_CATEGORY : CV_FEATURE_NUMBER};
    for (int i = 0; i < job->data.n_features; i++)
        if (job->data.features[i].name &&
            strcmp(job->data.features[i].name, column) == 0) {
            *f = job->data.features[i]; /* moved */
            job->data.features[i] = (cv_feature){0};
            if (category && !f->has_bounds)
                f->type = CV_FEATURE_CATEGORY;
            return;
        }
    f->name = cv_strdup(column);
}

/* The columns that a fit reads, in the order of the formula; what the job says of
 * them is kept, and what it says of others refused. */
static int take_features(const checker *c, const cv_formula *f)
{
    cv_job *job = c->job;
    size_t most = (size_t)f->n_vars + (size_t)f->n_offsets + 3;
    cv_feature *list = CV_NEW(most, cv_feature);
    int n = 0, rc = 0;
    for (int i = 0; i < f->n_vars; i++)
        add_feature(job, list, &n, f->vars[i].column, f->vars[i].category);
    if (f->event)
        add_feature(job, list, &n, f->event, 0);
    for (int i = 0; i < f->n_offsets; i++)
        add_feature(job, list, &n, f->offsets[i].column, 0);
    if (job->model.weights)
        add_feature(job, list, &n, job->model.weights, 0);
    for (int i = 0; i < job->data.n_features; i++) /* bounds of the response */
        if (job->data.features[i].name && job->data.target &&
            strcmp(job->data.features[i].name, job->data.target) == 0)
            add_feature(job, list, &n, job->data.target, 0);
    for (int i = 0; i < job->data.n_features && !rc; i++)
        if (job->data.features[i].name)
            rc = cv_job_wrong_feature(
                c, i, "'%s' is not in model.formula; leave it out",
                job->data.features[i].name);
    for (int i = 0; i < job->data.n_features; i++) {
        cv_feature *old = &job->data.features[i];
        for (int k = 0; k < old->n_levels; k++)
            free(old->levels[k]);
        free(old->levels);
        free(old->name);
    }
    free(job->data.features);
    job->data.features = list;
    job->data.n_features = n;
    return rc;
}

/* `.` stands for the declared features, if there are any. */
static int expand_dot(const checker *c, cv_formula **f)
{
    cv_job *job = c->job;
    cv_formula *whole = NULL;
    cv_err why;
    if (!(*f)->dot || job->data.n_features == 0)
        return 0;
    const char **name = CV_NEW(job->data.n_features, const char *);
    for (int i = 0; i < job->data.n_features; i++)
        name[i] = job->data.features[i].name;
    const char *skip[1] = {job->model.weights};
    int rc = cv_formula_expand(*f, name, (size_t)job->data.n_features, skip,
                               skip[0] != NULL, &whole, &why);
    free(name);
    if (rc)
        return cv_job_wrong(c, "model.formula", "%s", why.text);
    cv_formula_destroy(f);
    *f = whole;
    return 0;
}

static int check_formula(const checker *c)
{
    cv_job *job = c->job;
    cv_formula *f = NULL;
    int rc = parse_formula(c, &f);
    if (!rc)
        rc = take_response(c, f);
    if (!rc)
        rc = expand_dot(c, &f);
    if (!rc && !f->dot)
        rc = take_features(c, f);
    if (!rc && is_kind(job, "glm") && job->model.strata == CV_STRATA_SILO &&
        !f->intercept)
        rc = cv_job_wrong(c, "model.formula",
                          "strata: silo gives every silo an intercept; leave "
                          "the formula's in place (no -1, no + 0)");
    if (!rc) {
        free(job->model.formula);
        job->model.formula = cv_strdup(f->text);
    }
    cv_formula_destroy(&f);
    return rc;
}

/* ---- the rest --------------------------------------------------------------
 */

static int check_family(const checker *c)
{
    cv_job *job = c->job;
    char found[200] = "";
    if (!is_kind(job, "glm"))
        return 0;
    for (size_t i = 0; i < sizeof family_links / sizeof *family_links; i++) {
        if (strcmp(family_links[i].family, job->model.family) != 0)
            continue;
        const char *const *link = family_links[i].links;
        if (!job->model.link)
            job->model.link = cv_strdup(link[0]);
        for (int k = 0; link[k]; k++) {
            size_t at = strlen(found);
            if (strcmp(link[k], job->model.link) == 0)
                return 0;
            snprintf(found + at, sizeof found - at, "%s%s", k ? ", " : "",
                     link[k]);
        }
    }
    return cv_job_wrong(c, "model.link", "expected %s with family %s, found %s",
                        found, job->model.family, job->model.link);
}

static int check_bins(const checker *c)
{
    const cv_job *job = c->job;
    double last = 0, v;
    if (!is_kind(job, "cox"))
        return 0;
    if (job->model.strata == CV_STRATA_SILO && job->model.n_bins)
        return cv_job_wrong(c, "model.bins",
                            "used only with model.strata none; found silo: "
                            "each silo has a baseline hazard of its own");
    if (job->model.strata == CV_STRATA_NONE && !job->model.n_bins)
        return cv_job_wrong(c, "model.bins",
                            "one baseline hazard for all silos needs time bins "
                            "that all agree to, such as [\"0\", \"30\", "
                            "\"60\"]; exact times never leave a silo");
    for (int i = 0; i < job->model.n_bins; i++, last = v)
        if (cv_number(&v, job->model.bins[i], strlen(job->model.bins[i])) < 0 ||
            !isfinite(v) || (i > 0 && !(v > last)))
            return cv_job_wrong(c, "model.bins",
                                "expected ascending numbers, found '%s'",
                                job->model.bins[i]);
    return 0;
}

static int check_data(const checker *c)
{
    const cv_job *job = c->job;
    int pooled = is_kind(job, "ridge") || is_kind(job, "kernel_ridge");
    if (job->training.weights != CV_WEIGHTS_ROWS)
        return cv_job_wrong(c, "training.weights",
                            "not used with model.kind '%s', which counts every "
                            "row once (model.weights has weights of rows); "
                            "remove the key",
                            job->model.kind);
    if (job->data.missing == CV_MISSING_MEAN)
        return cv_job_wrong(c, "data.missing",
                            "expected drop or fail: a fit uses whole rows");
    if (job->data.standardize == CV_STANDARDIZE_BOUNDS ||
        (job->data.standardize == CV_STANDARDIZE_POOLED && !pooled))
        return cv_job_wrong(c, "data.standardize",
                            pooled ? "expected none or pooled"
                                   : "expected none: coefficients are per unit "
                                     "of the columns (pca has model.scale)");
    if (job->data.n_target_levels &&
        (!is_kind(job, "glm") || strcmp(job->model.family, "binomial") != 0 ||
         job->data.n_target_levels != 2))
        return cv_job_wrong(c, "data.target_levels",
                            "expected two, of model.kind glm with family "
                            "binomial: the second one is the event");
    if (job->chain.rewards.enabled &&
        job->chain.rewards.method != CV_REWARD_EQUAL &&
        job->chain.rewards.method != CV_REWARD_DECLARED)
        return cv_job_wrong(c, "chain.rewards.method",
                            "expected equal or declared with model.kind '%s'",
                            job->model.kind);
    if (!job->privacy.enabled && job->training.rounds > CV_FIT_MAX_ROUNDS)
        return cv_job_wrong(c, "training.rounds",
                            "expected at most %d for model.kind '%s': every "
                            "iteration shows sums of the data; found %d",
                            CV_FIT_MAX_ROUNDS, job->model.kind,
                            job->training.rounds);
    return 0;
}

/* What is private is fitted from noisy sums whose sensitivity follows from public
 * bounds. */
static int check_private(const checker *c)
{
    const cv_job *job = c->job;
    int logistic = is_kind(job, "glm") &&
                   strcmp(job->model.family, "binomial") == 0 &&
                   strcmp(job->model.link, "logit") == 0;
    int linear =
        is_kind(job, "ridge") ||
        (is_kind(job, "glm") && strcmp(job->model.family, "gaussian") == 0 &&
         strcmp(job->model.link, "identity") == 0);
    if (!job->privacy.enabled)
        return 0;
    if (!logistic && !linear)
        return cv_job_wrong(c, "privacy",
                            "there are private fits of glm (gaussian with "
                            "identity, binomial with logit) and ridge; found "
                            "model.kind '%s'",
                            job->model.kind);
    if (job->privacy.unit != CV_UNIT_RECORD ||
        job->privacy.noise != CV_NOISE_DISTRIBUTED ||
        job->privacy.sampling < 1 || job->privacy.adaptive.enabled)
        return cv_job_wrong(c, "privacy.sampling",
                            "a private fit hides a record (unit: record), uses "
                            "all of them (sampling: 1), and noise: "
                            "distributed");
    if (job->model.strata == CV_STRATA_SILO || job->model.weights)
        return cv_job_wrong(c, "privacy",
                            "a private fit has no strata and no weights");
    if (job->data.standardize != CV_STANDARDIZE_NONE)
        return cv_job_wrong(c, "data.standardize",
                            "expected none with privacy: bounds of the "
                            "features give the scale");
    for (int i = 0; i < job->data.n_features; i++) {
        const cv_feature *f = &job->data.features[i];
        if (f->type == CV_FEATURE_NUMBER && !f->has_bounds &&
            !(logistic && strcmp(f->name, job->data.target) == 0))
            return cv_job_wrong(c, "data.features",
                                "'%s' needs bounds: [low, high] with privacy",
                                f->name);
    }
    if (linear) { /* the response has bounds too */
        int found = 0;
        for (int i = 0; i < job->data.n_features; i++)
            found |= strcmp(job->data.features[i].name, job->data.target) == 0;
        if (!found)
            return cv_job_wrong(c, "data.features",
                                "the response '%s' needs an entry with bounds: "
                                "[low, high] with privacy",
                                job->data.target);
    }
    return job->data.n_features
               ? 0
               : cv_job_wrong(c, "data.features",
                              "privacy needs bounds of every column; found no "
                              "features");
}

void cv_job_fill_fit(const checker *c)
{
    cv_job *job = c->job;
    if (!is_fit_kind(job))
        return;
    if (!cv_job_gives(c, "training", "tolerance"))
        job->training.tolerance = 1e-10;
    job->training.participation = 1;
}

int cv_job_check_fit(const checker *c)
{
    static int (*const checks[])(const checker *) = {
        check_formula, check_family, check_bins, check_data, check_private,
    };
    int rc = check_strategy(c);
    for (size_t i = 0;
         i < sizeof checks / sizeof *checks && !rc && is_fit_kind(c->job); i++)
        rc = checks[i](c);
    return rc;
}
