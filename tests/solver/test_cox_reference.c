/* Against R's survival (make_cox_values.R), over silos and over bins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "solver/spd.h"
#include "tests/solver/cox_rows.h"
#include "tests/solver/reference_cox.h"

enum { N_REFERENCES = sizeof cox_references / sizeof *cox_references };

static double next(double *state)
{
    *state = fmod(*state * 16807.0, 2147483647.0);
    return *state / 2147483647.0;
}

/* The rows of make_cox_values.R. */
static cox_rows make_rows(void)
{
    cox_rows r = rows_make(COX_N, COX_P);
    double state = 2024.0;
    for (int i = 0; i < COX_N; i++) {
        double u[9], *x = r.x + i * COX_P;
        for (int j = 0; j < 9; j++)
            u[j] = next(&state);
        x[0] = 40.0 + floor(45.0 * u[0]);
        x[1] = u[1] < 0.4;
        x[2] = floor(3.2 * u[2]);
        x[3] = 1000.0 + u[3];
        r.time[i] = ceil(40.0 * u[4] * (1.0 + 0.5 * x[1]));
        r.event[i] = u[5] < 0.65;
        r.silo[i] = (int)floor(9.0 * u[6] * u[6]);
        r.weights[i] = 0.25 + floor(8.0 * u[7]) / 4.0;
        r.offset[i] = floor(10.0 * u[8]) / 8.0 - 0.5;
    }
    return r;
}

/* How rows of a case are spread: one model, one for each silo, or bins summed
 * over silos. */
enum { MOST_SILOS = 9 };
typedef struct {
    int n_silos, binned;
    cv_ties ties;
    cv_cox *silo[MOST_SILOS];
} spread;

static spread spread_rows(const cox_rows *r, const char *risk, int weighted,
                          cv_ties ties, int n_silos)
{
    spread s = {n_silos, strcmp(risk, "bins") == 0, ties, {0}};
    for (int k = 0; k < n_silos; k++)
        s.silo[k] = rows_model(r, n_silos == 1 ? -1 : k, weighted, ties);
    return s;
}

static void spread_free(spread *s)
{
    for (int k = 0; k < s->n_silos; k++)
        cv_cox_destroy(&s->silo[k]);
}

static cox_fit bins_at(const spread *s, const double *b)
{
    size_t size = cv_cox_bin_size(COX_P) * COX_BINS;
    double *sums = CV_NEW(size, double), *one = CV_NEW(size, double);
    double shift = -INFINITY;
    for (int k = 0; k < s->n_silos; k++)
        shift = fmax(shift, cv_cox_largest_eta(s->silo[k], b));
    for (int k = 0; k < s->n_silos; k++) {
        assert_int_equal(
            cv_cox_bin_sums(s->silo[k], b, shift, cox_edges, COX_BINS, one), 0);
        for (size_t i = 0; i < size; i++)
            sums[i] += one[i];
    }
    cox_fit f;
    memset(&f, 0x55, sizeof f);
    cv_cox_bins_fit(sums, COX_BINS, COX_P, shift, s->ties, &f.sums, f.score,
                    f.info);
    free(sums);
    free(one);
    return f;
}

static cox_fit fit_at(const spread *s, const double *b)
{
    if (s->binned)
        return bins_at(s, b);
    cox_fit sum = {0};
    for (int k = 0; k < s->n_silos; k++) {
        cox_fit f = pass_at(s->silo[k], b);
        sum.sums.loglik += f.sums.loglik;
        sum.sums.events += f.sums.events;
        sum.sums.bad += f.sums.bad;
        for (int i = 0; i < COX_P; i++)
            sum.score[i] += f.score[i];
        for (int i = 0; i < COX_P * COX_P; i++)
            sum.info[i] += f.info[i];
    }
    return sum;
}

static cv_spd *inverse_of(const cox_fit *f, double *inv)
{
    uint8_t dropped[COX_P] = {0};
    cv_spd *s =
        cv_spd_factor(f->info, COX_P, CV_SPD_TOLERANCE, 0, dropped, NULL);
    assert_non_null(s);
    cv_spd_inverse(s, inv);
    return s;
}

/* Newton from 0. */
static void check_coefficients(const spread *s, const cox_reference *want)
{
    double b[COX_P] = {0}, step[COX_P], inv[COX_P * COX_P];
    for (int i = 0; i < 12; i++) {
        cox_fit f = fit_at(s, b);
        cv_spd *h = inverse_of(&f, inv);
        cv_spd_solve(h, f.score, step);
        for (int j = 0; j < COX_P; j++)
            b[j] += step[j];
        cv_spd_destroy(&h);
    }
    cox_fit f = fit_at(s, b);
    assert_close(f.sums.loglik, want->loglik[2], 1e-12);
    for (int j = 0; j < COX_P; j++) {
        assert_close(b[j], want->coef[j], 1e-9);
        assert_close(sqrt(inv[j * COX_P + j]), want->se[j], 1e-9);
    }
}

static void check_case(const spread *s, const cox_reference *want)
{
    const double zero[COX_P] = {0};
    double inv[COX_P * COX_P];
    cox_fit f = fit_at(s, zero);
    assert_true(f.sums.bad == 0.0);
    assert_true(f.sums.events == want->events);
    assert_close(f.sums.loglik, want->loglik[0], 1e-12);
    for (int j = 0; j < COX_P; j++)
        assert_close(f.score[j], want->score[0][j], 1e-9);
    f = fit_at(s, cox_b);
    assert_close(f.sums.loglik, want->loglik[1], 1e-12);
    cv_spd *h = inverse_of(&f, inv);
    for (int j = 0; j < COX_P; j++) {
        assert_close(f.score[j], want->score[1][j], 1e-9);
        for (int i = 0; i < COX_P; i++)
            assert_true(fabs(inv[i * COX_P + j] - want->var[i * COX_P + j]) <=
                        1e-8 * sqrt(want->var[i * COX_P + i] *
                                    want->var[j * COX_P + j]));
    }
    cv_spd_destroy(&h);
    check_coefficients(s, want);
}

static void check_concordance(const spread *s, const cox_reference *want)
{
    const double *at[2] = {want->coef, cox_few};
    for (int t = 0; t < 2; t++) {
        double sum[CV_CONCORDANCE] = {0}, count[CV_CONCORDANCE];
        for (int k = 0; k < s->n_silos; k++) {
            cv_cox_concordance(s->silo[k], at[t], count);
            for (int i = 0; i < CV_CONCORDANCE; i++)
                sum[i] += count[i];
        }
        for (int i = 0; i < CV_CONCORDANCE; i++)
            assert_true(sum[i] == want->count[t][i]);
    }
}

static void test_coxph(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_REFERENCES; i++) {
        const cox_reference *want = &cox_references[i];
        cox_rows r = make_rows();
        cv_ties ties =
            strcmp(want->ties, "efron") == 0 ? CV_TIES_EFRON : CV_TIES_BRESLOW;
        int n_silos = strcmp(want->risk, "pooled") == 0 ? 1 : MOST_SILOS;
        spread s = spread_rows(&r, want->risk, want->weighted, ties, n_silos);
        check_case(&s, want);
        if (!s.binned)
            check_concordance(&s, want);
        spread_free(&s);
        /* Any other spread of rows over silos is the same in bins. */
        for (int k = 1; k < 6 && strcmp(want->risk, "bins") == 0; k += 2) {
            for (int j = 0; j < COX_N; j++)
                r.silo[j] = j * 7 % k;
            s = spread_rows(&r, want->risk, want->weighted, ties, k);
            check_case(&s, want);
            spread_free(&s);
        }
        rows_free(&r);
    }
}

/* A bin for every time is the fit without bins. */
static void test_narrow_bins(void **unused)
{
    (void)unused;
    enum { BINS = 30, P = 3 };
    const double b[P] = {0.3, -0.2, 0.1};
    double edges[BINS + 1];
    for (int k = 0; k <= BINS; k++)
        edges[k] = (k - 0.5) * 0.25;
    for (int k = 0; k < 4; k++) {
        cv_ties ties = k & 1 ? CV_TIES_EFRON : CV_TIES_BRESLOW;
        cox_rows r = rows_noise(700, P, BINS, 20);
        cv_cox *c = rows_model(&r, -1, k / 2, ties);
        double *sums = CV_NEW(cv_cox_bin_size(P) * BINS, double);
        double shift = cv_cox_largest_eta(c, b) + 3.0;
        assert_int_equal(cv_cox_bin_sums(c, b, shift, edges, BINS, sums), 0);
        cox_fit f, want = pass_at(c, b);
        cv_cox_bins_fit(sums, BINS, P, shift, ties, &f.sums, f.score, f.info);
        assert_fits(&f, &want, P, 1e-10);
        free(sums);
        cv_cox_destroy(&c);
        rows_free(&r);
    }
}

static void test_outside(void **unused)
{
    (void)unused;
    const double x[4] = {0.5, 1, 2, 3}, time[4] = {1.0, 1.5, 2.0, 4.0};
    const uint8_t event[4] = {1, 1, 0, 1};
    const double b[1] = {0.25};
    double sums[2 * 10];
    static const struct {
        double edges[3];
        int n_bins, refused;
    } cases[] = {{{1.0, 2.0, 4.0}, 2, 1}, {{0.0, 2.0, 3.9}, 2, 1},
                 {{0.0, 2.0, 4.0}, 2, 0}, {{1.7, 1.8, 1.9}, 2, 4},
                 {{0.0, 4.0, 0.0}, 1, 0}, {{0.0, 0.0, 0.0}, 0, 4},
                 {{NAN, NAN, NAN}, 2, 4}};
    assert_true(cv_cox_bin_size(1) == 10);
    cv_cox *c = cv_cox_create(x, 4, 1, time, event, NULL, NULL, CV_TIES_EFRON);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        for (int i = 0; i < 20; i++)
            sums[i] = 77.0;
        assert_int_equal(
            cv_cox_bin_sums(c, b, 0.5, cases[k].edges, cases[k].n_bins, sums),
            cases[k].refused);
        for (int i = cases[k].refused ? 0 : 10 * cases[k].n_bins; i < 20; i++)
            assert_true(sums[i] == 77.0);
    }
    /* The layout: an edge belongs to the bin before it. */
    const double edges[3] = {0.0, 1.5, 4.0};
    assert_int_equal(cv_cox_bin_sums(c, b, 0.5, edges, 2, sums), 0);
    double r0 = exp(0.125 - 0.5), r1 = exp(0.25 - 0.5), r2 = 1.0;
    double r3 = exp(0.75 - 0.5);
    const double want[20] = {r0 + r1,
                             0.5 * r0 + r1,
                             0.25 * r0 + r1,
                             r0 + r1,
                             0.5 * r0 + r1,
                             0.25 * r0 + r1,
                             2,
                             2,
                             1.5,
                             0.375,
                             r2 + r3,
                             2 * r2 + 3 * r3,
                             4 * r2 + 9 * r3,
                             r3,
                             3 * r3,
                             9 * r3,
                             1,
                             1,
                             3,
                             0.75};
    for (int i = 0; i < 20; i++)
        assert_close(sums[i], want[i], 1e-15);
    cv_cox_destroy(&c);
}

/* Sums of others may be anything. */
static void test_hostile_sums(void **unused)
{
    (void)unused;
    enum { BINS = 3, P = 2, COUNT = 2 * 6 + 1 };
    const double edges[BINS + 1] = {-1, 1, 2, 9}, b[P] = {0.1, 0.2};
    cox_rows r = rows_noise(40, P, 30, 21);
    cv_cox *c = rows_model(&r, -1, 1, CV_TIES_EFRON);
    size_t size = cv_cox_bin_size(P);
    double *sums = CV_NEW(size * BINS, double);
    cox_fit f, none = {.sums.bad = 1.0};
    static const double odd[] = {NAN, INFINITY, -INFINITY};
    for (size_t at = 0; at < size * BINS; at++)
        for (int k = 0; k < 3; k++) {
            assert_int_equal(cv_cox_bin_sums(c, b, 1.0, edges, BINS, sums), 0);
            sums[at] = odd[k];
            cv_cox_bins_fit(sums, BINS, P, 1.0, CV_TIES_EFRON, &f.sums, f.score,
                            f.info);
            assert_fits(&f, &none, P, 0.0);
        }
    static const double counts[] = {-1.0, 1e30, 1.1e9};
    for (int k = 0; k < 3; k++) {
        assert_int_equal(cv_cox_bin_sums(c, b, 1.0, edges, BINS, sums), 0);
        sums[size + COUNT] = counts[k];
        cv_cox_bins_fit(sums, BINS, P, 1.0, CV_TIES_EFRON, &f.sums, f.score,
                        f.info);
        assert_fits(&f, &none, P, 0.0);
    }
    /* Risk sets of nobody. */
    memset(sums, 0, size * BINS * sizeof *sums);
    sums[COUNT] = sums[COUNT - 1] = 1.0;
    cv_cox_bins_fit(sums, BINS, P, 1.0, CV_TIES_EFRON, &f.sums, f.score,
                    f.info);
    assert_fits(&f, &none, P, 0.0);
    /* No events, no bins. */
    sums[COUNT] = 0.0;
    for (int bins = 0; bins <= BINS; bins += BINS) {
        cox_fit zero = {0};
        cv_cox_bins_fit(sums, bins, P, -INFINITY, CV_TIES_EFRON, &f.sums,
                        f.score, f.info);
        assert_fits(&f, &zero, P, 0.0);
    }
    cv_cox_destroy(&c);
    /* What one silo could not sum is seen by all. */
    r.x[3] = NAN;
    c = rows_model(&r, -1, 1, CV_TIES_EFRON);
    assert_int_equal(cv_cox_bin_sums(c, b, 1.0, edges, BINS, sums), 0);
    cv_cox_bins_fit(sums, BINS, P, 1.0, CV_TIES_EFRON, &f.sums, f.score,
                    f.info);
    assert_fits(&f, &none, P, 0.0);
    cv_cox_destroy(&c);
    free(sums);
    rows_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coxph),
        cmocka_unit_test(test_narrow_bins),
        cmocka_unit_test(test_outside),
        cmocka_unit_test(test_hostile_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
