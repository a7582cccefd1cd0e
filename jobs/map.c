/* Rows go through the job's transform once, when they are standardised: every
 * epoch and every evaluation finds them mapped. */
#include <stdlib.h>

#include "core/mem.h"
#include "jobs/prepare.h"

/* Room that is written whole, or never touched. */
static float *room(const cv_transform *map, int64_t n)
{
    return cv_realloc(NULL, (size_t)n * (size_t)cv_transform_n_out(map),
                      sizeof(float));
}

static cv_samples mapped_view(const cv_transform *map, const cv_samples *rows,
                              const float *x)
{
    return (cv_samples){.n_rows = rows->n_rows,
                        .n_cols = cv_transform_n_out(map),
                        .x = x,
                        .y = rows->y};
}

/* The training and test rows of silos that lie in one array, one silo after
 * the other. */
static void map_silos(const cv_transform *map, cv_rows *rows, cv_hosted *silo,
                      int n_silos)
{
    int64_t total = 0;
    for (int s = 0; s < n_silos; s++)
        total += silo[s].n_train + silo[s].n_test;
    float *x = room(map, total), *at = x;
    for (int s = 0; s < n_silos; s++) {
        cv_samples *part[] = {&silo[s].train, &silo[s].test};
        for (int i = 0; i < 2; i++) {
            int64_t n = part[i]->n_rows;
            cv_transform_rows(map, part[i], 0, n, at);
            *part[i] = mapped_view(map, part[i], at);
            at += (size_t)n * (size_t)cv_transform_n_out(map);
        }
    }
    free(rows->x);
    rows->x = x;
}

/* Every rank holds all public test rows, and measures some blocks of them. The
 * others stay as they came from malloc: they take an address, no memory. */
static void map_public(const cv_run *run, const cv_transform *map,
                       cv_rows *rows, cv_samples *test)
{
    float *x = room(map, test->n_rows);
    int64_t step = (int64_t)run->fed.size * CV_TEST_BLOCK;
    for (int64_t b = (int64_t)run->fed.rank * CV_TEST_BLOCK; b < test->n_rows;
         b += step) {
        int64_t left = test->n_rows - b;
        cv_transform_rows(map, test, b,
                          left < CV_TEST_BLOCK ? left : CV_TEST_BLOCK,
                          x + (size_t)b * (size_t)cv_transform_n_out(map));
    }
    *test = mapped_view(map, test, x);
    free(rows->x);
    rows->x = x;
}

void cv_map_rows(cv_run *run, const cv_transform *map)
{
    int n = run->n_rows_owned - 1; /* the last ones are public */
    if (n == 1)
        map_silos(map, &run->rows[0], run->hosted, run->fed.n_hosted);
    for (int i = 0; n > 1 && i < n; i++)
        map_silos(map, &run->rows[i], &run->hosted[i], 1);
    if (run->public_test.n_rows > 0)
        map_public(run, map, &run->rows[n], &run->public_test);
}
