/** Fits with R's numbers in them: infert (a logistic regression), cars (a linear
 *  one) and lung (Cox), as R 4.2.2 and survival 3.5 have them.
 *
 *      options(digits = 17)
 *      f <- glm(case ~ age + parity + spontaneous, binomial, infert)
 *      g <- glm(dist ~ speed, data = cars)
 *      h <- coxph(Surv(time, status == 2) ~ age + sex + ph.ecog, lung)
 */
#ifndef COVEY_TESTS_FIT_FIXTURE_H
#define COVEY_TESTS_FIT_FIXTURE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "jobs/saved.h"

/* model: what stands in the braces of the job's model; data: of its data. */
static inline cv_job *fixture_job_with(const char *model, const char *data,
                                       const char *rest)
{
    cv_job *job = NULL;
    cv_err err = {0};
    char *text = cv_asprintf("covey: 1\n"
                             "name: fitted\n"
                             "silos: [{name: north}, {name: south}]\n"
                             "data: {%s}\n"
                             "model: {%s}\n"
                             "training: {rounds: 25, min_silos: 2}\n%s",
                             data, model, rest);
    if (cv_job_parse(text, "job.yaml", &job, &err))
        fprintf(stderr, "fixture: %d: %s\n%s\n", err.line, err.text, text);
    free(text);
    return job;
}

static inline cv_job *fixture_job(const char *model)
{
    return fixture_job_with(model, "format: csv", "");
}

/* Numbers, separated by blanks; the target first. */
static inline cv_schema *fixture_schema(const char *names)
{
    cv_schema *schema = NULL;
    cv_err err = {0};
    cv_buf b = {0};
    char *list = cv_strdup(names), *save = NULL, *word = list;
    cv_buf_printf(&b, "covey-schema 1\tdrop\tnone\n");
    for (int i = 0; (word = strtok_r(i ? NULL : list, " ", &save)); i++)
        cv_buf_printf(&b, "%s\tnumber\t%s\n", i ? "feature" : "target", word);
    cv_buf_printf(&b, "end\n");
    if (cv_schema_from_text(cv_buf_text(&b), &schema, &err))
        fprintf(stderr, "fixture: %s\n", err.text);
    cv_buf_free(&b);
    free(list);
    return schema;
}

typedef struct {
    cv_job *job;
    cv_schema *schema;
    cv_fit_model *m;
    double *v;
} fixture;

static inline fixture fixture_make(const char *model, const char *columns)
{
    cv_err err = {0};
    fixture f = {.job = fixture_job(model), .schema = fixture_schema(columns)};
    if (!f.job || !f.schema || cv_fit_model_make(f.job, f.schema, &f.m, &err)) {
        fprintf(stderr, "fixture: %s\n", err.text);
        abort();
    }
    f.v = CV_NEW(f.m->params.n, double);
    cv_fit_start(f.m, f.v);
    double *unit = cv_fit_view(f.m, f.v, "unit");
    for (int j = 0; j < f.m->p; j++)
        unit[j] = 1.0 + j;
    return f;
}

static inline void fixture_free(fixture *f)
{
    cv_fit_model_destroy(&f->m);
    cv_job_destroy(&f->job);
    cv_schema_destroy(&f->schema);
    CV_FREE(f->v);
}

static inline double *fixture_scalars(const fixture *f)
{
    return cv_fit_view(f->m, f->v, "scalars");
}

/* Estimates, and errors from the covariance matrix; the fit is done. */
static inline void fixture_fill(fixture *f, const double *b, const double *cov)
{
    int q = f->m->q;
    double *se = cv_fit_view(f->m, f->v, "standard_errors");
    memcpy(cv_fit_view(f->m, f->v, "coefficients"), b, (size_t)q * sizeof *b);
    memcpy(cv_fit_view(f->m, f->v, "covariance"), cov,
           (size_t)(q * q) * sizeof *cov);
    for (int j = 0; j < q; j++)
        se[j] = sqrt(cov[j * q + j]);
    double *s = fixture_scalars(f);
    s[CV_FIT_STAGE] = 3.0;
    s[CV_FIT_CONVERGED] = 1.0;
    s[CV_FIT_RANK] = q;
    s[CV_FIT_DISPERSION] = 1.0;
}

static inline fixture fixture_infert(void)
{
    static const double b[] = {-1.674347699104472120, 0.022855543106891474,
                               -0.257323122573841434, 1.237834952130404842};
    static const double cov[] = {
        0.83929990636165019424,  -0.02439135246422104858,
        -0.01078588624412310862, -0.04015585876615669625,
        -0.02439135246422104858, 0.00078581307196756581,
        -0.00051529149921482320, 0.00100670364449676744,
        -0.01078588624412310862, -0.00051529149921482320,
        0.01731042998925468035,  -0.01216480982511057747,
        -0.04015585876615669625, 0.00100670364449676744,
        -0.01216480982511057747, 0.04827879944290262154};
    fixture f = fixture_make("kind: glm, family: binomial, "
                             "formula: case ~ age + parity + spontaneous",
                             "case age parity spontaneous");
    fixture_fill(&f, b, cov);
    double *s = fixture_scalars(&f);
    s[CV_FIT_ROWS] = s[CV_FIT_WEIGHT_SUM] = s[CV_FIT_POSITIVE_ROWS] = 248.0;
    s[CV_FIT_DEVIANCE] = 279.40622397841543;
    s[CV_FIT_NULL_DEVIANCE] = 316.17111081640439;
    s[CV_FIT_LOGLIK] = -139.70311198920771;
    s[CV_FIT_DF_RESIDUAL] = 244.0;
    s[CV_FIT_ITERATIONS] = 4.0;
    return f;
}

static inline fixture fixture_cars(void)
{
    static const double b[] = {-1.7579094890510952e+01, 3.9324087591240877e+00};
    static const double cov[] = {45.67651352307883172, -2.65882336050579848,
                                 -2.65882336050579848, 0.17265086756531159};
    fixture f = fixture_make("kind: glm, formula: dist ~ speed", "dist speed");
    fixture_fill(&f, b, cov);
    double *s = fixture_scalars(&f);
    s[CV_FIT_ROWS] = s[CV_FIT_WEIGHT_SUM] = s[CV_FIT_POSITIVE_ROWS] = 50.0;
    s[CV_FIT_DEVIANCE] = 11353.52105109489094;
    s[CV_FIT_NULL_DEVIANCE] = 32538.97999999999956;
    s[CV_FIT_LOGLIK] = -206.57843151367663;
    s[CV_FIT_DISPERSION] = 236.53168856447689;
    s[CV_FIT_DF_RESIDUAL] = 48.0;
    s[CV_FIT_ITERATIONS] = 2.0;
    return f;
}

static inline fixture fixture_lung(void)
{
    static const double b[] = {1.1066764560073482e-02, -5.5261239570363097e-01,
                               4.6372847537042766e-01};
    static const double cov[] = {
        8.5884906896857856e-05,  4.3099296152384503e-06,
        -1.8217297866439524e-04, 4.3099296152384503e-06,
        2.8136390165446477e-02,  -9.3008808545366674e-04,
        -1.8217297866439524e-04, -9.3008808545366674e-04,
        1.2899795388833022e-02};
    fixture f = fixture_make(
        "kind: cox, formula: 'Surv(time, status == 2) ~ age + sex + ph.ecog'",
        "time status age sex ph.ecog");
    fixture_fill(&f, b, cov);
    double *s = fixture_scalars(&f);
    s[CV_FIT_ROWS] = s[CV_FIT_WEIGHT_SUM] = s[CV_FIT_POSITIVE_ROWS] = 227.0;
    s[CV_FIT_EVENTS] = 164.0;
    s[CV_FIT_LOGLIK] = -729.23012137486194;
    s[CV_FIT_DEVIANCE] = 2.0 * 729.23012137486194;
    s[CV_FIT_NULL_DEVIANCE] = 2.0 * 744.48045576144023;
    s[CV_FIT_CONCORDANT] = 12544.0;
    s[CV_FIT_DISCORDANT] = 7117.0;
    s[CV_FIT_TIED_X] = 126.0;
    s[CV_FIT_TIED_Y] = 28.0;
    s[CV_FIT_ITERATIONS] = 4.0;
    return f;
}

/* prcomp(USArrests, scale. = TRUE), its first two components; PC1 the other way
 * round, so that its largest element is positive. */
static inline fixture fixture_arrests(int scale)
{
    static const double centre[] = {7.788, 170.76, 65.54, 21.232};
    static const double unit[] = {4.3555097642092884, 83.3376608400170653,
                                  14.4747634008367854, 9.3663845310596479};
    static const double variances[] = {2.48024157914949406, 0.98976515253983999,
                                       0.35656318058082997,
                                       0.17343008772983542};
    static const double loadings[] = {
        0.53589947493815515, 0.58318363490967040,  0.27819087461943298,
        0.54343209144568294, -0.41818086542095456, -0.18798560423193908,
        0.87280619306042495, 0.16731863540174582};
    fixture f = fixture_make(
        scale ? "kind: pca, scale: true, "
                "formula: '~ Murder + Assault + UrbanPop + Rape'"
              : "kind: pca, formula: '~ Murder + Assault + UrbanPop + Rape'",
        "none Murder Assault UrbanPop Rape");
    double *s = fixture_scalars(&f);
    memcpy(cv_fit_view(f.m, f.v, "centre"), centre, sizeof centre);
    memcpy(cv_fit_view(f.m, f.v, "unit"), unit, sizeof unit);
    memcpy(cv_fit_view(f.m, f.v, "variances"), variances, sizeof variances);
    memcpy(cv_fit_view(f.m, f.v, "loadings"), loadings, sizeof loadings);
    s[CV_FIT_STAGE] = 3.0;
    s[CV_FIT_ROWS] = 50.0;
    s[CV_FIT_CONVERGED] = s[CV_FIT_ITERATIONS] = 1.0;
    s[CV_FIT_TOTAL_VARIANCE] = 4.0;
    return f;
}

/* A checkpoint of it, as a run of one round leaves it without masks. */
static inline int fixture_save(const fixture *f, const char *path, cv_err *err)
{
    static const int64_t one[] = {1}, two[] = {2};
    static const double share[] = {0.25, 0.75}, second[] = {0.5};
    static const int64_t taken[] = {1, 1};
    static const int32_t status[] = {1, 1};
    static const char *const name[] = {"north", "south"};
    const cv_h5_column history[] = {
        {.name = "round", .type = CV_H5_I64, .data = one},
        {.name = "silos", .type = CV_H5_I64, .data = two},
        {.name = "seconds_train", .type = CV_H5_F64, .data = second}};
    const cv_h5_column silos[] = {
        {.name = "name", .is_string = 1, .data = name},
        {.name = "share", .type = CV_H5_F64, .data = share},
        {.name = "rounds_taken", .type = CV_H5_I64, .data = taken},
        {.name = "status", .type = CV_H5_I32, .data = status}};
    uint8_t digest[32];
    char hex[65], *schema = cv_schema_to_text(f->schema);
    cv_h5_writer *w = NULL;
    cv_params_digest_f64(digest, f->v, f->m->params.n);
    cv_hex(hex, digest, 32);
    int rc = cv_h5_create(path, 0644, &w, err);
    if (!rc)
        rc = cv_h5_attr_i64(w, "/", "format_version", CV_FORMAT_VERSION, err);
    if (!rc)
        rc = cv_h5_attr_string(w, "/", "program", "covey", err);
    if (!rc)
        rc = cv_h5_attr_string(w, "/", "run_id", "00ff", err);
    if (!rc)
        rc = cv_h5_attr_i64(w, "/", "round", 1, err);
    if (!rc)
        rc = cv_h5_attr_string(w, "/", "job_digest", "00", err);
    if (!rc)
        rc = cv_h5_attr_string(w, "/", "created", "2026-01-02T03:04:05Z", err);
    if (!rc)
        rc = cv_h5_put_string(w, "/job", f->job->text, NULL, err);
    if (!rc)
        rc = cv_h5_put_string(w, "/data/schema", schema, NULL, err);
    if (!rc)
        rc = cv_h5_attr_string(w, "/model", "digest", hex, err);
    if (!rc)
        rc = cv_fit_save(w, f->m, f->job, f->v, err);
    if (!rc)
        rc = cv_h5_put_table(w, "/history", NULL, history, 3, 1, err);
    if (!rc)
        rc = cv_h5_put_table(w, "/silos", NULL, silos, 4, 2, err);
    if (!rc)
        rc = cv_h5_commit(&w, err);
    cv_h5_abort(&w);
    free(schema);
    return rc;
}

#endif
