/** Activations of hidden layers, on matrices (features, rows of the batch).
 */
#ifndef COVEY_SOLVER_ACTIVATION_H
#define COVEY_SOLVER_ACTIVATION_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *name;
    /** z = f(z + bias[i]), i the row of z. z (n, cols), ldz >= cols */
    void (*apply)(float *z, int64_t ldz, const float *bias, int64_t n,
                  int64_t cols);
    /** d = d f'(.), from h = f(.). Both (n, cols), ld >= cols */
    void (*chain)(float *d, const float *h, int64_t ld, int64_t n,
                  int64_t cols);
} cv_activation;

/** By name, or NULL; the names, for messages. */
const cv_activation *cv_activation_find(const char *name);
const char *const *cv_activation_names(size_t *n);

/** Only adds the bias: the last layer. */
extern const cv_activation cv_activation_none;

#endif
