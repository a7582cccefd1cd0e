#include "solver/dense.h"

#include "solver/gemm.h"
#include "solver/simd.h"

void cv_dense_forward(const cv_dense *layer, float *z, int64_t ldz,
                      const cv_activation *f, const float *w,
                      const cv_dense_input *x, int rows, float *pack)
{
    cv_gemm(0, x->by_row, layer->n_out, rows, layer->n_in, 1.0f,
            w + layer->weight, layer->n_in, x->x, x->ld, 0.0f, z, ldz, pack);
    f->apply(z, ldz, w + layer->bias, layer->n_out, rows);
}

void cv_dense_backward_input(const cv_dense *layer, float *dx, const float *w,
                             const float *d, int64_t ld, int rows, float *pack)
{
    cv_gemm(1, 0, layer->n_in, rows, layer->n_out, 1.0f, w + layer->weight,
            layer->n_in, d, ld, 0.0f, dx, ld, pack);
}

/* Sums over rows of the batch in 16 lanes, then lanes pairwise: one order on
 * every CPU, and it vectorises. */
CV_HOT static void bias_gradient(float *out, float alpha, float beta,
                                 const float *d, int64_t ld, int64_t n,
                                 int64_t cols)
{
    for (int64_t i = 0; i < n; i++, d += ld) {
        float lane[16] = {0};
        int64_t j = 0;
        for (; j + 16 <= cols; j += 16)
            for (int k = 0; k < 16; k++)
                lane[k] += d[j + k];
        for (int k = 0; j < cols; j++, k++)
            lane[k] += d[j];
        for (int half = 8; half > 0; half /= 2)
            for (int k = 0; k < half; k++)
                lane[k] += lane[k + half];
        float old = beta == 0.0f ? 0.0f : beta * out[i];
        out[i] = old + alpha * lane[0];
    }
}

void cv_dense_backward_weights(const cv_dense *layer, float *out, float alpha,
                               float beta, const float *d, int64_t ld,
                               const cv_dense_input *x, int rows, float *pack)
{
    cv_gemm(0, !x->by_row, layer->n_out, layer->n_in, rows, alpha, d, ld, x->x,
            x->ld, beta, out + layer->weight, layer->n_in, pack);
    bias_gradient(out + layer->bias, alpha, beta, d, ld, layer->n_out, rows);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t cv_dense_pack_size(const cv_dense *layer, int rows)
{
    size_t forward = cv_gemm_pack_size(rows, layer->n_in);
    size_t input = cv_gemm_pack_size(rows, layer->n_out);
    size_t weights = cv_gemm_pack_size(layer->n_in, rows);
    return larger(forward, larger(input, weights));
}
