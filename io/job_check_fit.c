/* Rules of models that are fitted: family, strata, data, privacy. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
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

int cv_job_is_kind(const cv_job *job, const char *kind)
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
           (cv_job_is_kind(job, "ridge") ||
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
    return cv_job_is_kind(job, "glm") || cv_job_is_kind(job, "cox") ||
           cv_job_is_kind(job, "ridge") ||
           cv_job_is_kind(job, "kernel_ridge") || cv_job_is_kind(job, "pca");
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

static int check_family(const checker *c)
{
    cv_job *job = c->job;
    char found[200] = "";
    if (!cv_job_is_kind(job, "glm"))
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
    return cv_job_wrong(c, "model.link",
                        "expected one of %s with family %s; found '%s'", found,
                        job->model.family, job->model.link);
}

static int check_bins(const checker *c)
{
    const cv_job *job = c->job;
    char text[80];
    double last = 0, v;
    if (!cv_job_is_kind(job, "cox"))
        return 0;
    if (job->model.strata == CV_STRATA_SILO && job->model.n_bins)
        return cv_job_wrong(
            c, "model.bins",
            "used only with model.strata none; found silo%s, "
            "with which each silo has a baseline hazard of its "
            "own, at exact times; remove the key, or set "
            "strata: none",
            cv_job_gives(c, "model", "strata") ? "" : " (the default)");
    if (job->model.strata == CV_STRATA_NONE && !job->model.n_bins)
        return cv_job_wrong(c, "model.bins",
                            "one baseline hazard for all silos needs time bins "
                            "that all agree to, for exact times never leave a "
                            "silo; add for example bins: [\"0\", \"30\", "
                            "\"60\"], or set strata: silo");
    for (int i = 0; i < job->model.n_bins; i++, last = v) {
        cv_yaml_excerpt(text, job->model.bins[i]);
        if (cv_number(&v, job->model.bins[i], strlen(job->model.bins[i])) != 0)
            return cv_job_wrong(c, "model.bins",
                                "expected ascending numbers; found '%s'", text);
        if (i > 0 && !(v > last))
            return cv_job_wrong(c, "model.bins",
                                "expected ascending numbers; found '%s' after "
                                "'%.60s'",
                                text, job->model.bins[i - 1]);
    }
    return 0;
}

static int check_scale(const checker *c)
{
    const cv_job *job = c->job;
    cv_standardize found = job->data.standardize;
    if (cv_job_is_kind(job, "ridge") || cv_job_is_kind(job, "kernel_ridge"))
        return found == CV_STANDARDIZE_BOUNDS
                   ? cv_job_wrong(c, "data.standardize",
                                  "expected none or pooled; found bounds")
                   : 0;
    if (found == CV_STANDARDIZE_NONE)
        return 0;
    return cv_job_wrong(
        c, "data.standardize", "expected none%s; found %s; remove the key%s",
        cv_job_is_kind(job, "pca")
            ? ""
            : ", for coefficients are per unit of the columns as they are",
        found == CV_STANDARDIZE_POOLED ? "pooled" : "bounds",
        cv_job_is_kind(job, "pca")
            ? ", and set model.scale: true for columns of unit variance"
            : "");
}

static int check_data(const checker *c)
{
    const cv_job *job = c->job;
    int glm = cv_job_is_kind(job, "glm");
    if (job->data.missing == CV_MISSING_MEAN)
        return cv_job_wrong(c, "data.missing",
                            "expected drop or fail, for a fit takes whole rows "
                            "and fills no gaps; found mean");
    if (job->data.n_target_levels &&
        !(glm && strcmp(job->model.family, "binomial") == 0))
        return cv_job_wrong(c, "data.target_levels",
                            "used only with model.kind glm and family "
                            "binomial; found %s '%s'; remove the key",
                            glm ? "family" : "model.kind",
                            glm ? job->model.family : job->model.kind);
    if (job->data.n_target_levels > 2)
        return cv_job_wrong(c, "data.target_levels",
                            "expected 2 texts, of which the second is the "
                            "event; found %d",
                            job->data.n_target_levels);
    return check_scale(c);
}

static int check_run(const checker *c)
{
    const cv_job *job = c->job;
    if (job->training.weights != CV_WEIGHTS_ROWS)
        return cv_job_wrong(c, "training.weights",
                            "expected rows, for a fit counts every row of "
                            "every silo alike (model.weights names a column of "
                            "weights); remove the key");
    if (job->chain.rewards.enabled &&
        job->chain.rewards.method != CV_REWARD_EQUAL &&
        job->chain.rewards.method != CV_REWARD_DECLARED)
        return cv_job_wrong(c, "chain.rewards.method",
                            "expected equal or declared with model.kind '%s', "
                            "which has no test rows and tells no silo's number "
                            "of rows",
                            job->model.kind);
    if (!job->privacy.enabled && job->training.rounds > CV_FIT_MAX_ROUNDS)
        return cv_job_wrong(c, "training.rounds",
                            "expected at most %d with model.kind '%s', for "
                            "each round shows sums of the data (a fit takes 4 "
                            "to 8 and stops by itself); found %d",
                            CV_FIT_MAX_ROUNDS, job->model.kind,
                            job->training.rounds);
    return 0;
}

/* ---- privacy ---------------------------------------------------------------
 */

static int is_private_logistic(const cv_job *job)
{
    return cv_job_is_kind(job, "glm") &&
           strcmp(job->model.family, "binomial") == 0 &&
           strcmp(job->model.link, "logit") == 0;
}

static int is_private_linear(const cv_job *job)
{
    return cv_job_is_kind(job, "ridge") ||
           (cv_job_is_kind(job, "glm") &&
            strcmp(job->model.family, "gaussian") == 0 &&
            strcmp(job->model.link, "identity") == 0);
}

static int check_private_model(const checker *c)
{
    const cv_job *job = c->job;
    int glm = cv_job_is_kind(job, "glm");
    if (!is_private_logistic(job) && !is_private_linear(job))
        return cv_job_wrong(c, "privacy",
                            "there are private fits of ridge and of glm "
                            "(family gaussian with link identity, binomial "
                            "with logit); found model.kind '%s'%s%s%s%s; "
                            "remove the section, or change the model",
                            job->model.kind, glm ? ", family " : "",
                            glm ? job->model.family : "", glm ? ", link " : "",
                            glm ? job->model.link : "");
    if (job->model.strata == CV_STRATA_SILO)
        return cv_job_wrong(c, "model.strata",
                            "expected none with privacy, for a private fit "
                            "has one intercept for all silos; found silo");
    if (job->model.weights)
        return cv_job_wrong(c, "model.weights",
                            "a private fit has no weights; remove the key, or "
                            "the privacy section");
    return 0;
}

static int check_private_steps(const checker *c)
{
    const cv_job *job = c->job;
    if (job->privacy.unit != CV_UNIT_RECORD)
        return cv_job_wrong(c, "privacy.unit",
                            "expected record, for a private fit hides single "
                            "records; found silo");
    if (job->privacy.sampling < 1)
        return cv_job_wrong(c, "privacy.sampling",
                            "expected 1, for a fit takes all rows in every "
                            "round; found %g",
                            job->privacy.sampling);
    if (job->privacy.noise != CV_NOISE_DISTRIBUTED)
        return cv_job_wrong(c, "privacy.noise",
                            "expected distributed, for the silos of a fit make "
                            "the noise together; found local");
    return 0;
}

/* What is private is fitted from noisy sums whose sensitivity follows from public
 * bounds. */
static int check_bounds(const checker *c)
{
    const cv_job *job = c->job;
    const char *target = job->data.target;
    int linear = is_private_linear(job), target_found = 0;
    if (job->data.standardize != CV_STANDARDIZE_NONE)
        return cv_job_wrong(c, "data.standardize",
                            "expected none with privacy, for the bounds of the "
                            "features give the scale; remove the key");
    for (int i = 0; i < job->data.n_features; i++) {
        const cv_feature *f = &job->data.features[i];
        int is_target = strcmp(f->name, target) == 0;
        target_found |= is_target;
        if (f->type == CV_FEATURE_NUMBER && !f->has_bounds &&
            (linear || !is_target))
            return cv_job_wrong_feature(c, i,
                                        "'%s' needs bounds with privacy; add "
                                        "{name: %s, bounds: [low, high]}, "
                                        "known without looking at the data",
                                        f->name, f->name);
    }
    if (linear && !target_found)
        return cv_job_wrong(c, "data.features",
                            "the response '%s' needs bounds with privacy as "
                            "well; add {name: %s, bounds: [low, high]}",
                            target, target);
    return job->data.n_features
               ? 0
               : cv_job_wrong(c, "data.features",
                              "privacy needs bounds of every column; found no "
                              "features; list each as {name: x, bounds: [low, "
                              "high]}, or with type: category and levels");
}

/* Values outside of bounds are cut off. Without noise a lead could aim at single
 * rows with that. */
static int check_no_bounds(const checker *c)
{
    for (int i = 0; i < c->job->data.n_features; i++)
        if (c->job->data.features[i].has_bounds)
            return cv_job_wrong_feature(
                c, i,
                "'%s': bounds are used only with privacy, for values outside "
                "of them are cut off; remove them",
                c->job->data.features[i].name);
    return 0;
}

static int check_private(const checker *c)
{
    if (!c->job->privacy.enabled)
        return check_no_bounds(c);
    int rc = check_private_model(c);
    if (!rc)
        rc = check_private_steps(c);
    return rc ? rc : check_bounds(c);
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
        cv_job_check_formula, check_family, check_bins,
        check_data,           check_run,    check_private,
    };
    int rc = check_strategy(c);
    for (size_t i = 0;
         i < sizeof checks / sizeof *checks && !rc && is_fit_kind(c->job); i++)
        rc = checks[i](c);
    return rc;
}
