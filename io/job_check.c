/* Rules of job.yaml that more than one key takes part in. */
#include "io/job_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "io/names.h"

typedef cv_job_checker checker;

static int raise_error(const checker *c, int line, const char *path,
                       const char *fmt, va_list args)
{
    char text[sizeof c->err->text];
    vsnprintf(text, sizeof text, fmt, args);
    return cv_err_set(c->err, CV_ERR_INPUT, c->job->file, line, "%s: %s", path,
                      text);
}

int cv_job_wrong(const checker *c, const char *path, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int rc = raise_error(c, cv_keys_line(c->tree, path), path, fmt, args);
    va_end(args);
    return rc;
}

int cv_job_wrong_feature(const checker *c, int i, const char *fmt, ...)
{
    const cv_yaml *list = cv_yaml_get(cv_yaml_get(c->tree, "data"), "features");
    const char *name = c->job->data.features[i].name;
    int line = cv_keys_line(c->tree, cv_job_is_fit(c->job) ? "model.formula"
                                                           : "data.features");
    va_list args;
    /* By name: those of a fit come in the formula's order, and some from it. */
    for (size_t k = 0; list && k < list->n; k++) {
        const cv_yaml *item = cv_yaml_get(&list->item[k], "name");
        if (item && item->text && strcmp(item->text, name) == 0)
            line = list->item[k].line;
    }
    va_start(args, fmt);
    int rc = raise_error(c, line, "data.features", fmt, args);
    va_end(args);
    return rc;
}

int cv_job_gives(const checker *c, const char *section, const char *name)
{
    return cv_yaml_get(cv_yaml_get(c->tree, section), name) != NULL;
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
            .weight = 1,
            .share = 1};
}

static int check_silos(const checker *c)
{
    cv_job *job = c->job;
    if (job->silos_counted && !job->simulate.enabled)
        return cv_job_wrong(
            c, "silos",
            "{count, prefix} makes simulated silos, but there is no "
            "'simulate'; list the silos by name, or add simulate: "
            "{source: FILE}");
    if (job->silos_counted)
        make_silos(job);
    if (job->training.min_silos > job->n_silos)
        return cv_job_wrong(c, "training.min_silos",
                            "expected at most the number of silos, which is "
                            "%d; found %d",
                            job->n_silos, job->training.min_silos);
    return 0;
}

static int check_features(const checker *c)
{
    const cv_job *job = c->job;
    int bounds = job->data.standardize == CV_STANDARDIZE_BOUNDS;
    char name[80];
    if (bounds && job->data.n_features == 0)
        return cv_job_wrong(
            c, "data.standardize",
            "bounds needs data.features with bounds: [low, high] for every "
            "number; found no data.features");
    for (int i = 0; i < job->data.n_features; i++) {
        const cv_feature *f = &job->data.features[i];
        cv_yaml_excerpt(name, f->name);
        if (!cv_job_is_fit(job) && strcmp(f->name, job->data.target) == 0)
            return cv_job_wrong_feature(
                c, i,
                "'%s' is the target (data.target); a column cannot predict "
                "itself, leave it out",
                name);
        if (f->has_bounds && !(f->hi - f->lo <= 1e30))
            return cv_job_wrong_feature(
                c, i, "'%s': expected bounds at most 1e30 apart", name);
        if (bounds && f->type == CV_FEATURE_NUMBER && !f->has_bounds)
            return cv_job_wrong_feature(c, i,
                                        "'%s' needs bounds: [low, high], for "
                                        "data.standardize is bounds",
                                        name);
    }
    return 0;
}

/* A CSV column is read as numbers or as words, whichever comes first in it. */
static int mixes_numbers(char *const *levels, int n)
{
    int numbers = 0;
    double v;
    for (int i = 0; i < n; i++)
        numbers += cv_number(&v, levels[i], strlen(levels[i])) >= 0;
    return numbers > 0 && numbers < n;
}

static int check_target_levels(const checker *c)
{
    const cv_job *job = c->job;
    const char *kind = job->model.kind, *path = "data.target_levels";
    int n = job->data.n_target_levels, fit = cv_job_is_fit(job);
    int mlp = strcmp(kind, "mlp") == 0,
        logistic = strcmp(kind, "logistic") == 0;
    if (n == 0)
        return 0;
    if (!fit && mlp && job->data.target_type == CV_TARGET_NUMBER)
        return cv_job_wrong(c, path,
                            "used only where the target is a category; found "
                            "data.target_type 'number'; remove one of the two");
    if (!fit && !mlp && !logistic && strcmp(kind, "softmax") != 0)
        return cv_job_wrong(c, path,
                            "used only with model.kind logistic, softmax, mlp; "
                            "found model.kind '%s'; remove the key or change "
                            "model.kind",
                            kind);
    if (logistic && n != 2)
        return cv_job_wrong(c, path,
                            "expected 2 texts, for model logistic has two "
                            "classes; found %d; for more classes use softmax",
                            n);
    if (job->data.format == CV_FORMAT_CSV &&
        mixes_numbers(job->data.target_levels, n))
        return cv_job_wrong(c, path,
                            "expected numbers only or words only, for a CSV "
                            "column is read as one or the other; found both; "
                            "recode the target");
    return 0;
}

static int check_test(const checker *c)
{
    const cv_job *job = c->job;
    double fraction = job->data.test_fraction;
    if (job->data.test && job->simulate.enabled)
        return cv_job_wrong(c, "data.test",
                            "used only without simulate, which has a test set "
                            "of its own; move the file to simulate.test");
    if (fraction > 0 && (job->simulate.test || job->data.test))
        return cv_job_wrong(c, "data.test_fraction",
                            "expected 0, for %s gives the test rows; remove "
                            "one of the two",
                            job->data.test ? "data.test" : "simulate.test");
    return 0;
}

static int check_model(const checker *c)
{
    const cv_job *job = c->job;
    if (job->model.n_image && strcmp(job->model.transform, "scattering") != 0)
        return cv_job_wrong(c, "model.image",
                            "used only with model.transform scattering; found "
                            "model.transform '%s'; remove the key or change "
                            "model.transform",
                            job->model.transform);
    return 0;
}

static int check_training(const checker *c)
{
    cv_job *job = c->job;
    const char *strategy = job->training.strategy;
    double proximal = job->training.local.proximal;
    if (cv_job_is_fit(job))
        return 0;
    if (job->training.local.epochs && job->training.local.steps)
        return cv_job_wrong(c, "training.local.steps",
                            "expected either epochs or steps, found both; "
                            "remove one");
    if (!job->training.local.epochs && !job->training.local.steps)
        job->training.local.epochs = 1;
    int prox = strcmp(strategy, "fedprox") == 0;
    if (prox && proximal <= 0)
        return cv_job_wrong(c, "training.local.proximal",
                            "strategy fedprox needs a number > 0, for example "
                            "0.01; with 0 it would be fedavg");
    if (!prox && strcmp(strategy, "fednova") != 0 && proximal > 0)
        return cv_job_wrong(c, "training.local.proximal",
                            "used only with training.strategy fedprox, "
                            "fednova; found training.strategy '%s'; remove the "
                            "key or change training.strategy",
                            strategy);
    if (job->training.local.learning_rate * proximal >= 1)
        return cv_job_wrong(c, "training.local.proximal",
                            "expected learning_rate * proximal below 1, or the "
                            "term overshoots; lower one of them");
    double n = job->n_silos, drawn = job->training.participation * n;
    if (drawn < job->training.min_silos - 1 + 1e-9)
        return cv_job_wrong(c, "training.min_silos",
                            "participation draws fewer silos than min_silos in "
                            "every round; raise participation or lower "
                            "min_silos");
    return 0;
}

int cv_job_check(cv_job *job, const cv_yaml *tree, cv_err *err)
{
    static int (*const checks[])(const checker *) = {
        cv_job_check_fit,     check_silos,    check_features,
        check_target_levels,  check_test,     check_model,
        cv_job_check_privacy, check_training, cv_job_check_chain,
    };
    checker c = {job, tree, err};
    int rc = 0;
    if (!job->model.transform) /* the row is not used with this model */
        job->model.transform = cv_strdup("none");
    cv_job_fill_privacy(&c);
    cv_job_fill_fit(&c);
    for (size_t i = 0; i < sizeof checks / sizeof *checks && !rc; i++)
        rc = checks[i](&c);
    return rc;
}
