/* Norms and clipping.
 *
 * Let G_k be the exact gradient that d_k and a_k stand for, as they lie in
 * memory after scaling: products of floats without any rounding. The claim is
 * |G_k| <= clip. u = 2^-24, v = 2^-53.
 *
 * The norm N^ is computed in double: squares of floats are exact there and
 * neither over- nor underflow (2^-298 to 2^256), nor do products of sums of
 * fewer than 2^31 of them. All terms are positive, and in a sum of squares a
 * term passes at most 2^29 + 8 roundings: each sum is within a relative 2^-23.9
 * of exact, N^2 within 2^-22.8, N^ within 2^-23.8 of N. (Layers that are 1,000
 * wide give 2^-43; the margin below does not have to be smaller than float's.)
 *
 * With MARGIN = 2^-20:
 *  - N^ <= clip (1 - MARGIN): scale 1, and N <= N^ (1 + 2^-23.8) < clip.
 *  - else scale is the float nearest to clip (1 - MARGIN) / N^, or 0 if that is
 *    below the normal range: at most (1 + u)(1 + 4v) times it.
 * Scaled elements are rounded to float, and set to 0 if they are below the
 * normal range: at most (1 + u) |d| scale in either case. Hence
 *     |G_k| <= N clip (1 - 2^-20) / N^ (1 + u)^2 (1 + 4v)
 *           <= clip (1 - 2^-20)(1 + 2^-23.8)(1 + 2^-23)(1 + 2^-40) < clip.
 * The price is one part in a million of the clip norm, instead of an e_norm in
 * the sensitivity.
 *
 * Not finite.  A sum of squares is finite just if all its elements are. Scores
 * are looked at before the head replaces them. (With finite scores a loss is
 * finite, or d is not.) Then scale is 0, comparisons with NaN make zeros of d,
 * and the inputs a, which would make NaN of 0 * infinity, are set to 0 too. */
#include "solver/private_pass.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "solver/gemm.h"
#include "solver/model_parts.h"
#include "solver/simd.h"

#define MARGIN 0x1p-20
enum { LANES = 16 };

_Static_assert((int)CV_LEAF_ROWS <= (int)CV_GEMM_BLOCK,
               "a leaf is one chain, or sums take more roundings");

typedef struct {
    size_t x, layer[CV_MODEL_MAX_LAYERS], pack; /* floats */
} sizes;

static sizes pass_sizes(const cv_model *m)
{
    sizes s = {.x = (size_t)CV_LEAF_ROWS * (size_t)m->n_in};
    for (int i = 0; i < m->n_layers; i++) {
        size_t pack = cv_dense_pack_size(&m->layers[i], CV_LEAF_ROWS);
        s.pack = pack > s.pack ? pack : s.pack;
        s.layer[i] =
            (size_t)m->layers[i].n_out * (size_t)cv_model_stride(CV_LEAF_ROWS);
    }
    return s;
}

cv_private_pass *cv_private_pass_create(const cv_model *model, double clip)
{
    sizes s = pass_sizes(model);
    cv_private_pass *p = CV_NEW(1, cv_private_pass);
    p->model = model;
    p->clip = clip;
    p->x = CV_NEW(s.x, float);
    p->y = CV_NEW(CV_LEAF_ROWS, float);
    p->pack = CV_NEW(s.pack, float);
    int last = model->n_layers - 1;
    for (int i = 0; i <= last; i++) {
        p->h[i] = CV_NEW(s.layer[i], float);
        p->d[i] = i < last ? CV_NEW(s.layer[i], float) : p->h[i];
    }
    return p;
}

void cv_private_pass_destroy(cv_private_pass **p)
{
    if (!*p)
        return;
    free((*p)->x);
    free((*p)->y);
    free((*p)->pack);
    for (int i = 0; i < CV_MODEL_MAX_LAYERS; i++) {
        if ((*p)->d[i] != (*p)->h[i])
            free((*p)->d[i]);
        free((*p)->h[i]);
    }
    CV_FREE(*p);
}

size_t cv_private_pass_bytes(const cv_model *model)
{
    sizes s = pass_sizes(model);
    size_t n = s.x + CV_LEAF_ROWS + s.pack;
    for (int i = 0; i < model->n_layers; i++)
        n += s.layer[i] * (i + 1 < model->n_layers ? 2 : 1);
    return sizeof(cv_private_pass) + n * sizeof(float);
}

static cv_dense_input layer_input(const cv_private_pass *p, int rows, int layer)
{
    if (layer == 0)
        return (cv_dense_input){p->x, p->model->n_in, 1};
    return (cv_dense_input){p->h[layer - 1], cv_model_stride(rows), 0};
}

/* ---- forward, backward ---- */

/* norm[j] = NaN if a score of record j is not finite, else 0. */
static void check_scores(cv_private_pass *p, int rows)
{
    int64_t ld = cv_model_stride(rows);
    const float *s = p->h[p->model->n_layers - 1];
    memset(p->norm, 0, sizeof p->norm);
    /* 0 * infinity and 0 * NaN are NaN */
    for (int i = 0; i < p->model->n_out; i++, s += ld)
        for (int j = 0; j < rows; j++)
            p->norm[j] += 0.0 * (double)s[j];
}

void cv_private_pass_run(cv_private_pass *p, const float *w, int rows)
{
    const cv_model *m = p->model;
    int64_t ld = cv_model_stride(rows);
    int last = m->n_layers - 1;
    CV_CHECK(rows > 0 && rows <= CV_LEAF_ROWS);
    for (int i = 0; i <= last; i++) {
        const cv_dense *l = &m->layers[i];
        cv_dense_input in = layer_input(p, rows, i);
        cv_gemm_chain(0, in.by_row, l->n_out, rows, l->n_in, 1.0f,
                      w + l->weight, l->n_in, in.x, in.ld, 0.0f, p->h[i], ld,
                      p->pack);
        (i < last ? m->activation : &cv_activation_none)
            ->apply(p->h[i], ld, w + l->bias, l->n_out, rows);
    }
    check_scores(p, rows);
    m->head->gradient(p->d[last], ld, p->y, m->n_out, rows);
    for (int i = last; i > 0; i--) {
        const cv_dense *l = &m->layers[i];
        cv_gemm_chain(1, 0, l->n_in, rows, l->n_out, 1.0f, w + l->weight,
                      l->n_in, p->d[i], ld, 0.0f, p->d[i - 1], ld, p->pack);
        m->activation->chain(p->d[i - 1], p->h[i - 1], ld, l->n_in, rows);
    }
}

/* ---- norms ---- */

/* out[j] = sum over i of v(i, j)^2; four rows at a time, or the sums would be
 * loaded and stored more often than v. */
CV_HOT static void column_squares(double *restrict out, const float *v,
                                  int64_t ld, int64_t n, int cols)
{
    for (int j = 0; j < cols; j++)
        out[j] = 0.0;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const float *a = v + i * ld, *b = a + ld, *c = b + ld, *d = c + ld;
        for (int j = 0; j < cols; j++)
            out[j] +=
                ((double)a[j] * (double)a[j] + (double)b[j] * (double)b[j]) +
                ((double)c[j] * (double)c[j] + (double)d[j] * (double)d[j]);
    }
    for (; i < n; i++) {
        const float *a = v + i * ld;
        for (int j = 0; j < cols; j++)
            out[j] += (double)a[j] * (double)a[j];
    }
}

/* The same for v(j, i), rows of n. */
CV_HOT static void row_squares(double *out, const float *v, int64_t n, int rows)
{
    for (int j = 0; j < rows; j++, v += n) {
        double lane[LANES] = {0};
        int64_t i = 0;
        for (; i + LANES <= n; i += LANES)
            for (int k = 0; k < LANES; k++)
                lane[k] += (double)v[i + k] * (double)v[i + k];
        for (int k = 0; i < n; i++, k++)
            lane[k] += (double)v[i] * (double)v[i];
        for (int half = LANES / 2; half > 0; half /= 2)
            for (int k = 0; k < half; k++)
                lane[k] += lane[k + half];
        out[j] = lane[0];
    }
}

/* Adds every layer's part to norm[j], which holds squares. */
static void add_squares(cv_private_pass *p, int rows)
{
    const cv_model *m = p->model;
    int64_t ld = cv_model_stride(rows);
    double d2[CV_LEAF_ROWS], a2[CV_LEAF_ROWS];
    for (int i = 0; i < m->n_layers; i++) {
        const cv_dense *l = &m->layers[i];
        if (i == 0)
            row_squares(a2, p->x, m->n_in, rows);
        else
            column_squares(a2, p->h[i - 1], ld, l->n_in, rows);
        column_squares(d2, p->d[i], ld, l->n_out, rows);
        for (int j = 0; j < rows; j++)
            p->norm[j] += d2[j] * (a2[j] + 1.0);
    }
}

/* ---- clipping ---- */

static float scale_of(double norm, double clip)
{
    if (norm <= clip * (1.0 - MARGIN))
        return 1.0f;
    double s = clip * (1.0 - MARGIN) / norm;
    return isfinite(norm) && s >= (double)FLT_MIN ? (float)s : 0.0f;
}

CV_HOT static void scale_columns(float *restrict d, const float *restrict scale,
                                 int64_t ld, int64_t n, int cols)
{
    for (int64_t i = 0; i < n; i++, d += ld)
        for (int j = 0; j < cols; j++) {
            float x = d[j] * scale[j];
            d[j] = fabsf(x) >= FLT_MIN ? x : 0.0f;
        }
}

/* Inputs of all layers of record j. */
static void clear_inputs(cv_private_pass *p, int rows, int j)
{
    const cv_model *m = p->model;
    int64_t ld = cv_model_stride(rows);
    memset(p->x + (size_t)j * (size_t)m->n_in, 0,
           (size_t)m->n_in * sizeof *p->x);
    for (int l = 0; l + 1 < m->n_layers; l++)
        for (int64_t i = 0; i < m->layers[l].n_out; i++)
            p->h[l][i * ld + j] = 0.0f;
}

void cv_private_pass_clip(cv_private_pass *p, int rows)
{
    const cv_model *m = p->model;
    add_squares(p, rows);
    for (int j = 0; j < rows; j++) {
        p->norm[j] = sqrt(p->norm[j]);
        p->scale[j] = scale_of(p->norm[j], p->clip);
        if (!isfinite(p->norm[j]))
            clear_inputs(p, rows, j);
    }
    for (int i = 0; i < m->n_layers; i++)
        scale_columns(p->d[i], p->scale, cv_model_stride(rows),
                      m->layers[i].n_out, rows);
}

/* ---- the sum ---- */

/* In 16 lanes, then lanes pairwise. */
CV_HOT static void sum_columns(float *out, const float *d, int64_t ld,
                               int64_t n, int cols)
{
    for (int64_t i = 0; i < n; i++, d += ld) {
        float lane[LANES] = {0};
        int j = 0;
        for (; j + LANES <= cols; j += LANES)
            for (int k = 0; k < LANES; k++)
                lane[k] += d[j + k];
        for (int k = 0; j < cols; j++, k++)
            lane[k] += d[j];
        for (int half = LANES / 2; half > 0; half /= 2)
            for (int k = 0; k < half; k++)
                lane[k] += lane[k + half];
        out[i] = lane[0];
    }
}

void cv_private_pass_sum(cv_private_pass *p, float *out, int rows)
{
    const cv_model *m = p->model;
    int64_t ld = cv_model_stride(rows);
    for (int i = 0; i < m->n_layers; i++) {
        const cv_dense *l = &m->layers[i];
        cv_dense_input in = layer_input(p, rows, i);
        cv_gemm_chain(0, !in.by_row, l->n_out, l->n_in, rows, 1.0f, p->d[i], ld,
                      in.x, in.ld, 0.0f, out + l->weight, l->n_in, p->pack);
        sum_columns(out + l->bias, p->d[i], ld, l->n_out, rows);
    }
}
