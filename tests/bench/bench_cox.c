/* One pass of a Cox model over 100,000 rows of 50 columns, one thread, against
 * a bare x'x of as many rows; the best of several runs of both, in turns.
 *   build/tests/bench/bench_cox [rows] [columns] [times]
 * times: how many different ones (0: no two rows are tied).
 * Limit: 4 x. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/mem.h"
#include "core/rand.h"
#include "solver/blas.h"
#include "solver/cox.h"

enum { REPEAT = 9 };
static const double limit = 4.0;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double best_of(double best, double t)
{
    return best == 0.0 || t < best ? t : best;
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 100000;
    int p = argc > 2 ? atoi(argv[2]) : 50;
    int times = argc > 3 ? atoi(argv[3]) : 0;
    if (n < 1 || p < 1 || times < 0) {
        fprintf(stderr, "usage: bench_cox [rows] [columns] [times]\n");
        return 2;
    }
    double *x = CV_NEW((size_t)n * (size_t)p, double);
    double *time = CV_NEW(n, double), *b = CV_NEW(p, double);
    double *score = CV_NEW(p, double);
    double *info = CV_NEW((size_t)p * (size_t)p, double);
    uint8_t *event = CV_NEW(n, uint8_t);
    cv_stream s;
    cv_stream_open(&s, 1, "bench cox", 0, 0);
    for (int i = 0; i < n; i++) {
        double u = cv_stream_uniform(&s);
        time[i] = times ? ceil(u * times) : u;
        event[i] = cv_stream_uniform(&s) < 0.5;
        for (int j = 0; j < p; j++)
            x[(size_t)i * (size_t)p + (size_t)j] = cv_stream_normal(&s);
    }
    for (int j = 0; j < p; j++)
        b[j] = 0.1 * cv_stream_normal(&s);
    cv_stream_close(&s);
    double t = now(), pass = 0.0, bare = 0.0, count = 0.0, pairs[5];
    cv_cox *c = cv_cox_create(x, n, p, time, event, NULL, NULL, CV_TIES_EFRON);
    double create = now() - t;
    for (int r = 0; r < REPEAT; r++) {
        cv_cox_sums sums;
        t = now();
        cv_cox_pass(c, b, &sums, score, info);
        pass = best_of(pass, now() - t);
        t = now();
        cv_blas_dsyrk(1, p, n, 1.0, x, p, 0.0, info, p);
        bare = best_of(bare, now() - t);
        t = now();
        cv_cox_concordance(c, b, pairs);
        count = best_of(count, now() - t);
    }
    printf("sorting %.1f ms, concordance %.1f ms; bare product %.1f GFlop/s\n",
           1e3 * create, 1e3 * count, 1e-9 * n * p * (p + 1.0) / bare);
    printf("row\ta pass of a Cox model, %d x %d\t%.1f ms\t%.1f x %.1f ms\t"
           "%.2f\t%s\n",
           n, p, 1e3 * pass, limit, 1e3 * bare, pass / (limit * bare),
           pass <= limit * bare ? "yes" : "no");
    cv_cox_destroy(&c);
    free(x);
    free(time);
    free(b);
    free(score);
    free(info);
    free(event);
    return 0;
}
