/** Rows to fit.
 *
 *  To be included once, after cmocka.h.
 */
#ifndef COVEY_TESTS_SOLVER_COX_ROWS_H
#define COVEY_TESTS_SOLVER_COX_ROWS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/rand.h"
#include "solver/cox.h"

enum { MAX_P = 6 };

/* Not true for NaN. */
#define assert_close(value, want, eps)                                         \
    assert_true(fabs((value) - (want)) <= (eps) * (1.0 + fabs(want)))

typedef struct {
    int64_t n;
    int p;
    double *x, *time, *weights, *offset;
    uint8_t *event;
    int *silo;
} cox_rows;

static cox_rows rows_make(int64_t n, int p)
{
    return (cox_rows){n,
                      p,
                      CV_NEW(n * p, double),
                      CV_NEW(n, double),
                      CV_NEW(n, double),
                      CV_NEW(n, double),
                      CV_NEW(n, uint8_t),
                      CV_NEW(n, int)};
}

static void rows_free(cox_rows *r)
{
    free(r->x);
    free(r->time);
    free(r->weights);
    free(r->offset);
    free(r->event);
    free(r->silo);
}

/* Noise; `times` different ones, so that rows are tied. */
static cox_rows rows_noise(int64_t n, int p, int times, uint64_t seed)
{
    cox_rows r = rows_make(n, p);
    cv_stream s;
    cv_stream_open(&s, seed, "test cox", (uint64_t)n, 0);
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < p; j++)
            r.x[i * p + j] = cv_stream_normal(&s) * (j + 1) + 3.0 * j;
        r.time[i] = (double)cv_stream_below(&s, (uint64_t)times) * 0.25;
        r.event[i] = cv_stream_uniform(&s) < 0.6;
        r.weights[i] = (double)(1 + cv_stream_below(&s, 8)) / 4.0;
        r.offset[i] = cv_stream_uniform(&s);
        r.silo[i] = (int)cv_stream_below(&s, 4);
    }
    cv_stream_close(&s);
    return r;
}

/* The rows of one silo (all: -1). */
static cv_cox *rows_model(const cox_rows *r, int silo, int weighted,
                          cv_ties ties)
{
    cox_rows part = rows_make(r->n, r->p);
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++) {
        if (silo >= 0 && r->silo[i] != silo)
            continue;
        for (int j = 0; j < r->p; j++)
            part.x[n * r->p + j] = r->x[i * r->p + j];
        part.time[n] = r->time[i];
        part.event[n] = r->event[i];
        part.weights[n] = r->weights[i];
        part.offset[n++] = r->offset[i];
    }
    cv_cox *c = cv_cox_create(part.x, n, r->p, part.time, part.event,
                              weighted ? part.weights : NULL,
                              weighted ? part.offset : NULL, ties);
    rows_free(&part);
    return c;
}

typedef struct {
    cv_cox_sums sums;
    double score[MAX_P], info[MAX_P * MAX_P];
} cox_fit;

static cox_fit pass_at(const cv_cox *c, const double *b)
{
    cox_fit f;
    memset(&f, 0x55, sizeof f);
    cv_cox_pass(c, b, &f.sums, f.score, f.info);
    return f;
}

static void assert_fits(const cox_fit *f, const cox_fit *want, int p,
                        double eps)
{
    assert_true(f->sums.bad == want->sums.bad);
    assert_true(f->sums.events == want->sums.events);
    assert_close(f->sums.loglik, want->sums.loglik, eps);
    for (int i = 0; i < p; i++) {
        assert_close(f->score[i], want->score[i], eps);
        for (int j = i; j < p; j++)
            assert_close(f->info[i * p + j], want->info[i * p + j], eps);
    }
}

#endif
