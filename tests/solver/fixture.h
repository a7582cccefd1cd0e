/** A model with samples and parameters to train it with.
 *
 *  To be included once, after cmocka.h.
 */
#ifndef COVEY_TESTS_SOLVER_FIXTURE_H
#define COVEY_TESTS_SOLVER_FIXTURE_H

#include <stdlib.h>

#include "core/mem.h"
#include "solver/train.h"
#include "tests/solver/reference.h"

typedef struct {
    ref_model ref;
    cv_model *model;
    size_t n;                  /* parameters */
    float *x, *y;              /* (rows, n_in), (rows) */
    float *start, *correction; /* (n) each */
    cv_samples data;
} fixture;

static fixture make(const cv_model_spec *spec, int rows)
{
    fixture f = {.ref = ref_make(spec)};
    assert_int_equal(cv_model_create(spec, &f.model, NULL), 0);
    f.n = cv_model_params(f.model)->n;
    f.x = CV_NEW(rows * spec->n_in, float);
    f.y = CV_NEW(rows, float);
    f.start = CV_NEW(f.n, float);
    f.correction = CV_NEW(f.n, float);
    ref_data(&f.ref, f.x, f.y, rows, 3);
    ref_params(&f.ref, f.start, 4);
    ref_params(&f.ref, f.correction, 5);
    f.data = (cv_samples){rows, spec->n_in, 0, f.x, f.y, NULL, NULL};
    return f;
}

static void drop(fixture *f)
{
    cv_model_destroy(&f->model);
    free(f->x);
    free(f->y);
    free(f->start);
    free(f->correction);
}

#endif
