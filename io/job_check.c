/* Rules of job.yaml that more than one key takes part in. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "io/job_keys.h"

typedef struct {
    cv_job *job;
    const cv_yaml *tree;
    cv_err *err;
} checker;

/* "path: what" at the line of path. */
static int wrong(const checker *c, const char *path, const char *what)
{
    return cv_err_set(c->err, CV_ERR_INPUT, c->job->file,
                      cv_keys_line(c->tree, path), "%s: %s", path, what);
}

/* Names s00..s99: as many digits as the last one needs, so that sorted names
 * are in the order of the numbers. */
static void make_silos(cv_job *job)
{
    int width = 1;
    for (int last = job->silos_counted - 1; last >= 10; last /= 10)
        width++;
    job->n_silos = job->silos_counted;
    job->silos = CV_NEW(job->n_silos, cv_job_silo);
    for (int i = 0; i < job->n_silos; i++)
        job->silos[i] = (cv_job_silo){
            .name = cv_asprintf("%s%0*d", job->silos_prefix, width, i),
            .ranks = 1,
            .weight = 1};
}

static int check_silos(const checker *c)
{
    cv_job *job = c->job;
    if (job->silos_counted && !job->simulate.enabled)
        return wrong(c, "silos",
                     "{count, prefix} makes simulated silos, but there is no "
                     "'simulate'; list the silos by name, or add simulate: "
                     "{source: FILE}");
    if (job->silos_counted)
        make_silos(job);
    if (job->training.min_silos > job->n_silos)
        return cv_err_set(c->err, CV_ERR_INPUT, job->file,
                          cv_keys_line(c->tree, "training.min_silos"),
                          "training.min_silos: expected at most the number of "
                          "silos, which is %d; found %d",
                          job->n_silos, job->training.min_silos);
    return 0;
}

static int feature_line(const checker *c, int i)
{
    const cv_yaml *data = cv_yaml_get(c->tree, "data");
    return cv_yaml_get(data, "features")->item[i].line;
}

static int check_features(const checker *c)
{
    const cv_job *job = c->job;
    int bounds = job->data.standardize == CV_STANDARDIZE_BOUNDS;
    char name[80];
    if (bounds && job->data.n_features == 0)
        return wrong(c, "data.standardize",
                     "bounds needs data.features with bounds: [low, high] for "
                     "every number; found no data.features");
    for (int i = 0; i < job->data.n_features; i++) {
        const cv_feature *f = &job->data.features[i];
        cv_yaml_excerpt(name, f->name);
        if (strcmp(f->name, job->data.target) == 0)
            return cv_err_set(c->err, CV_ERR_INPUT, job->file,
                              feature_line(c, i),
                              "data.features: '%s' is the target (data.target);"
                              " a column cannot predict itself, leave it out",
                              name);
        if (f->has_bounds && !(f->hi - f->lo <= 1e30))
            return cv_err_set(c->err, CV_ERR_INPUT, job->file,
                              feature_line(c, i),
                              "data.features: '%s': expected bounds at most "
                              "1e30 apart",
                              name);
        if (bounds && f->type == CV_FEATURE_NUMBER && !f->has_bounds)
            return cv_err_set(c->err, CV_ERR_INPUT, job->file,
                              feature_line(c, i),
                              "data.features: '%s' needs bounds: [low, high], "
                              "for data.standardize is bounds",
                              name);
    }
    return 0;
}

static int check_training(const checker *c)
{
    cv_job *job = c->job;
    const char *strategy = job->training.strategy;
    double proximal = job->training.local.proximal;
    if (job->training.local.epochs && job->training.local.steps)
        return wrong(c, "training.local.steps",
                     "expected either epochs or steps, found both; remove one");
    if (!job->training.local.epochs && !job->training.local.steps)
        job->training.local.epochs = 1;
    int prox = strcmp(strategy, "fedprox") == 0;
    if (prox && proximal <= 0)
        return wrong(c, "training.local.proximal",
                     "strategy fedprox needs a number > 0, for example 0.01; "
                     "with 0 it would be fedavg");
    if (!prox && strcmp(strategy, "fednova") != 0 && proximal > 0)
        return cv_err_set(c->err, CV_ERR_INPUT, job->file,
                          cv_keys_line(c->tree, "training.local.proximal"),
                          "training.local.proximal: used only with "
                          "training.strategy fedprox, fednova; found "
                          "training.strategy '%s'; remove the key or change "
                          "training.strategy",
                          strategy);
    if (job->training.local.learning_rate * proximal >= 1)
        return wrong(c, "training.local.proximal",
                     "expected learning_rate * proximal below 1, or the term "
                     "overshoots; lower one of them");
    double n = job->n_silos, drawn = job->training.participation * n;
    if (drawn < job->training.min_silos - 1 + 1e-9)
        return wrong(c, "training.min_silos",
                     "participation draws fewer silos than min_silos in every "
                     "round; raise participation or lower min_silos");
    return 0;
}

/* Defaults that a row cannot say, for they depend on other sections. */
static void fill_in(cv_job *job)
{
    if (!job->model.transform)
        job->model.transform = cv_strdup("none");
    if (job->secure_aggregation.given && !job->privacy.enabled &&
        job->secure_aggregation.clip <= 0)
        job->secure_aggregation.clip = 100;
}

int cv_job_check(cv_job *job, const cv_yaml *tree, cv_err *err)
{
    checker c = {job, tree, err};
    fill_in(job);
    int rc = check_silos(&c);
    if (!rc)
        rc = check_features(&c);
    if (!rc && job->simulate.test && job->data.test_fraction > 0)
        rc = wrong(&c, "data.test_fraction",
                   "expected 0, for simulate.test gives the test rows; remove "
                   "one of the two");
    if (!rc)
        rc = check_training(&c);
    return rc;
}
