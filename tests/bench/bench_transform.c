/* Images of 28 x 28 that model.transform: scattering maps in a second of one
 * core's time: the best of several runs.
 *   build/tests/bench/bench_transform [images per run]
 * Limit: 5,000 a second, 70,000 in 14 s. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/mem.h"
#include "solver/transform.h"

enum { REPEAT = 5, SIDE = 28, LIMIT = 5000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 4096, columns = SIDE * SIDE;
    if (n < 1) {
        fprintf(stderr, "usage: bench_transform [images per run]\n");
        return 2;
    }
    cv_transform *map;
    cv_err err;
    double t = now(), best = 0.0;
    if (cv_transform_create("scattering", SIDE, SIDE, &map, &err))
        return 1;
    printf("filters %.1f ms\n", 1e3 * (now() - t));
    size_t size = (size_t)n * (size_t)columns;
    uint8_t *x = CV_NEW(size, uint8_t);
    float *mul = CV_NEW(columns, float), *add = CV_NEW(columns, float);
    for (size_t i = 0; i < size; i++)
        x[i] = (uint8_t)(i * 2654435761u >> 24);
    for (int i = 0; i < columns; i++)
        mul[i] = 1.0f / 255.0f;
    cv_samples rows = {n, columns, 1, x, NULL, mul, add};
    float *out = CV_NEW((size_t)n * (size_t)cv_transform_n_out(map), float);
    for (int r = 0; r < REPEAT; r++) {
        t = now();
        cv_transform_rows(map, &rows, 0, n, out);
        t = now() - t;
        if (n / t > best)
            best = n / t;
    }
    printf("row\timages mapped by scattering, one core\t%.0f /s\tat least "
           "%d\t%.2f\t%s\n",
           best, LIMIT, best / LIMIT, best >= LIMIT ? "yes" : "no");
    free(x);
    free(mul);
    free(add);
    free(out);
    cv_transform_destroy(&map);
    return 0;
}
