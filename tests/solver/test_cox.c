#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/solver/cox_rows.h"

static const cv_ties both[] = {CV_TIES_EFRON, CV_TIES_BRESLOW};

/* One event's term, its risk set with weights (n): row k's risk counts less
 * `off` where it is an event at that time. */
static void plain_term(const cox_rows *r, const double *w, const double *b,
                       double time, double off, double weight, cox_fit *f)
{
    long double top = -INFINITY, s0 = 0, s1[MAX_P] = {0};
    long double s2[MAX_P * MAX_P] = {0};
    for (int pass = 0; pass < 2; pass++)
        for (int64_t k = 0; k < r->n; k++) {
            long double eta = r->offset[k];
            const double *x = r->x + k * r->p;
            if (w[k] == 0.0 || r->time[k] < time)
                continue;
            for (int j = 0; j < r->p; j++)
                eta += (long double)x[j] * b[j];
            if (pass == 0) {
                top = eta > top ? eta : top;
                continue;
            }
            int tied = r->event[k] && r->time[k] == time;
            long double risk = w[k] * expl(eta - top) * (tied ? 1 - off : 1);
            s0 += risk;
            for (int i = 0; i < r->p; i++) {
                s1[i] += risk * x[i];
                for (int j = i; j < r->p; j++)
                    s2[i * r->p + j] += risk * x[i] * x[j];
            }
        }
    f->sums.loglik -= weight * (double)(top + logl(s0));
    for (int i = 0; i < r->p; i++) {
        f->score[i] -= weight * (double)(s1[i] / s0);
        for (int j = i; j < r->p; j++)
            f->info[i * r->p + j] +=
                weight *
                (double)(s2[i * r->p + j] / s0 - s1[i] / s0 * (s1[j] / s0));
    }
}

/* By the definition, n^2 p^2. */
static cox_fit plain_fit(const cox_rows *r, int weighted, cv_ties ties,
                         const double *b)
{
    cox_rows copy = rows_make(r->n, r->p);
    double *w = copy.weights;
    cox_fit f = {0};
    for (int64_t i = 0; i < r->n; i++)
        w[i] = weighted ? r->weights[i] : 1.0;
    cox_rows all = *r;
    all.offset = weighted ? r->offset : copy.offset;
    for (int64_t i = 0; i < r->n; i++) {
        if (!r->event[i] || w[i] == 0.0)
            continue;
        double d = 0, before = 0, weight = 0, eta = all.offset[i];
        for (int64_t k = 0; k < r->n; k++)
            if (r->event[k] && w[k] > 0.0 && r->time[k] == r->time[i]) {
                before += k < i;
                weight += w[k];
                d++;
            }
        for (int j = 0; j < r->p; j++) {
            eta += r->x[i * r->p + j] * b[j];
            f.score[j] += w[i] * r->x[i * r->p + j];
        }
        f.sums.events++;
        f.sums.loglik += w[i] * eta;
        plain_term(&all, w, b, r->time[i],
                   ties == CV_TIES_EFRON ? before / d : 0.0, weight / d, &f);
    }
    rows_free(&copy);
    return f;
}

static void test_definition(void **unused)
{
    (void)unused;
    static const double b[MAX_P] = {0.3, -0.2, 0.1, 0.0, -0.05, 0.02};
    /* Many times, few, one; more rows than a batch. */
    static const int cases[][3] = {
        {1, 1, 1},    {2, 2, 1},        {40, 3, 1}, {50, 4, 1000},
        {300, 2, 20}, {600, 3, 100000}, {120, 6, 7}};
    for (int k = 0; k < 7 * 4; k++) {
        const int *shape = cases[k / 4];
        cox_rows r = rows_noise(shape[0], shape[1], shape[2], 1);
        if (r.n > 9)
            r.weights[3] = r.weights[7] = 0.0;
        cv_cox *c = rows_model(&r, -1, k & 1, both[k / 2 % 2]);
        cox_fit f = pass_at(c, b);
        cox_fit want = plain_fit(&r, k & 1, both[k / 2 % 2], b);
        assert_fits(&f, &want, r.p, 1e-10);
        cv_cox_destroy(&c);
        assert_null(c);
        rows_free(&r);
    }
    cv_cox_destroy(NULL);
}

/* Rows of weight 0 are not there, whatever is in them. */
static void test_weight_zero(void **unused)
{
    (void)unused;
    const double b[2] = {0.4, -0.3};
    cox_rows r = rows_noise(60, 2, 8, 2), few = rows_make(60, 2);
    few.n = 0;
    for (int i = 0; i < 60; i++) {
        if (i % 5 == 0) {
            r.weights[i] = 0.0;
            r.x[2 * i] = i == 5 ? NAN : 1e6;
            r.time[i] = i == 10 ? -INFINITY : r.time[i];
            continue;
        }
        few.x[2 * few.n] = r.x[2 * i];
        few.x[2 * few.n + 1] = r.x[2 * i + 1];
        few.time[few.n] = r.time[i];
        few.event[few.n] = r.event[i];
        few.offset[few.n] = r.offset[i];
        few.weights[few.n++] = r.weights[i];
    }
    for (int k = 0; k < 2; k++) {
        cv_cox *c = rows_model(&r, -1, 1, both[k]);
        cv_cox *d = rows_model(&few, -1, 1, both[k]);
        cox_fit f = pass_at(c, b), want = pass_at(d, b);
        double count[5], other[5];
        assert_memory_equal(&f, &want, sizeof f);
        assert_true(f.sums.events > 0);
        assert_true(cv_cox_largest_eta(c, b) == cv_cox_largest_eta(d, b));
        cv_cox_concordance(c, b, count);
        cv_cox_concordance(d, b, other);
        assert_memory_equal(count, other, sizeof count);
        cv_cox_destroy(&c);
        cv_cox_destroy(&d);
    }
    rows_free(&r);
    rows_free(&few);
}

static void test_finite_differences(void **unused)
{
    (void)unused;
    enum { P = 3 };
    const double b[P] = {0.4, -0.2, 0.1}, h = 1e-5;
    for (int k = 0; k < 4; k++) {
        cox_rows r = rows_noise(200, P, 25, 3);
        cv_cox *c = rows_model(&r, -1, k & 1, both[k / 2]);
        cox_fit f = pass_at(c, b);
        for (int j = 0; j < P; j++) {
            double up[P], down[P];
            memcpy(up, b, sizeof up);
            memcpy(down, b, sizeof down);
            up[j] += h;
            down[j] -= h;
            cox_fit u = pass_at(c, up), d = pass_at(c, down);
            assert_close(f.score[j], (u.sums.loglik - d.sums.loglik) / (2 * h),
                         1e-6);
            for (int i = 0; i < P; i++)
                assert_close(f.info[i < j ? i * P + j : j * P + i],
                             (d.score[i] - u.score[i]) / (2 * h), 1e-6);
        }
        cv_cox_destroy(&c);
        rows_free(&r);
    }
}

/* Etas of thousands, rising or falling with time: the earliest rows' risks are
 * e^9000 times the last ones', or the other way round. */
static void test_huge_eta(void **unused)
{
    (void)unused;
    const double b[2] = {0.5, -0.25};
    for (int k = 0; k < 8; k++) {
        double slope = (k & 1 ? 9000.0 : -9000.0) * (k & 4 ? 1.0 : 0.1);
        cox_rows r = rows_noise(150, 2, 40, 4);
        for (int i = 0; i < r.n; i++)
            r.offset[i] = slope * r.time[i] / 10.0 + (i % 3 == 0 ? 720.0 : 0.0);
        cv_cox *c = rows_model(&r, -1, 1, both[k / 2 % 2]);
        cox_fit f = pass_at(c, b);
        cox_fit want = plain_fit(&r, 1, both[k / 2 % 2], b);
        assert_true(f.sums.bad == 0.0);
        assert_fits(&f, &want, 2, 1e-9);
        cv_cox_destroy(&c);
        rows_free(&r);
    }
}

/* Columns far from 0 lose nothing. */
static void test_large_means(void **unused)
{
    (void)unused;
    const double b[2] = {0.4, -0.2};
    cox_rows r = rows_noise(100, 2, 12, 5);
    for (int i = 0; i < 2 * r.n; i++)
        r.x[i] = ldexp(round(ldexp(r.x[i], 10)), -10);
    cv_cox *c = rows_model(&r, -1, 1, CV_TIES_EFRON);
    for (int i = 0; i < r.n; i++)
        r.x[2 * i] += 1e8;
    cv_cox *far = rows_model(&r, -1, 1, CV_TIES_EFRON);
    cox_fit want = pass_at(c, b), f = pass_at(far, b);
    assert_fits(&f, &want, 2, 1e-7);
    cv_cox_destroy(&c);
    cv_cox_destroy(&far);
    rows_free(&r);
}

/* A column that does not vary where it counts has no information at all, not a
 * little that a scaled matrix would take for much. */
static void test_constant_columns(void **unused)
{
    (void)unused;
    const double b[3] = {0.3, 0.7, -0.2};
    for (int k = 0; k < 4; k++) {
        cox_rows r = rows_noise(400, 3, 50, 6);
        for (int i = 0; i < r.n; i++) {
            r.x[3 * i + 1] = k < 2 ? 0.1 : floor(r.time[i] / 4.0) * 0.1;
            r.silo[i] = k < 2 ? 0 : (int)floor(r.time[i] / 4.0);
        }
        cv_cox *c = rows_model(&r, k < 2 ? -1 : 1, 1, both[k & 1]);
        cox_fit f = pass_at(c, b);
        assert_true(f.sums.bad == 0.0 && f.sums.events > 0.0);
        assert_true(f.info[0] > 1.0 && f.info[8] > 1.0);
        assert_true(f.info[1] == 0.0 && f.info[4] == 0.0 && f.info[5] == 0.0);
        assert_close(f.score[1], 0.0, 1e-11);
        cv_cox_destroy(&c);
        rows_free(&r);
    }
    /* Varies, but those at risk at an event's time are all alike. */
    const double x[] = {0.1, 0.3, 0.3, 0.7, 0.7}, time[] = {1, 2, 3, 4, 5};
    const uint8_t event[] = {0, 0, 0, 1, 1};
    cv_cox *c = cv_cox_create(x, 5, 1, time, event, NULL, NULL, CV_TIES_EFRON);
    cox_fit f = pass_at(c, b);
    assert_true(f.info[0] == 0.0);
    assert_close(f.score[0], 0.0, 1e-15);
    assert_true(f.sums.events == 2.0);
    assert_close(f.sums.loglik, -log(2.0), 1e-15);
    cv_cox_destroy(&c);
}

static void test_nothing(void **unused)
{
    (void)unused;
    const double b[2] = {0.3, 0.7};
    double count[5];
    for (int k = 0; k < 2; k++) {
        cox_rows r = rows_noise(k ? 30 : 0, 2, 5, 7);
        memset(r.event, 0, (size_t)r.n);
        cv_cox *c = rows_model(&r, -1, 1, CV_TIES_EFRON);
        cox_fit f = pass_at(c, b), none = {0};
        assert_fits(&f, &none, 2, 0.0);
        cv_cox_concordance(c, b, count);
        for (int i = 0; i < 5; i++)
            assert_true(count[i] == 0.0);
        if (!k)
            assert_true(cv_cox_largest_eta(c, b) == -INFINITY);
        cv_cox_destroy(&c);
        rows_free(&r);
    }
    /* No columns: the log-likelihood of no effect. */
    const double time[] = {3, 1, 2};
    const uint8_t event[] = {1, 1, 1};
    cv_cox *c =
        cv_cox_create(NULL, 3, 0, time, event, NULL, NULL, CV_TIES_BRESLOW);
    cox_fit f = pass_at(c, b);
    assert_close(f.sums.loglik, -log(6.0), 1e-15);
    cv_cox_destroy(&c);
}

static void test_bad(void **unused)
{
    (void)unused;
    const double b[2] = {0.3, 0.7}, zero[2] = {0};
    const double value[] = {NAN, INFINITY, -INFINITY};
    for (int k = 0; k < 5 * 3; k++) {
        cox_rows r = rows_noise(30, 2, 5, 8);
        double *at[] = {r.x + 9, r.time + 9, r.weights + 9, r.offset + 9,
                        r.weights + 9};
        *at[k / 3] = k / 3 == 4 ? -1e-9 : value[k % 3];
        cv_cox *c = rows_model(&r, -1, 1, CV_TIES_EFRON);
        cox_fit f = pass_at(c, zero), none = {.sums.bad = 1.0};
        assert_fits(&f, &none, 2, 0.0);
        double count[5];
        cv_cox_concordance(c, b, count);
        for (int i = 0; i < 5; i++)
            assert_true(count[i] == 0.0);
        cv_cox_destroy(&c);
        rows_free(&r);
    }
    cox_rows r = rows_noise(30, 2, 5, 8);
    cv_cox *c = rows_model(&r, -1, 1, CV_TIES_EFRON);
    for (int k = 0; k < 5; k++) {
        const double far[] = {NAN, INFINITY, -INFINITY, 1e308, -1e308};
        double at[2] = {far[k], 1e308}, count[5];
        cox_fit f = pass_at(c, at), none = {.sums.bad = 1.0};
        assert_fits(&f, &none, 2, 0.0);
        cv_cox_concordance(c, at, count);
        assert_true(count[0] == 0.0 && count[1] == 0.0);
    }
    cv_cox_destroy(&c);
    /* Larger than any sum of theirs. */
    r.x[0] = 1e308;
    r.x[2] = -1e308;
    r.x[4] = 1e308;
    c = rows_model(&r, -1, 0, CV_TIES_EFRON);
    cox_fit f = pass_at(c, zero), none = {.sums.bad = 1.0};
    assert_fits(&f, &none, 2, 0.0);
    cv_cox_destroy(&c);
    rows_free(&r);
}

static void plain_concordance(const cox_rows *r, const double *b,
                              double count[5])
{
    memset(count, 0, 5 * sizeof *count);
    for (int64_t i = 0; i < r->n; i++)
        for (int64_t k = 0; k < r->n; k++) {
            double d = r->offset[i] - r->offset[k];
            for (int j = 0; j < r->p; j++)
                d += (r->x[i * r->p + j] - r->x[k * r->p + j]) * b[j];
            if (!r->event[i])
                continue;
            if (r->event[k] && r->time[k] == r->time[i])
                count[d == 0.0 ? 4 : 3] += 0.5 * (i != k);
            else if (r->time[k] >= r->time[i])
                count[d > 0.0 ? 0 : d < 0.0 ? 1 : 2] += 1.0;
        }
}

static void test_concordance(void **unused)
{
    (void)unused;
    for (int k = 0; k < 12; k++) {
        const double b[5] = {1.0, -0.5, 0.25, 0.5, k % 3 ? 0.125 : 0.0};
        cox_rows r = rows_noise(k * k * 3 + 1, 5, 2 + 10 * (k % 4), 9);
        for (int64_t i = 0; i < r.n; i++) {
            /* Small numbers, so that risks are tied and exact. */
            r.offset[i] = i % 2;
            for (int j = 0; j < 5; j++)
                r.x[i * 5 + j] = round(r.x[i * 5 + j] / 4.0);
        }
        cv_cox *c = rows_model(&r, -1, 1, CV_TIES_EFRON);
        double count[5], want[5];
        cv_cox_concordance(c, b, count);
        plain_concordance(&r, b, want);
        for (int i = 0; i < 5; i++)
            assert_true(count[i] == want[i]);
        assert_true(k < 4 || (want[2] > 0.0 && want[3] > 0.0 && want[4] > 0.0));
        cv_cox_destroy(&c);
        rows_free(&r);
    }
}

/* Rows that are alike are tied, whatever their coefficients and places. */
static void test_alike_are_tied(void **unused)
{
    (void)unused;
    enum { N = 61, P = 6 };
    const double b[P] = {0.1, 1.0 / 3.0, -0.7, 1e-3, 17.3, -2.9};
    cox_rows r = rows_noise(N, P, 1000, 10);
    for (int i = 0; i < N; i++) {
        memcpy(r.x + i * P, r.x, P * sizeof(double));
        r.event[i] = 1;
        r.time[i] = i;
    }
    cv_cox *c = rows_model(&r, -1, 0, CV_TIES_EFRON);
    double count[5];
    cv_cox_concordance(c, b, count);
    assert_true(count[2] == N * (N - 1) / 2);
    cv_cox_destroy(&c);
    rows_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),
        cmocka_unit_test(test_weight_zero),
        cmocka_unit_test(test_finite_differences),
        cmocka_unit_test(test_huge_eta),
        cmocka_unit_test(test_large_means),
        cmocka_unit_test(test_constant_columns),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_concordance),
        cmocka_unit_test(test_alike_are_tied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
