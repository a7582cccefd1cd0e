/* Whole federations against tests/solver/reference_strategies.py.
 *
 * Three silos of unequal size and unequal numbers of full-batch steps, three
 * rounds, one of them with a silo missing.  This side runs solver/'s models,
 * training and strategies and writes inputs and outcomes to a folder; the script
 * computes the same in float64 from the papers and compares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/mem.h"
#include "solver/strategy.h"
#include "tests/solver/reference.h"

enum { SILOS = 3, ROUNDS = 3, N_IN = 6, MAX_N = 200 };

static const int silo_rows[SILOS] = {5, 23, 11};
static const int silo_steps[SILOS] = {2, 5, 3};
/* Who takes part; rows are rounds. */
static const int roster[ROUNDS][SILOS] = {{1, 1, 1}, {1, 0, 1}, {1, 1, 1}};

static const int hidden[] = {5};
static const cv_model_spec softmax = {"softmax", "tanh", N_IN, 3, 0, NULL};
static const cv_model_spec mlp = {"mlp", "tanh", N_IN, 3, 1, hidden};

static const cv_server_config plain = {1.0, 0, 0, 0, 0};
static const cv_server_config slow = {0.7, 0.9, 0, 0, 0};
static const cv_server_config adaptive = {0.05, 0, 0.9, 0.99, 1e-3};

static const struct {
    const char *strategy;
    const cv_server_config *server;
    double momentum, weight_decay, proximal;
} cases[] = {
    {"fedavg", &plain, 0, 0, 0},      {"fedavg", &slow, 0.5, 0.1, 0},
    {"fedprox", &plain, 0, 0, 0.8},   {"fedprox", &plain, 0.5, 0, 0.8},
    {"fedavgm", &slow, 0, 0, 0},      {"fedadam", &adaptive, 0, 0, 0},
    {"fedyogi", &adaptive, 0, 0, 0},  {"fedadagrad", &adaptive, 0, 0, 0},
    {"scaffold", &plain, 0, 0, 0},    {"scaffold", &slow, 0, 0, 0},
    {"fednova", &plain, 0, 0, 0},     {"fednova", &slow, 0.9, 0, 0},
    {"fednova", &plain, 0, 0, 0.9},   {"fednova", &plain, 0.8, 0, 0.9},
    {"fednova", &plain, 0.8, 0.1, 0},
};
enum { N_CASES = sizeof cases / sizeof *cases };

typedef struct {
    const cv_strategy *strategy;
    cv_server_config server;
    cv_model *model;
    size_t n;
    float w[MAX_N];
    float state[CV_MAX_STATE][MAX_N];
    float kept[SILOS][CV_MAX_STATE][MAX_N];
    float *x[SILOS], *y[SILOS];
} federation;

static void vectors(float *out[], float (*v)[MAX_N], int n)
{
    for (int i = 0; i < n; i++)
        out[i] = v[i];
}

/* One silo's round: its payload, and a_i. */
static double run_silo(federation *f, int silo, uint64_t round,
                       cv_train_config c, float (*payload)[MAX_N])
{
    const cv_strategy *s = f->strategy;
    float local[MAX_N], correction[MAX_N], *state[CV_MAX_STATE];
    float *kept[CV_MAX_STATE], *sent[CV_MAX_PAYLOAD];
    vectors(state, f->state, CV_MAX_STATE);
    vectors(kept, f->kept[silo], CV_MAX_STATE);
    vectors(sent, payload, CV_MAX_PAYLOAD);
    const float *const *server = (const float *const *)state;
    const float *const *own = (const float *const *)kept;

    c.steps = silo_steps[silo];
    cv_samples data = {silo_rows[silo], N_IN, 0,   f->x[silo],
                       f->y[silo],      NULL, NULL};
    cv_trainer *t = cv_trainer_create(f->model, &c, 0, 1, NULL, NULL);
    cv_train_result r;
    memcpy(local, f->w, sizeof local);
    if (s->correct)
        s->correct(correction, server, own, f->n);
    cv_train_silo(t, &data, (uint64_t)silo, round, local, f->w,
                  s->correct ? correction : NULL, &r);
    cv_trainer_destroy(&t);
    assert_true(r.finite);
    for (size_t i = 0; i < f->n; i++)
        payload[0][i] = local[i] - f->w[i];
    if (s->report)
        s->report(&c, r.steps, payload[0], server, own, sent, kept, f->n);
    return s->scale(&c, r.steps);
}

static void run_round(federation *f, int round, const cv_train_config *c)
{
    double sums[CV_MAX_PAYLOAD][MAX_N] = {{0}}, weight = 0, factor = 0, all = 0;
    for (int silo = 0; silo < SILOS; silo++)
        all += silo_rows[silo];
    for (int silo = 0; silo < SILOS; silo++) {
        float payload[CV_MAX_PAYLOAD][MAX_N];
        double p = silo_rows[silo] / all;
        if (!roster[round][silo])
            continue;
        double a = run_silo(f, silo, (uint64_t)round, *c, payload);
        for (size_t i = 0; i < f->n; i++) {
            sums[0][i] += p * (double)payload[0][i] / a;
            if (f->strategy->n_payload > 1)
                sums[1][i] += p * (double)payload[1][i];
        }
        weight += p;
        factor += p * a;
    }
    float mean[CV_MAX_PAYLOAD][MAX_N], *state[CV_MAX_STATE];
    for (size_t i = 0; i < f->n; i++) {
        mean[0][i] = (float)(sums[0][i] / weight);
        mean[1][i] = (float)sums[1][i];
    }
    const float *means[] = {mean[0], mean[1]};
    vectors(state, f->state, CV_MAX_STATE);
    f->strategy->step(&f->server, f->w, state, means, factor / weight, f->n);
}

static void write_floats(const char *folder, const char *name, const float *v,
                         size_t n)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s.f32", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(v, sizeof *v, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static void write_case(const char *folder, const federation *f,
                       const cv_train_config *c)
{
    char path[300];
    snprintf(path, sizeof path, "%s/case.json", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "{\"strategy\": \"%s\", \"n_in\": %d, \"hidden\": %d,\n"
            " \"local\": {\"learning_rate\": %.17g, \"momentum\": %.17g,"
            " \"weight_decay\": %.17g, \"proximal\": %.17g},\n",
            f->strategy->name, N_IN,
            cv_model_params(f->model)->n_views > 2 ? hidden[0] : 0,
            c->learning_rate, c->momentum, c->weight_decay, c->proximal);
    fprintf(file,
            " \"server\": {\"learning_rate\": %.17g, \"momentum\": %.17g,"
            " \"beta1\": %.17g, \"beta2\": %.17g, \"tau\": %.17g},\n",
            f->server.learning_rate, f->server.momentum, f->server.beta1,
            f->server.beta2, f->server.tau);
    fprintf(file, " \"rows\": [5, 23, 11], \"steps\": [2, 5, 3],\n"
                  " \"roster\": [[0, 1, 2], [0, 2], [0, 1, 2]]}\n");
    assert_int_equal(fclose(file), 0);
}

static void run_case(const char *folder, int at, const cv_model_spec *spec)
{
    federation *f = CV_NEW(1, federation);
    f->strategy = cv_strategy_find(cases[at].strategy);
    f->server = *cases[at].server;
    assert_int_equal(cv_model_create(spec, &f->model, NULL), 0);
    f->n = cv_model_params(f->model)->n;
    assert_true(f->n <= MAX_N);
    cv_train_config c = {.steps = 1,
                         .batch = 1000,
                         .learning_rate = 0.2,
                         .momentum = cases[at].momentum,
                         .weight_decay = cases[at].weight_decay,
                         .proximal = cases[at].proximal};
    ref_model ref = ref_make(spec);
    ref_params(&ref, f->w, 11);
    write_case(folder, f, &c);
    write_floats(folder, "initial", f->w, f->n);
    char name[20];
    for (int silo = 0; silo < SILOS; silo++) {
        f->x[silo] = CV_NEW(silo_rows[silo] * N_IN, float);
        f->y[silo] = CV_NEW(silo_rows[silo], float);
        ref_data(&ref, f->x[silo], f->y[silo], silo_rows[silo],
                 (uint64_t)(20 + silo));
        snprintf(name, sizeof name, "x%d", silo);
        write_floats(folder, name, f->x[silo],
                     (size_t)(silo_rows[silo] * N_IN));
        snprintf(name, sizeof name, "y%d", silo);
        write_floats(folder, name, f->y[silo], (size_t)silo_rows[silo]);
    }
    float *state[CV_MAX_STATE];
    vectors(state, f->state, CV_MAX_STATE);
    if (f->strategy->init)
        f->strategy->init(&f->server, state, f->n);
    for (int round = 0; round < ROUNDS; round++)
        run_round(f, round, &c);
    write_floats(folder, "final", f->w, f->n);
    for (int silo = 0; silo < SILOS; silo++) {
        free(f->x[silo]);
        free(f->y[silo]);
    }
    cv_model_destroy(&f->model);
    free(f);
}

static const char *python(void)
{
    const char *p = getenv("PYTHON");
    return p ? p : "/usr/bin/python3";
}

static int command(const char *fmt, ...)
{
    char line[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    return system(line);
}

static void test_reference(void **state)
{
    (void)state;
    /* The script lies beside this source. */
    char script[400], folder[] = "/tmp/covey-strategy-XXXXXX";
    const char *here = strrchr(__FILE__, '/');
    snprintf(script, sizeof script, "%.*s/reference_strategies.py",
             (int)(here - __FILE__), __FILE__);
    if (command("%s -c 'import numpy' 2>/dev/null", python())) {
        print_message("no numpy: federations are not compared\n");
        skip();
    }
    assert_non_null(mkdtemp(folder));
    int rc = 0;
    for (int i = 0; i < 2 * N_CASES; i++) {
        char sub[100];
        snprintf(sub, sizeof sub, "%s/%02d", folder, i);
        assert_int_equal(command("mkdir '%s'", sub), 0);
        run_case(sub, i / 2, i % 2 ? &mlp : &softmax);
    }
    rc = command("%s '%s' '%s'", python(), script, folder);
    command("rm -rf '%s'", folder);
    assert_int_equal(rc, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
