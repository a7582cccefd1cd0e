/* Steps with noise: the SGD step, decoding, and whole rounds against the same
 * round written down from public functions. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "core/hkdf.h"
#include "core/mem.h"
#include "core/rand.h"
#include "core/tagged.h"
#include "privacy/field.h"
#include "privacy/sampling.h"
#include "solver/blas.h"
#include "solver/private_gradient.h"
#include "solver/private_train.h"
#include "tests/solver/fixture.h"

enum { ROWS = 900, MAX_PARTS = 4 };

static const int hidden[] = {12};
static const cv_model_spec logistic = {"logistic", "relu", 9, 2, 0, NULL};
static const cv_model_spec mlp = {"mlp", "tanh", 9, 4, 1, hidden};
/* Enough parameters for several pieces of noise, the last one short. */
static const int broad[] = {700};
static const cv_model_spec large = {"mlp", "relu", 60, 10, 1, broad};

/* steps, learning rate, momentum, weight decay, proximal */
static const struct {
    const char *name;
    cv_train_config config;
} cases[] = {
    {"plain", {0, 4, 0, 0.1, 0, 0, 0, 0}},
    {"momentum", {0, 4, 0, 0.05, 0.9, 0, 0, 0}},
    {"decay", {0, 3, 0, 0.1, 0, 0.1, 0, 0}},
    {"proximal", {0, 3, 0, 0.1, 0, 0, 0.5, 0}},
    {"everything", {0, 4, 0, 0.05, 0.8, 0.05, 0.3, 0}},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static const uint8_t sample_key[32] = {1, 2, 3}, noise_key[32] = {4, 5, 6};

static cv_private_local local_of(double sigma)
{
    return (cv_private_local){0.3, cv_variance_at_least(sigma), 0.3 * ROWS,
                              sample_key, noise_key};
}

/* ---- one step ---- */

static float *randoms(size_t n, uint64_t seed)
{
    float *v = CV_NEW(n, float);
    cv_stream s;
    cv_stream_open(&s, seed, "private step", n, 0);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)cv_stream_normal(&s);
    cv_stream_close(&s);
    return v;
}

/* The formula in one order of operations, element by element, each rounded to
 * float: these are the bytes on every CPU. */
static void steps_have_their_bytes(void **state)
{
    (void)state;
    enum { N = 1237 };
    for (int i = 0; i < N_CASES; i++) {
        const cv_train_config *c = &cases[i].config;
        float *w = randoms(N, 1), *start = randoms(N, 2), *v = randoms(N, 3);
        float *old = randoms(N, 1), *old_v = randoms(N, 3);
        float *grad = randoms(N, 4);
        /* In pieces, without what is not needed. */
        for (size_t at = 0; at < N; at += 100)
            cv_private_step(c, w + at, c->momentum != 0 ? v + at : NULL,
                            c->proximal != 0 ? start + at : NULL, grad + at,
                            N - at < 100 ? N - at : 100);
        for (int k = 0; k < N; k++) {
            float want = 0;
            if (c->momentum != 0)
                want = (float)c->momentum * old_v[k];
            if (c->weight_decay != 0)
                want = want + (float)c->weight_decay * old[k];
            if (c->proximal != 0)
                want = want + (float)c->proximal * (old[k] - start[k]);
            want = want + grad[k];
            assert_true(c->momentum == 0 || v[k] == want);
            assert_true(w[k] == old[k] - (float)c->learning_rate * want);
        }
        free(w);
        free(start);
        free(v);
        free(old);
        free(old_v);
        free(grad);
    }
}

/* The step is cv_train_silo's: the same batch in both. */
static void steps_are_those_of_plain_training(void **state)
{
    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        fixture f = make(&mlp, ROWS);
        cv_train_config c = cases[i].config;
        c.batch = ROWS;
        float *w = CV_NEW(f.n, float), *v = CV_NEW(f.n, float);
        float *grad = CV_NEW(f.n, float), *want = CV_NEW(f.n, float);
        cv_model_work *work = cv_model_work_create(f.model, ROWS);
        cv_trainer *t = cv_trainer_create(f.model, &c, 0, 1, NULL, NULL);
        cv_train_result r;
        double loss;
        memcpy(w, f.start, f.n * sizeof *w);
        memcpy(want, f.start, f.n * sizeof *w);
        cv_train_silo(t, &f.data, 0, 0, want, f.start, NULL, &r);
        for (int s = 0; s < c.steps; s++) {
            cv_model_gradient(f.model, work, w, f.x, f.y, ROWS, 1.0f / ROWS, 0,
                              grad, &loss);
            cv_private_step(&c, w, v, f.start, grad, f.n);
        }
        for (size_t k = 0; k < f.n; k++)
            assert_true(fabsf(w[k] - want[k]) < 1e-5f * (1 + fabsf(want[k])));
        cv_trainer_destroy(&t);
        cv_model_work_destroy(&work);
        free(w);
        free(v);
        free(grad);
        free(want);
        drop(&f);
    }
}

static void decoding_clears_the_words(void **state)
{
    (void)state;
    uint32_t a[] = {0, 1, CV_P32 - 1, CV_P32 - 1024, 1u << 30};
    uint64_t b[] = {0, 1, CV_P61 - 1, CV_P61 - 1024, UINT64_C(1) << 50};
    float x[5], y[5];
    cv_private_decode(x, a, 5, -3, 16, 0);
    cv_private_decode(y, b, 5, -3, 16, 1);
    const float want[] = {0, 0.0078125f, -0.0078125f, -8, 8388608};
    for (int i = 0; i < 5; i++) {
        assert_true(x[i] == want[i] && (i == 4 || y[i] == want[i]));
        assert_true(a[i] == 0 && b[i] == 0);
    }
    assert_true(y[4] == 0x1p43f);
}

/* ---- rounds ---- */

static void step_key(uint8_t key[32], const uint8_t round_key[32],
                     const char *tag, int64_t step)
{
    uint8_t number[8], info[32];
    cv_put_le64(number, (uint64_t)step);
    cv_part part = {number, 8};
    cv_tagged_hash(info, tag, &part, 1);
    cv_hkdf_expand(key, 32, round_key, info, 32);
}

/* One round, step by step, whole vectors at a time. */
static void plain_round(const fixture *f, const cv_train_config *c, double clip,
                        int exponent, int wide, const cv_private_local *local,
                        float *w)
{
    cv_private_grad *p = cv_private_grad_create(f->model, clip, exponent, wide);
    uint64_t *acc = CV_NEW(f->n, uint64_t);
    int64_t *noise = CV_NEW(f->n, int64_t);
    float *grad = CV_NEW(f->n, float), *v = CV_NEW(f->n, float);
    uint32_t idx[ROWS];
    uint8_t key[32];
    cv_dgauss *d;
    assert_int_equal(cv_dgauss_create(local->variance, 0, &d, NULL), 0);
    memcpy(w, f->start, f->n * sizeof *w);
    for (int64_t s = 0; s < c->steps; s++) {
        step_key(key, local->sample_key, "covey dp-sgd sample v1", s);
        int64_t n =
            cv_poisson_sample(idx, f->data.n_rows, local->sampling, key);
        cv_private_grad_add(p, &f->data, idx, n, w, 1, 0, 1, acc);
        step_key(key, local->noise_key, "covey dp-sgd noise v1", s);
        memset(noise, 0, f->n * sizeof *noise);
        cv_dgauss_add_i64(d, noise, f->n, key, 0);
        for (size_t i = 0; i < f->n; i++) {
            int64_t x = wide ? cv_f61_centre(acc[i])
                             : cv_f32_centre(((uint32_t *)acc)[i]);
            grad[i] = (float)((double)(x + noise[i]) *
                              (ldexp(1, exponent) / local->divisor));
        }
        memset(acc, 0, f->n * sizeof *acc);
        cv_private_step(c, w, v, f->start, grad, f->n);
    }
    cv_dgauss_destroy(&d);
    cv_private_grad_destroy(&p);
    free(acc);
    free(noise);
    free(grad);
    free(v);
}

static void rounds_are_what_they_are_made_of(void **state)
{
    (void)state;
    const cv_model_spec *specs[] = {&logistic, &mlp, &large};
    for (int i = 0; i < 3 * 2 * N_CASES; i++) {
        fixture f = make(specs[i % 3], ROWS);
        const cv_train_config *c = &cases[i / 6].config;
        int wide = i / 3 % 2, exponent = wide ? -30 : -14, finite = 0;
        cv_private_local local = local_of(wide ? 1e8 : 5000);
        float *w = CV_NEW(f.n, float), *want = CV_NEW(f.n, float);
        cv_blas_set_threads(i % 2 + 1);
        cv_private_trainer *t = cv_private_trainer_create(
            f.model, c, 0.5, exponent, wide, 0, 1, NULL, NULL);
        /* Twice: nothing of a round may stay in the trainer. */
        for (int round = 0; round < 2; round++) {
            uint8_t key[32] = {(uint8_t)round, 9};
            local.noise_key = key;
            plain_round(&f, c, 0.5, exponent, wide, &local, want);
            memcpy(w, f.start, f.n * sizeof *w);
            assert_int_equal(cv_private_train_silo(t, &f.data, &local, w,
                                                   f.start, &finite, NULL),
                             0);
            assert_int_equal(finite, 1);
            assert_memory_equal(w, want, f.n * sizeof *w);
        }
        cv_private_trainer_destroy(&t);
        free(w);
        free(want);
        drop(&f);
    }
    cv_blas_set_threads(1);
}

/* ---- several ranks share a silo: threads that add through memory ---- */

typedef struct {
    pthread_barrier_t barrier;
    int n_parts;
    void *words[MAX_PARTS];
} meeting;

typedef struct {
    meeting *m;
    int part, wide, at;
    const fixture *f;
    float *w;
} rank;

static void add_up(void *ctx, void *words, size_t n, int wide)
{
    rank *r = ctx;
    meeting *m = r->m;
    m->words[r->part] = words;
    assert_int_equal(wide, r->wide);
    pthread_barrier_wait(&m->barrier);
    uint64_t *sum = CV_NEW(n, uint64_t);
    for (int p = 0; p < m->n_parts; p++)
        if (wide)
            cv_f61_add_all(sum, m->words[p], n);
        else
            cv_f32_add_all((uint32_t *)sum, m->words[p], n);
    pthread_barrier_wait(&m->barrier);
    memcpy(words, sum, n * (wide ? 8 : 4));
    free(sum);
    pthread_barrier_wait(&m->barrier);
}

static void *run_rank(void *arg)
{
    rank *r = arg;
    int finite;
    cv_private_local local = local_of(r->wide ? 1e8 : 5000);
    local.sampling = 0.9;
    cv_private_trainer *t = cv_private_trainer_create(
        r->f->model, &cases[r->at].config, 0.5, r->wide ? -30 : -14, r->wide,
        r->part, r->m->n_parts, add_up, r);
    memcpy(r->w, r->f->start, r->f->n * sizeof *r->w);
    cv_private_train_silo(t, &r->f->data, &local, r->w, r->f->start, &finite,
                          NULL);
    cv_private_trainer_destroy(&t);
    return NULL;
}

static void parts_end_with_the_same_parameters(void **state)
{
    (void)state;
    fixture f = make(&mlp, ROWS);
    float *want = CV_NEW(f.n, float);
    for (int i = 0; i < 2 * N_CASES; i++)
        for (int n_parts = 1; n_parts <= MAX_PARTS; n_parts++) {
            meeting m = {.n_parts = n_parts};
            rank ranks[MAX_PARTS];
            pthread_t threads[MAX_PARTS];
            pthread_barrier_init(&m.barrier, NULL, (unsigned)n_parts);
            for (int p = 0; p < n_parts; p++) {
                ranks[p] = (rank){&m, p, i % 2, i / 2, &f, CV_NEW(f.n, float)};
                assert_int_equal(
                    pthread_create(&threads[p], NULL, run_rank, &ranks[p]), 0);
            }
            for (int p = 0; p < n_parts; p++) {
                pthread_join(threads[p], NULL);
                if (n_parts == 1)
                    memcpy(want, ranks[p].w, f.n * sizeof *want);
            }
            for (int p = 0; p < n_parts; p++) {
                assert_memory_equal(ranks[p].w, want, f.n * sizeof *want);
                free(ranks[p].w);
            }
            pthread_barrier_destroy(&m.barrier);
        }
    free(want);
    drop(&f);
}

/* ---- nothing but noise ---- */

/* Without rows a round still takes its steps, and w moves by lr/divisor times
 * the sum of their noise. */
static void an_empty_batch_is_noise(void **state)
{
    (void)state;
    fixture f = make(&large, ROWS);
    const double sigma = 3000, grid = 0x1p-14;
    cv_train_config c = {.steps = 5, .learning_rate = 0.25};
    cv_private_local local = local_of(sigma);
    float *w[3];
    int finite;
    cv_private_trainer *t =
        cv_private_trainer_create(f.model, &c, 0.5, -14, 0, 0, 1, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        w[i] = CV_NEW(f.n, float);
        cv_samples data = f.data;
        if (i == 0)
            data.n_rows = 0;
        local.sampling = i == 1 ? 0.0 : 0.5;
        assert_int_equal(
            cv_private_train_silo(t, &data, &local, w[i], NULL, &finite, NULL),
            0);
        assert_int_equal(finite, 1);
    }
    assert_memory_equal(w[0], w[1], f.n * sizeof *w[0]);
    assert_memory_not_equal(w[0], w[2], f.n * sizeof *w[0]);
    double sum = 0, squares = 0, n = (double)f.n;
    for (size_t i = 0; i < f.n; i++) {
        sum += (double)w[0][i];
        squares += (double)w[0][i] * (double)w[0][i];
    }
    double want = sqrt(5) * sigma * grid * 0.25 / local.divisor;
    assert_true(fabs(sum / n) < 5 * want / sqrt(n));
    assert_true(fabs(sqrt(squares / n) / want - 1) < 5 / sqrt(2 * n));
    cv_private_trainer_destroy(&t);
    for (int i = 0; i < 3; i++)
        free(w[i]);
    drop(&f);
}

/* Every step has keys of its own, and the two keys do not stand in for each
 * other. */
static void keys_decide(void **state)
{
    (void)state;
    fixture f = make(&logistic, ROWS);
    cv_train_config c = {.steps = 1, .learning_rate = 1};
    float w[4][10], twice[10];
    int finite;
    uint8_t other[32] = {77};
    assert_int_equal(f.n, 10);
    cv_private_local local = local_of(300);
    cv_private_trainer *t =
        cv_private_trainer_create(f.model, &c, 0.5, -14, 0, 0, 1, NULL, NULL);
    for (int i = 0; i < 4; i++) {
        local.sample_key = i == 1 ? other : sample_key;
        local.noise_key = i == 2 ? other : noise_key;
        memcpy(w[i], f.start, sizeof w[i]);
        cv_private_train_silo(t, &f.data, &local, w[i], NULL, &finite, NULL);
    }
    assert_memory_equal(w[0], w[3], sizeof w[0]);
    assert_memory_not_equal(w[0], w[1], sizeof w[0]);
    assert_memory_not_equal(w[0], w[2], sizeof w[0]);
    cv_private_trainer_destroy(&t);
    /* Of two steps without rows the second moves w elsewhere. */
    c.steps = 2;
    local = local_of(300);
    local.sampling = 0;
    t = cv_private_trainer_create(f.model, &c, 0.5, -14, 0, 0, 1, NULL, NULL);
    memset(twice, 0, sizeof twice);
    memset(w[0], 0, sizeof w[0]);
    cv_private_train_silo(t, &f.data, &local, twice, NULL, &finite, NULL);
    cv_private_trainer_destroy(&t);
    c.steps = 1;
    t = cv_private_trainer_create(f.model, &c, 0.5, -14, 0, 0, 1, NULL, NULL);
    cv_private_train_silo(t, &f.data, &local, w[0], NULL, &finite, NULL);
    int same = 0;
    for (int i = 0; i < 10; i++)
        same += twice[i] == 2 * w[0][i];
    assert_true(same < 5);
    cv_private_trainer_destroy(&t);
    drop(&f);
}

static void a_model_that_diverged_goes_on(void **state)
{
    (void)state;
    static const float bad[] = {INFINITY, NAN};
    for (int i = 0; i < 2 * N_CASES; i++) {
        fixture f = make(&mlp, ROWS);
        float *w = CV_NEW(f.n, float);
        int finite = 1;
        cv_private_local local = local_of(5000);
        cv_private_trainer *t = cv_private_trainer_create(
            f.model, &cases[i / 2].config, 0.5, -14, 0, 0, 1, NULL, NULL);
        memcpy(w, f.start, f.n * sizeof *w);
        w[f.n / 2] = bad[i % 2];
        assert_int_equal(cv_private_train_silo(t, &f.data, &local, w, f.start,
                                               &finite, NULL),
                         0);
        assert_int_equal(finite, 0);
        assert_false(isfinite(w[f.n / 2]));
        /* The next round starts from a good model again. */
        memcpy(w, f.start, f.n * sizeof *w);
        cv_private_train_silo(t, &f.data, &local, w, f.start, &finite, NULL);
        assert_int_equal(finite, 1);
        cv_private_trainer_destroy(&t);
        free(w);
        drop(&f);
    }
}

static void noise_that_cannot_be_drawn_is_an_error(void **state)
{
    (void)state;
    fixture f = make(&logistic, ROWS);
    float w[10];
    cv_err err;
    int finite;
    memcpy(w, f.start, sizeof w);
    for (int wide = 0; wide < 2; wide++) {
        cv_private_trainer *t = cv_private_trainer_create(
            f.model, &cases[0].config, 0.5, -14, wide, 0, 1, NULL, NULL);
        cv_private_local local = local_of(5000);
        local.variance = (cv_variance){1, 17};
        assert_int_equal(
            cv_private_train_silo(t, &f.data, &local, w, NULL, &finite, &err),
            CV_ERR_INPUT);
        /* 13 sigma must fit a narrow word. */
        local.variance = cv_variance_at_least(0x1p29);
        int rc =
            cv_private_train_silo(t, &f.data, &local, w, NULL, &finite, &err);
        assert_int_equal(rc, wide ? 0 : CV_ERR_INPUT);
        if (!wide)
            assert_memory_equal(w, f.start, sizeof w);
        cv_private_trainer_destroy(&t);
    }
    drop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_have_their_bytes),
        cmocka_unit_test(steps_are_those_of_plain_training),
        cmocka_unit_test(decoding_clears_the_words),
        cmocka_unit_test(rounds_are_what_they_are_made_of),
        cmocka_unit_test(parts_end_with_the_same_parameters),
        cmocka_unit_test(an_empty_batch_is_noise),
        cmocka_unit_test(keys_decide),
        cmocka_unit_test(a_model_that_diverged_goes_on),
        cmocka_unit_test(noise_that_cannot_be_drawn_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
