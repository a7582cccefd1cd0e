/* Logistic regression from noisy gradients and informations.
 *
 * With weights s(x) the score g(b) = sum s (y - mu) x is unbiased, the
 * information is A(b) = sum s w x x', and cov(g) = sum s^2 w x x' <= A.
 *
 * A round gives G = g(b) + xi, xi of deviation sigma a word, and I = A(b) + E, E
 * of deviation sigma / kappa on the diagonal and 1/sqrt(2) of it beside. It steps
 *     b += H^-1 (G - penalty b),  H = (running mean of I) + penalty,
 * eigenvalues not below the floor of the mean's noise (private_eigen.c), the step
 * not longer than STEP. The noise of I is new in every round, so that a mean is
 * better than the last one; but A changes with b, so old ones count half as much
 * a round, until the averaging begins.
 *
 * STEP. Newton's model holds where weights do not change much:
 * w(eta + d) / w(eta) is between exp(-|d|) and exp(|d|), and |d| <= |x| |step|.
 * From 0, Newton gets to the estimates of data that are not nearly separable in
 * steps of 2 or less; a longer one is the work of noise in a direction of little
 * information, or of separation. T rounds can go to |b| = 2 T.
 *
 * All rounds are always run: when to stop must not depend on the data. Near the
 * estimate b^, a Newton step from anywhere leads to b^ + H^-1 xi: iterates hardly
 * remember older noise. So the last half, k rounds, is averaged. Not the iterates
 * themselves, which were made with the H of their time: over the last k rounds
 * G = (A + penalty)(b^ - b) + xi with the b of each, so with mean b', mean G',
 * and the mean of I, H without noise,
 *     b' + H^-1 (G' - penalty b')  =  b^ + H^-1 xi',
 * whatever the steps were: clipped, or short because of a floor.
 *     cov = H^-1 + H^-1 (sigma^2 / k) H^-1.
 * (H^-1 cov(g) H^-1 is smaller than H^-1 where rows are scaled, and by the bias
 * of a penalty, had b the prior that it stands for.)
 *
 * What the floor does. In a raised direction, with h = 1 - found / floor, a
 * round leaves the fraction h of the distance to b^, and so does the last step.
 * So of the noise of the rounds at most
 *     sigma^2 / floor^2 (h^2 + h^4 + ... + h^(2 T))
 * is left, and of the way from 0, h^(2 (T - k) + 2) of its square. b^ is not
 * known there; but weights are at most 1/4, so a direction that explained all of
 * the response has found b_v^2 <= sum s <= 4 tr(A(0)) (with an intercept), and
 * 4 tr / floor is taken for its square. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "solver/private_fit_parts.h"

#define STEP 2.0
#define KEEP 0.5 /* of older informations before the averaging */

/* Views of the flat state. */
typedef struct {
    double *round, *weight, *squares, *averaged;
    double *b, *sum_b, *sum_g; /* (q) */
    double *running, *sum_i;   /* (q, q) upper triangles */
} views;

enum { HEAD = 4 };

size_t cv_private_newton_words(int q)
{
    CV_CHECK(q >= 1 && q <= CV_PRIVATE_FIT_MAX_Q);
    size_t n = (size_t)q;
    return HEAD + 3 * n + 2 * n * n;
}

static views open_state(double *s, int q)
{
    size_t n = (size_t)q;
    double *b = s + HEAD, *matrix = b + 3 * n;
    return (views){s,     s + 1,     s + 2,  s + 3,         b,
                   b + n, b + 2 * n, matrix, matrix + n * n};
}

void cv_private_newton_start(double *state, int q)
{
    memset(state, 0, cv_private_newton_words(q) * sizeof *state);
}

int cv_private_newton_round(const double *state)
{
    return (int)state[0];
}

const double *cv_private_newton_at(const double *state)
{
    return state + HEAD;
}

/* k, rounds that are averaged. */
static int n_averaged(int rounds)
{
    CV_CHECK(rounds >= 1);
    return rounds > 1 ? rounds / 2 : 1;
}

/* out = H^-1 (g - penalty b), no longer than STEP. */
static void step_from(const cv_private_eigen *e, const double *g,
                      const double *penalty, const double *b, double *out)
{
    for (int j = 0; j < e->q; j++)
        out[j] = g[j] - (penalty ? penalty[j] * b[j] : 0.0);
    cv_private_eigen_solve(e, out, out);
    double square = 0.0;
    for (int j = 0; j < e->q; j++)
        square += out[j] * out[j];
    double scale = square > STEP * STEP ? STEP / sqrt(square) : 1.0;
    for (int j = 0; j < e->q; j++)
        out[j] *= scale;
}

static void add(double *to, const double *from, double keep, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = keep * to[i] + from[i];
}

/* The round's sums into the means. */
static void take(views *v, const double *g, const double *info, size_t n,
                 int rounds)
{
    int k = n_averaged(rounds), averaging = *v->round >= rounds - k;
    double keep = *v->averaged > 0.0 ? 1.0 : KEEP;
    add(v->running, info, keep, n * n);
    *v->weight = keep * *v->weight + 1.0;
    *v->squares = keep * keep * *v->squares + 1.0;
    if (!averaging)
        return;
    add(v->sum_b, v->b, 1.0, n);
    add(v->sum_g, g, 1.0, n);
    add(v->sum_i, info, 1.0, n * n);
    *v->averaged += 1.0;
}

int cv_private_newton_step(double *state, const cv_private_fit *f,
                           const double *sum, double sigma,
                           const double *penalty, int rounds)
{
    CV_CHECK(f->logistic && sigma >= 0.0);
    size_t n = (size_t)f->q, words = cv_private_newton_words(f->q);
    if (!cv_private_finite(sum, cv_private_fit_words(f)))
        return -1;
    double *next = CV_NEW(words, double), *m = CV_NEW(n * n, double);
    double *step = CV_NEW(n, double), kappa = cv_private_kappa(f->q);
    memcpy(next, state, words * sizeof *next);
    views v = open_state(next, f->q);
    CV_CHECK(*v.round < rounds);
    cv_private_unpack(sum + n, f->q, kappa, m);
    take(&v, sum, m, n, rounds);
    for (size_t i = 0; i < n * n; i++)
        m[i] = v.running[i] / *v.weight;
    cv_private_eigen *e = cv_private_eigen_make(
        m, f->q, sigma / kappa * sqrt(*v.squares) / *v.weight, penalty);
    int rc = e ? 0 : -1;
    if (e) {
        step_from(e, sum, penalty, v.b, step);
        add(v.b, step, 1.0, n);
        *v.round += 1.0;
        memcpy(state, next, words * sizeof *next);
    }
    cv_private_eigen_destroy(&e);
    free(next);
    free(m);
    free(step);
    return rc;
}

/* Variances along the eigenvectors. */
static void variances(const cv_private_eigen *e, double sigma, double trace,
                      int rounds, double *w)
{
    int k = n_averaged(rounds);
    double noise = sigma * sigma;
    for (int i = 0; i < e->q; i++) {
        double l = e->value[i], h2 = pow(cv_private_eigen_short(e, i), 2.0);
        double left = 0.0;
        for (int t = 0; t < rounds; t++)
            left = h2 * (1.0 + left);
        w[i] = 1.0 / l + noise / k / (l * l) +
               left * noise / (e->floor * e->floor) +
               pow(h2, rounds - k + 1) * 4.0 * trace / e->floor;
    }
}

int cv_private_newton_result(const double *state, const cv_private_fit *f,
                             double sigma, const double *penalty, int rounds,
                             double *b, double *cov, int *raised)
{
    size_t n = (size_t)f->q, words = cv_private_newton_words(f->q);
    int k = n_averaged(rounds);
    CV_CHECK(f->logistic && cv_private_newton_round(state) == rounds);
    double *s = CV_NEW(words, double), *w = CV_NEW(n, double);
    double trace = 0.0;
    memcpy(s, state, words * sizeof *s);
    views v = open_state(s, f->q);
    for (size_t i = 0; i < n * n; i++)
        v.sum_i[i] /= k;
    for (size_t i = 0; i < n; i++) {
        v.sum_g[i] /= k;
        v.sum_b[i] /= k;
        trace += v.sum_i[i * n + i];
    }
    cv_private_eigen *e = cv_private_eigen_make(
        v.sum_i, f->q, sigma / cv_private_kappa(f->q) / sqrt(k), penalty);
    int rc = e ? 0 : -1;
    if (e) {
        step_from(e, v.sum_g, penalty, v.sum_b, b);
        add(b, v.sum_b, 1.0, n);
        /* At least one record's, lest no data look like certainty. */
        variances(e, sigma, fmax(trace, 1.0), rounds, w);
        cv_private_eigen_form(e, w, cov);
        *raised = e->raised;
    }
    cv_private_eigen_destroy(&e);
    free(s);
    free(w);
    return rc;
}
