#include "solver/strategy.h"

#include <math.h>
#include <string.h>

#include "solver/simd.h"

/* Server steps compute in double and store float32: the server's state is what
 * the checkpoint holds, and each value is rounded once. */

static double scale_one(const cv_train_config *t, int64_t steps)
{
    (void)t, (void)steps;
    return 1.0;
}

/* The sum of the weights that local gradients have in D / (-learning_rate):
 * what a constant gradient of 1 would move, from the recursion of the steps
 * themselves.  Without momentum and proximal term it is the number of steps;
 * with one of them it is the closed form of the paper's section 4. */
static double step_sum(const cv_train_config *t, int64_t steps)
{
    if (steps <= 0)
        return 1.0; /* D is zero */
    if (t->momentum == 0.0 && t->proximal == 0.0)
        return (double)steps;
    double velocity = 0.0, moved = 0.0;
    for (int64_t k = 0; k < steps; k++) {
        velocity = t->momentum * velocity + 1.0 -
                   t->learning_rate * t->proximal * moved;
        moved += velocity;
    }
    return moved;
}

CV_HOT static void step_average(const cv_server_config *c, float *w,
                                float *const *state, const float *const *mean,
                                double factor, size_t n)
{
    (void)state;
    const float *d = mean[0];
    double lr = c->learning_rate * factor;
    for (size_t i = 0; i < n; i++)
        w[i] = (float)((double)w[i] + lr * (double)d[i]);
}

CV_HOT static void step_momentum(const cv_server_config *c, float *w,
                                 float *const *state, const float *const *mean,
                                 double factor, size_t n)
{
    (void)factor;
    const float *restrict d = mean[0];
    float *restrict m = state[0], *restrict x = w;
    double lr = c->learning_rate, beta = c->momentum;
    for (size_t i = 0; i < n; i++) {
        m[i] = (float)(beta * (double)m[i] + (double)d[i]);
        x[i] = (float)((double)x[i] + lr * (double)m[i]);
    }
}

static void init_adaptive(const cv_server_config *c, float *const *state,
                          size_t n)
{
    for (size_t i = 0; i < n; i++)
        state[1][i] = (float)(c->tau * c->tau);
}

/* The second moment after a change whose square is dd. */
CV_INLINE double next_adagrad(double v, double dd, double b2)
{
    (void)b2;
    return v + dd;
}

CV_INLINE double next_adam(double v, double dd, double b2)
{
    return b2 * v + (1.0 - b2) * dd;
}

CV_INLINE double next_yogi(double v, double dd, double b2)
{
    double sign = v > dd ? 1.0 : v < dd ? -1.0 : 0.0;
    return v - (1.0 - b2) * dd * sign;
}

/* m = b1 m + (1 - b1) D, v as above, x += lr m / (sqrt(v) + tau). */
#define ADAPTIVE_STEP(name, next_v)                                            \
    CV_HOT static void name(const cv_server_config *c, float *w,               \
                            float *const *state, const float *const *mean,     \
                            double factor, size_t n)                           \
    {                                                                          \
        (void)factor;                                                          \
        const float *restrict delta = mean[0];                                 \
        float *restrict ms = state[0], *restrict vs = state[1];                \
        float *restrict x = w;                                                 \
        double b1 = c->beta1, b2 = c->beta2, lr = c->learning_rate;            \
        for (size_t i = 0; i < n; i++) {                                       \
            double d = (double)delta[i];                                       \
            ms[i] = (float)(b1 * (double)ms[i] + (1.0 - b1) * d);              \
            vs[i] = (float)next_v((double)vs[i], d * d, b2);                   \
            x[i] = (float)((double)x[i] + lr * (double)ms[i] /                 \
                                              (sqrt((double)vs[i]) + c->tau)); \
        }                                                                      \
    }

ADAPTIVE_STEP(step_adagrad, next_adagrad)
ADAPTIVE_STEP(step_adam, next_adam)
ADAPTIVE_STEP(step_yogi, next_yogi)

/* SCAFFOLD: server[0] = c, silo[0] = c_i. */
CV_HOT static void correct_scaffold(float *out, const float *const *server,
                                    const float *const *silo, size_t n)
{
    const float *c = server[0], *ci = silo[0];
    for (size_t i = 0; i < n; i++)
        out[i] = c[i] - ci[i];
}

CV_HOT static void
report_scaffold(const cv_train_config *t, int64_t steps, const float *delta,
                const float *const *server, const float *const *silo,
                float *const *payload, float *const *next, size_t n)
{
    const float *c = server[0], *ci = silo[0];
    float *change = payload[1], *new_ci = next[0];
    if (steps <= 0) {
        memset(change, 0, n * sizeof *change);
        memmove(new_ci, ci, n * sizeof *ci);
        return;
    }
    /* D_i = -lr * scale * (mean gradient): K without momentum. */
    double each = 1.0 / (step_sum(t, steps) * t->learning_rate);
    for (size_t i = 0; i < n; i++) {
        /* c_i' - c_i; next may be silo, so each element is read first. */
        double move = -(double)c[i] - (double)delta[i] * each;
        double old = (double)ci[i];
        change[i] = (float)move;
        new_ci[i] = (float)(old + move);
    }
}

CV_HOT static void step_scaffold(const cv_server_config *c, float *w,
                                 float *const *state, const float *const *mean,
                                 double factor, size_t n)
{
    (void)factor;
    const float *restrict d = mean[0], *restrict change = mean[1];
    float *restrict control = state[0], *restrict x = w;
    double lr = c->learning_rate;
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)((double)x[i] + lr * (double)d[i]);
        control[i] = (float)((double)control[i] + (double)change[i]);
    }
}

/* NULL members are written out in strategy.h. */
static const cv_strategy table[] = {
    {.name = "fedavg",
     .n_payload = 1,
     .scale = scale_one,
     .step = step_average},
    {.name = "fedprox",
     .n_payload = 1,
     .scale = scale_one,
     .step = step_average},
    {.name = "fedavgm",
     .n_server = 1,
     .server_names = {"momentum"},
     .n_payload = 1,
     .scale = scale_one,
     .step = step_momentum},
    {.name = "fedadam",
     .n_server = 2,
     .server_names = {"m", "v"},
     .n_payload = 1,
     .init = init_adaptive,
     .scale = scale_one,
     .step = step_adam},
    {.name = "fedyogi",
     .n_server = 2,
     .server_names = {"m", "v"},
     .n_payload = 1,
     .init = init_adaptive,
     .scale = scale_one,
     .step = step_yogi},
    {.name = "fedadagrad",
     .n_server = 2,
     .server_names = {"m", "v"},
     .n_payload = 1,
     .init = init_adaptive,
     .scale = scale_one,
     .step = step_adagrad},
    {.name = "scaffold",
     .n_server = 1,
     .server_names = {"control"},
     .n_payload = 2,
     .n_silo = 1,
     .silo_names = {"control"},
     .scale = scale_one,
     .correct = correct_scaffold,
     .report = report_scaffold,
     .step = step_scaffold},
    {.name = "fednova",
     .n_payload = 1,
     .scale = step_sum,
     .step = step_average},
};

enum { N_STRATEGIES = sizeof table / sizeof *table };

static const char *const names[N_STRATEGIES] = {
    "fedavg",  "fedprox",    "fedavgm",  "fedadam",
    "fedyogi", "fedadagrad", "scaffold", "fednova"};

const cv_strategy *cv_strategy_find(const char *name)
{
    for (size_t i = 0; name && i < N_STRATEGIES; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

const char *const *cv_strategy_names(size_t *n)
{
    *n = N_STRATEGIES;
    return names;
}
