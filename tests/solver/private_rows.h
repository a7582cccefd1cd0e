/** Rows of a regression, their noisy sums, and fits from these.
 *
 *  To be included once, after cmocka.h.
 */
#ifndef COVEY_TESTS_SOLVER_PRIVATE_ROWS_H
#define COVEY_TESTS_SOLVER_PRIVATE_ROWS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/rand.h"
#include "solver/private_fit.h"

enum { MAX_Q = 12, MAX_D = 100 };

typedef struct {
    int64_t n;
    double *x, *y; /* (n, q), (n) */
} data;

static const double slopes[MAX_Q] = {0.2,  0.15, -0.2,  0.1, 0.05, -0.1,
                                     0.08, 0.12, -0.05, 0.1, 0.0,  0.1};

/* y about x (size slopes), of deviation 0.2 (linear). Column 0 is 1 with an
 * intercept; the others are uniform within the spread. */
static void draw_data(const cv_private_fit *f, data *s, double spread,
                      double size, cv_stream *r)
{
    int q = f->q;
    for (int64_t i = 0; i < s->n; i++) {
        double eta = 0, *x = s->x + i * q;
        for (int j = 0; j < q; j++) {
            x[j] = spread * (2.0 * cv_stream_uniform(r) - 1.0);
            if (j == 0 && f->intercept)
                x[j] = 1.0;
            eta += size * slopes[j] * x[j];
        }
        if (f->logistic)
            s->y[i] = cv_stream_uniform(r) < 1.0 / (1.0 + exp(-eta));
        else
            s->y[i] = fmax(-1.0, fmin(1.0, eta + 0.2 * cv_stream_normal(r)));
    }
}

static data new_data(int64_t n, int q)
{
    return (data){n, CV_NEW(n * q, double), CV_NEW(n, double)};
}

static void drop_data(data *s)
{
    free(s->x);
    free(s->y);
}

/* Sums as silos would send them, with noise of deviation sigma. */
static void noisy_sums(const cv_private_fit *f, const data *s, const double *b,
                       int exponent, double sigma, cv_stream *r, double *out)
{
    int64_t sum[MAX_D] = {0};
    size_t d = cv_private_fit_words(f);
    cv_private_fit_add(f, s->x, s->y, s->n, b, exponent, sum);
    for (size_t i = 0; i < d; i++) {
        double noise = sigma > 0 ? sigma * cv_stream_normal(r) : 0.0;
        sum[i] += (int64_t)rint(ldexp(noise, -exponent));
        out[i] = ldexp((double)sum[i], exponent);
    }
}

typedef struct {
    double b[MAX_Q], cov[MAX_Q * MAX_Q];
    int raised;
    cv_private_linear linear;
} result;

static void fit(const cv_private_fit *f, const data *s, int exponent,
                double sigma, int rounds, const double *penalty, cv_stream *r,
                result *out)
{
    double sum[MAX_D];
    if (!f->logistic) {
        noisy_sums(f, s, NULL, exponent, sigma, r, sum);
        assert_int_equal(cv_private_linear_solve(f, sum, sigma, penalty, out->b,
                                                 out->cov, &out->linear),
                         0);
        out->raised = out->linear.raised;
        return;
    }
    double newton[4 + 5 * MAX_Q + 2 * MAX_Q * MAX_Q];
    cv_private_newton_start(newton, f->q);
    for (int t = 0; t < rounds; t++) {
        assert_int_equal(cv_private_newton_round(newton), t);
        noisy_sums(f, s, cv_private_newton_at(newton), exponent, sigma, r, sum);
        assert_int_equal(
            cv_private_newton_step(newton, f, sum, sigma, penalty, rounds), 0);
    }
    assert_int_equal(cv_private_newton_result(newton, f, sigma, penalty, rounds,
                                              out->b, out->cov, &out->raised),
                     0);
}

#endif
