/* A pass by itself: derivatives, panels, splits, ends. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "solver/blas.h"
#include "tests/solver/glm_sample.h"

static double deviance_at(const cv_glm_rows *rows, const double *b)
{
    cv_glm_sums s;
    cv_glm_pass(rows, b, &s, NULL, NULL, NULL, NULL);
    assert_true(s.bad == 0.0);
    return s.deviance;
}

/* d deviance / d b = -2 score, for profiles as well. */
static void test_derivatives(void **state)
{
    (void)state;
    enum { P = 3 };
    for (int own = 0; own < 2; own++)
        for (int c = 0; c < FAMILIES; c++) {
            sample s = make_sample(all[c][0], all[c][1], 150, P, own);
            double score[P], h = 1e-5;
            cv_glm_sums sums;
            cv_glm_pass(&s.rows, s.b, &sums, score, NULL, NULL, NULL);
            assert_true(sums.bad == 0.0);
            for (int j = 0; j < P; j++) {
                double b = s.b[j];
                s.b[j] = b + h;
                double up = deviance_at(&s.rows, s.b);
                s.b[j] = b - h;
                double slope = (up - deviance_at(&s.rows, s.b)) / (2.0 * h);
                s.b[j] = b;
                if (fabs(-2.0 * score[j] - slope) >
                    1e-6 * (fabs(slope) + sums.deviance))
                    fail_msg("%s %s %d: %g %g", all[c][0], all[c][1], own,
                             -2.0 * score[j], slope);
            }
            drop(&s);
        }
}

/* info is x' W x with the W that the pass gives, W is w d^2 / V, score is x' r:
 * narrow and wide, blocks that are not full, with and without a profile. */
static void test_products(void **state)
{
    (void)state;
    static const int sizes[] = {1, 7, 101, 300};
    for (int own = 0; own < 2; own++)
        for (int c = 0; c < 4; c++) {
            int p = sizes[c];
            int64_t n = 333;
            sample s = make_sample("binomial", "probit", n, p, own);
            double *info = CV_NEW(p * p, double), *score = CV_NEW(p, double);
            double *again = CV_NEW(p, double), *mean = CV_NEW(p, double);
            double *work = CV_NEW(n, double), *resid = CV_NEW(n, double);
            cv_glm_sums sums;
            cv_glm_pass(&s.rows, s.b, &sums, score, info, work, resid);
            assert_true(sums.bad == 0.0);
            /* Without info: the same bytes. */
            cv_glm_pass(&s.rows, s.b, &sums, again, NULL, NULL, NULL);
            assert_memory_equal(score, again, (size_t)p * sizeof *score);
            double total = 0.0, rest = 0.0;
            for (int64_t i = 0; i < n; i++) {
                double eta = s.offset[i] + (own ? sums.intercept : 0.0), mu, d,
                       v;
                for (int j = 0; j < p; j++)
                    eta += s.x[i * p + j] * s.b[j];
                cv_link_inverse(&s.rows.family, &eta, &mu, &d, 1);
                cv_family_variance(&s.rows.family, &mu, &v, 1);
                assert_true(fabs(work[i] / (s.w[i] * d * d / v) - 1.0) < 1e-12);
                assert_true(fabs(resid[i] - s.w[i] * (s.y[i] - mu) * d / v) <
                            1e-11);
                total += work[i];
                rest += resid[i];
                for (int j = 0; own && j < p; j++)
                    mean[j] += work[i] * s.x[i * p + j];
            }
            for (int j = 0; j < p; j++)
                mean[j] /= total;
            for (int j = 0; j < p; j++) {
                double g = -rest * mean[j];
                for (int64_t i = 0; i < n; i++)
                    g += s.x[i * p + j] * resid[i];
                assert_true(fabs(g - score[j]) < 1e-10);
                for (int k = 0; k < p; k++) {
                    double want = 0.0;
                    for (int64_t i = 0; k <= j && i < n; i++)
                        want += (s.x[i * p + j] - mean[j]) * work[i] *
                                (s.x[i * p + k] - mean[k]);
                    assert_true(fabs(info[k * p + j] - want) < 1e-10);
                }
            }
            free(info);
            free(score);
            free(again);
            free(mean);
            free(work);
            free(resid);
            drop(&s);
        }
}

static void test_panels(void **state)
{
    (void)state;
    static const int sizes[] = {5, 130, 290}, widths[] = {2, 64, 290};
    for (int own = 0; own < 2; own++)
        for (int c = 0; c < 3; c++) {
            int p = sizes[c];
            int64_t n = 700;
            sample s = make_sample("poisson", "log", n, p, own);
            double *info = CV_NEW(p * p, double), *out = CV_NEW(p * p, double);
            double *work = CV_NEW(n, double), *mean = CV_NEW(p, double);
            double *scratch = CV_NEW(cv_gram_scratch(p), double);
            cv_glm_sums sums;
            cv_glm_pass(&s.rows, s.b, &sums, NULL, info, work, NULL);
            assert_true(sums.bad == 0.0);
            cv_glm_profile_means(s.x, n, p, work, mean);
            for (int j0 = 0; j0 < p; j0 += widths[c]) {
                int j1 = j0 + widths[c] < p ? j0 + widths[c] : p;
                if (own)
                    cv_glm_profile_panel(s.x, n, p, work, mean, j0, j1, out,
                                         scratch);
                else
                    cv_gram_panel(s.x, n, p, work, j0, j1, out, scratch);
                for (int i = 0; i < j1; i++)
                    for (int j = j0; j < j1; j++) {
                        double got = out[i * (j1 - j0) + j - j0];
                        double want = i < j ? info[i * p + j] : info[j * p + i];
                        assert_true(fabs(got - want) <
                                    1e-11 * fmax(1.0, fabs(want)));
                    }
            }
            /* No weights: ones. */
            for (int64_t i = 0; i < n; i++)
                work[i] = 1.0;
            cv_gram_panel(s.x, n, p, work, 0, p, info, scratch);
            cv_gram_panel(s.x, n, p, NULL, 0, p, out, scratch);
            assert_memory_equal(info, out, (size_t)(p * p) * sizeof *out);
            free(info);
            free(out);
            free(work);
            free(mean);
            free(scratch);
            drop(&s);
        }
}

static cv_glm_rows slice(const cv_glm_rows *r, int64_t from, int64_t to)
{
    cv_glm_rows s = *r;
    s.n = to - from;
    s.x += from * r->p;
    s.y += from;
    s.weights += from;
    s.offset += from;
    return s;
}

/* Sums over parts are those of the whole, in the first iteration too. */
static void test_splits(void **state)
{
    (void)state;
    enum { P = 4, N = 500 };
    static const int64_t cuts[] = {0, 0, 1, 64, 65, 300, 499, N};
    for (int c = 0; c < FAMILIES; c++)
        for (int first = 0; first < 2; first++) {
            sample s = make_sample(all[c][0], all[c][1], N, P, 0);
            const double *b = first ? NULL : s.b;
            double g[P], h[P * P], sum_g[P] = {0}, sum_h[P * P] = {0};
            cv_glm_sums whole, t, sum = {0};
            cv_glm_pass(&s.rows, b, &whole, g, h, NULL, NULL);
            assert_true(whole.bad == 0.0);
            for (int k = 0; k < 7; k++) {
                double pg[P], ph[P * P];
                cv_glm_rows part = slice(&s.rows, cuts[k], cuts[k + 1]);
                cv_glm_pass(&part, b, &t, pg, ph, NULL, NULL);
                sum.deviance += t.deviance;
                sum.pearson += t.pearson;
                sum.family[0] += t.family[0];
                sum.family[1] += t.family[1];
                sum.bad += t.bad;
                for (int j = 0; j < P; j++)
                    sum_g[j] += pg[j];
                for (int j = 0; j < P * P; j++)
                    sum_h[j] += ph[j];
            }
            assert_true(sum.bad == 0.0);
            assert_true(fabs(sum.deviance - whole.deviance) < 1e-11);
            assert_true(fabs(sum.pearson - whole.pearson) < 1e-11);
            assert_true(fabs(sum.family[0] - whole.family[0]) <
                        1e-12 * (N + fabs(whole.family[0])));
            assert_true(sum.family[1] == whole.family[1]);
            for (int j = 0; j < P; j++)
                assert_true(fabs(sum_g[j] - g[j]) < 1e-10);
            for (int j = 0; j < P * P; j++)
                assert_true(fabs(sum_h[j] - h[j]) < 1e-10);
            drop(&s);
        }
}

/* The same bytes again on one thread; on two, the same up to rounding. */
static void test_threads(void **state)
{
    (void)state;
    enum { P = 6, N = 20011 };
    for (int own = 0; own < 2; own++) {
        sample s = make_sample("gamma", "log", N, P, own);
        double g[3][P], h[3][P * P];
        cv_glm_sums sums[3];
        for (int i = 0; i < 3; i++) {
            int threads = cv_blas_set_threads(i == 2 ? 2 : 1);
            cv_glm_pass(&s.rows, s.b, &sums[i], g[i], h[i], NULL, NULL);
            assert_int_equal(cv_blas_threads(), threads);
        }
        cv_blas_set_threads(1);
        assert_memory_equal(&sums[0], &sums[1], sizeof sums[0]);
        assert_memory_equal(g[0], g[1], sizeof g[0]);
        assert_memory_equal(h[0], h[1], sizeof h[0]);
        assert_true(fabs(sums[2].deviance / sums[0].deviance - 1.0) < 1e-12);
        assert_true(fabs(sums[2].pearson / sums[0].pearson - 1.0) < 1e-12);
        assert_true(fabs(sums[2].family[0] - sums[0].family[0]) < 1e-8);
        assert_true(fabs(sums[2].intercept - sums[0].intercept) < 1e-12);
        for (int j = 0; j < P; j++)
            assert_true(fabs(g[2][j] - g[0][j]) < 1e-8);
        for (int j = 0; j < P * P; j++)
            assert_true(fabs(h[2][j] - h[0][j]) < 1e-8);
        drop(&s);
    }
}

/* Whatever is out of its domain makes a pass bad, and nothing else comes out. */
static void test_bad(void **state)
{
    (void)state;
    enum { P = 2, N = 70 };
    static const struct {
        const char *family, *link;
        int own, first;
        double offset, y, x; /* of row 66; NAN: as it is, but for offset */
    } cases[] = {
        {"poisson", "identity", 0, 0, -9.0, NAN, NAN},
        {"poisson", "sqrt", 0, 0, -9.0, NAN, NAN},
        {"poisson", "log", 0, 0, 1e4, NAN, NAN},
        {"gamma", "inverse", 0, 0, -9.0, NAN, NAN},
        {"binomial", "log", 0, 0, 2.0, NAN, NAN},
        {"binomial", "logit", 0, 0, NAN, NAN, NAN},
        {"gaussian", "identity", 0, 0, INFINITY, NAN, NAN},
        {"gaussian", "identity", 1, 0, INFINITY, NAN, NAN},
        {"gaussian", "log", 0, 1, 0.0, -1.0, NAN},
        {"gaussian", "inverse", 0, 1, 0.0, 0.0, NAN},
        {"gaussian", "identity", 0, 0, 0.0, NAN, INFINITY},
        {"gaussian", "identity", 0, 1, 0.0, NAN, INFINITY},
        {"gaussian", "identity", 1, 1, 0.0, NAN, INFINITY},
        {"gaussian", "log", 0, 0, 700.0, NAN, NAN},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        sample s =
            make_sample(cases[c].family, cases[c].link, N, P, cases[c].own);
        double g[P], h[P * P], work[N], resid[N];
        cv_glm_sums sums;
        s.offset[66] = cases[c].offset;
        if (!isnan(cases[c].y))
            s.y[66] = cases[c].y;
        if (!isnan(cases[c].x))
            s.x[66 * P] = cases[c].x;
        cv_glm_pass(&s.rows, cases[c].first ? NULL : s.b, &sums, g, h, work,
                    resid);
        if (sums.bad != 1.0)
            fail_msg("case %zu is not bad", c);
        assert_true(sums.deviance == 0.0 && sums.pearson == 0.0 &&
                    sums.family[0] == 0.0 && sums.extreme == 0.0 &&
                    sums.intercept == 0.0);
        assert_true(all_zero(g, P) && all_zero(h, P * P) && all_zero(work, N) &&
                    all_zero(resid, N));
        drop(&s);
    }
}

/* Rows at the ends of mu are counted and break nothing; W that underflows is 0. */
static void test_ends(void **state)
{
    (void)state;
    static const struct {
        const char *family, *link;
        double eta, y, extreme;
    } cases[] = {
        {"binomial", "logit", 40.0, 1.0, 1.0},
        {"binomial", "logit", -40.0, 1.0, 1.0},
        {"binomial", "logit", -1e300, 0.0, 1.0},
        {"binomial", "logit", -20.0, 0.0, 0.0},
        {"binomial", "probit", 1e300, 1.0, 1.0},
        {"binomial", "cauchit", -1e300, 0.0, 1.0},
        {"binomial", "cloglog", 1e300, 0.0, 1.0},
        {"binomial", "log", -1e300, 0.0, 1.0},
        {"poisson", "log", -1e300, 0.0, 1.0},
        {"poisson", "log", -1e300, 3.0, 1.0},
        {"poisson", "sqrt", 1e-160, 0.0, 1.0},
        {"gamma", "log", -1e300, 1.0, 0.0},
        {"gaussian", "inverse", 1e200, 1.0, 0.0},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        double one = 1.0, score, info, work;
        cv_glm_sums s;
        cv_glm_rows r = {.n = 1,
                         .p = 1,
                         .x = &one,
                         .y = &cases[c].y,
                         .offset = &cases[c].eta};
        assert_int_equal(
            cv_family_find(&r.family, cases[c].family, cases[c].link), 0);
        double b = 0.0;
        cv_glm_pass(&r, &b, &s, &score, &info, &work, NULL);
        if (s.bad != 0.0 || s.extreme != cases[c].extreme)
            fail_msg("case %zu: bad %g, extreme %g", c, s.bad, s.extreme);
        assert_true(isfinite(s.deviance) && isfinite(s.pearson) &&
                    isfinite(s.family[0]) && isfinite(score));
        assert_true(work >= 0.0 && fabs(info - work) <= 1e-15 * work);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_derivatives), cmocka_unit_test(test_products),
        cmocka_unit_test(test_panels),      cmocka_unit_test(test_splits),
        cmocka_unit_test(test_threads),     cmocka_unit_test(test_bad),
        cmocka_unit_test(test_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
