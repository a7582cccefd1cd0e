#include "solver/activation.h"

#include "core/text.h"
#include "solver/vmath.h"

/* Comparisons are written so that NaN comes through: a model that diverged has
 * to show it. */

CV_HOT static void relu_apply(float *z, int64_t ldz, const float *bias,
                              int64_t n, int64_t cols)
{
    for (int64_t i = 0; i < n; i++, z += ldz) {
        float b = bias[i];
        for (int64_t j = 0; j < cols; j++) {
            float v = z[j] + b;
            z[j] = v < 0.0f ? 0.0f : v;
        }
    }
}

CV_HOT static void relu_chain(float *restrict d, const float *restrict h,
                              int64_t ld, int64_t n, int64_t cols)
{
    for (int64_t i = 0; i < n; i++, d += ld, h += ld)
        for (int64_t j = 0; j < cols; j++)
            d[j] = h[j] == 0.0f ? 0.0f : d[j];
}

CV_HOT static void tanh_apply(float *z, int64_t ldz, const float *bias,
                              int64_t n, int64_t cols)
{
    for (int64_t i = 0; i < n; i++, z += ldz) {
        float b = bias[i];
        for (int64_t j = 0; j < cols; j++)
            z[j] = cv_tanhf(z[j] + b);
    }
}

CV_HOT static void tanh_chain(float *restrict d, const float *restrict h,
                              int64_t ld, int64_t n, int64_t cols)
{
    for (int64_t i = 0; i < n; i++, d += ld, h += ld)
        for (int64_t j = 0; j < cols; j++)
            d[j] = d[j] * (1.0f - h[j] * h[j]);
}

CV_HOT static void sigmoid_apply(float *z, int64_t ldz, const float *bias,
                                 int64_t n, int64_t cols)
{
    for (int64_t i = 0; i < n; i++, z += ldz) {
        float b = bias[i];
        for (int64_t j = 0; j < cols; j++)
            z[j] = cv_sigmoidf(z[j] + b);
    }
}

CV_HOT static void sigmoid_chain(float *restrict d, const float *restrict h,
                                 int64_t ld, int64_t n, int64_t cols)
{
    for (int64_t i = 0; i < n; i++, d += ld, h += ld)
        for (int64_t j = 0; j < cols; j++)
            d[j] = d[j] * (h[j] * (1.0f - h[j]));
}

CV_HOT static void add_bias(float *z, int64_t ldz, const float *bias, int64_t n,
                            int64_t cols)
{
    for (int64_t i = 0; i < n; i++, z += ldz) {
        float b = bias[i];
        for (int64_t j = 0; j < cols; j++)
            z[j] += b;
    }
}

const cv_activation cv_activation_none = {"none", add_bias, NULL};

enum { N_ACTIVATIONS = 3 };
static const char *const names[N_ACTIVATIONS] = {"relu", "tanh", "sigmoid"};
static const cv_activation table[N_ACTIVATIONS] = {
    {"relu", relu_apply, relu_chain},
    {"tanh", tanh_apply, tanh_chain},
    {"sigmoid", sigmoid_apply, sigmoid_chain},
};

const cv_activation *cv_activation_find(const char *name)
{
    int i = name ? cv_word_index(name, names, N_ACTIVATIONS) : -1;
    return i < 0 ? NULL : &table[i];
}

const char *const *cv_activation_names(size_t *n)
{
    *n = N_ACTIVATIONS;
    return names;
}
