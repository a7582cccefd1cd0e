/* Fits: their vector, and what follows from it, against R. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "solver/fourier.h"
#include "tests/jobs/fit_fixture.h"

static void near(double a, double b)
{
    if (isnan(a) || isnan(b)) {
        assert_true(isnan(a) && isnan(b));
        return;
    }
    if (!(fabs(a - b) <= 1e-10 * fabs(b)))
        fail_msg("%.17g is not %.17g", a, b);
}

/* ---- which vector ---------------------------------------------------------------- */

static void has_views(const cv_fit_model *m, const char *const *names)
{
    int n = 0;
    while (names[n])
        n++;
    assert_int_equal(m->params.n_views, n);
    for (int i = 0; i < n; i++)
        assert_string_equal(m->params.views[i].name, names[i]);
}

static void views_of_each_kind(void **state)
{
    (void)state;
    static const char *const tested[] = {
        "scalars",    "coefficients", "standard_errors",
        "covariance", "working",      "previous",
        "step",       "centre",       "unit",
        "dropped",    "norm",         "first_variance",
        NULL};
    static const char *const ridge[] = {
        "scalars", "coefficients",   "working", "previous",
        "step",    "centre",         "unit",    "dropped",
        "norm",    "first_variance", NULL};
    static const char *const pca[] = {
        "scalars", "working", "previous",       "step",      "centre",   "unit",
        "dropped", "norm",    "first_variance", "variances", "loadings", NULL};
    static const struct {
        const char *model, *columns;
        const char *const *views;
        int p, q, components;
        const char *first, *last;
    } rows[] = {
        {"kind: glm, formula: y ~ a + b, weights: w", "y a b w", tested, 3, 3,
         0, "(Intercept)", "b"},
        {"kind: glm, formula: y ~ a + b - 1", "y a b", tested, 2, 2, 0, "a",
         "b"},
        {"kind: glm, formula: y ~ ., weights: w", "y a w b", tested, 3, 3, 0,
         "(Intercept)", "b"},
        {"kind: glm, strata: silo, formula: y ~ a + b", "y a b", tested, 2, 2,
         0, "a", "b"},
        {"kind: cox, formula: 'Surv(y, e) ~ .'", "y e a b", tested, 2, 2, 0,
         "a", "b"},
        {"kind: ridge, ridge: 1, formula: y ~ a + b", "y a b", ridge, 3, 3, 0,
         "(Intercept)", "b"},
        {"kind: kernel_ridge, ridge: 1, features: 7, formula: y ~ a + b",
         "y a b", ridge, 2, 8, 0, "(Intercept)", "feature 7"},
        {"kind: pca, components: 5, formula: '~ a + b'", "y a b", pca, 2, 2, 2,
         "a", "b"},
        {"kind: pca, components: 1, formula: '~ a + b'", "y a b", pca, 2, 2, 1,
         "a", "b"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture f = fixture_make(rows[i].model, rows[i].columns);
        has_views(f.m, rows[i].views);
        assert_int_equal(f.m->p, rows[i].p);
        assert_int_equal(f.m->q, rows[i].q);
        assert_int_equal(f.m->components, rows[i].components);
        assert_string_equal(f.m->name[0], rows[i].first);
        assert_string_equal(f.m->name[f.m->q - 1], rows[i].last);
        fixture_free(&f);
    }
}

static void refused(const char *model, const char *columns, const char *why,
                    const char *formula, const char *link)
{
    cv_job *job = fixture_job(model);
    cv_schema *schema = fixture_schema(columns);
    cv_fit_model *m = NULL;
    assert_non_null(job);
    if (formula) { /* what the job's own checks would not let pass */
        free(job->model.formula);
        job->model.formula = cv_strdup(formula);
    }
    if (link) {
        free(job->model.link);
        job->model.link = cv_strdup(link);
    }
    cv_err err = {0};
    assert_int_equal(cv_fit_model_make(job, schema, &m, &err), CV_ERR_INPUT);
    assert_null(m);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
    cv_job_destroy(&job);
    cv_schema_destroy(&schema);
}

static void no_vector_for_these(void **state)
{
    (void)state;
    const char *glm = "kind: glm, formula: y ~ a";
    refused(glm, "y b", "'a'", NULL, NULL);
    refused(glm, "y a", "response ~ terms", "Surv(y, e) ~ a", NULL);
    refused(glm, "y a", "response ~ terms", "~ a", NULL);
    refused(glm, "y a", "has no link 'sqrt'", NULL, "sqrt");
    refused(glm, "y a", "without a column", "y ~ 0", NULL);
    refused("kind: glm, strata: silo, formula: y ~ a", "y a",
            "without a column", "y ~ 1", NULL);
    refused("kind: cox, formula: 'Surv(y, e) ~ a'", "y e a",
            "Surv(time, event)", "y ~ a", NULL);
    refused("kind: pca, formula: '~ a'", "y a", "without a response", "y ~ a",
            NULL);
}

static void large_fits_keep_no_covariance(void **state)
{
    (void)state;
    for (int n = CV_FIT_COVARIANCE_MAX - 1; n <= CV_FIT_COVARIANCE_MAX; n++) {
        cv_buf b = {0};
        cv_buf_printf(&b, "y");
        for (int i = 0; i < n; i++)
            cv_buf_printf(&b, " x%d", i);
        fixture f = fixture_make("kind: glm, formula: y ~ .", cv_buf_text(&b));
        int keeps = n + 1 <= CV_FIT_COVARIANCE_MAX;
        assert_int_equal(f.m->q, n + 1);
        assert_int_equal(f.m->has_covariance, keeps);
        assert_string_equal(f.m->params.views[3].name,
                            keeps ? "covariance" : "working");
        fixture_free(&f);
        cv_buf_free(&b);
    }
}

/* ---- summaries against R ------------------------------------------------------------- */

/* columns (6, n): estimate, error, statistic, p, lower, upper. */
static void table_is(const cv_fit_summary *s, int n, const double *columns)
{
    assert_int_equal(s->n, n);
    for (int i = 0; i < n; i++) {
        const cv_fit_line *l = &s->line[i];
        near(l->estimate, columns[i]);
        near(l->std_error, columns[n + i]);
        near(l->statistic, columns[2 * n + i]);
        near(l->p_value, columns[3 * n + i]);
        near(l->lower, columns[4 * n + i]);
        near(l->upper, columns[5 * n + i]);
        assert_false(l->dropped);
    }
}

/* summary(f)$coefficients, confint.default(f). */
static void logistic_as_r(void **state)
{
    (void)state;
    static const double want[] = {
        -1.6743476991044721e+00, 2.2855543106891474e-02,
        -2.5732312257384143e-01, 1.2378349521304048e+00,
        9.1613312698627491e-01,  2.8032357588464903e-02,
        1.3156910727543408e-01,  2.1972437152692603e-01,
        -1.8276248830914248e+00, 8.1532718162443651e-01,
        -1.9558019956398041e+00, 5.6335805788331266e+00,
        6.7605868690791382e-02,  4.1488505378607288e-01,
        5.0488483713391936e-02,  1.7650598854818303e-08,
        -3.46993563304163021854, -0.03208686816824780214,
        -0.51519383431177900867, 0.80718309741193183804,
        0.12124023483268620005,  0.07779795438203074287,
        0.00054758916409608505,  1.66848680684887784587};
    fixture f = fixture_infert();
    cv_fit_summary s;
    cv_fit_summary_make(f.m, f.job, f.v, &s);
    table_is(&s, 4, want);
    assert_false(s.by_t);
    assert_string_equal(s.ratio_name, "odds ratio");
    near(s.line[0].ratio, NAN);
    near(s.line[3].ratio, 3.44813998932796517);
    near(s.aic, 287.40622397841543);
    near(s.df_null, 247.0);
    near(s.df_residual, 244.0);
    near(s.deviance, 279.40622397841543);
    near(s.concordance, NAN);
    near(s.r_squared, NAN);
    near(s.lr, NAN);
    cv_fit_summary_free(&s);
    fixture_free(&f);
}

/* summary(g)$coefficients, confint and r.squared of lm. */
static void linear_as_r(void **state)
{
    (void)state;
    static const double want[] = {
        -1.7579094890510952e+01, 3.9324087591240877e+00,
        6.7584401693792353e+00,  4.1551277665712227e-01,
        -2.6010580030222559e+00, 9.4639899902983711e+00,
        1.2318816153808781e-02,  1.4898364962950876e-12,
        -31.1678496023886424,    3.0969643281403232,
        -3.9903401786332608,     4.7678531901078527};
    fixture f = fixture_cars();
    cv_fit_summary s;
    cv_fit_summary_make(f.m, f.job, f.v, &s);
    table_is(&s, 2, want);
    assert_true(s.by_t);
    assert_null(s.ratio_name);
    near(s.aic, 419.15686302735327);
    near(s.df_null, 49.0);
    near(s.dispersion, 236.53168856447689);
    near(s.r_squared, 0.65107938075825078);
    cv_fit_summary_free(&s);

    /* No degrees of freedom: R says NaN. */
    fixture_scalars(&f)[CV_FIT_DF_RESIDUAL] = 0.0;
    cv_fit_summary_make(f.m, f.job, f.v, &s);
    near(s.line[1].estimate, want[1]);
    near(s.line[1].p_value, NAN);
    near(s.line[1].lower, NAN);
    cv_fit_summary_free(&s);
    fixture_free(&f);
}

/* summary(h), confint(h), AIC(h). */
static void cox_as_r(void **state)
{
    (void)state;
    static const double want[] = {
        1.1066764560073482e-02, -5.5261239570363097e-01, 4.6372847537042766e-01,
        9.2674110137005283e-03, 1.6773905378726350e-01,  1.1357726616199662e-01,
        1.1941592472496223e+00, -3.2944766482615693e+00, 4.0829339448002395e+00,
        2.3241568099961177e-01, 9.8605137213845302e-04,  4.4470666518568107e-05,
        -0.0070970272567093835, -0.8813748999274942930,  0.2411211242303945568,
        0.0292305563768563495,  -0.2238498914797676376,  0.6863358265104607669};
    fixture f = fixture_lung();
    cv_fit_summary s;
    cv_fit_summary_make(f.m, f.job, f.v, &s);
    table_is(&s, 3, want);
    assert_string_equal(s.ratio_name, "hazard ratio");
    near(s.line[0].ratio, 1.0111282277225162e+00);
    near(s.line[1].ratio, 5.7544455619049184e-01);
    near(s.lr, 3.0500668773156576e+01);
    near(s.lr_df, 3.0);
    near(s.lr_p, 1.0828176991986987e-06);
    near(s.aic, 1464.46024274972388);
    near(s.concordance, 6.3713549300045491e-01);
    cv_fit_summary_free(&s);
    fixture_free(&f);
}

static void what_there_is_no_number_for(void **state)
{
    (void)state;
    fixture f = fixture_infert();
    cv_fit_summary s;
    /* Collinear. */
    cv_fit_view(f.m, f.v, "dropped")[2] = 1.0;
    cv_fit_view(f.m, f.v, "coefficients")[2] = NAN;
    cv_fit_view(f.m, f.v, "standard_errors")[2] = NAN;
    cv_fit_summary_make(f.m, f.job, f.v, &s);
    assert_true(s.line[2].dropped);
    near(s.line[2].estimate, NAN);
    near(s.line[2].p_value, NAN);
    near(s.line[2].ratio, NAN);
    near(s.line[3].p_value, 1.7650598854818303e-08);
    cv_fit_summary_free(&s);

    /* Shrunk: errors stay, no tests. */
    f.job->model.ridge = 0.5;
    cv_fit_summary_make(f.m, f.job, f.v, &s);
    near(s.line[3].std_error, 2.1972437152692603e-01);
    near(s.line[3].statistic, NAN);
    near(s.line[3].p_value, NAN);
    near(s.line[3].upper, NAN);
    near(s.aic, NAN);
    near(s.loglik, -139.70311198920771);
    cv_fit_summary_free(&s);
    fixture_free(&f);

    f = fixture_lung();
    f.job->model.ridge = 0.5;
    cv_fit_summary_make(f.m, f.job, f.v, &s);
    near(s.lr_p, NAN);
    near(s.line[0].lower, NAN);
    near(s.concordance, 6.3713549300045491e-01);
    cv_fit_summary_free(&s);
    fixture_free(&f);
}

static void ratios_have_names(void **state)
{
    (void)state;
    static const struct {
        const char *model, *name;
    } rows[] = {
        {"family: binomial, link: logit", "odds ratio"},
        {"family: binomial, link: log", "risk ratio"},
        {"family: binomial, link: probit", NULL},
        {"family: poisson, link: log", "rate ratio"},
        {"family: poisson, link: sqrt", NULL},
        {"family: gamma, link: log", "mean ratio"},
        {"family: gamma, link: inverse", NULL},
        {"family: gaussian, link: log", "mean ratio"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *model =
            cv_asprintf("kind: glm, formula: y ~ a, %s", rows[i].model);
        fixture f = fixture_make(model, "y a");
        cv_fit_summary s;
        cv_fit_view(f.m, f.v, "coefficients")[1] = 0.5;
        cv_fit_summary_make(f.m, f.job, f.v, &s);
        if (rows[i].name)
            assert_string_equal(s.ratio_name, rows[i].name);
        else
            assert_null(s.ratio_name);
        near(s.line[1].ratio, rows[i].name ? exp(0.5) : (double)NAN);
        near(s.line[0].ratio, NAN);
        cv_fit_summary_free(&s);
        fixture_free(&f);
        free(model);
    }
}

/* Each silo's intercept is a parameter that was estimated. */
static void strata_count(void **state)
{
    (void)state;
    fixture f = fixture_make("kind: glm, strata: silo, formula: y ~ a", "y a");
    double *v = fixture_scalars(&f);
    cv_fit_summary s;
    v[CV_FIT_POSITIVE_ROWS] = 100.0;
    v[CV_FIT_INTERCEPTS] = 2.0;
    v[CV_FIT_RANK] = 1.0;
    v[CV_FIT_LOGLIK] = -10.0;
    cv_fit_summary_make(f.m, f.job, f.v, &s);
    near(s.df_null, 99.0); /* R's null model has one mean */
    near(s.aic, 20.0 + 2.0 * (1.0 + 2.0 + 1.0));
    cv_fit_summary_free(&s);
    fixture_free(&f);
}

static void r_squared_of_ridge(void **state)
{
    (void)state;
    fixture f = fixture_make("kind: ridge, ridge: 1, formula: y ~ a", "y a");
    cv_fit_summary s;
    fixture_scalars(&f)[CV_FIT_RSS] = 25.0;
    fixture_scalars(&f)[CV_FIT_TSS] = 100.0;
    cv_fit_summary_make(f.m, f.job, f.v, &s);
    near(s.r_squared, 0.75);
    near(s.line[1].std_error, NAN);
    assert_null(s.ratio_name);
    cv_fit_summary_free(&s);
    fixture_free(&f);
}

/* ---- predictions ------------------------------------------------------------------------ */

static void linear_predictors(void **state)
{
    (void)state;
    static const double x[] = {1, 30, 2, 1, 1, 40, 0, 2};
    fixture f = fixture_infert();
    double eta[2];
    cv_fit_predict(f.m, f.job, f.v, x, 2, eta);
    /* predict(f, data.frame(age = .., parity = .., spontaneous = ..)) */
    near(eta[0], -1.674347699104472120 + 30 * 0.022855543106891474 -
                     2 * 0.257323122573841434 + 1.237834952130404842);
    near(eta[1], -1.674347699104472120 + 40 * 0.022855543106891474 +
                     2 * 1.237834952130404842);
    cv_fit_view(f.m, f.v, "dropped")[3] = 1.0;
    cv_fit_view(f.m, f.v, "coefficients")[3] = NAN;
    cv_fit_predict(f.m, f.job, f.v, x, 2, eta);
    near(eta[1], -1.674347699104472120 + 40 * 0.022855543106891474);
    fixture_free(&f);
}

/* More rows than it maps at a time. */
static void kernel_predictions(void **state)
{
    (void)state;
    enum { N = 300, D = 5 };
    fixture f = fixture_make(
        "kind: kernel_ridge, ridge: 1, features: 5, formula: y ~ a + b",
        "y a b");
    double *b = cv_fit_view(f.m, f.v, "coefficients");
    double *centre = cv_fit_view(f.m, f.v, "centre");
    double *unit = cv_fit_view(f.m, f.v, "unit");
    double x[N][2], eta[N], z[D];
    centre[1] = 3.0;
    for (int j = 0; j <= D; j++)
        b[j] = 1.0 + j;
    for (int i = 0; i < N; i++) {
        x[i][0] = 0.01 * i;
        x[i][1] = 1.0 - 0.02 * i;
    }
    cv_fit_predict(f.m, f.job, f.v, x[0], N, eta);
    cv_fourier *map = cv_fourier_create(2, D, 0.5, f.job->training.seed);
    for (int i = 0; i < N; i++) {
        double in[2] = {x[i][0] / unit[0], (x[i][1] - 3.0) / unit[1]};
        cv_fourier_map(map, in, 1, z);
        double want = 1.0;
        for (int j = 0; j < D; j++)
            want += (2.0 + j) * z[j];
        if (fabs(eta[i] - want) > 1e-12)
            fail_msg("row %d: %.17g is not %.17g", i, eta[i], want);
    }
    cv_fourier_destroy(&map);
    fixture_free(&f);
}

static void scores_as_r(void **state)
{
    (void)state;
    static const double x[] = {13.2, 236, 58, 21.2, 10.0, 263, 48, 44.5};
    double out[4];
    fixture f = fixture_arrests(1);
    cv_fit_scores(f.m, f.job, f.v, x, 2, out);
    near(out[0], 0.97566044833360521);
    near(out[1], -1.1220012104334112);
    near(out[2], 1.93053787851368419);
    near(out[3], -1.0624269195344451);
    fixture_free(&f);
    f = fixture_arrests(0);
    cv_fit_scores(f.m, f.job, f.v, x, 1, out);
    near(out[0], 5.412 * 0.53589947493815515 + 65.24 * 0.58318363490967040 -
                     7.54 * 0.27819087461943298 - 0.032 * 0.54343209144568294);
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_of_each_kind),
        cmocka_unit_test(no_vector_for_these),
        cmocka_unit_test(large_fits_keep_no_covariance),
        cmocka_unit_test(logistic_as_r),
        cmocka_unit_test(linear_as_r),
        cmocka_unit_test(cox_as_r),
        cmocka_unit_test(what_there_is_no_number_for),
        cmocka_unit_test(ratios_have_names),
        cmocka_unit_test(strata_count),
        cmocka_unit_test(r_squared_of_ridge),
        cmocka_unit_test(linear_predictors),
        cmocka_unit_test(kernel_predictions),
        cmocka_unit_test(scores_as_r),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
