/** A model's parameters: one flat vector and a table of named views.
 *
 *  Clip, quantise, mask, reduce, save and hash are single loops over the
 *  vector; names and shapes are for people and files.  Trained models have
 *  float32, fitted ones (jobs/fit_model.h) float64.
 */
#ifndef COVEY_SOLVER_PARAMS_H
#define COVEY_SOLVER_PARAMS_H

#include <stddef.h>
#include <stdint.h>

enum { CV_MAX_VIEWS = 64 };

typedef struct {
    char name[48];   /* "dense1/weight" */
    size_t offset;   /* first element in the vector */
    int rank;        /* 1 or 2 */
    int64_t dims[2]; /* row-major */
} cv_view;

typedef struct {
    int n_views;
    size_t n; /* elements of the vector */
    cv_view views[CV_MAX_VIEWS];
} cv_params;

/** Append a view; returns its offset. dims[1] = 0 for a vector. */
size_t cv_params_add(cv_params *p, const char *name, int64_t rows,
                     int64_t cols);

/** SHA-256 of the vector as little-endian float32 in table order. */
void cv_params_digest(uint8_t out[32], const float *w, size_t n);

/** Root of a SHA-256 tree over the same bytes (privacy/commit.h): what silos sign
 *  of a model.  Side by side leaves are hashed twice as fast as one stream. */
void cv_params_root(uint8_t out[32], const float *w, size_t n);

/** The same two of a vector of float64. NaNs count by their bits: whoever fills
 *  the vector uses one NaN. */
void cv_params_digest_f64(uint8_t out[32], const double *v, size_t n);
void cv_params_root_f64(uint8_t out[32], const double *v, size_t n);

#endif
