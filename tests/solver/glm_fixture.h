/* Small data that R and C make alike, and a plain loop of iteratively reweighted
 * least squares. */
#ifndef TESTS_SOLVER_GLM_FIXTURE_H
#define TESTS_SOLVER_GLM_FIXTURE_H

#include <math.h>
#include <string.h>

#include "solver/glm.h"

enum { ROWS = 40, MOST_P = 8 };

typedef struct {
    double x[3 * ROWS]; /* (ROWS, 3): 1, x1, x2 */
    double two[2 * ROWS];
    double y[ROWS], w[ROWS], offset[ROWS];
} glm_data;

/* In R: s <- (s * 16807) %% 2147483647; s / 2147483647 */
static inline double glm_uniform(uint64_t *s)
{
    *s = *s * 16807 % 2147483647;
    return (double)*s / 2147483647.0;
}

static inline double glm_response(const cv_family *f, double x1, double x2,
                                  double e, double w)
{
    int log_link = f->link == CV_LINK_LOG;
    switch (f->kind) {
    case CV_FAMILY_GAUSSIAN:
        return 2.0 + 0.5 * x1 - 0.3 * x2 + (e - 0.5);
    case CV_FAMILY_BINOMIAL:
        return floor((w + 1.0) * e * (log_link ? 0.6 : 0.85)) / w;
    case CV_FAMILY_POISSON:
        return (log_link ? 0.0 : 1.0) + floor(4.0 * e) + (x1 > 0.0);
    case CV_FAMILY_GAMMA:
        break;
    }
    return 0.5 + 2.0 * e + 0.3 * x1;
}

static inline void glm_make(glm_data *d, const cv_family *f, int weighted)
{
    uint64_t s = 1;
    for (int i = 0; i < ROWS; i++) {
        double *x = d->x + 3 * i;
        x[0] = 1.0;
        x[1] = d->two[2 * i] = 2.0 * glm_uniform(&s) - 1.0;
        x[2] = d->two[2 * i + 1] = 2.0 * glm_uniform(&s) - 1.0;
        double e = glm_uniform(&s), w = 1.0 + floor(3.0 * glm_uniform(&s));
        double offset = 0.2 * (glm_uniform(&s) - 0.5);
        d->w[i] = weighted ? w : 1.0;
        d->offset[i] = weighted ? offset : 0.0;
        d->y[i] = glm_response(f, x[1], x[2], e, d->w[i]);
    }
}

/* Solve a x = b and, if inverse is not NULL, invert a (upper triangle given), by
 * Cholesky. */
static inline void glm_solve(const double *a, int p, const double *b, double *x,
                             double *inverse)
{
    double l[MOST_P][MOST_P];
    for (int i = 0; i < p; i++)
        for (int j = 0; j <= i; j++) {
            double s = a[j * p + i];
            for (int k = 0; k < j; k++)
                s -= l[i][k] * l[j][k];
            l[i][j] = i == j ? sqrt(s) : s / l[j][j];
        }
    for (int c = inverse ? -1 : 0; c < (inverse ? p : 1); c++) {
        double v[MOST_P];
        int plain = !inverse || c < 0;
        for (int i = 0; i < p; i++) {
            v[i] = plain ? b[i] : (i == c);
            for (int k = 0; k < i; k++)
                v[i] -= l[i][k] * v[k];
            v[i] /= l[i][i];
        }
        for (int i = p - 1; i >= 0; i--) {
            for (int k = i + 1; k < p; k++)
                v[i] -= l[k][i] * v[k];
            v[i] /= l[i][i];
        }
        for (int i = 0; i < p; i++)
            *(plain ? &x[i] : &inverse[c * p + i]) = v[i];
    }
}

typedef struct {
    double b[MOST_P], inverse[MOST_P * MOST_P];
    cv_glm_sums sums;
    int iterations;
} glm_fit;

/* One pass over all silos. */
static inline void glm_all(const cv_glm_rows *silo, int n, const double *b,
                           cv_glm_sums *sums, double *score, double *info)
{
    int p = silo->p;
    memset(sums, 0, sizeof *sums);
    memset(score, 0, (size_t)p * sizeof *score);
    memset(info, 0, (size_t)(p * p) * sizeof *info);
    for (int i = 0; i < n; i++) {
        double g[MOST_P], h[MOST_P * MOST_P];
        cv_glm_sums s;
        cv_glm_pass(silo + i, b, &s, g, h, NULL, NULL);
        sums->deviance += s.deviance;
        sums->pearson += s.pearson;
        sums->extreme += s.extreme;
        sums->bad += s.bad;
        for (int k = 0; k < CV_FAMILY_SUMS; k++)
            sums->family[k] += s.family[k];
        for (int k = 0; k < p; k++)
            score[k] += g[k];
        for (int k = 0; k < p * p; k++)
            info[k] += h[k];
    }
}

/* Returns 0, or -1 if a pass was bad. */
static inline int glm_run(const cv_glm_rows *silo, int n, glm_fit *f)
{
    int p = silo->p;
    memset(f, 0, sizeof *f);
    for (int i = 0; i < 200; i++) {
        double g[MOST_P], h[MOST_P * MOST_P], step[MOST_P], size = 0.0;
        glm_all(silo, n, i ? f->b : NULL, &f->sums, g, h);
        if (f->sums.bad != 0.0)
            return -1;
        glm_solve(h, p, g, step, f->inverse);
        for (int k = 0; k < p; k++) {
            f->b[k] += step[k];
            size = fmax(size, fabs(step[k]));
        }
        f->iterations = i;
        if (size < 1e-14)
            break;
    }
    return 0;
}

#endif
