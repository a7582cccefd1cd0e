#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/rand.h"
#include "solver/train.h"
#include "tests/solver/fixture.h"

enum { ROWS = 53, MAX_PARTS = 3 };

static const int hidden[] = {12};
static const cv_model_spec logistic = {"logistic", "relu", 9, 2, 0, NULL};
static const cv_model_spec mlp = {"mlp", "tanh", 9, 4, 1, hidden};

/* epochs, steps, batch, learning rate, momentum, weight decay, proximal, seed;
 * batches that divide the rows, that do not, one row, more than all rows. */
static const struct {
    const char *name;
    cv_train_config config;
    int correction;
} cases[] = {
    {"plain", {3, 0, 10, 0.1, 0, 0, 0, 1}, 0},
    {"one row", {1, 0, 1, 0.05, 0, 0, 0, 2}, 0},
    {"full batch", {4, 0, 1000, 0.2, 0, 0, 0, 3}, 0},
    {"steps", {0, 13, 16, 0.1, 0, 0, 0, 4}, 0},
    {"decay", {2, 0, 10, 0.1, 0, 0.1, 0, 5}, 0},
    {"proximal", {2, 0, 10, 0.1, 0, 0, 0.5, 6}, 0},
    {"correction", {2, 0, 10, 0.1, 0, 0, 0, 7}, 1},
    {"all but momentum", {2, 0, 10, 0.1, 0, 0.05, 0.3, 8}, 1},
    {"momentum", {3, 0, 10, 0.05, 0.9, 0, 0, 9}, 0},
    {"momentum, decay", {2, 0, 7, 0.05, 0.9, 0.1, 0, 10}, 0},
    {"momentum, proximal", {0, 20, 7, 0.05, 0.5, 0, 0.7, 11}, 0},
    {"everything", {0, 20, 7, 0.05, 0.8, 0.05, 0.3, 12}, 1},
};
enum { N_CASES = sizeof cases / sizeof *cases };

/* The steps of train.h in float64, row by row. Returns the sum of losses. */
static double plain_loop(const fixture *f, double *w, const cv_train_config *c,
                         int with_correction, uint64_t silo, uint64_t round)
{
    double *v = CV_NEW(f->n, double), *g = CV_NEW(f->n, double), losses = 0;
    uint32_t order[ROWS];
    cv_stream s;
    cv_stream_open(&s, c->seed, "batches", silo, round);
    for (uint32_t i = 0; i < ROWS; i++)
        order[i] = i;
    for (size_t i = 0; i < f->n; i++)
        w[i] = (double)f->start[i];
    int64_t steps = cv_train_steps(c, ROWS), at = ROWS;
    for (int64_t k = 0; k < steps; k++) {
        if (at == ROWS) {
            cv_stream_shuffle(&s, order, ROWS);
            at = 0;
        }
        int64_t to = at + c->batch < ROWS ? at + c->batch : ROWS;
        memset(g, 0, f->n * sizeof *g);
        for (int64_t i = at; i < to; i++) {
            const float *x = f->x + order[i] * (uint32_t)f->ref.width[0];
            losses += ref_loss(&f->ref, w, x, f->y + order[i], 1);
            ref_add_gradient(&f->ref, g, w, x, f->y[order[i]]);
        }
        for (size_t i = 0; i < f->n; i++) {
            v[i] = c->momentum * v[i] + g[i] / (double)(to - at) +
                   c->weight_decay * w[i] +
                   c->proximal * (w[i] - (double)f->start[i]) +
                   (with_correction ? (double)f->correction[i] : 0);
        }
        for (size_t i = 0; i < f->n; i++)
            w[i] -= c->learning_rate * v[i];
        at = to;
    }
    cv_stream_close(&s);
    free(v);
    free(g);
    return losses;
}

static void compare(const char *name, const float *got, const double *want,
                    size_t n, double bound)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) < bound * (1 + fabs(want[i]))))
            fail_msg("%s: parameter %zu is %.8g, expected %.8g", name, i,
                     (double)got[i], want[i]);
}

static void test_against_loop(void **state)
{
    (void)state;
    const cv_model_spec *specs[] = {&logistic, &mlp};
    for (int i = 0; i < 2 * N_CASES; i++) {
        fixture f = make(specs[i % 2], ROWS);
        const cv_train_config *c = &cases[i / 2].config;
        double *want = CV_NEW(f.n, double);
        float *w = CV_NEW(f.n, float);
        cv_trainer *t = cv_trainer_create(f.model, c, 0, 1, NULL, NULL);
        cv_train_result r;
        /* Twice: nothing of a round may stay in the trainer. */
        for (uint64_t round = 0; round < 2; round++) {
            double losses =
                plain_loop(&f, want, c, cases[i / 2].correction, 2, round);
            memcpy(w, f.start, f.n * sizeof *w);
            cv_train_silo(t, &f.data, 2, round, w,
                          c->proximal != 0 ? f.start : NULL,
                          cases[i / 2].correction ? f.correction : NULL, &r);
            compare(cases[i / 2].name, w, want, f.n, 1e-5);
            assert_true(fabs(r.loss_sum - losses) < 1e-4 * (1 + losses));
            assert_int_equal(r.steps, cv_train_steps(c, ROWS));
            assert_int_equal(r.finite, 1);
            if (c->epochs)
                assert_int_equal(r.rows_seen, c->epochs * ROWS);
        }
        cv_trainer_destroy(&t);
        free(want);
        free(w);
        drop(&f);
    }
}

/* ---- several ranks share a silo: threads that add through memory ---- */

typedef struct {
    pthread_barrier_t barrier;
    int n_parts;
    float *v[MAX_PARTS];
    int calls;
} meeting;

typedef struct {
    meeting *m;
    int part;
    const fixture *f;
    int at; /* case */
    float *w;
    cv_train_result result;
} rank;

static void add_up(void *ctx, float *v, size_t n)
{
    rank *r = ctx;
    meeting *m = r->m;
    m->v[r->part] = v;
    pthread_barrier_wait(&m->barrier);
    float *sum = CV_NEW(n, float);
    for (int p = 0; p < m->n_parts; p++)
        for (size_t i = 0; i < n; i++)
            sum[i] += m->v[p][i];
    pthread_barrier_wait(&m->barrier);
    memcpy(v, sum, n * sizeof *v);
    free(sum);
    if (r->part == 0)
        m->calls++;
    pthread_barrier_wait(&m->barrier);
}

static void *run_rank(void *arg)
{
    rank *r = arg;
    const cv_train_config *c = &cases[r->at].config;
    cv_trainer *t =
        cv_trainer_create(r->f->model, c, r->part, r->m->n_parts, add_up, r);
    memcpy(r->w, r->f->start, r->f->n * sizeof *r->w);
    cv_train_silo(t, &r->f->data, 2, 0, r->w, r->f->start,
                  cases[r->at].correction ? r->f->correction : NULL,
                  &r->result);
    cv_trainer_destroy(&t);
    return NULL;
}

static void run_parts(const fixture *f, int at, int n_parts, rank *ranks)
{
    meeting m = {.n_parts = n_parts};
    pthread_t threads[MAX_PARTS];
    pthread_barrier_init(&m.barrier, NULL, (unsigned)n_parts);
    for (int p = 0; p < n_parts; p++) {
        ranks[p] = (rank){&m, p, f, at, CV_NEW(f->n, float), {0}};
        assert_int_equal(pthread_create(&threads[p], NULL, run_rank, &ranks[p]),
                         0);
    }
    for (int p = 0; p < n_parts; p++)
        pthread_join(threads[p], NULL);
    pthread_barrier_destroy(&m.barrier);
    assert_int_equal(m.calls, cv_train_steps(&cases[at].config, ROWS));
}

static void test_parts(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * N_CASES; i++) {
        fixture f = make(&mlp, ROWS);
        int at = i / 2, n_parts = 2 + i % 2;
        const cv_train_config *c = &cases[at].config;
        double *want = CV_NEW(f.n, double), losses = 0;
        double right = plain_loop(&f, want, c, cases[at].correction, 2, 0);
        rank ranks[MAX_PARTS];
        int64_t rows = 0;
        run_parts(&f, at, n_parts, ranks);
        for (int p = 0; p < n_parts; p++) {
            compare(cases[at].name, ranks[p].w, want, f.n, 1e-5);
            assert_memory_equal(ranks[p].w, ranks[0].w,
                                f.n * sizeof *ranks[p].w);
            losses += ranks[p].result.loss_sum;
            rows += ranks[p].result.rows_seen;
        }
        for (int p = 0; p < n_parts; p++)
            free(ranks[p].w);
        assert_true(fabs(losses - right) < 1e-4 * (1 + right));
        if (c->epochs)
            assert_int_equal(rows, c->epochs * ROWS);
        free(want);
        drop(&f);
    }
}

/* ---- bytes ---- */

/* The same call gives the same bytes, wherever the arrays lie and whatever the
 * trainer did before. */
static void test_same_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        fixture f = make(&mlp, ROWS);
        float *room = CV_NEW(2 * f.n + 40, float);
        float *w = room, *moved = room + f.n + 21;
        const float *correction = cases[i].correction ? f.correction : NULL;
        cv_train_result r, again;
        cv_trainer *t =
            cv_trainer_create(f.model, &cases[i].config, 0, 1, NULL, NULL);
        memcpy(w, f.start, f.n * sizeof *w);
        cv_train_silo(t, &f.data, 5, 8, w, f.start, correction, &r);
        memcpy(moved, f.start, f.n * sizeof *w);
        cv_samples part = f.data;
        part.n_rows = 11;
        cv_train_silo(t, &part, 5, 8, moved, f.start, correction, &again);
        memcpy(moved, f.start, f.n * sizeof *w);
        cv_train_silo(t, &f.data, 5, 8, moved, f.start, correction, &again);
        assert_memory_equal(w, moved, f.n * sizeof *w);
        assert_true(r.loss_sum == again.loss_sum);
        /* Another round is another order. */
        if (cases[i].config.batch < ROWS) {
            memcpy(moved, f.start, f.n * sizeof *w);
            cv_train_silo(t, &f.data, 5, 9, moved, f.start, correction, &again);
            assert_memory_not_equal(w, moved, f.n * sizeof *w);
        }
        cv_trainer_destroy(&t);
        free(room);
        drop(&f);
    }
}

/* A batch of more rows than are kept in memory at a time. */
static void test_large_batch(void **state)
{
    (void)state;
    enum { MANY = 5003 };
    ref_model ref = ref_make(&logistic);
    cv_model *model;
    assert_int_equal(cv_model_create(&logistic, &model, NULL), 0);
    size_t n = ref_n(&ref);
    float *x = CV_NEW(MANY * 9, float), *y = CV_NEW(MANY, float);
    float *w = CV_NEW(n, float);
    double *v = CV_NEW(n, double), *g = CV_NEW(n, double);
    ref_data(&ref, x, y, MANY, 3);
    ref_params(&ref, w, 4);
    for (size_t i = 0; i < n; i++)
        v[i] = (double)w[i];
    for (int step = 0; step < 3; step++) {
        memset(g, 0, n * sizeof *g);
        for (int i = 0; i < MANY; i++)
            ref_add_gradient(&ref, g, v, x + 9 * i, y[i]);
        for (size_t i = 0; i < n; i++)
            v[i] -= 0.5 * g[i] / MANY;
    }
    cv_train_config c = {.steps = 3, .batch = 100000, .learning_rate = 0.5};
    cv_samples data = {MANY, 9, 0, x, y, NULL, NULL};
    cv_trainer *t = cv_trainer_create(model, &c, 0, 1, NULL, NULL);
    cv_train_result r;
    cv_train_silo(t, &data, 0, 0, w, NULL, NULL, &r);
    compare("large batch", w, v, n, 1e-5);
    assert_int_equal(r.rows_seen, 3 * MANY);
    cv_trainer_destroy(&t);
    cv_model_destroy(&model);
    free(x);
    free(y);
    free(w);
    free(v);
    free(g);
}

static void test_edges(void **state)
{
    (void)state;
    fixture f = make(&logistic, ROWS);
    cv_train_config c = {.epochs = 2, .batch = 10, .learning_rate = 0.1};
    assert_int_equal(cv_train_steps(&c, 0), 0);
    assert_int_equal(cv_train_steps(&c, 1), 2);
    assert_int_equal(cv_train_steps(&c, 10), 2);
    assert_int_equal(cv_train_steps(&c, 11), 4);
    /* No rows: nothing happens. */
    cv_trainer *t = cv_trainer_create(f.model, &c, 0, 1, NULL, NULL);
    cv_samples none = f.data;
    none.n_rows = 0;
    cv_train_result r;
    float *w = CV_NEW(f.n, float);
    memcpy(w, f.start, f.n * sizeof *w);
    cv_train_silo(t, &none, 0, 0, w, NULL, NULL, &r);
    assert_memory_equal(w, f.start, f.n * sizeof *w);
    assert_true(r.steps == 0 && r.rows_seen == 0 && r.loss_sum == 0 &&
                r.finite);
    /* Not finite, in the data or in the model, shows. */
    w[1] = INFINITY;
    cv_train_silo(t, &f.data, 0, 0, w, NULL, NULL, &r);
    assert_int_equal(r.finite, 0);
    memcpy(w, f.start, f.n * sizeof *w);
    f.x[7] = NAN;
    cv_train_silo(t, &f.data, 0, 0, w, NULL, NULL, &r);
    assert_int_equal(r.finite, 0);
    cv_trainer_destroy(&t);
    cv_trainer_destroy(&t);
    /* So does a last step that leaves the range of float. */
    f.x[7] = 0;
    c = (cv_train_config){.steps = 1, .batch = ROWS, .learning_rate = 1e40};
    t = cv_trainer_create(f.model, &c, 0, 1, NULL, NULL);
    memcpy(w, f.start, f.n * sizeof *w);
    cv_train_silo(t, &f.data, 0, 0, w, NULL, NULL, &r);
    assert_true(isfinite(r.loss_sum) && !r.finite);
    cv_trainer_destroy(&t);
    free(w);
    drop(&f);
}

/* ---- rows ---- */

static void test_gather(void **state)
{
    (void)state;
    enum { N = 40, COLS = 37 };
    uint8_t *bytes = CV_NEW(N * COLS, uint8_t);
    float *floats = CV_NEW(N * COLS, float), *out = CV_NEW(N * COLS, float);
    float y[N], got[N], mul[COLS], add[COLS];
    uint32_t idx[] = {39, 0, 7, 7, 12, 38};
    for (int i = 0; i < N * COLS; i++) {
        bytes[i] = (uint8_t)(i * 7);
        floats[i] = (float)bytes[i] * 0.25f;
    }
    for (int i = 0; i < N; i++)
        y[i] = (float)(i * i);
    for (int j = 0; j < COLS; j++) {
        mul[j] = 1.0f / (float)(j + 1);
        add[j] = (float)j - 3.5f;
    }
    for (int how = 0; how < 8; how++) {
        cv_samples s = {N,
                        COLS,
                        how & 1,
                        how & 1 ? (void *)bytes : floats,
                        y,
                        how & 2 ? mul : NULL,
                        how & 2 ? add : NULL};
        int rows = how & 4 ? 6 : 11;
        cv_samples_prefetch(&s, idx, 6);
        cv_samples_gather(&s, how & 4 ? idx : NULL, 29, rows, out, got);
        for (int i = 0; i < rows * COLS; i++) {
            int row = how & 4 ? (int)idx[i / COLS] : 29 + i / COLS;
            int j = i % COLS;
            float x =
                how & 1 ? (float)bytes[row * COLS + j] : floats[row * COLS + j];
            volatile float product = how & 2 ? x * mul[j] : x;
            assert_true(out[i] == (how & 2 ? product + add[j] : x));
            assert_true(got[i / COLS] == y[row]);
        }
    }
    free(bytes);
    free(floats);
    free(out);
}

/* Sums do not depend on how the rows are cut. */
static void test_sums(void **state)
{
    (void)state;
    const cv_model_spec *specs[] = {&logistic, &mlp};
    for (int i = 0; i < 2; i++) {
        fixture f = make(specs[i], ROWS);
        double want[CV_MAX_METRICS] = {0};
        cv_model_work *work = cv_model_work_create(f.model, ROWS);
        cv_model_add_sums(f.model, work, f.start, f.x, f.y, ROWS, want);
        for (int most = 1; most <= ROWS; most += 13) {
            double sums[CV_MAX_METRICS] = {0};
            cv_samples_sums(f.model, work, most, f.start, &f.data, 0, 20, sums);
            cv_samples_sums(f.model, work, most, f.start, &f.data, 20,
                            ROWS - 20, sums);
            for (int j = 0; j < cv_model_n_sums(f.model); j++)
                assert_true(fabs(sums[j] - want[j]) <= 1e-12 * fabs(want[j]));
        }
        cv_model_work_destroy(&work);
        drop(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_loop), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_same_bytes),   cmocka_unit_test(test_large_batch),
        cmocka_unit_test(test_edges),        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
