/** What a model is made of: for solver/model.c, and for the other ways through
 *  its layers (solver/private_pass.c). Private to solver/. */
#ifndef COVEY_SOLVER_MODEL_PARTS_H
#define COVEY_SOLVER_MODEL_PARTS_H

#include "solver/dense.h"
#include "solver/head.h"
#include "solver/model.h"

struct cv_model {
    const struct cv_model_kind *kind;
    const cv_head *head;
    const cv_activation *activation;
    int n_in, n_out, n_layers;
    cv_dense layers[CV_MODEL_MAX_LAYERS];
    cv_params params;
};

/** Leading dimension of matrices (features, rows): columns are rows of the
 *  batch; 16 floats are a cache line. */
static inline int64_t cv_model_stride(int rows)
{
    return ((int64_t)rows + 15) / 16 * 16;
}

#endif
