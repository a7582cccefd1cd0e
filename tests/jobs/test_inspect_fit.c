/* covey inspect and covey predict of fits, as people see them. */
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "jobs/commands.h"
#include "jobs/inspect_fit.h"
#include "tests/jobs/fit_fixture.h"

#define FOLDER_FILE "run.h5"
#include "tests/io/folder_fixture.h"

typedef int command(int argc, char **argv, cv_err *err);

static char *read_all(FILE *f)
{
    cv_buf b = {0};
    char piece[4096];
    size_t n;
    rewind(f);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        cv_buf_add(&b, piece, n);
    return b.data ? b.data : cv_strdup("");
}

/* What the command writes to stream (1 or 2); malloc'd. */
static char *output_of(command *run, int stream, int want, char **argv)
{
    FILE *to = tmpfile();
    int kept = dup(stream), argc = 0;
    while (argv[argc])
        argc++;
    fflush(NULL);
    dup2(fileno(to), stream);
    err = (cv_err){0};
    optind = 0;
    int rc = run(argc, argv, &err);
    fflush(NULL);
    dup2(kept, stream);
    close(kept);
    char *text = read_all(to);
    fclose(to);
    if (rc != want)
        fail_msg("%s: %d: %s", argv[0], rc, err.text);
    return text;
}

static char *inspect(const fixture *f, char *option)
{
    OK(fixture_save(f, file, &err));
    return output_of(cv_cmd_inspect, 1, 0,
                     (char *[]){"inspect", file, option, NULL});
}

/* But for the digest and the run's lines above and below, which are not of the
 * fit. */
static void shows(fixture f, const char *head, const char *body)
{
    char *text = inspect(&f, NULL);
    if (!strstr(text, head) || !strstr(text, body))
        fail_msg("expected:\n%s\n%s\nfound:\n%s", head, body, text);
    int width = 0;
    for (char *c = text; *c; c++) {
        width = *c == '\n' ? 0 : width + 1;
        assert_true(width <= 100);
    }
    free(text);
    fixture_free(&f);
}

static void logistic(void **state)
{
    (void)state;
    shows(fixture_infert(),
          "model      glm, family binomial, link logit\n"
          "formula    case ~ age + parity + spontaneous\n"
          "rows       248\n"
          "target     case\n",
          "\n"
          "            Estimate Std. Error z value Pr(>|z|)    2.5 %  97.5 % "
          "odds ratio\n"
          "(Intercept) -1.67435    0.91613  -1.828   0.0676 -3.46994 0.12124\n"
          "age          0.02286    0.02803   0.815   0.4149 -0.03209 0.07780   "
          "  1.0231\n"
          "parity      -0.25732    0.13157  -1.956   0.0505 -0.51519 0.00055   "
          "  0.7731\n"
          "spontaneous  1.23783    0.21972   5.634 1.77e-08  0.80718 1.66849   "
          "  3.4481\n"
          "\n"
          "dispersion         1 (by the family)\n"
          "null deviance      316.171 on 247 degrees of freedom\n"
          "residual deviance  279.406 on 244 degrees of freedom\n"
          "AIC                287.406\n"
          "log-likelihood     -139.703\n"
          "iterations         4\n"
          "\n");
}

static void cox(void **state)
{
    (void)state;
    shows(fixture_lung(),
          "model      cox, ties efron, a baseline hazard for each silo\n"
          "formula    Surv(time, status == 2) ~ age + sex + ph.ecog\n"
          "rows       227, 164 events\n"
          "target     time, event where status is 2\n",
          "\n"
          "         Estimate Std. Error z value Pr(>|z|)     2.5 %    97.5 % "
          "hazard ratio\n"
          "age      0.011067   0.009267   1.194    0.232 -0.007097  0.029231   "
          "    1.0111\n"
          "sex     -0.552612   0.167739  -3.294 0.000986 -0.881375 -0.223850   "
          "    0.5754\n"
          "ph.ecog  0.463728   0.113577   4.083 4.45e-05  0.241121  0.686336   "
          "    1.5900\n"
          "\n"
          "concordance        0.6371\n"
          "likelihood ratio   30.5007 on 3 df, p = 1.08e-06\n"
          "log-likelihood     -729.23, with all coefficients 0: -744.48\n"
          "AIC                1464.46\n"
          "iterations         4\n"
          "\n");
}

static void linear(void **state)
{
    (void)state;
    shows(fixture_cars(),
          "model      glm, family gaussian, link identity\n"
          "formula    dist ~ speed\n"
          "rows       50\n"
          "target     dist\n",
          "\n"
          "            Estimate Std. Error t value Pr(>|t|)    2.5 %  97.5 %\n"
          "(Intercept) -17.5791     6.7584  -2.601   0.0123 -31.1678 -3.9903\n"
          "speed         3.9324     0.4155   9.464 1.49e-12   3.0970  4.7679\n"
          "\n"
          "dispersion         236.532\n"
          "null deviance      32538.98 on 49 degrees of freedom\n"
          "residual deviance  11353.52 on 48 degrees of freedom\n"
          "R squared          0.651079\n"
          "AIC                419.157\n"
          "log-likelihood     -206.578\n"
          "iterations         2\n"
          "\n");
}

/* A column that follows from others, and names that need a line of their own. */
static fixture crowded(void)
{
    enum { LONG = 80 };
    char name[LONG + 1], model[600], columns[600];
    memset(name, 'x', LONG);
    name[LONG] = '\0';
    snprintf(model, sizeof model,
             "kind: glm, family: poisson, formula: y ~ größe + twice + "
             "a_rather_long_name_of_a_column_1 + %s",
             name);
    snprintf(columns, sizeof columns,
             "y größe twice a_rather_long_name_of_a_column_1 %s", name);
    fixture f = fixture_make(model, columns);
    double *b = cv_fit_view(f.m, f.v, "coefficients");
    double *se = cv_fit_view(f.m, f.v, "standard_errors");
    double *s = fixture_scalars(&f);
    for (int j = 0; j < f.m->q; j++) {
        b[j] = j == 3 ? 1e-7 : j;
        se[j] = j == 3 ? 1e-9 : 0.5 + j;
    }
    b[2] = se[2] = NAN;
    cv_fit_view(f.m, f.v, "dropped")[2] = 1.0;
    s[CV_FIT_STAGE] = 3.0;
    s[CV_FIT_RANK] = 4.0;
    s[CV_FIT_EXTREME] = 3.0;
    s[CV_FIT_ITERATIONS] = 25.0;
    s[CV_FIT_NULL_DEVIANCE] = NAN;
    return f;
}

static void crowds(void **state)
{
    (void)state;
    shows(crowded(),
          "model      glm, family poisson, link log\n"
          "formula    y ~ größe + twice + a_rather_long_name_of_a_column_1 +\n"
          "           "
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxx\n"
          "rows       0\n"
          "target     y\n",
          "\n"
          "             Estimate  Std. Error z value Pr(>|z|)      2.5 %    "
          "97.5 % rate ratio\n"
          "(Intercept) 0.000e+00   5.000e-01   0.000    1.000 -9.800e-01 "
          "9.800e-01\n"
          "größe       1.000e+00   1.500e+00   0.667    0.505 -1.940e+00 "
          "3.940e+00      2.718\n"
          "twice              NA (collinear)\n"
          "a_rather_long_name_of_a_column_1\n"
          "            1.000e-07   1.000e-09 100.000   <2e-16  9.804e-08 "
          "1.020e-07      1.000\n"
          "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxx\n"
          "            4.000e+00   4.500e+00   0.889    0.374 -4.820e+00 "
          "1.282e+01     54.598\n"
          "\n"
          "dispersion         1 (by the family)\n"
          "residual deviance  0 on 0 degrees of freedom\n"
          "AIC                8\n"
          "log-likelihood     0\n"
          "iterations         25\n"
          "warning: not converged: estimates, and all that follows from them, "
          "may be wrong\n"
          "warning: 3 fitted values are numerically 0: a coefficient may have "
          "no finite value\n"
          "\n");
}

static fixture many(const char *model)
{
    fixture f = fixture_make(model, "y a");
    double *b = cv_fit_view(f.m, f.v, "coefficients");
    double *s = fixture_scalars(&f);
    for (int j = 0; j < f.m->q; j++)
        b[j] = 0.25 * j - 1.0;
    s[CV_FIT_STAGE] = 3.0;
    s[CV_FIT_CONVERGED] = s[CV_FIT_ITERATIONS] = 1.0;
    s[CV_FIT_ROWS] = 1234567.0;
    s[CV_FIT_RSS] = 25.0;
    s[CV_FIT_TSS] = 100.0;
    return f;
}

static void ridges(void **state)
{
    (void)state;
    shows(many("kind: kernel_ridge, ridge: 0.5, features: 100, formula: y ~ a"),
          "model      kernel_ridge, 100 random features of 1 column, penalty "
          "0.5\n"
          "formula    y ~ a\n"
          "rows       1,234,567\n"
          "target     y\n",
          "\n"
          "            Estimate\n"
          "(Intercept)    -1.00\n"
          "feature 1      -0.75\n"
          "feature 2      -0.50\n"
          "feature 3      -0.25\n"
          "feature 4       0.00\n"
          "feature 5       0.25\n"
          "feature 6       0.50\n"
          "feature 7       0.75\n"
          "feature 8       1.00\n"
          "feature 9       1.25\n"
          "feature 10      1.50\n"
          "feature 11      1.75\n"
          "feature 12      2.00\n"
          "feature 13      2.25\n"
          "feature 14      2.50\n"
          "feature 15      2.75\n"
          "feature 16      3.00\n"
          "feature 17      3.25\n"
          "feature 18      3.50\n"
          "feature 19      3.75\n"
          "feature 20      4.00\n"
          "feature 21      4.25\n"
          "feature 22      4.50\n"
          "feature 23      4.75\n"
          "feature 24      5.00\n"
          "feature 25      5.25\n"
          "feature 26      5.50\n"
          "feature 27      5.75\n"
          "feature 28      6.00\n"
          "feature 29      6.25\n"
          "... and 71 more (--json lists all)\n"
          "\n"
          "R squared          0.75\n"
          "iterations         1\n"
          "\n");
}

static void shrunk(void **state)
{
    (void)state;
    fixture f = fixture_make("kind: cox, ridge: 0.1, "
                             "formula: 'Surv(t, e) ~ a'",
                             "t e a");
    static const double b[] = {0.5}, cov[] = {0.04};
    fixture_fill(&f, b, cov);
    fixture_scalars(&f)[CV_FIT_LOGLIK] = -3.0;
    fixture_scalars(&f)[CV_FIT_NULL_DEVIANCE] = 8.0;
    shows(f,
          "model      cox, ties efron, a baseline hazard for each silo, "
          "penalty 0.1\n"
          "formula    Surv(t, e) ~ a\n"
          "rows       0, 0 events\n"
          "target     t, event e\n",
          "\n"
          "  Estimate Std. Error hazard ratio\n"
          "a      0.5        0.2        1.649\n"
          "\n"
          "log-likelihood     -3, with all coefficients 0: -4\n"
          "iterations         0\n"
          "no tests and intervals: the penalty biases estimates towards 0\n"
          "\n");
}

static void components(void **state)
{
    (void)state;
    fixture f = fixture_make("kind: pca, components: 3, scale: true, "
                             "formula: '~ a + b + c'",
                             "y a b c");
    double *s = fixture_scalars(&f);
    for (int j = 0; j < 3; j++) {
        cv_fit_view(f.m, f.v, "variances")[j] = 2.0 - 0.9 * j;
        cv_fit_view(f.m, f.v, "loadings")[4 * j] = 1.0;
    }
    s[CV_FIT_STAGE] = 3.0;
    s[CV_FIT_CONVERGED] = 1.0;
    s[CV_FIT_TOTAL_VARIANCE] = 3.3;
    shows(f,
          "model      pca, 3 of 3 components, of the correlation matrix\n"
          "formula    ~ a + b + c\n"
          "rows       0\n",
          "\n"
          "importance of components\n"
          "                          PC1    PC2    PC3\n"
          "Standard deviation     1.4142 1.0488 0.4472\n"
          "Proportion of Variance 0.6061 0.3333 0.0606\n"
          "Cumulative Proportion  0.6061 0.9394 1.0000\n"
          "\n"
          "loadings\n"
          "       PC1      PC2      PC3\n"
          "a 1.000000 0.000000 0.000000\n"
          "b 0.000000 1.000000 0.000000\n"
          "c 0.000000 0.000000 1.000000\n"
          "\n");
}

static void under_way(void **state)
{
    (void)state;
    fixture f = fixture_infert();
    fixture_scalars(&f)[CV_FIT_STAGE] = 2.0;
    shows(f,
          "model      glm, family binomial, link logit\n"
          "formula    case ~ age + parity + spontaneous\n"
          "rows       248\n"
          "target     case\n",
          "\n"
          "fit        iterating, 4 iterations: no results yet\n"
          "\n");
}

static void strata(void **state)
{
    (void)state;
    fixture f = fixture_make("kind: glm, family: binomial, strata: silo, "
                             "formula: y ~ a",
                             "y a");
    static const double b[] = {0.5}, cov[] = {0.04};
    fixture_fill(&f, b, cov);
    fixture_scalars(&f)[CV_FIT_INTERCEPTS] = 2.0;
    shows(f,
          "model      glm, family binomial, link logit, an intercept for each "
          "silo, which it keeps\n"
          "formula    y ~ a\n"
          "rows       0\n"
          "target     y\n",
          "\n"
          "  Estimate Std. Error z value Pr(>|z|) 2.5 % 97.5 % odds ratio\n"
          "a      0.5        0.2     2.5   0.0124   0.1    0.9      1.649\n"
          "\n"
          "dispersion         1 (by the family)\n"
          "null deviance      0 on -1 degrees of freedom\n"
          "residual deviance  0 on 0 degrees of freedom\n"
          "AIC                6\n"
          "log-likelihood     0\n"
          "intercepts         2, of the silos, not shown\n"
          "iterations         0\n"
          "\n");
}

static const fixture *private_fit;

static int print_private(int argc, char **argv, cv_err *e)
{
    const fixture *f = private_fit;
    const cv_saved s = {
        .job = f->job, .schema = f->schema, .fit = f->m, .v = f->v};
    (void)argc;
    (void)argv;
    (void)e;
    cv_inspect_fit_head(&s);
    cv_inspect_fit_print(&s);
    return 0;
}

/* Rows are not told, and errors have the noise in them. */
static void noisy(void **state)
{
    (void)state;
    fixture f = fixture_infert();
    f.job->privacy.enabled = 1;
    private_fit = &f;
    char *text = output_of(print_private, 1, 0, (char *[]){"inspect", NULL});
    assert_null(strstr(text, "rows"));
    assert_non_null(strstr(
        text, "iterations         4\n"
              "privacy: the sums have noise in them; standard errors, tests "
              "and intervals include it\n"));
    free(text);
    fixture_free(&f);
}

/* --json has what /result has. */
static void as_json(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "\"kind\": \"cox\", \"parameters\": ",
        "\"fit\": {\"stage\": \"done\", \"kind\": \"cox\", \"formula\": "
        "\"Surv(time, status == 2) ~ age + sex + ph.ecog\"",
        "\"rows\": 227, \"events\": 164, \"rank\": 3, ",
        "\"concordance\": 0.6371354930004548, \"ratio\": \"hazard ratio\"",
        "\"coefficients\": [{\"name\": \"age\", \"estimate\": "
        "0.011066764560073482, \"std_error\": 0.0092674110137005",
        "\"names\": [\"age\", \"sex\", \"ph.ecog\"], \"covariance\": "
        "[[8.588490689685786e-05, 4.30992961523845e-06, "};
    fixture f = fixture_lung();
    char *text = inspect(&f, "--json");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(text, parts[i]))
            fail_msg("no %s in\n%s", parts[i], text);
    assert_null(strstr(text, "transform"));
    free(text);
    fixture_free(&f);
    f = fixture_infert();
    cv_fit_view(f.m, f.v, "dropped")[1] = 1.0;
    cv_fit_view(f.m, f.v, "coefficients")[1] = NAN;
    text = inspect(&f, "--json");
    assert_non_null(strstr(text, "{\"name\": \"age\", \"estimate\": null, "));
    free(text);
    fixture_free(&f);
}

/* ---- covey predict ----------------------------------------------------------------------- */

static char *predict(const fixture *f, const char *data, int stream, int want)
{
    char *csv = cv_fs_join(root, "data.csv");
    FILE *out = fopen(csv, "w");
    fputs(data, out);
    fclose(out);
    OK(fixture_save(f, file, &err));
    char *text = output_of(cv_cmd_predict, stream, want,
                           (char *[]){"predict", file, csv, NULL});
    free(csv);
    return text;
}

static void predicts(fixture f, const char *data, const char *want,
                     const char *said)
{
    char *text = predict(&f, data, 1, 0);
    assert_string_equal(text, want);
    free(text);
    text = predict(&f, data, 2, 0);
    assert_string_equal(text, said);
    free(text);
    fixture_free(&f);
}

static fixture line(const char *model, const char *columns)
{
    fixture f = fixture_make(model, columns);
    double *b = cv_fit_view(f.m, f.v, "coefficients");
    double *s = fixture_scalars(&f);
    for (int j = 0; j < f.m->q; j++)
        b[j] = 0.5 + j;
    s[CV_FIT_STAGE] = 3.0;
    s[CV_FIT_CONVERGED] = 1.0;
    return f;
}

static void predictions(void **state)
{
    (void)state;
    predicts(line("kind: glm, formula: y ~ a", "y a"),
             "name,a\nx,1\ny,\nz,-2\n", "row,y,eta\n1,2,2\n3,-2.5,-2.5\n",
             "covey: 1 rows left out: a value is missing\n");
    predicts(
        line("kind: glm, family: poisson, formula: y ~ a + offset(t)", "y a t"),
        "y,a,t\n1,1,0\n0,0,0.5\n",
        "row,y,eta\n1,7.38905609893065,2\n2,2.718281828459045,1\n",
        /* 2 (log(1/7.389) + 6.389) and 2 x 2.718, over two rows */
        "mean deviance 7.10734  (2 rows)\n");
    predicts(line("kind: glm, family: binomial, strata: silo, formula: y ~ a",
                  "y a"),
             "a,y\n4,1\n", "row,eta_without_intercept\n1,2\n",
             "covey: strata: silo: each silo keeps its intercept, so there are "
             "no means, and eta is without it\n");
    predicts(line("kind: ridge, ridge: 1, formula: log(y) ~ a", "y a"),
             "a,y\n1,1\n2,2\n3,7\n", "row,log(y)\n1,2\n2,3.5\n3,5\n",
             "R squared -9.90009  (3 rows)\n");
    fixture f =
        line("kind: cox, formula: 'Surv(t, e) ~ a + offset(o)'", "t e a o");
    cv_fit_view(f.m, f.v, "centre")[0] = 2.0;
    predicts(f, "a,o\n2,0\n4,0.25\n",
             "row,lp,risk\n1,0,1\n2,1.25,3.4903429574618414\n", "");
    f = fixture_make("kind: pca, components: 2, formula: '~ a + b'", "y a b");
    double *load = cv_fit_view(f.m, f.v, "loadings");
    load[1] = load[2] = 1.0;
    cv_fit_view(f.m, f.v, "centre")[0] = 1.0;
    fixture_scalars(&f)[CV_FIT_STAGE] = 3.0;
    predicts(f, "b,a\n5,4\n", "row,PC1,PC2\n1,5,3\n",
             "covey: the fit had not converged\n");
}

static void no_predictions(void **state)
{
    (void)state;
    fixture f = line("kind: glm, formula: y ~ a", "y a");
    free(predict(&f, "b\n1\n", 2, CV_ERR_INPUT));
    assert_non_null(strstr(err.text, "'a'"));
    fixture_scalars(&f)[CV_FIT_STAGE] = 2.0;
    free(predict(&f, "a\n1\n", 2, CV_ERR_INPUT));
    assert_non_null(strstr(err.text, "not"));
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logistic),       cmocka_unit_test(cox),
        cmocka_unit_test(linear),         cmocka_unit_test(crowds),
        cmocka_unit_test(ridges),         cmocka_unit_test(shrunk),
        cmocka_unit_test(components),     cmocka_unit_test(under_way),
        cmocka_unit_test(strata),         cmocka_unit_test(noisy),
        cmocka_unit_test(as_json),        cmocka_unit_test(predictions),
        cmocka_unit_test(no_predictions),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
