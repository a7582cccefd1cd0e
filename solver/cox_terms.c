#include "solver/cox_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "solver/blas.h"

/* Part of the second moments that rounding may leave of a variance of 0. */
static const double rounding = 1e-13;

cv_cox_terms cv_cox_tied(cv_ties ties, double others, double d0, int64_t deaths,
                         double weight)
{
    double s0 = others + d0;
    if (ties == CV_TIES_BRESLOW || deaths == 1)
        return (cv_cox_terms){weight * log(s0), weight, 0.0, weight, 0.0, 0.0};
    double each = weight / (double)deaths, count = (double)deaths;
    cv_cox_terms t = {0};
    for (int64_t j = 0; j < deaths; j++) {
        /* Not s0 - f d0, which cancels where the events are most of it. */
        double f = (double)j / count;
        double left = others + (double)(deaths - j) / count * d0, e = s0 / left;
        double w = each * e * e;
        t.log += each * log(left);
        t.s += each * e;
        t.d += each * f * e;
        /* A running mean and variance of f (West 1979). */
        double delta = f - t.at;
        t.square += w;
        t.at += t.square > 0.0 ? delta * w / t.square : 0.0;
        t.spread += w * delta * (f - t.at);
    }
    return t;
}

cv_cox_stack cv_cox_stack_open(int p, double sign, double *info)
{
    double *rows = CV_NEW((size_t)CV_COX_BATCH * (size_t)p, double);
    return (cv_cox_stack){p, 0, sign, rows, info};
}

double *cv_cox_stack_row(cv_cox_stack *s)
{
    if (s->used == CV_COX_BATCH)
        cv_cox_stack_flush(s);
    return s->rows + (size_t)s->used++ * (size_t)s->p;
}

void cv_cox_stack_flush(cv_cox_stack *s)
{
    if (s->used > 0 && s->p > 0)
        cv_blas_dsyrk(1, s->p, s->used, s->sign, s->rows, s->p, 1.0, s->info,
                      s->p);
    s->used = 0;
}

void cv_cox_stack_close(cv_cox_stack *s)
{
    cv_cox_stack_flush(s);
    CV_FREE(s->rows);
}

void cv_cox_stack_means(cv_cox_stack *s, const cv_cox_terms *t, double s0,
                        const double *s1, const double *d1)
{
    double *row = cv_cox_stack_row(s), f = sqrt(t->square) / s0;
    for (int j = 0; j < s->p; j++)
        row[j] = f * (s1[j] - t->at * d1[j]);
    if (!(t->spread > 0.0))
        return;
    row = cv_cox_stack_row(s);
    f = sqrt(t->spread) / s0;
    for (int j = 0; j < s->p; j++)
        row[j] = f * d1[j];
}

void cv_cox_constant(int p, const double *squares, double *info)
{
    for (int k = 0; k < p; k++) {
        double left = info[(size_t)k * (size_t)p + (size_t)k];
        if (!isfinite(squares[k]) || left > rounding * squares[k])
            continue;
        for (int j = 0; j < p; j++) {
            int row = j < k ? j : k, column = j < k ? k : j;
            info[(size_t)row * (size_t)p + (size_t)column] = 0.0;
        }
    }
}

void cv_cox_judge(int p, cv_cox_sums *sums, double *score, double *info)
{
    int finite = isfinite(sums->loglik) && sums->bad == 0.0;
    for (int i = 0; i < p; i++) {
        finite &= isfinite(score[i]) != 0;
        for (int j = i; j < p; j++)
            finite &= isfinite(info[(size_t)i * (size_t)p + (size_t)j]) != 0;
    }
    if (finite)
        return;
    *sums = (cv_cox_sums){.bad = 1.0};
    memset(score, 0, (size_t)p * sizeof *score);
    memset(info, 0, (size_t)p * (size_t)p * sizeof *info);
}
