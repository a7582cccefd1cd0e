#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "solver/family.h"
#include "solver/stirling.h"
#include "tests/solver/reference_family.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const char *const all[][2] = {
    {"gaussian", "identity"}, {"gaussian", "log"},     {"gaussian", "inverse"},
    {"binomial", "logit"},    {"binomial", "probit"},  {"binomial", "cauchit"},
    {"binomial", "log"},      {"binomial", "cloglog"}, {"poisson", "log"},
    {"poisson", "identity"},  {"poisson", "sqrt"},     {"gamma", "inverse"},
    {"gamma", "identity"},    {"gamma", "log"},
};

/* Any family with that link. */
static cv_family with_link(const char *link)
{
    cv_family f;
    for (size_t i = 0; i < COUNT(all); i++)
        if (strcmp(all[i][1], link) == 0) {
            assert_int_equal(cv_family_find(&f, all[i][0], link), 0);
            return f;
        }
    fail_msg("no link %s", link);
    return (cv_family){0};
}

static cv_family named(const char *family, const char *link)
{
    cv_family f;
    assert_int_equal(cv_family_find(&f, family, link), 0);
    return f;
}

static int near(double got, double want, double relative)
{
    return got == want || fabs(got - want) <= relative * fabs(want) ||
           (isnan(got) && isnan(want));
}

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        cv_family f = named(all[i][0], all[i][1]);
        assert_string_equal(cv_family_name(&f), all[i][0]);
        assert_string_equal(cv_link_name(&f), all[i][1]);
        assert_int_equal(cv_family_fixed_dispersion(&f),
                         all[i][0][0] == 'b' || all[i][0][0] == 'p');
    }
    static const char *const canonical[][2] = {{"gaussian", "identity"},
                                               {"binomial", "logit"},
                                               {"poisson", "log"},
                                               {"gamma", "inverse"},
                                               {"Gamma", "inverse"}};
    for (size_t i = 0; i < COUNT(canonical); i++) {
        cv_family f = named(canonical[i][0], NULL);
        assert_string_equal(cv_link_name(&f), canonical[i][1]);
    }
    cv_family f;
    assert_int_equal(cv_family_find(&f, "tweedie", NULL), -1);
    assert_int_equal(cv_family_find(&f, "", "log"), -1);
    assert_int_equal(cv_family_find(&f, "gamma", "logit"), -2);
    assert_int_equal(cv_family_find(&f, "binomial", "sqrt"), -2);
    assert_int_equal(cv_family_find(&f, "poisson", ""), -2);
}

static void test_links(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(inverse_table); i++) {
        cv_family f = with_link(inverse_table[i].link);
        double mu, d;
        cv_link_inverse(&f, &inverse_table[i].eta, &mu, &d, 1);
        if (!near(mu, inverse_table[i].mu, 2e-14) ||
            !near(d, inverse_table[i].d, 2e-14))
            fail_msg("%s at %g: %.17g %.17g", inverse_table[i].link,
                     inverse_table[i].eta, mu, d);
    }
    for (size_t i = 0; i < COUNT(link_table); i++) {
        cv_family f = with_link(link_table[i].link);
        double eta;
        cv_link_apply(&f, &link_table[i].mu, &eta, 1);
        /* cloglog: R's log(1 - mu) has an error of 1e-4 at 1e-12. */
        double limit = link_table[i].mu < 1e-6 ? 1e-5 : 2e-14;
        if (!near(eta, link_table[i].eta, limit))
            fail_msg("%s of %g: %.17g", link_table[i].link, link_table[i].mu,
                     eta);
    }
}

/* NaN is never hidden by a clamp. */
static void test_nan(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        cv_family f = named(all[i][0], all[i][1]);
        double eta = NAN, mu, d;
        cv_link_inverse(&f, &eta, &mu, &d, 1);
        assert_true(isnan(mu));
        assert_false(cv_family_valid(&f, &eta, &mu, 1));
    }
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(row_table); i++) {
        cv_family f = named(row_table[i].family, NULL);
        const double *y = &row_table[i].y, *mu = &row_table[i].mu;
        const double *w = &row_table[i].w;
        double start, v, sums[CV_FAMILY_SUMS];
        cv_family_start(&f, y, w, &start, 1);
        assert_true(near(start, row_table[i].start, 1e-15));
        cv_family_variance(&f, mu, &v, 1);
        assert_true(near(v, row_table[i].v, 1e-15));
        double dev = cv_family_deviance(&f, y, mu, w, 1);
        if (!near(dev, row_table[i].deviance, 1e-10) &&
            fabs(dev - row_table[i].deviance) > 1e-15 * *w * *y)
            fail_msg("row %zu: deviance %.17g", i, dev);
        double part = cv_family_loglik_rows(&f, y, mu, w, 1);
        if (!near(part, row_table[i].rows, 1e-13) &&
            fabs(part - row_table[i].rows) > 1e-15)
            fail_msg("row %zu: %.17g", i, part);
        cv_family_sums(&f, y, mu, w, 1, sums);
        assert_true(isfinite(sums[0]));
        assert_true(isinf(part) || sums[0] == part);
        double count = f.kind == CV_FAMILY_BINOMIAL  ? *w * *y
                       : f.kind == CV_FAMILY_POISSON ? *y
                                                     : 0.0;
        assert_true(sums[1] == (fabs(count - rint(count)) > 0.001));
    }
}

static void test_loglik(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(whole_table); i++) {
        cv_family f = named(whole_table[i].family, NULL);
        const double *y = whole_table[i].y, *mu = whole_table[i].mu;
        const double *w = whole_table[i].w;
        double a[CV_FAMILY_SUMS], b[CV_FAMILY_SUMS], total = 0.0;
        double dev = cv_family_deviance(&f, y, mu, w, 6);
        for (int r = 0; r < 6; r++)
            total += w[r];
        /* Two silos. */
        cv_family_sums(&f, y, mu, w, 2, a);
        cv_family_sums(&f, y + 2, mu + 2, w + 2, 4, b);
        for (int k = 0; k < CV_FAMILY_SUMS; k++)
            a[k] += b[k];
        double got = cv_family_loglik(&f, a, dev, 6.0, total);
        if (!near(got, whole_table[i].loglik, 1e-11))
            fail_msg("%zu: %.17g", i, got);
    }
}

/* Of a response that does not vary the deviance is 0 but for rounding, which may
 * leave it below. */
static void test_loglik_of_a_perfect_fit(void **state)
{
    (void)state;
    static const char *const free_dispersion[] = {"gaussian", "gamma"};
    static const double deviance[] = {0.0, -4.4e-16, -1e-300};
    const double sums[CV_FAMILY_SUMS] = {-3.0};
    for (size_t i = 0; i < COUNT(free_dispersion); i++)
        for (size_t k = 0; k < COUNT(deviance); k++) {
            cv_family f = named(free_dispersion[i], NULL);
            double got = cv_family_loglik(&f, sums, deviance[k], 160.0, 160.0);
            assert_true(got == INFINITY);
        }
}

/* Rows of weight 0 add nothing, whatever is in them; no weights are ones. */
static void test_weights(void **state)
{
    (void)state;
    static const double y[] = {1.0, NAN, 0.25}, mu[] = {0.5, 0.25, 0.5};
    static const double w[] = {1.0, 0.0, 4.0}, ones[] = {1.0, 1.0, 1.0};
    static const double good[] = {1.0, 0.5, 1.0};
    for (size_t i = 0; i < COUNT(all); i++) {
        cv_family f = named(all[i][0], all[i][1]);
        double a[CV_FAMILY_SUMS], b[CV_FAMILY_SUMS], c[CV_FAMILY_SUMS];
        cv_family_sums(&f, y, mu, w, 3, a);
        cv_family_sums(&f, y, mu, w, 1, b);
        cv_family_sums(&f, y + 2, mu + 2, w + 2, 1, c);
        for (int k = 0; k < CV_FAMILY_SUMS; k++)
            assert_true(a[k] == b[k] + c[k]);
        assert_true(cv_family_deviance(&f, y, mu, w, 3) ==
                    cv_family_deviance(&f, y, mu, w, 1) +
                        cv_family_deviance(&f, y + 2, mu + 2, w + 2, 1));
        assert_true(cv_family_deviance(&f, good, mu, NULL, 3) ==
                    cv_family_deviance(&f, good, mu, ones, 3));
        cv_family_sums(&f, good, mu, NULL, 3, a);
        cv_family_sums(&f, good, mu, ones, 3, b);
        assert_memory_equal(a, b, sizeof a);
        double m[3], n[3];
        cv_family_start(&f, good, NULL, m, 3);
        cv_family_start(&f, good, ones, n, 3);
        assert_memory_equal(m, n, sizeof m);
    }
}

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        const char *family;
        double y, w;
        const char *fault;
    } cases[] = {
        {"gaussian", -1e300, 1.0, NULL},
        {"gaussian", NAN, 1.0, "expected finite numbers"},
        {"gaussian", INFINITY, 1.0, "expected finite numbers"},
        {"binomial", 0.0, 1.0, NULL},
        {"binomial", 1.0, 1.0, NULL},
        {"binomial", 0.3, 1.0, NULL},
        {"binomial", -1e-9, 1.0, "expected numbers from 0 to 1"},
        {"binomial", 2.0, 1.0, "expected numbers from 0 to 1"},
        {"binomial", NAN, 1.0, "expected numbers from 0 to 1"},
        {"poisson", 0.0, 1.0, NULL},
        {"poisson", 1.5, 1.0, NULL},
        {"poisson", -1.0, 1.0, "expected finite numbers of 0 or more"},
        {"poisson", INFINITY, 1.0, "expected finite numbers of 0 or more"},
        {"poisson", NAN, 1.0, "expected finite numbers of 0 or more"},
        {"gamma", 1e-300, 1.0, NULL},
        {"gamma", 0.0, 1.0, "expected finite numbers above 0"},
        {"gamma", NAN, 1.0, "expected finite numbers above 0"},
        {"gamma", INFINITY, 1.0, "expected finite numbers above 0"},
        {"gamma", 0.0, 0.0, NULL},
        {"binomial", NAN, 0.0, NULL},
        {"gaussian", 1.0, -1.0, "expected finite weights of 0 or more"},
        {"gaussian", 1.0, NAN, "expected finite weights of 0 or more"},
        {"gaussian", 1.0, INFINITY, "expected finite weights of 0 or more"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cv_family f = named(cases[i].family, NULL);
        const char *fault = cv_family_fault(&f, cases[i].y, cases[i].w);
        if (!cases[i].fault)
            assert_null(fault);
        else
            assert_string_equal(fault, cases[i].fault);
    }
}

static void test_valid(void **state)
{
    (void)state;
    static const struct {
        const char *family, *link;
        double eta, mu;
        int valid;
    } cases[] = {
        {"gaussian", "identity", -1.0, -1.0, 1},
        {"gaussian", "identity", INFINITY, INFINITY, 0},
        {"gaussian", "inverse", 0.0, INFINITY, 0},
        {"gaussian", "inverse", 0.0, 1.0, 0},
        {"binomial", "logit", 3.0, 0.5, 1},
        {"binomial", "logit", 3.0, 1.0, 0},
        {"binomial", "log", 0.1, 1.1, 0},
        {"binomial", "logit", -3.0, 0.0, 0},
        {"binomial", "logit", INFINITY, 0.5, 0},
        {"poisson", "log", 3.0, 20.0, 1},
        {"poisson", "identity", -1.0, -1.0, 0},
        {"poisson", "identity", 0.0, 0.0, 0},
        {"poisson", "sqrt", -2.0, 4.0, 0},
        {"poisson", "sqrt", 2.0, 4.0, 1},
        {"gamma", "inverse", -2.0, -0.5, 0},
        {"gamma", "inverse", 2.0, 0.5, 1},
        {"gamma", "log", 2.0, 1e308 * 10.0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        cv_family f = named(cases[i].family, cases[i].link);
        /* The odd one may be anywhere. */
        for (int at = 0; at < 3; at++) {
            double eta[3] = {-0.5, -0.5, -0.5}, mu[3] = {0.5, 0.5, 0.5};
            if (f.kind != CV_FAMILY_BINOMIAL)
                eta[0] = eta[1] = eta[2] = 0.5;
            eta[at] = cases[i].eta;
            mu[at] = cases[i].mu;
            assert_int_equal(cv_family_valid(&f, eta, mu, 3), cases[i].valid);
        }
    }
}

static void test_stirling(void **state)
{
    (void)state;
    /* log Gamma by libm, where it does not cancel; whole and broken z. */
    for (double z = 0.01; z < 40.0; z += z < 2.0 ? 0.01 : 0.5) {
        double want =
            lgamma(z) - ((z - 0.5) * log(z) - z + 0.5 * log(2.0 * M_PI));
        assert_true(fabs(cv_stirling_error(z) - want) < 1e-13);
    }
    assert_true(isnan(cv_stirling_error(-1e17)));
    assert_true(isnan(cv_stirling_error(-0.5)));
    assert_true(cv_stirling_error(0.0) == INFINITY);
    assert_true(fabs(cv_stirling_error(1e300)) < 1e-300);
    /* Both ways of the deviance part, at their seam and at x = m. */
    for (double m = 1e-3; m < 1e12; m *= 7.0) {
        double x = m * 1.1 / 0.9, y = m * 0.9 / 1.1;
        assert_true(
            near(cv_deviance_part(x, m), x * log(x / m) + m - x, 1e-13));
        assert_true(
            near(cv_deviance_part(y, m), y * log(y / m) + m - y, 1e-13));
        assert_true(cv_deviance_part(m, m) == 0.0);
    }
    assert_true(cv_log_poisson(0.0, 0.0) == 0.0);
    assert_true(cv_log_poisson(2.0, 0.0) == -INFINITY);
    assert_true(cv_log_binomial(0.0, 0.0, 0.5) == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_loglik),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_loglik_of_a_perfect_fit),
        cmocka_unit_test(test_stirling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
