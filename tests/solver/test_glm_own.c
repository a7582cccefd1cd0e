/* Intercepts of the silo's own. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/solver/glm_sample.h"

/* The first iteration: score and info of the weighted least squares of the
 * working response, with its own intercept projected out. */
static void test_first(void **state)
{
    (void)state;
    enum { N = 200 };
    for (int c = 0; c < FAMILIES; c++) {
        sample s = make_sample(all[c][0], all[c][1], N, 1, 1);
        double g, h, work[N], resid[N], mean = 0.0, total = 0.0;
        double score = 0.0, info = 0.0;
        cv_glm_sums sums;
        for (int i = 0; i < N; i++) /* W goes with x */
            s.y[i] = s.x[i] > 0.0 ? s.y[i] : s.y[i] / 4.0;
        cv_glm_pass(&s.rows, NULL, &sums, &g, &h, work, resid);
        assert_true(sums.bad == 0.0);
        for (int i = 0; i < N; i++) {
            double mu, eta, d, v;
            cv_family_start(&s.rows.family, s.y + i, s.w + i, &mu, 1);
            cv_link_apply(&s.rows.family, &mu, &eta, 1);
            cv_link_inverse(&s.rows.family, &eta, &mu, &d, 1);
            cv_family_variance(&s.rows.family, &mu, &v, 1);
            double z = eta - s.offset[i] + (s.y[i] - mu) / d;
            assert_true(fabs(work[i] / (s.w[i] * d * d / v) - 1.0) < 1e-12);
            assert_true(fabs(resid[i] - work[i] * z) <
                        1e-11 * fmax(1.0, work[i]));
            total += work[i];
            mean += work[i] * s.x[i];
        }
        mean /= total;
        for (int i = 0; i < N; i++) {
            score += resid[i] * (s.x[i] - mean);
            info += work[i] * (s.x[i] - mean) * (s.x[i] - mean);
        }
        assert_true(fabs(score - g) < 1e-9 * total);
        assert_true(fabs(info - h) < 1e-9 * total);
        drop(&s);
    }
}

/* Adding numbers to columns changes nothing but the intercept. */
static void test_shift(void **state)
{
    (void)state;
    enum { P = 3, N = 400 };
    for (int first = 0; first < 2; first++) {
        sample s = make_sample("binomial", "logit", N, P, 1);
        double g[2][P], h[2][P * P];
        cv_glm_sums sums[2];
        for (int k = 0; k < 2; k++) {
            cv_glm_pass(&s.rows, first ? NULL : s.b, &sums[k], g[k], h[k], NULL,
                        NULL);
            for (int64_t i = 0; i < N * P; i++)
                s.x[i] += 1048576.0;
        }
        assert_true(fabs(sums[1].deviance / sums[0].deviance - 1.0) < 1e-9);
        for (int j = 0; j < P; j++)
            assert_true(fabs(g[1][j] - g[0][j]) < 1e-7);
        for (int j = 0; j < P * P; j++)
            assert_true(fabs(h[1][j] - h[0][j]) < 1e-7);
        drop(&s);
    }
}

static void test_one_class(void **state)
{
    (void)state;
    enum { P = 2, N = 9 };
    static const struct {
        const char *family, *link;
        double y, intercept; /* NAN: bad */
    } cases[] = {
        {"binomial", "logit", 0.0, -INFINITY},
        {"binomial", "logit", 1.0, INFINITY},
        {"binomial", "probit", 1.0, INFINITY},
        {"binomial", "cauchit", 0.0, -INFINITY},
        {"binomial", "cloglog", 1.0, INFINITY},
        {"binomial", "log", 0.0, -INFINITY},
        {"binomial", "log", 1.0, NAN},
        {"poisson", "log", 0.0, -INFINITY},
        {"poisson", "identity", 0.0, NAN},
        {"poisson", "sqrt", 0.0, NAN},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (int empty = 0; empty < 2; empty++) {
            sample s = make_sample(cases[c].family, cases[c].link, N, P, 1);
            double g[P], h[P * P], work[N], resid[N];
            cv_glm_sums sums;
            for (int i = 0; i < N; i++)
                s.y[i] = cases[c].y;
            if (empty) { /* a row that does not count is of no class */
                s.y[4] = 0.5;
                s.w[4] = 0.0;
            }
            cv_glm_pass(&s.rows, s.b, &sums, g, h, work, resid);
            int bad = isnan(cases[c].intercept);
            if (sums.bad != bad)
                fail_msg("case %zu: bad %g", c, sums.bad);
            assert_true(bad || sums.intercept == cases[c].intercept);
            assert_true(sums.deviance == 0.0 && sums.extreme == 0.0);
            assert_true(all_zero(g, P) && all_zero(h, P * P));
            assert_true(all_zero(work, N) && all_zero(resid, N));
            drop(&s);
        }
}

/* How far test_far may go, where there is an answer: gaussian's inverse has a
 * pole wherever eta changes its sign, its log squares e^500, and the clamps of
 * binomial's links and of log make flat steps of the deviance. */
static int scales_of(int c)
{
    static const struct {
        const char *family, *link;
        int scales;
    } few[] = {
        {"gaussian", "inverse", 0}, {"gaussian", "log", 2},
        {"binomial", "logit", 2},   {"binomial", "probit", 1},
        {"binomial", "cauchit", 1}, {"binomial", "cloglog", 1},
        {"binomial", "log", 1},     {"poisson", "log", 2},
        {"gamma", "log", 2},
    };
    for (size_t i = 0; i < sizeof few / sizeof *few; i++)
        if (strcmp(all[c][0], few[i].family) == 0 &&
            strcmp(all[c][1], few[i].link) == 0)
            return few[i].scales;
    return 3;
}

/* Coefficients at which the first guess of the intercept is out of the domain,
 * and some at which the other columns alone are far out. */
static void test_far(void **state)
{
    (void)state;
    enum { P = 2, N = 60 };
    static const double scale[] = {1.0, 10.0, 200.0};
    for (int c = 0; c < FAMILIES; c++)
        for (int k = 0; k < scales_of(c); k++) {
            sample s = make_sample(all[c][0], all[c][1], N, P, 1);
            cv_glm_sums sums;
            double g[P], resid[N], sum = 0.0, size = 0.0;
            s.b[0] = 3.0 * scale[k];
            s.b[1] = -2.0 * scale[k];
            cv_glm_pass(&s.rows, s.b, &sums, g, NULL, NULL, resid);
            if (sums.bad != 0.0)
                fail_msg("%s %s at %g", all[c][0], all[c][1], scale[k]);
            for (int i = 0; i < N; i++) {
                sum += resid[i];
                size += fabs(resid[i]);
            }
            if (fabs(sum) > 1e-6 * size)
                fail_msg("%s %s at %g: %g of %g", all[c][0], all[c][1],
                         scale[k], sum, size);
            drop(&s);
        }
}

/* No columns: the null model. Its intercept is the weighted mean's link. */
static void test_no_columns(void **state)
{
    (void)state;
    for (int c = 0; c < FAMILIES; c++) {
        sample s = make_sample(all[c][0], all[c][1], 50, 0, 1);
        double top = 0.0, total = 0.0, want;
        cv_glm_sums sums, first;
        memset(s.offset, 0, 50 * sizeof *s.offset);
        for (int i = 0; i < 50; i++) {
            top += s.w[i] * s.y[i];
            total += s.w[i];
        }
        top /= total;
        cv_link_apply(&s.rows.family, &top, &want, 1);
        cv_glm_pass(&s.rows, s.b, &sums, NULL, NULL, NULL, NULL);
        assert_true(sums.bad == 0.0);
        assert_true(fabs(sums.intercept - want) < 1e-9 * fmax(1.0, fabs(want)));
        cv_glm_pass(&s.rows, NULL, &first, s.b, s.b, NULL, NULL);
        assert_true(first.bad == 0.0);
        drop(&s);
    }
}

/* No rows, or none that counts, or one alone. */
static void test_few_rows(void **state)
{
    (void)state;
    enum { P = 2 };
    for (int c = 0; c < FAMILIES; c++)
        for (int own = 0; own < 2; own++)
            for (int first = 0; first < 2; first++) {
                sample s = make_sample(all[c][0], all[c][1], 3, P, own);
                double g[P], h[P * P];
                cv_glm_sums sums;
                const double *b = first ? NULL : s.b;
                for (int k = 0; k < 2; k++) {
                    s.rows.n = k ? 3 : 0;
                    memset(s.w, 0, 3 * sizeof *s.w);
                    cv_glm_pass(&s.rows, b, &sums, g, h, NULL, NULL);
                    assert_true(sums.bad == 0.0 && sums.deviance == 0.0 &&
                                sums.family[0] == 0.0);
                    assert_true(all_zero(g, P) && all_zero(h, P * P));
                }
                s.w[1] = 4.0;
                s.y[1] = s.rows.family.kind == CV_FAMILY_BINOMIAL ? 0.5 : 2.0;
                cv_glm_pass(&s.rows, b, &sums, g, h, NULL, NULL);
                assert_true(sums.bad == 0.0);
                for (int j = 0; own && j < P; j++)
                    assert_true(fabs(g[j]) < 1e-12);
                for (int j = 0; own && j < P * P; j++)
                    assert_true(fabs(h[j]) < 1e-12);
                assert_true(!own || first || fabs(sums.deviance) < 1e-12);
                drop(&s);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first),      cmocka_unit_test(test_shift),
        cmocka_unit_test(test_one_class),  cmocka_unit_test(test_far),
        cmocka_unit_test(test_no_columns), cmocka_unit_test(test_few_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
