#include "solver/transform.h"

#include <limits.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/text.h"
#include "solver/blas.h"
#include "solver/scattering.h"

typedef struct {
    int (*create)(int height, int width, void **map, cv_err *err);
    void (*destroy)(void *map);
    int (*n_out)(const void *map);
    /* What one thread needs beside its rows. */
    void *(*work_create)(const void *map);
    void (*work_destroy)(void *work);
    /* rows <= BLOCK */
    void (*rows)(const void *map, void *work, const float *x, int rows,
                 float *out);
} kind;

enum { BLOCK = CV_SCATTERING_ROWS };

static int scattering_create(int height, int width, void **map, cv_err *err)
{
    cv_scattering *s;
    int rc = cv_scattering_create(height, width, &s, err);
    *map = s;
    return rc;
}

static void scattering_destroy(void *map)
{
    cv_scattering *s = map;
    cv_scattering_destroy(&s);
}

static int scattering_n_out(const void *map)
{
    return cv_scattering_n_out(map);
}

static void *scattering_work(const void *map)
{
    return cv_scattering_work_create(map);
}

static void scattering_work_destroy(void *work)
{
    cv_scattering_work *w = work;
    cv_scattering_work_destroy(&w);
}

static void scattering_rows(const void *map, void *work, const float *x,
                            int rows, float *out)
{
    cv_scattering_rows(map, work, x, rows, 1, out);
}

/* none has no functions: rows are gathered where they are to be. */
enum { N_KINDS = 2 };
static const char *const names[N_KINDS] = {"none", "scattering"};
static const kind kinds[N_KINDS] = {
    {0},
    {scattering_create, scattering_destroy, scattering_n_out, scattering_work,
     scattering_work_destroy, scattering_rows},
};

struct cv_transform {
    const kind *kind;
    void *map;
    int n_in, n_out;
};

const char *const *cv_transform_names(size_t *n)
{
    *n = N_KINDS;
    return names;
}

int cv_transform_create(const char *name, int height, int width,
                        cv_transform **out, cv_err *err)
{
    int i = cv_word_index(name, names, N_KINDS), rc = 0;
    *out = NULL;
    if (i < 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "transform must be one of none, scattering; found "
                          "'%s'",
                          name);
    if (height < 1 || width < 1 || height > INT_MAX / width)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "an image has at least 1 x 1 pixels; found %d x %d",
                          height, width);
    cv_transform *t = CV_NEW(1, cv_transform);
    t->kind = &kinds[i];
    t->n_in = t->n_out = height * width;
    if (t->kind->create)
        rc = t->kind->create(height, width, &t->map, err);
    if (!rc && t->kind->create)
        t->n_out = t->kind->n_out(t->map);
    if (rc)
        CV_FREE(t);
    *out = t;
    return rc;
}

void cv_transform_destroy(cv_transform **t)
{
    if (!*t)
        return;
    if ((*t)->kind->destroy)
        (*t)->kind->destroy((*t)->map);
    CV_FREE(*t);
}

int cv_transform_n_out(const cv_transform *t)
{
    return t->n_out;
}

/* Blocks of one thread. */
static void map_blocks(const cv_transform *t, const cv_samples *in,
                       int64_t first, int64_t n, float *out)
{
    void *work = t->kind->work_create(t->map);
    float *x = CV_NEW((size_t)BLOCK * (size_t)t->n_in, float);
#pragma omp for schedule(static)
    for (int64_t b = 0; b < n; b += BLOCK) {
        int rows = n - b < BLOCK ? (int)(n - b) : BLOCK;
        cv_samples_gather(in, NULL, first + b, rows, x, NULL);
        t->kind->rows(t->map, work, x, rows,
                      out + (size_t)b * (size_t)t->n_out);
    }
    free(x);
    t->kind->work_destroy(work);
}

void cv_transform_rows(const cv_transform *t, const cv_samples *in,
                       int64_t first, int64_t n, float *out)
{
    int threads = cv_blas_threads();
    CV_CHECK(in->n_cols == t->n_in && n >= 0);
    if (!t->kind->create) {
        for (int64_t b = 0; b < n; b += BLOCK) {
            int rows = n - b < BLOCK ? (int)(n - b) : BLOCK;
            cv_samples_gather(in, NULL, first + b, rows,
                              out + (size_t)b * (size_t)t->n_out, NULL);
        }
        return;
    }
    if (n <= BLOCK)
        threads = 1;
#pragma omp parallel num_threads(threads) if (threads > 1)
    map_blocks(t, in, first, n, out);
    (void)threads;
}
