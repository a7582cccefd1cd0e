#include "solver/private_train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/hkdf.h"
#include "core/mem.h"
#include "core/tagged.h"
#include "privacy/field.h"
#include "privacy/quantise.h"
#include "privacy/sampling.h"
#include "solver/blas.h"
#include "solver/private_gradient.h"
#include "solver/simd.h"

/* Coordinates that get noise in one go, and that are then decoded and stepped
 * while they are in the innermost cache. */
enum { PIECE = 4 * CV_DGAUSS_BLOCK, CRUMB = 1024 };

struct cv_private_trainer {
    const cv_model *model;
    cv_train_config config;
    int exponent, wide;
    int part, n_parts;
    cv_words_sum_fn sum;
    void *ctx;
    size_t n;
    cv_private_grad *grad;
    void *acc;       /* field words (n) */
    float *velocity; /* (n), NULL without momentum */
    int n_threads;
    void *noise;   /* (n_threads, PIECE) int32_t, or int64_t */
    float *crumb;  /* (n_threads, CRUMB) decoded gradient */
    uint32_t *idx; /* sampled rows */
    int64_t idx_room;
    cv_dgauss *tables; /* for `variance`, NULL before the first round */
    cv_variance variance;
};

static size_t word_size(int wide)
{
    return wide ? sizeof(uint64_t) : sizeof(uint32_t);
}

cv_private_trainer *cv_private_trainer_create(const cv_model *model,
                                              const cv_train_config *config,
                                              double clip, int exponent,
                                              int wide, int part, int n_parts,
                                              cv_words_sum_fn sum, void *ctx)
{
    CV_CHECK(n_parts >= 1 && part >= 0 && part < n_parts);
    CV_CHECK(n_parts == 1 || sum);
    CV_CHECK(config->steps > 0 && config->epochs == 0);
    cv_private_trainer *t = CV_NEW(1, cv_private_trainer);
    t->model = model;
    t->config = *config;
    t->exponent = exponent;
    t->wide = wide;
    t->part = part;
    t->n_parts = n_parts;
    t->sum = sum;
    t->ctx = ctx;
    t->n = cv_model_params(model)->n;
    t->grad = cv_private_grad_create(model, clip, exponent, wide);
    t->acc = cv_calloc(t->n, word_size(wide));
    t->n_threads = cv_blas_threads();
    t->noise = cv_calloc((size_t)t->n_threads * PIECE, word_size(wide));
    t->crumb = CV_NEW((size_t)t->n_threads * CRUMB, float);
    if (config->momentum != 0.0)
        t->velocity = CV_NEW(t->n, float);
    return t;
}

void cv_private_trainer_destroy(cv_private_trainer **t)
{
    if (!*t)
        return;
    cv_private_grad_destroy(&(*t)->grad);
    cv_dgauss_destroy(&(*t)->tables);
    free((*t)->acc);
    free((*t)->velocity);
    free((*t)->noise);
    free((*t)->crumb);
    free((*t)->idx);
    CV_FREE(*t);
}

size_t cv_private_trainer_bytes(const cv_model *model,
                                const cv_train_config *config, int wide)
{
    size_t n = cv_model_params(model)->n, word = word_size(wide);
    size_t threads = (size_t)cv_blas_threads();
    return sizeof(cv_private_trainer) + cv_private_grad_bytes(model) +
           n * word + (config->momentum != 0.0 ? n * sizeof(float) : 0) +
           threads * (PIECE * word + CRUMB * sizeof(float));
}

/* ---- the SGD step ---- */

/* Each form leaves out the terms that are 0, whose w may not be finite. */

CV_HOT static void step_plain(float *restrict w, const float *restrict grad,
                              float lr, size_t n)
{
    for (size_t i = 0; i < n; i++)
        w[i] -= lr * grad[i];
}

CV_HOT static void step_momentum(float *restrict w, float *restrict velocity,
                                 const float *restrict grad, float momentum,
                                 float lr, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        velocity[i] = momentum * velocity[i] + grad[i];
        w[i] -= lr * velocity[i];
    }
}

/* velocity and start may be NULL when their factors are 0. */
CV_HOT static void step_all(float *restrict w, float *velocity,
                            const float *start, const float *restrict grad,
                            const cv_train_config *c, size_t n)
{
    float momentum = (float)c->momentum, decay = (float)c->weight_decay;
    float proximal = (float)c->proximal, lr = (float)c->learning_rate;
    for (size_t i = 0; i < n; i++) {
        float v = momentum != 0.0f ? momentum * velocity[i] : 0.0f;
        if (decay != 0.0f)
            v += decay * w[i];
        if (proximal != 0.0f)
            v += proximal * (w[i] - start[i]);
        v += grad[i];
        if (momentum != 0.0f)
            velocity[i] = v;
        w[i] -= lr * v;
    }
}

void cv_private_step(const cv_train_config *c, float *w, float *velocity,
                     const float *start, const float *grad, size_t n)
{
    CV_CHECK(velocity || c->momentum == 0.0);
    CV_CHECK(start || c->proximal == 0.0);
    if (c->weight_decay != 0.0 || c->proximal != 0.0)
        step_all(w, velocity, start, grad, c, n);
    else if (c->momentum != 0.0)
        step_momentum(w, velocity, grad, (float)c->momentum,
                      (float)c->learning_rate, n);
    else
        step_plain(w, grad, (float)c->learning_rate, n);
}

void cv_private_decode(float *grad, void *acc, size_t n, int exponent,
                       double divisor, int wide)
{
    if (wide)
        cv_f61_decode(grad, acc, n, exponent, divisor);
    else
        cv_f32_decode(grad, acc, n, exponent, divisor);
    memset(acc, 0, n * word_size(wide));
}

/* ---- noisy steps ---- */

/* The key of one step for one purpose. */
static void step_key(uint8_t key[32], const uint8_t round_key[32],
                     const char *tag, int64_t step)
{
    uint8_t number[8], info[32];
    cv_put_le64(number, (uint64_t)step);
    cv_part part = {number, sizeof number};
    cv_tagged_hash(info, tag, &part, 1);
    cv_hkdf_expand(key, 32, round_key, info, sizeof info);
}

/* What one thread has to itself. */
typedef struct {
    void *noise; /* (PIECE) words */
    float *grad; /* (CRUMB) */
} buffers;

/* Words [at, at + n) of acc: noise, decode, step. */
static void finish_crumb(cv_private_trainer *t, const buffers *b,
                         const void *noise, size_t at, size_t n, double divisor,
                         float *w, const float *start)
{
    void *acc = (char *)t->acc + at * word_size(t->wide);
    if (t->wide)
        cv_f61_add_signed(acc, noise, n);
    else
        cv_f32_add_signed(acc, noise, n);
    cv_private_decode(b->grad, acc, n, t->exponent, divisor, t->wide);
    cv_private_step(&t->config, w + at, t->velocity ? t->velocity + at : NULL,
                    start ? start + at : NULL, b->grad, n);
}

static void finish_piece(cv_private_trainer *t, const buffers *b, size_t at,
                         size_t n, const uint8_t key[32], double divisor,
                         float *w, const float *start)
{
    size_t word = word_size(t->wide);
    memset(b->noise, 0, n * word);
    if (t->wide)
        cv_dgauss_add_i64(t->tables, b->noise, n, key, at);
    else
        cv_dgauss_add_i32(t->tables, b->noise, n, key, at);
    for (size_t i = 0; i < n; i += CRUMB)
        finish_crumb(t, b, (const char *)b->noise + i * word, at + i,
                     n - i < CRUMB ? n - i : CRUMB, divisor, w, start);
}

static void finish_step(cv_private_trainer *t, const uint8_t key[32],
                        double divisor, float *w, const float *start)
{
    int64_t pieces = (int64_t)((t->n + PIECE - 1) / PIECE);
#pragma omp parallel for num_threads(t->n_threads) if (t->n_threads > 1)       \
    schedule(static)
    for (int mine = 0; mine < t->n_threads; mine++) {
        size_t m = (size_t)mine;
        buffers b = {(char *)t->noise + m * PIECE * word_size(t->wide),
                     t->crumb + m * CRUMB};
        for (int64_t i = mine; i < pieces; i += t->n_threads) {
            size_t at = (size_t)i * PIECE;
            finish_piece(t, &b, at, t->n - at < PIECE ? t->n - at : PIECE, key,
                         divisor, w, start);
        }
    }
}

static void take_step(cv_private_trainer *t, const cv_samples *data,
                      const cv_private_local *local, int64_t step, float *w,
                      const float *start)
{
    uint8_t key[32];
    step_key(key, local->sample_key, "covey dp-sgd sample v1", step);
    int64_t rows =
        cv_poisson_sample(t->idx, data->n_rows, local->sampling, key);
    cv_private_grad_add(t->grad, data, t->idx, rows, w, 1.0, t->part,
                        t->n_parts, t->acc);
    if (t->sum)
        t->sum(t->ctx, t->acc, t->n, t->wide);
    step_key(key, local->noise_key, "covey dp-sgd noise v1", step);
    finish_step(t, key, local->divisor, w, start);
    cv_wipe(key, sizeof key);
}

/* Tables are kept while the variance stays. */
static int prepare_noise(cv_private_trainer *t, cv_variance v, cv_err *err)
{
    if (t->tables && t->variance.num == v.num && t->variance.den == v.den)
        return 0;
    cv_dgauss_destroy(&t->tables);
    int rc = cv_dgauss_create(v, 0, &t->tables, err);
    if (rc)
        return rc;
    if (!t->wide && cv_dgauss_max(t->tables) > INT32_MAX) {
        cv_dgauss_destroy(&t->tables);
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "noise: a standard deviation of %g grid units does "
                          "not fit 32-bit words; use a coarser grid",
                          sqrt((double)v.num / (double)v.den));
    }
    t->variance = v;
    return 0;
}

int cv_private_train_silo(cv_private_trainer *t, const cv_samples *data,
                          const cv_private_local *local, float *w,
                          const float *start, int *finite, cv_err *err)
{
    CV_CHECK(local->divisor > 0.0);
    CV_CHECK(start || t->config.proximal == 0.0);
    *finite = 0;
    int rc = prepare_noise(t, local->variance, err);
    if (rc)
        return rc;
    if (data->n_rows > t->idx_room) {
        t->idx = cv_realloc(t->idx, (size_t)data->n_rows, sizeof *t->idx);
        t->idx_room = data->n_rows;
    }
    if (t->velocity)
        memset(t->velocity, 0, t->n * sizeof *t->velocity);
    for (int64_t step = 0; step < t->config.steps; step++)
        take_step(t, data, local, step, w, start);
    /* acc is 0 again. Who knew the noise would know the sums. */
    cv_wipe(t->noise, (size_t)t->n_threads * PIECE * word_size(t->wide));
    *finite = isfinite(cv_max_abs(w, t->n)) != 0;
    return 0;
}
