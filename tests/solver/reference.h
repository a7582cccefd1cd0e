/* Models in plain float64 loops, written from the definitions: what the tests
 * of solver/ compare with. */
#ifndef COVEY_TESTS_SOLVER_REFERENCE_H
#define COVEY_TESTS_SOLVER_REFERENCE_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/rand.h"
#include "solver/model.h"

enum { REF_MAX_WIDTH = 64 };

typedef struct {
    cv_model_spec spec;
    int n_layers;
    int width[CV_MODEL_MAX_LAYERS + 1]; /* width[0] = n_in */
} ref_model;

static inline ref_model ref_make(const cv_model_spec *spec)
{
    ref_model m = {.spec = *spec, .n_layers = spec->n_hidden + 1};
    m.width[0] = spec->n_in;
    for (int i = 0; i < spec->n_hidden; i++)
        m.width[i + 1] = spec->hidden[i];
    int n_out = strcmp(spec->kind, "logistic") == 0 || spec->n_classes == 0
                    ? 1
                    : spec->n_classes;
    m.width[m.n_layers] = n_out;
    return m;
}

static inline size_t ref_n(const ref_model *m)
{
    size_t n = 0;
    for (int i = 0; i < m->n_layers; i++)
        n += (size_t)(m->width[i] + 1) * (size_t)m->width[i + 1];
    return n;
}

static inline double ref_activate(const ref_model *m, double z)
{
    if (strcmp(m->spec.activation, "relu") == 0)
        return z > 0 ? z : 0;
    if (strcmp(m->spec.activation, "tanh") == 0)
        return tanh(z);
    return 1 / (1 + exp(-z));
}

static inline double ref_slope(const ref_model *m, double h)
{
    if (strcmp(m->spec.activation, "relu") == 0)
        return h > 0;
    if (strcmp(m->spec.activation, "tanh") == 0)
        return 1 - h * h;
    return h * (1 - h);
}

/* Scores of one row into h[n_layers]; h[i] are the outputs of layer i. */
static inline void ref_forward(const ref_model *m, const double *w,
                               const float *x, double h[][REF_MAX_WIDTH])
{
    for (int j = 0; j < m->width[0]; j++)
        h[0][j] = (double)x[j];
    for (int l = 0; l < m->n_layers; l++) {
        int n_in = m->width[l], n_out = m->width[l + 1];
        const double *bias = w + n_in * n_out;
        for (int o = 0; o < n_out; o++) {
            double z = bias[o];
            for (int j = 0; j < n_in; j++)
                z += w[o * n_in + j] * h[l][j];
            h[l + 1][o] = l + 1 < m->n_layers ? ref_activate(m, z) : z;
        }
        w = bias + n_out;
    }
}

/* Loss of one row from its scores s; p gets the prediction. */
static inline double ref_head(const ref_model *m, const double *s, float target,
                              double *p)
{
    double y = (double)target;
    int n = m->width[m->n_layers];
    if (strcmp(m->spec.kind, "poisson") == 0) {
        p[0] = exp(s[0]);
        return p[0] - y * s[0];
    }
    if (strcmp(m->spec.kind, "logistic") == 0) {
        p[0] = 1 / (1 + exp(-s[0]));
        return -(y * log(p[0]) + (1 - y) * log(1 - p[0]));
    }
    if (m->spec.n_classes == 0) {
        p[0] = s[0];
        return (s[0] - y) * (s[0] - y) / 2;
    }
    double total = 0;
    for (int i = 0; i < n; i++)
        total += exp(s[i]);
    for (int i = 0; i < n; i++)
        p[i] = exp(s[i]) / total;
    return -log(p[(int)target]);
}

static inline double ref_loss(const ref_model *m, const double *w,
                              const float *x, const float *y, int rows)
{
    double h[CV_MODEL_MAX_LAYERS + 1][REF_MAX_WIDTH], p[REF_MAX_WIDTH];
    double loss = 0;
    for (int r = 0; r < rows; r++) {
        ref_forward(m, w, x + r * m->width[0], h);
        loss += ref_head(m, h[m->n_layers], y[r], p);
    }
    return loss;
}

/* g += gradient of one row's loss, by the chain rule. */
static inline void ref_add_gradient(const ref_model *m, double *g,
                                    const double *w, const float *x, float y)
{
    double h[CV_MODEL_MAX_LAYERS + 1][REF_MAX_WIDTH];
    double d[REF_MAX_WIDTH], below[REF_MAX_WIDTH];
    size_t at = ref_n(m);
    ref_forward(m, w, x, h);
    ref_head(m, h[m->n_layers], y, d);
    d[m->spec.n_classes && strcmp(m->spec.kind, "logistic") ? (int)y : 0] -=
        m->spec.n_classes && strcmp(m->spec.kind, "logistic") ? 1 : (double)y;
    for (int l = m->n_layers - 1; l >= 0; l--) {
        int n_in = m->width[l], n_out = m->width[l + 1];
        at -= (size_t)(n_in + 1) * (size_t)n_out;
        for (int j = 0; j < n_in; j++) {
            below[j] = 0;
            for (int o = 0; o < n_out; o++) {
                below[j] += w[at + (size_t)(o * n_in + j)] * d[o];
                g[at + (size_t)(o * n_in + j)] += d[o] * h[l][j];
            }
            below[j] *= l > 0 ? ref_slope(m, h[l][j]) : 0;
        }
        for (int o = 0; o < n_out; o++)
            g[at + (size_t)(n_in * n_out + o)] += d[o];
        memcpy(d, below, sizeof d);
    }
}

/* Rows and targets that fit the model, from a fixed stream. */
static inline void ref_data(const ref_model *m, float *x, float *y, int rows,
                            uint64_t seed)
{
    cv_stream s;
    cv_stream_open(&s, seed, "test data", 0, 0);
    for (int i = 0; i < rows * m->width[0]; i++)
        x[i] = (float)cv_stream_normal(&s);
    for (int i = 0; i < rows; i++) {
        if (m->spec.n_classes)
            y[i] = (float)cv_stream_below(&s, (uint64_t)m->spec.n_classes);
        else if (strcmp(m->spec.kind, "poisson") == 0)
            y[i] = (float)cv_stream_below(&s, 5);
        else
            y[i] = (float)cv_stream_normal(&s);
    }
    cv_stream_close(&s);
}

static inline void ref_params(const ref_model *m, float *w, uint64_t seed)
{
    cv_stream s;
    cv_stream_open(&s, seed, "test parameters", 0, 0);
    for (size_t i = 0; i < ref_n(m); i++)
        w[i] = (float)(0.5 * cv_stream_normal(&s));
    cv_stream_close(&s);
}

#endif
