/* What secure_aggregation and privacy ask of the rest of the job. The reason
 * behind most rules: what a sum or a public setting does not need to tell, no
 * silo tells (PROTOCOL.md, "What else leaves a silo"). */
#include <math.h>
#include <string.h>

#include "io/job_check.h"

typedef cv_job_checker checker;

/* Fewest silos in a sum: the colluding ones know their own part of it, so two
 * more are needed for either of these to be hidden in the other. */
static int least_silos(const cv_job *job)
{
    return job->secure_aggregation.collusion + 2;
}

void cv_job_fill_privacy(const checker *c)
{
    cv_job *job = c->job;
    if (job->secure_aggregation.given && !job->privacy.enabled &&
        job->secure_aggregation.clip <= 0)
        job->secure_aggregation.clip = 100;
    if (!job->secure_aggregation.enabled ||
        cv_job_gives(c, "training", "min_silos"))
        return;
    /* Not above the number of silos: that has a message of its own. */
    int n = job->silos_counted ? job->silos_counted : job->n_silos;
    int least = least_silos(job);
    job->training.min_silos = least < n ? least : n;
}

/* ---- masks ------------------------------------------------------------- */

static int check_rosters(const checker *c)
{
    const cv_job *job = c->job;
    int n = job->n_silos, least = least_silos(job);
    int collusion = job->secure_aggregation.collusion;
    if (n < least)
        return cv_job_wrong(c, "secure_aggregation.collusion",
                            "with collusion %d a sum needs at least %d silos, "
                            "or it would show a single silo's update; found %d "
                            "silos; add silos%s",
                            collusion, least, n,
                            n >= 2 ? " or lower collusion" : "");
    if (job->training.min_silos < least)
        return cv_job_wrong(c, "training.min_silos",
                            "expected at least %d, for with "
                            "secure_aggregation.collusion %d a sum of fewer "
                            "silos is not released; found %d",
                            least, collusion, job->training.min_silos);
    double participation = job->training.participation;
    int drawn = (int)ceil(participation * n - 1e-9);
    if (drawn < least)
        return cv_job_wrong(c, "training.participation",
                            "expected a draw of at least %d silos (with "
                            "secure_aggregation.collusion %d), found %d of %d; "
                            "raise participation",
                            least, collusion, drawn, n);
    /* Sums of overlapping groups could be subtracted from one another. */
    if (!job->privacy.enabled && drawn < n && n / drawn < 2)
        return cv_job_wrong(
            c, "training.participation",
            "without noise the silos must fall into 2 or more "
            "fixed groups that share none, or sums could be "
            "subtracted; found groups of %d among %d silos; "
            "set participation to 1%s",
            drawn, n, n / 2 >= least ? ", or draw at most half of them" : "");
    return 0;
}

static int check_identities(const checker *c)
{
    const cv_job *job = c->job;
    const cv_yaml *silos = cv_yaml_get(c->tree, "silos");
    for (int i = 0; i < job->n_silos && !job->simulate.enabled; i++)
        if (!job->silos[i].public_key)
            return cv_err_set(c->err, CV_ERR_INPUT, job->file,
                              silos->item[i].line,
                              "silos: secure_aggregation needs the public_key "
                              "of every silo, or masks could be agreed with "
                              "anybody; '%s' has none; `covey keys new` at the "
                              "site makes it, `covey keys show` prints it",
                              job->silos[i].name);
    return 0;
}

/* Levels that are found in the data would travel in the clear. */
static int check_levels(const checker *c)
{
    const cv_job *job = c->job;
    const char *kind = job->model.kind;
    if (job->simulate.enabled)
        return 0;
    for (int i = 0; i < job->data.n_features; i++) {
        const cv_feature *f = &job->data.features[i];
        char name[80];
        cv_yaml_excerpt(name, f->name);
        if (f->type == CV_FEATURE_CATEGORY && f->n_levels == 0)
            return cv_job_wrong_feature(
                c, i,
                "'%s' needs levels: [..] with secure_aggregation, for levels "
                "found in the data would be shown to all; found none",
                name);
    }
    if (job->data.n_target_levels)
        return 0;
    int mlp = strcmp(kind, "mlp") == 0;
    if (mlp && job->data.target_type == CV_TARGET_AUTO)
        return cv_job_wrong(c, "data.target_type",
                            "expected number or category with "
                            "secure_aggregation, for what the data hold is not "
                            "told; found auto; a category needs "
                            "data.target_levels as well");
    if (strcmp(kind, "logistic") == 0 || strcmp(kind, "softmax") == 0 ||
        (mlp && job->data.target_type == CV_TARGET_CATEGORY))
        return cv_job_wrong(c, "data.target_levels",
                            "expected a list of the target's classes, such as "
                            "[\"0\", \"1\"], for with secure_aggregation the "
                            "classes found in the data are not shown; found "
                            "none");
    return 0;
}

static int check_masks(const checker *c)
{
    int rc = check_rosters(c);
    if (!rc)
        rc = check_identities(c);
    return rc ? rc : check_levels(c);
}

/* ---- differential privacy ---------------------------------------------- */

static int check_privacy_keys(const checker *c)
{
    const cv_job *job = c->job;
    if (!job->secure_aggregation.enabled)
        return cv_job_wrong(c, "privacy", "needs secure_aggregation; found %s",
                            job->secure_aggregation.given
                                ? "secure_aggregation.enabled 'false'; set it "
                                  "to true"
                                : "none; add `secure_aggregation: {}`");
    if (job->secure_aggregation.clip > 0)
        return cv_job_wrong(c, "secure_aggregation.clip",
                            "used only without a privacy section, which has "
                            "its own clip; remove the key and set "
                            "privacy.clip");
    if (job->privacy.epsilon <= 0 && job->privacy.noise_multiplier <= 0)
        return cv_job_wrong(c, "privacy",
                            "expected epsilon (the loss allowed to the whole "
                            "run), noise_multiplier, or both (epsilon is then "
                            "the cap); found neither; add one, for example "
                            "epsilon: 3");
    if (job->privacy.adaptive.enabled && job->privacy.unit != CV_UNIT_SILO)
        return cv_job_wrong(c, "privacy.adaptive",
                            "used only with privacy.unit silo; found "
                            "privacy.unit 'record'; remove the section or "
                            "change privacy.unit");
    return 0;
}

/* What would tell how many rows a silo has, or what they are like. */
static int check_private_data(const checker *c)
{
    const cv_job *job = c->job;
    if (cv_job_is_fit(job)) /* rules of its own: io/job_check_fit.c */
        return 0;
    if (job->training.weights == CV_WEIGHTS_ROWS)
        return cv_job_wrong(c, "training.weights",
                            "expected equal or declared, for with privacy the "
                            "numbers of rows are private; found rows%s",
                            cv_job_gives(c, "training", "weights")
                                ? ""
                                : " (the default); add weights: equal");
    if (job->data.standardize == CV_STANDARDIZE_POOLED)
        return cv_job_wrong(c, "data.standardize",
                            "expected none or bounds, for with privacy pooled "
                            "means are not shown; found pooled; use bounds and "
                            "give the features public bounds: [low, high]");
    if (job->data.missing == CV_MISSING_MEAN)
        return cv_job_wrong(c, "data.missing",
                            "expected drop or fail, for with privacy pooled "
                            "means are not shown; found mean");
    if (job->data.test_fraction > 0)
        return cv_job_wrong(c, "data.test_fraction",
                            "expected 0, for with privacy the silos' rows are "
                            "not tested on; name a public file with %s",
                            job->simulate.enabled ? "simulate.test"
                                                  : "data.test");
    if (job->disclosure.min_rows != 1)
        return cv_job_wrong(c, "disclosure.min_rows",
                            "used only without privacy, for who sits out would "
                            "tell the number of rows; found %d; remove the "
                            "key",
                            job->disclosure.min_rows);
    if (job->training.local.steps == 0)
        return cv_job_wrong(c, "training.local.epochs",
                            "expected training.local.steps, a public number, "
                            "for with privacy the numbers of rows are private; "
                            "found %s",
                            job->training.local.epochs
                                ? "epochs; replace them by steps"
                                : "neither; add steps, for example steps: 100");
    return 0;
}

static int check_record_unit(const checker *c)
{
    const cv_job *job = c->job;
    const char *strategy = job->training.strategy;
    int distributed = job->privacy.noise == CV_NOISE_DISTRIBUTED;
    if (job->privacy.unit != CV_UNIT_RECORD)
        return 0;
    if (strcmp(strategy, "scaffold") == 0)
        return cv_job_wrong(c, "training.strategy",
                            "scaffold is not there for privacy.unit record, "
                            "for its controls would need noise of their own; "
                            "use fedavg, or privacy.unit silo");
    if (!distributed)
        return 0;
    if (strcmp(strategy, "fedprox") == 0 || strcmp(strategy, "fednova") == 0)
        return cv_job_wrong(c, "training.strategy",
                            "with privacy.noise distributed every step is "
                            "common to all silos, so there is no drift for %s "
                            "to correct; use fedavg, or privacy.noise local",
                            strategy);
    if (job->training.participation < 1)
        return cv_job_wrong(c, "training.participation",
                            "expected 1 with privacy.unit record and "
                            "privacy.noise distributed, for the noise is made "
                            "of every silo's share; found %g",
                            job->training.participation);
    return 0;
}

int cv_job_check_privacy(const checker *c)
{
    int rc = 0;
    if (c->job->privacy.enabled)
        rc = check_privacy_keys(c);
    if (!rc && c->job->secure_aggregation.enabled)
        rc = check_masks(c);
    if (!rc && c->job->privacy.enabled)
        rc = check_private_data(c);
    if (!rc && c->job->privacy.enabled)
        rc = check_record_unit(c);
    return rc;
}
