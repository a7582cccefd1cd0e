#include "solver/model.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/rand.h"
#include "core/text.h"
#include "solver/model_parts.h"

typedef struct cv_model_kind {
    const char *name;
    int needs_classes; /* 1 yes, 0 no, 2 either */
    int exact_classes; /* this many, or 0 */
    int may_hide;      /* may have hidden layers */
    int convex;        /* starts at zero */
    const cv_head *number, *classes;
} kind;

enum { N_KINDS = 5 };
static const char *const kind_names[N_KINDS] = {"linear", "logistic", "softmax",
                                                "poisson", "mlp"};
static const kind kinds[N_KINDS] = {
    {"linear", 0, 0, 0, 1, &cv_head_squared, NULL},
    {"logistic", 1, 2, 0, 1, NULL, &cv_head_logistic},
    {"softmax", 1, 0, 0, 1, NULL, &cv_head_softmax},
    {"poisson", 0, 0, 0, 1, &cv_head_poisson, NULL},
    {"mlp", 2, 0, 1, 0, &cv_head_squared, &cv_head_softmax},
};

/* 256 GiB of float32: above it sizes are typing errors. */
#define MAX_PARAMS ((size_t)1 << 36)

struct cv_model_work {
    int max_rows;
    float *x;                      /* (max_rows, n_in) */
    float *h[CV_MODEL_MAX_LAYERS]; /* (n_out of layer, rows): outputs */
    float *d[2];                   /* (widest hidden, rows): gradients */
    float *pack;
};

static const kind *find_kind(const char *name)
{
    int i = name ? cv_word_index(name, kind_names, N_KINDS) : -1;
    return i < 0 ? NULL : &kinds[i];
}

int cv_model_needs_classes(const char *name)
{
    const kind *k = find_kind(name);
    return k ? k->needs_classes : -1;
}

const char *const *cv_model_kinds(size_t *n)
{
    *n = N_KINDS;
    return kind_names;
}

const char *const *cv_model_activations(size_t *n)
{
    return cv_activation_names(n);
}

static int unknown_word(const char *what, const char *found,
                        const char *const *words, size_t n, cv_err *err)
{
    const char *near = found ? cv_closest(found, words, n) : NULL;
    char list[200] = "";
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                 words[i]);
    }
    return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                      "%s must be one of %s; found '%s'%s%s%s", what, list,
                      found ? found : "", near ? "; did you mean '" : "",
                      near ? near : "", near ? "'?" : "");
}

static int check_target(const kind *k, int n_classes, cv_err *err)
{
    if (n_classes == 0 && k->needs_classes == 1)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "model '%s' needs a target of classes; the target is "
                          "a number. Declare the target as a category, or use "
                          "linear, poisson or mlp",
                          k->name);
    if (n_classes != 0 && k->needs_classes == 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "model '%s' needs a number as target; the target has "
                          "%d classes. Use logistic, softmax or mlp",
                          k->name, n_classes);
    if (n_classes == 1 || n_classes < 0)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "a target of classes needs at least 2; found %d",
                          n_classes);
    if (n_classes && k->exact_classes && n_classes != k->exact_classes)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "model '%s' needs a target with %d classes; the "
                          "target has %d. Use softmax",
                          k->name, k->exact_classes, n_classes);
    return 0;
}

static int check_layers(const cv_model_spec *spec, const kind *k, cv_err *err)
{
    if (spec->n_in < 1)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "a model needs at least one feature");
    if (spec->n_hidden && !k->may_hide)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "model '%s' has no hidden layers; found %d. Leave "
                          "out 'hidden', or use mlp",
                          k->name, spec->n_hidden);
    if (spec->n_hidden < 0 || spec->n_hidden >= CV_MODEL_MAX_LAYERS)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "a model has 0 to %d hidden layers; found %d",
                          CV_MODEL_MAX_LAYERS - 1, spec->n_hidden);
    for (int i = 0; i < spec->n_hidden; i++)
        if (spec->hidden[i] < 1)
            return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                              "widths of hidden layers must be at least 1; "
                              "found %d",
                              spec->hidden[i]);
    return 0;
}

static int add_layer(cv_model *m, int n_in, int n_out, cv_err *err)
{
    /* Widths are int, so the product fits 62 bits. */
    size_t size = (size_t)n_out * ((size_t)n_in + 1);
    if (size > MAX_PARAMS - m->params.n)
        return cv_err_set(err, CV_ERR_INPUT, NULL, 0,
                          "the model has more than %zu parameters; make its "
                          "hidden layers narrower",
                          MAX_PARAMS);
    cv_dense *l = &m->layers[m->n_layers++];
    char name[40];
    l->n_in = n_in;
    l->n_out = n_out;
    snprintf(name, sizeof name, "dense%d/weight", m->n_layers);
    l->weight = cv_params_add(&m->params, name, n_out, n_in);
    snprintf(name, sizeof name, "dense%d/bias", m->n_layers);
    l->bias = cv_params_add(&m->params, name, n_out, 0);
    return 0;
}

static int add_layers(cv_model *m, const cv_model_spec *spec, cv_err *err)
{
    int width = spec->n_in;
    for (int i = 0; i < spec->n_hidden; i++) {
        int rc = add_layer(m, width, spec->hidden[i], err);
        if (rc)
            return rc;
        width = spec->hidden[i];
    }
    return add_layer(m, width, m->n_out, err);
}

int cv_model_create(const cv_model_spec *spec, cv_model **model, cv_err *err)
{
    *model = NULL;
    size_t n;
    const kind *k = find_kind(spec->kind);
    if (!k)
        return unknown_word("model kind", spec->kind, kind_names, N_KINDS, err);
    int rc = check_target(k, spec->n_classes, err);
    if (!rc)
        rc = check_layers(spec, k, err);
    if (rc)
        return rc;
    const cv_activation *f = cv_activation_find(spec->activation);
    const char *const *names = cv_activation_names(&n);
    if (!f && spec->n_hidden)
        return unknown_word("activation", spec->activation, names, n, err);

    cv_model *m = CV_NEW(1, cv_model);
    m->kind = k;
    m->head = spec->n_classes ? k->classes : k->number;
    m->activation = f;
    m->n_in = spec->n_in;
    m->n_out = m->head == &cv_head_softmax ? spec->n_classes : 1;
    rc = add_layers(m, spec, err);
    if (rc)
        cv_model_destroy(&m);
    *model = m;
    return rc;
}

void cv_model_destroy(cv_model **model)
{
    CV_FREE(*model);
}

const cv_params *cv_model_params(const cv_model *model)
{
    return &model->params;
}

int cv_model_n_in(const cv_model *model)
{
    return model->n_in;
}

int cv_model_n_out(const cv_model *model)
{
    return model->n_out;
}

void cv_model_init(const cv_model *model, float *w, uint64_t seed)
{
    memset(w, 0, model->params.n * sizeof *w);
    if (model->kind->convex)
        return;
    cv_stream s;
    cv_stream_open(&s, seed, "init", 0, 0);
    for (int i = 0; i < model->n_layers; i++) {
        const cv_dense *l = &model->layers[i];
        double bound = 1.0 / sqrt((double)l->n_in);
        /* Weights, then biases: they lie one after the other. */
        size_t size = (size_t)l->n_out * ((size_t)l->n_in + 1);
        for (size_t j = 0; j < size; j++) {
            double u = 2.0 * cv_stream_uniform(&s) - 1.0;
            w[l->weight + j] = (float)(u * bound);
        }
    }
    cv_stream_close(&s);
}

/* ---- room for one batch ---- */

typedef struct {
    size_t x, h[CV_MODEL_MAX_LAYERS], d, pack; /* floats */
} sizes;

static sizes work_sizes(const cv_model *m, int max_rows)
{
    sizes s = {0};
    size_t ld = (size_t)cv_model_stride(max_rows);
    s.x = (size_t)max_rows * (size_t)m->n_in;
    for (int i = 0; i < m->n_layers; i++) {
        size_t pack = cv_dense_pack_size(&m->layers[i], max_rows);
        s.pack = pack > s.pack ? pack : s.pack;
        s.h[i] = (size_t)m->layers[i].n_out * ld;
        if (i + 1 < m->n_layers && s.h[i] > s.d)
            s.d = s.h[i];
    }
    return s;
}

cv_model_work *cv_model_work_create(const cv_model *model, int max_rows)
{
    CV_CHECK(max_rows > 0);
    sizes s = work_sizes(model, max_rows);
    cv_model_work *work = CV_NEW(1, cv_model_work);
    work->max_rows = max_rows;
    work->x = CV_NEW(s.x, float);
    for (int i = 0; i < model->n_layers; i++)
        work->h[i] = CV_NEW(s.h[i], float);
    for (int i = 0; i < 2; i++)
        work->d[i] = CV_NEW(s.d, float);
    work->pack = CV_NEW(s.pack, float);
    return work;
}

void cv_model_work_destroy(cv_model_work **work)
{
    if (!*work)
        return;
    free((*work)->x);
    for (int i = 0; i < CV_MODEL_MAX_LAYERS; i++)
        free((*work)->h[i]);
    for (int i = 0; i < 2; i++)
        free((*work)->d[i]);
    free((*work)->pack);
    CV_FREE(*work);
}

float *cv_model_work_input(cv_model_work *work)
{
    return work->x;
}

size_t cv_model_work_bytes(const cv_model *model, int max_rows)
{
    sizes s = work_sizes(model, max_rows);
    size_t n = s.x + 2 * s.d + s.pack;
    for (int i = 0; i < model->n_layers; i++)
        n += s.h[i];
    return sizeof(cv_model_work) + n * sizeof(float);
}

/* ---- forward, backward ---- */

static cv_dense_input layer_input(const cv_model *m, const cv_model_work *work,
                                  const float *x, int rows, int layer)
{
    if (layer == 0)
        return (cv_dense_input){x, m->n_in, 1};
    return (cv_dense_input){work->h[layer - 1], cv_model_stride(rows), 0};
}

/* Returns the scores (n_out, rows), ld = stride of rows, inside work. */
static float *forward(const cv_model *m, cv_model_work *work, const float *w,
                      const float *x, int rows)
{
    CV_CHECK(rows >= 0 && rows <= work->max_rows);
    for (int i = 0; i < m->n_layers; i++) {
        cv_dense_input in = layer_input(m, work, x, rows, i);
        cv_dense_forward(&m->layers[i], work->h[i], cv_model_stride(rows),
                         i + 1 < m->n_layers ? m->activation
                                             : &cv_activation_none,
                         w, &in, rows, work->pack);
    }
    return work->h[m->n_layers - 1];
}

void cv_model_gradient(const cv_model *model, cv_model_work *work,
                       const float *w, const float *x, const float *y, int rows,
                       float alpha, float beta, float *out, double *loss_sum)
{
    int64_t ld = cv_model_stride(rows);
    float *d = forward(model, work, w, x, rows);
    *loss_sum = model->head->gradient(d, ld, y, model->n_out, rows);
    for (int i = model->n_layers - 1; i >= 0; i--) {
        const cv_dense *l = &model->layers[i];
        cv_dense_input in = layer_input(model, work, x, rows, i);
        float *below = work->d[i % 2];
        /* First what reads the weights, then what may write them. */
        if (i > 0) {
            cv_dense_backward_input(l, below, w, d, ld, rows, work->pack);
            model->activation->chain(below, in.x, ld, l->n_in, rows);
        }
        cv_dense_backward_weights(l, out, alpha, beta, d, ld, &in, rows,
                                  work->pack);
        d = below;
    }
}

void cv_model_predict(const cv_model *model, cv_model_work *work,
                      const float *w, const float *x, int rows, float *out)
{
    int64_t ld = cv_model_stride(rows);
    float *s = forward(model, work, w, x, rows);
    model->head->predict(s, ld, model->n_out, rows);
    for (int j = 0; j < rows; j++)
        for (int i = 0; i < model->n_out; i++)
            *out++ = s[i * ld + j];
}

int cv_model_n_sums(const cv_model *model)
{
    return model->head->n_sums;
}

void cv_model_add_sums(const cv_model *model, cv_model_work *work,
                       const float *w, const float *x, const float *y, int rows,
                       double *sums)
{
    float *s = forward(model, work, w, x, rows);
    model->head->add_sums(s, cv_model_stride(rows), y, model->n_out, rows,
                          sums);
}

int cv_model_metrics(const cv_model *model, const double *sums,
                     double values[CV_MAX_METRICS],
                     const char *names[CV_MAX_METRICS])
{
    return model->head->metrics(sums, values, names);
}
