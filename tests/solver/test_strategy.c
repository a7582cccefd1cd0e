#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rand.h"
#include "solver/strategy.h"

enum { N = 131, ROUNDS = 3 };

static const cv_server_config server = {.learning_rate = 0.7,
                                        .momentum = 0.85,
                                        .beta1 = 0.9,
                                        .beta2 = 0.99,
                                        .tau = 1e-3};
static const cv_train_config local = {
    .epochs = 1, .batch = 8, .learning_rate = 0.05};

static const char *const expected_names[] = {
    "fedavg",  "fedprox",    "fedavgm",  "fedadam",
    "fedyogi", "fedadagrad", "scaffold", "fednova"};
enum { N_NAMES = sizeof expected_names / sizeof *expected_names };

static void noise(float *v, size_t n, uint64_t seed, double scale)
{
    cv_stream s;
    cv_stream_open(&s, seed, "test strategy", n, 0);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)(scale * cv_stream_normal(&s));
    cv_stream_close(&s);
}

/* ---- what every row of the table must do ---- */

typedef struct {
    float w[N], state[CV_MAX_STATE][N], mean[CV_MAX_PAYLOAD][N];
} server_side;

static void start(const cv_strategy *s, server_side *a)
{
    float *state[CV_MAX_STATE];
    memset(a, 0, sizeof *a);
    noise(a->w, N, 1, 0.3);
    for (int i = 0; i < CV_MAX_STATE; i++)
        state[i] = a->state[i];
    if (s->init)
        s->init(&server, state, N);
}

/* One server step on elements [from, to). */
static void step(const cv_strategy *s, server_side *a, size_t from, size_t to)
{
    float *state[CV_MAX_STATE];
    const float *mean[CV_MAX_PAYLOAD];
    for (int i = 0; i < CV_MAX_STATE; i++)
        state[i] = a->state[i] + from;
    for (int i = 0; i < CV_MAX_PAYLOAD; i++)
        mean[i] = a->mean[i] + from;
    s->step(&server, a->w + from, state, mean, 1.0, to - from);
}

static void next_mean(server_side *a, uint64_t round)
{
    for (uint64_t i = 0; i < CV_MAX_PAYLOAD; i++) {
        noise(a->mean[i], N, 10 + 2 * round + i, 0.1);
        a->mean[i][3] = 0.0f; /* nothing moved */
    }
}

static void test_table(void **state)
{
    (void)state;
    size_t n;
    const char *const *names = cv_strategy_names(&n);
    assert_int_equal(n, N_NAMES);
    for (size_t i = 0; i < n; i++) {
        const cv_strategy *s = cv_strategy_find(names[i]);
        assert_non_null(s);
        assert_string_equal(names[i], expected_names[i]);
        assert_string_equal(s->name, names[i]);
        assert_non_null(s->scale);
        assert_non_null(s->step);
        assert_in_range(s->n_payload, 1, CV_MAX_PAYLOAD);
        assert_in_range(s->n_server, 0, CV_MAX_STATE);
        assert_in_range(s->n_silo, 0, CV_MAX_STATE);
        for (int j = 0; j < CV_MAX_STATE; j++) {
            assert_int_equal(s->server_names[j] != NULL, j < s->n_server);
            assert_int_equal(s->silo_names[j] != NULL, j < s->n_silo);
        }
        /* More than one payload, or state at the silo, needs a report. */
        assert_int_equal(s->report != NULL, s->n_payload > 1 || s->n_silo > 0);
        assert_true(s->scale(&local, 1) > 0);
        assert_true(s->scale(&local, 0) > 0);
    }
    assert_null(cv_strategy_find("fedsgd"));
    assert_null(cv_strategy_find(NULL));
}

/* Steps are element-wise: slices give the bytes of the whole, state beyond
 * n_server is untouched, everything stays finite, and w moves with the mean. */
static void test_conformance(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_NAMES; i++) {
        const cv_strategy *s = cv_strategy_find(expected_names[i]);
        server_side *a = CV_NEW(1, server_side), *b = CV_NEW(1, server_side);
        start(s, a);
        start(s, b);
        for (uint64_t round = 0; round < ROUNDS; round++) {
            float before[N];
            memcpy(before, a->w, sizeof before);
            next_mean(a, round);
            next_mean(b, round);
            step(s, a, 0, N);
            step(s, b, 0, 1);
            step(s, b, 1, 50);
            step(s, b, 50, 50);
            step(s, b, 50, N);
            assert_memory_equal(a, b, sizeof *a);
            for (int j = 0; j < N; j++) {
                assert_true(isfinite(a->w[j]));
                if (round == 0 && a->mean[0][j] != 0.0f)
                    assert_true((a->w[j] > before[j]) ==
                                (a->mean[0][j] > 0.0f));
                if (round == 0 && a->mean[0][j] == 0.0f)
                    assert_true(a->w[j] == before[j]);
                for (int k = s->n_server; k < CV_MAX_STATE; k++)
                    assert_true(a->state[k][j] == 0.0f);
            }
        }
        free(a);
        free(b);
    }
}

/* ---- the formulas ---- */

/* Reference in double, one element; m, v carry over. */
static double reference(const char *name, double x, double d, double change,
                        double *m, double *v)
{
    double lr = server.learning_rate, b1 = server.beta1, b2 = server.beta2;
    if (strcmp(name, "fedavgm") == 0) {
        *m = server.momentum * *m + d;
        return x + lr * *m;
    }
    if (strcmp(name, "scaffold") == 0) {
        *m += change;
        return x + lr * d;
    }
    if (strncmp(name, "feda", 4) != 0 && strcmp(name, "fedyogi") != 0)
        return x + lr * d;
    if (strcmp(name, "fedavg") == 0)
        return x + lr * d;
    *m = b1 * *m + (1 - b1) * d;
    if (strcmp(name, "fedadagrad") == 0)
        *v = *v + d * d;
    else if (strcmp(name, "fedadam") == 0)
        *v = b2 * *v + (1 - b2) * d * d;
    else
        *v = *v - (1 - b2) * d * d * (*v > d * d ? 1 : *v < d * d ? -1 : 0);
    return x + lr * *m / (sqrt(*v) + server.tau);
}

static void test_formulas(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_NAMES; i++) {
        const char *name = expected_names[i];
        const cv_strategy *s = cv_strategy_find(name);
        server_side *a = CV_NEW(1, server_side);
        start(s, a);
        double x[N], m[N] = {0}, v[N];
        for (int j = 0; j < N; j++) {
            x[j] = (double)a->w[j];
            v[j] = server.tau * server.tau;
        }
        for (uint64_t round = 0; round < ROUNDS; round++) {
            next_mean(a, round);
            step(s, a, 0, N);
            for (int j = 0; j < N; j++) {
                x[j] = reference(name, x[j], (double)a->mean[0][j],
                                 (double)a->mean[1][j], &m[j], &v[j]);
                double off = fabs((double)a->w[j] - x[j]);
                if (!(off < 1e-6 * (1 + fabs(x[j]))))
                    fail_msg("%s round %d: %.9g, expected %.9g", name,
                             (int)round, (double)a->w[j], x[j]);
                if (s->n_server > 0)
                    assert_true(fabs((double)a->state[0][j] - m[j]) < 1e-6);
                if (s->n_server > 1)
                    assert_true(fabs((double)a->state[1][j] - v[j]) <
                                1e-6 * v[j]);
            }
        }
        free(a);
    }
}

static void test_factor(void **state)
{
    (void)state;
    const float w = 1.0f, d = 0.5f, *mean[] = {&d};
    float x = w;
    cv_strategy_find("fednova")->step(&server, &x, NULL, mean, 3.0, 1);
    assert_true(fabs((double)x - (1 + 0.7 * 3 * 0.5)) < 1e-6);
}

/* a_i: closed forms of Wang et al., section 4, and for both terms together the
 * weights themselves, gradient by gradient. */
static double weights_of_gradients(const cv_train_config *t, int steps)
{
    double total = 0;
    for (int k = 0; k < steps; k++) {
        /* What a gradient of 1 at step k alone moves by the end. */
        double velocity = 0, moved = 0;
        for (int j = 0; j < steps; j++) {
            velocity = t->momentum * velocity + (j == k) -
                       t->learning_rate * t->proximal * moved;
            moved += velocity;
        }
        total += moved;
    }
    return total;
}

static void test_nova_scale(void **state)
{
    (void)state;
    double (*scale)(const cv_train_config *, int64_t) =
        cv_strategy_find("fednova")->scale;
    static const int steps[] = {1, 2, 7, 100};
    for (int i = 0; i < 4; i++) {
        double k = steps[i], rho = 0.9, lr = 0.05, mu = 0.4;
        cv_train_config t = {.learning_rate = lr};
        assert_true(scale(&t, steps[i]) == k);
        t.momentum = rho;
        double want = (k - rho * (1 - pow(rho, k)) / (1 - rho)) / (1 - rho);
        assert_true(fabs(scale(&t, steps[i]) - want) < 1e-9 * want);
        t.momentum = 0;
        t.proximal = mu;
        want = (1 - pow(1 - lr * mu, k)) / (lr * mu);
        assert_true(fabs(scale(&t, steps[i]) - want) < 1e-9 * want);
        t.momentum = rho;
        want = weights_of_gradients(&t, steps[i]);
        assert_true(fabs(scale(&t, steps[i]) - want) < 1e-9 * want);
    }
    for (size_t i = 0; i < N_NAMES - 1; i++)
        assert_true(cv_strategy_find(expected_names[i])->scale(&local, 9) == 1);
}

static void test_scaffold_silo(void **state)
{
    (void)state;
    const cv_strategy *s = cv_strategy_find("scaffold");
    float c[N], ci[N], delta[N], out[N], change[N], next[N];
    noise(c, N, 1, 1);
    noise(ci, N, 2, 1);
    noise(delta, N, 3, 0.1);
    const float *server_state[] = {c}, *silo[] = {ci};
    float *payload[] = {NULL, change}, *to[] = {next};
    s->correct(out, server_state, silo, N);
    s->report(&local, 6, delta, server_state, silo, payload, to, N);
    for (int i = 0; i < N; i++) {
        double want = (double)ci[i] - (double)c[i] -
                      (double)delta[i] / (6 * local.learning_rate);
        assert_true(fabs((double)next[i] - want) < 1e-6 * (1 + fabs(want)));
        assert_true(fabs((double)change[i] - (want - (double)ci[i])) <
                    1e-6 * (1 + fabs(want)));
        assert_true(out[i] == c[i] - ci[i]);
    }
    /* In place gives the same bytes. */
    float copy[N], *self[] = {copy};
    const float *own[] = {copy};
    memcpy(copy, ci, sizeof copy);
    s->report(&local, 6, delta, server_state, own, payload, self, N);
    assert_memory_equal(copy, next, sizeof next);
    /* No steps: nothing known, nothing changes. */
    s->report(&local, 0, delta, server_state, silo, payload, to, N);
    assert_memory_equal(next, ci, sizeof next);
    for (int i = 0; i < N; i++)
        assert_true(change[i] == 0.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),      cmocka_unit_test(test_conformance),
        cmocka_unit_test(test_formulas),   cmocka_unit_test(test_factor),
        cmocka_unit_test(test_nova_scale), cmocka_unit_test(test_scaffold_silo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
