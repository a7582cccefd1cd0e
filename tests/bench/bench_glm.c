/* A pass of a generalised linear model with its information matrix, 500,000 rows
 * of 101 columns, one thread, against one bare dsyrk on the same rows:
 *   bench_glm [ROWS [COLUMNS]]
 * The two take turns, and the best of each counts. Also prints a pass without
 * the matrix, one with an intercept of the silo's own, and a column panel. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/err.h"
#include "core/fs.h"
#include "core/mem.h"
#include "core/rand.h"
#include "solver/blas.h"
#include "solver/glm.h"

enum { REPEAT = 7, PANEL = 64 };
enum { BARE, PASS, SCORE, OWN, GRAM, N_TIMES };

static const double LIMIT = 1.3;

typedef struct {
    cv_glm_rows rows;
    double *x, *y, *b, *score, *info, *panel, *scratch;
} bench;

static void make(bench *s, int64_t n, int p)
{
    s->x = CV_NEW(n * p, double);
    s->y = CV_NEW(n, double);
    s->b = CV_NEW(p, double);
    s->score = CV_NEW(p, double);
    s->info = CV_NEW(p * p, double);
    s->panel = CV_NEW(p * PANEL, double);
    s->scratch = CV_NEW(cv_gram_scratch(p), double);
    s->rows = (cv_glm_rows){.n = n, .p = p, .x = s->x, .y = s->y};
    CV_CHECK(cv_family_find(&s->rows.family, "binomial", NULL) == 0);
    cv_stream r;
    cv_stream_open(&r, 1, "bench", 0, 0);
    for (int64_t i = 0; i < n * p; i++)
        s->x[i] = cv_stream_uniform(&r) - 0.5;
    for (int64_t i = 0; i < n; i++)
        s->y[i] = cv_stream_uniform(&r) < 0.3;
    for (int j = 0; j < p; j++)
        s->b[j] = 0.3 * (cv_stream_uniform(&r) - 0.5);
    cv_stream_close(&r);
}

static double one(bench *s, int what)
{
    const cv_glm_rows *g = &s->rows;
    cv_glm_rows own = *g;
    cv_glm_sums sums = {0};
    int width = g->p < PANEL ? g->p : PANEL;
    own.own_intercept = 1;
    double t = cv_now();
    switch (what) {
    case BARE:
        cv_blas_dsyrk(1, g->p, g->n, 1.0, g->x, g->p, 0.0, s->info, g->p);
        break;
    case PASS:
        cv_glm_pass(g, s->b, &sums, s->score, s->info, NULL, NULL);
        break;
    case SCORE:
        cv_glm_pass(g, s->b, &sums, s->score, NULL, NULL, NULL);
        break;
    case OWN:
        cv_glm_pass(&own, s->b, &sums, s->score, s->info, NULL, NULL);
        break;
    case GRAM:
        cv_gram_panel(g->x, g->n, g->p, g->y, g->p - width, g->p, s->panel,
                      s->scratch);
        break;
    }
    t = cv_now() - t;
    CV_CHECK(sums.bad == 0.0);
    return t;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {
        "dsyrk alone", "pass with information", "  without",
        "  with an intercept of its own", "panel of 64 columns"};
    long n = argc > 1 ? atol(argv[1]) : 500000;
    int p = argc > 2 ? atoi(argv[2]) : 101;
    if (n < 1 || p < 1) {
        fprintf(stderr, "usage: bench_glm [ROWS [COLUMNS]]\n");
        return 2;
    }
    bench s;
    double best[N_TIMES];
    make(&s, n, p);
    for (int i = 0; i < N_TIMES; i++)
        best[i] = INFINITY;
    cv_blas_set_threads(1);
    for (int r = 0; r < REPEAT; r++)
        for (int i = 0; i < N_TIMES; i++)
            best[i] = fmin(best[i], one(&s, i));
    for (int i = 0; i < N_TIMES; i++)
        printf("  %-32s %8.2f ms  %.2f\n", names[i], 1e3 * best[i],
               best[i] / best[BARE]);
    int threads = cv_blas_set_threads(2);
    double t = INFINITY;
    for (int r = 0; r < REPEAT; r++)
        t = fmin(t, one(&s, PASS));
    printf("  pass with information, %d threads  %8.2f ms\n", threads, 1e3 * t);
    double ratio = best[PASS] / best[BARE];
    printf("row\ta GLM pass with information, %ld rows of %d columns\t%.0f "
           "ms\t%.1f x dsyrk\t%.2f\t%s\n",
           n, p, 1e3 * best[PASS], LIMIT, ratio / LIMIT,
           ratio <= LIMIT ? "yes" : "no");
    void *all[] = {s.x, s.y, s.b, s.score, s.info, s.panel, s.scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    return 0;
}
