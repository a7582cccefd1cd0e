/* Whole fits against R's glm. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/solver/glm_fixture.h"
#include "tests/solver/reference_glm.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const double LIMIT = 1e-9;

static int near(double got, double want)
{
    return fabs(got - want) <= LIMIT * fmax(fabs(want), 1e-3);
}

static cv_family named(const char *family, const char *link)
{
    cv_family f;
    assert_int_equal(cv_family_find(&f, family, link), 0);
    return f;
}

static cv_glm_rows part(const glm_data *d, const cv_family *f, int own,
                        int from, int to)
{
    int p = own ? 2 : 3;
    return (cv_glm_rows){.family = *f,
                         .n = to - from,
                         .p = p,
                         .x = (own ? d->two : d->x) + p * from,
                         .y = d->y + from,
                         .weights = d->w + from,
                         .offset = d->offset + from,
                         .own_intercept = own};
}

/* n rows and weights that count; df of residuals. */
static void compare(const cv_glm_rows *silo, int n_silos, int intercepts,
                    const double *coef, double deviance, double loglik,
                    double pearson, const double *vcov)
{
    glm_fit fit;
    const cv_family *f = &silo->family;
    int p = silo->p, at = 0;
    double n = 0.0, total = 0.0;
    assert_int_equal(glm_run(silo, n_silos, &fit), 0);
    /* Silos that add nothing are not counted. */
    int counted = intercepts ? intercepts : n_silos;
    for (int s = 0; s < counted; s++)
        for (int i = 0; i < silo[s].n; i++) {
            n += 1.0;
            total += silo[s].weights[i];
        }
    for (int k = 0; k < p; k++)
        if (!near(fit.b[k], coef[k]))
            fail_msg("%s %s: coefficient %d is %.17g, not %.17g",
                     cv_family_name(f), cv_link_name(f), k, fit.b[k], coef[k]);
    assert_true(near(fit.sums.deviance, deviance));
    assert_true(near(fit.sums.pearson, pearson));
    assert_true(
        near(cv_family_loglik(f, fit.sums.family, fit.sums.deviance, n, total),
             loglik));
    double dispersion = cv_family_fixed_dispersion(f)
                            ? 1.0
                            : fit.sums.pearson / (n - p - intercepts);
    for (int j = 0; j < p; j++)
        for (int i = 0; i <= j; i++)
            assert_true(near(dispersion * fit.inverse[i * p + j], vcov[at++]));
}

static void test_fits(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(fit_table); c++) {
        glm_data d;
        cv_family f = named(fit_table[c].family, fit_table[c].link);
        glm_make(&d, &f, fit_table[c].weighted);
        cv_glm_rows silo[3] = {part(&d, &f, 0, 0, 25), part(&d, &f, 0, 25, 27),
                               part(&d, &f, 0, 27, ROWS)};
        compare(silo, 3, 0, fit_table[c].coef, fit_table[c].deviance,
                fit_table[c].loglik, fit_table[c].pearson, fit_table[c].vcov);
    }
}

/* Three silos of 25, 2 and 13 rows; the last of one class where the family has
 * such a thing. */
static void test_own_intercepts(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(own_table); c++) {
        glm_data d;
        cv_family f = named(own_table[c].family, own_table[c].link);
        glm_make(&d, &f, own_table[c].weighted);
        int binomial = f.kind == CV_FAMILY_BINOMIAL;
        int poisson = f.kind == CV_FAMILY_POISSON;
        int one_class = binomial || (poisson && f.link == CV_LINK_LOG);
        if (binomial || poisson) {
            d.y[25] = binomial ? 0.0 : 1.0;
            d.y[26] = binomial ? 1.0 : 3.0;
        }
        for (int i = 27; one_class && i < ROWS; i++)
            d.y[i] = 0.0;
        cv_glm_rows silo[3] = {part(&d, &f, 1, 0, 25), part(&d, &f, 1, 25, 27),
                               part(&d, &f, 1, 27, ROWS)};
        compare(silo, 3, one_class ? 2 : 3, own_table[c].coef,
                own_table[c].deviance, own_table[c].loglik,
                own_table[c].pearson, own_table[c].vcov);
    }
}

/* One silo with an intercept of its own is a fit with an intercept, which comes
 * out in the sums. */
static void test_one_silo(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(fit_table); c++) {
        glm_data d;
        glm_fit fit;
        cv_family f = named(fit_table[c].family, fit_table[c].link);
        glm_make(&d, &f, fit_table[c].weighted);
        cv_glm_rows silo = part(&d, &f, 1, 0, ROWS);
        cv_glm_sums sums;
        assert_int_equal(glm_run(&silo, 1, &fit), 0);
        /* Least squares need one step; the second finds nothing to do. */
        if (f.kind == CV_FAMILY_GAUSSIAN && f.link == CV_LINK_IDENTITY)
            assert_int_equal(fit.iterations, 1);
        assert_true(near(fit.b[0], fit_table[c].coef[1]));
        assert_true(near(fit.b[1], fit_table[c].coef[2]));
        assert_true(near(fit.sums.deviance, fit_table[c].deviance));
        cv_glm_pass(&silo, fit.b, &sums, NULL, NULL, NULL, NULL);
        assert_true(near(sums.intercept, fit_table[c].coef[0]));
    }
}

/* Rows of weight 0 are as good as not there, even with y and offset that mean
 * nothing. */
static void test_empty_rows(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(fit_table); c++) {
        glm_data d;
        glm_fit without, with;
        cv_family f = named(fit_table[c].family, fit_table[c].link);
        for (int own = 0; own < 2; own++) {
            glm_make(&d, &f, fit_table[c].weighted);
            cv_glm_rows some = part(&d, &f, own, 4, ROWS);
            cv_glm_rows every = part(&d, &f, own, 0, ROWS);
            memset(d.w, 0, 4 * sizeof *d.w);
            d.y[0] = NAN;
            d.y[1] = -1.0;
            d.offset[2] = -1e9;
            d.y[3] = d.offset[3] = INFINITY;
            assert_int_equal(glm_run(&some, 1, &without), 0);
            assert_int_equal(glm_run(&every, 1, &with), 0);
            for (int k = 0; k < some.p; k++)
                assert_true(near(with.b[k], without.b[k]));
            assert_true(near(with.sums.deviance, without.sums.deviance));
            assert_true(near(with.sums.pearson, without.sums.pearson));
            assert_true(near(with.sums.family[0], without.sums.family[0]));
            assert_true(with.sums.extreme == without.sums.extreme);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fits),
        cmocka_unit_test(test_own_intercepts),
        cmocka_unit_test(test_one_silo),
        cmocka_unit_test(test_empty_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
