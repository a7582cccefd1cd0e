#include "solver/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/rand.h"
#include "privacy/quantise.h"
#include "solver/simd.h"

/* Rows of a batch in memory at a time. Larger batches, as for full-batch
 * descent, are summed piece by piece. */
enum { PIECE = 2048 };

struct cv_trainer {
    const cv_model *model;
    cv_train_config config;
    int part, n_parts;
    cv_train_sum_fn sum;
    void *ctx;
    size_t n;
    float *velocity; /* (n), NULL while steps go straight to w */
    float *gradient; /* (n), NULL if one rank has the silo alone */
    uint32_t *order; /* permutation of the rows */
    size_t order_room;
    cv_model_work *work; /* for work_rows */
    float *y;            /* (work_rows) */
    int work_rows;
};

/* What one call of cv_train_silo works on. */
typedef struct {
    cv_trainer *t;
    const cv_samples *data;
    float *w;
    const float *start, *correction;
    cv_train_result *result;
    int64_t next; /* where the next batch starts; n_rows if it is the last */
} task;

cv_trainer *cv_trainer_create(const cv_model *model,
                              const cv_train_config *config, int part,
                              int n_parts, cv_train_sum_fn sum, void *ctx)
{
    CV_CHECK(n_parts >= 1 && part >= 0 && part < n_parts);
    CV_CHECK(n_parts == 1 || sum);
    CV_CHECK((config->epochs > 0) != (config->steps > 0) && config->batch > 0);
    cv_trainer *t = CV_NEW(1, cv_trainer);
    t->model = model;
    t->config = *config;
    t->part = part;
    t->n_parts = n_parts;
    t->sum = sum;
    t->ctx = ctx;
    t->n = cv_model_params(model)->n;
    if (n_parts > 1)
        t->gradient = CV_NEW(t->n, float);
    return t;
}

void cv_trainer_destroy(cv_trainer **t)
{
    if (!*t)
        return;
    free((*t)->velocity);
    free((*t)->gradient);
    free((*t)->order);
    free((*t)->y);
    cv_model_work_destroy(&(*t)->work);
    CV_FREE(*t);
}

static int64_t batches_per_epoch(const cv_train_config *config, int64_t n_rows)
{
    return (n_rows + config->batch - 1) / config->batch;
}

int64_t cv_train_steps(const cv_train_config *config, int64_t n_rows)
{
    if (n_rows <= 0)
        return 0;
    if (config->steps > 0)
        return config->steps;
    return config->epochs * batches_per_epoch(config, n_rows);
}

/* ---- loops over the parameters ---- */

CV_HOT static void add_scaled(float *restrict out, const float *restrict v,
                              float scale, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] += scale * v[i];
}

/* velocity = momentum velocity + decay w + proximal (w - start) */
CV_HOT static void begin_velocity(float *restrict velocity,
                                  const float *restrict w,
                                  const float *restrict start, float momentum,
                                  float decay, float proximal, size_t n)
{
    for (size_t i = 0; i < n; i++)
        velocity[i] = momentum * velocity[i] + decay * w[i] +
                      proximal * (w[i] - start[i]);
}

/* ---- one step ---- */

/* Rows of this rank's part of a batch. */
static void part_of_batch(const cv_trainer *t, int64_t *from, int64_t *to)
{
    int64_t first = *from, rows = *to - *from;
    *from = first + t->part * rows / t->n_parts;
    *to = first + (t->part + 1) * rows / t->n_parts;
}

/* Batches jump about in memory. Loads asked for now arrive during the products:
 * worth 5 % at batch 32 on a quiet machine, 30 % where memory is busy. */
static void prefetch_next(const task *k, int rows)
{
    int64_t from = k->next, to = from + k->t->config.batch;
    if (to > k->data->n_rows)
        to = k->data->n_rows;
    part_of_batch(k->t, &from, &to);
    cv_samples_prefetch(k->data, k->t->order + from,
                        to - from < rows ? to - from : rows);
}

/* out = beta out + alpha (gradient of rows order[from..to)). */
static void add_gradient(task *k, int64_t from, int64_t to, float alpha,
                         float beta, float *out)
{
    cv_trainer *t = k->t;
    if (from == to && beta != 1.0f)
        for (size_t i = 0; i < t->n; i++)
            out[i] = beta == 0.0f ? 0.0f : beta * out[i];
    for (; from < to; beta = 1.0f) {
        int rows = to - from < t->work_rows ? (int)(to - from) : t->work_rows;
        float *x = cv_model_work_input(t->work);
        double loss;
        cv_samples_gather(k->data, t->order + from, 0, rows, x, t->y);
        prefetch_next(k, rows);
        cv_model_gradient(t->model, t->work, k->w, x, t->y, rows, alpha, beta,
                          out, &loss);
        k->result->loss_sum += loss;
        k->result->rows_seen += rows;
        from += rows;
    }
}

/* Without momentum, and with the whole batch at hand, the products that make
 * the gradient subtract it from the weights: no gradient in memory. */
static void step_direct(task *k, int64_t from, int64_t to)
{
    const cv_train_config *c = &k->t->config;
    double lr = c->learning_rate;
    add_gradient(k, from, to, (float)(-lr / (double)(to - from)),
                 (float)(1.0 - lr * (c->weight_decay + c->proximal)), k->w);
    if (c->proximal != 0.0)
        add_scaled(k->w, k->start, (float)(lr * c->proximal), k->t->n);
    if (k->correction)
        add_scaled(k->w, k->correction, (float)-lr, k->t->n);
}

static void step_velocity(task *k, int64_t from, int64_t to)
{
    cv_trainer *t = k->t;
    const cv_train_config *c = &t->config;
    float each = (float)(1.0 / (double)(to - from));
    float beta = (float)c->momentum;
    if (c->weight_decay != 0.0 || c->proximal != 0.0 || k->correction) {
        begin_velocity(t->velocity, k->w, c->proximal != 0.0 ? k->start : k->w,
                       beta, (float)c->weight_decay, (float)c->proximal, t->n);
        if (k->correction)
            add_scaled(t->velocity, k->correction, 1.0f, t->n);
        beta = 1.0f;
    }
    part_of_batch(t, &from, &to);
    if (t->n_parts == 1) {
        add_gradient(k, from, to, each, beta, t->velocity);
    } else {
        add_gradient(k, from, to, 1.0f, 0.0f, t->gradient);
        t->sum(t->ctx, t->gradient, t->n);
        if (beta != 1.0f)
            begin_velocity(t->velocity, k->w, k->w, beta, 0.0f, 0.0f, t->n);
        add_scaled(t->velocity, t->gradient, each, t->n);
    }
    add_scaled(k->w, t->velocity, (float)-c->learning_rate, t->n);
}

/* ---- one round ---- */

/* Make room for the data of this silo; rows differ between silos. */
static void make_room(cv_trainer *t, int64_t n_rows, int direct)
{
    size_t rows = (size_t)n_rows;
    if (rows > t->order_room) {
        t->order = cv_realloc(t->order, rows, sizeof *t->order);
        t->order_room = rows;
    }
    int64_t batch = t->config.batch < n_rows ? t->config.batch : n_rows;
    int64_t part = (batch + t->n_parts - 1) / t->n_parts;
    int need = part < PIECE ? (int)part : PIECE;
    if (need > t->work_rows) {
        cv_model_work_destroy(&t->work);
        free(t->y);
        t->work = cv_model_work_create(t->model, need);
        t->y = CV_NEW(need, float);
        t->work_rows = need;
    }
    if (!direct && !t->velocity)
        t->velocity = CV_NEW(t->n, float);
    if (!direct)
        memset(t->velocity, 0, t->n * sizeof *t->velocity);
}

void cv_train_silo(cv_trainer *t, const cv_samples *data, uint64_t silo,
                   uint64_t round, float *w, const float *start,
                   const float *correction, cv_train_result *result)
{
    const cv_train_config *c = &t->config;
    CV_CHECK(data->n_cols == cv_model_n_in(t->model));
    CV_CHECK(data->n_rows <= UINT32_MAX);
    CV_CHECK(start || c->proximal == 0.0);
    *result = (cv_train_result){.finite = 1};
    int64_t n = data->n_rows, steps = cv_train_steps(c, n);
    int64_t batch = c->batch < n ? c->batch : n, at = n;
    int direct = t->n_parts == 1 && c->momentum == 0.0 && batch <= PIECE;
    task k = {t, data, w, start, correction, result, n};
    if (steps > 0)
        make_room(t, n, direct);
    for (int64_t i = 0; i < n; i++)
        t->order[i] = (uint32_t)i;
    cv_stream stream;
    cv_stream_open(&stream, c->seed, "batches", silo, round);
    for (; result->steps < steps; result->steps++) {
        if (at == n) {
            cv_stream_shuffle(&stream, t->order, (size_t)n);
            at = 0;
        }
        int64_t to = n - at < batch ? n : at + batch;
        k.next = to;
        if (direct)
            step_direct(&k, at, to);
        else
            step_velocity(&k, at, to);
        at = to;
    }
    cv_stream_close(&stream);
    /* All steps are taken even after a loss that is not finite: ranks that
     * share the silo must make the same calls of sum. */
    result->finite =
        isfinite(result->loss_sum) && isfinite(cv_max_abs(w, t->n));
}
