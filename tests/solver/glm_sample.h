/* Random rows for every family and link. Needs cmocka.h before it. */
#ifndef TESTS_SOLVER_GLM_SAMPLE_H
#define TESTS_SOLVER_GLM_SAMPLE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/rand.h"
#include "solver/glm.h"

static const char *const all[][2] = {
    {"gaussian", "identity"}, {"gaussian", "log"},     {"gaussian", "inverse"},
    {"binomial", "logit"},    {"binomial", "probit"},  {"binomial", "cauchit"},
    {"binomial", "log"},      {"binomial", "cloglog"}, {"poisson", "log"},
    {"poisson", "identity"},  {"poisson", "sqrt"},     {"gamma", "inverse"},
    {"gamma", "identity"},    {"gamma", "log"},
};
enum { FAMILIES = sizeof all / sizeof *all };

/* Rows with weights and offset at whose coefficients every eta is well inside
 * the link's domain: it lies around -1 (log of binomial) or 1. */
typedef struct {
    cv_glm_rows rows;
    double *x, *y, *w, *offset, *b;
} sample;

static inline sample make_sample(const char *family, const char *link,
                                 int64_t n, int p, int own)
{
    sample s = {.x = CV_NEW(n * p, double),
                .y = CV_NEW(n, double),
                .w = CV_NEW(n, double),
                .offset = CV_NEW(n, double),
                .b = CV_NEW(p, double)};
    s.rows = (cv_glm_rows){{0}, n, p, s.x, s.y, s.w, s.offset, own};
    assert_int_equal(cv_family_find(&s.rows.family, family, link), 0);
    cv_stream r;
    cv_stream_open(&r, 5, "test rows", (uint64_t)p, 0);
    int below = strcmp(family, "binomial") == 0 && strcmp(link, "log") == 0;
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < p; j++)
            s.x[i * p + j] = cv_stream_uniform(&r) - 0.5;
        double u = cv_stream_uniform(&r);
        s.w[i] = 1.0 + floor(4.0 * u);
        s.offset[i] = (own     ? 0.0
                       : below ? -1.0
                               : 1.0) +
                      0.2 * (cv_stream_uniform(&r) - 0.5);
        u = cv_stream_uniform(&r);
        s.y[i] = s.rows.family.kind == CV_FAMILY_BINOMIAL
                     ? floor((s.w[i] + 1.0) * u * 0.6) / s.w[i]
                 : s.rows.family.kind == CV_FAMILY_POISSON ? floor(5.0 * u)
                                                           : 0.5 + u;
    }
    for (int j = 0; j < p; j++)
        s.b[j] = 0.4 * (cv_stream_uniform(&r) - 0.5) / sqrt(p);
    cv_stream_close(&r);
    return s;
}

static inline void drop(sample *s)
{
    free(s->x);
    free(s->y);
    free(s->w);
    free(s->offset);
    free(s->b);
}

static inline int all_zero(const double *x, int n)
{
    for (int i = 0; i < n; i++)
        if (x[i] != 0.0)
            return 0;
    return 1;
}

#endif
