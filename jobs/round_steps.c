/* A round with record-level privacy and distributed noise: training.local.steps
 * steps that all silos take together.  In each, every silo draws its own Poisson
 * sample, sums the clipped gradients of its records as integers, adds its share
 * of the noise, and the masked sum of all is the step's gradient.  Nobody sees a
 * silo's gradient, and the sum is private as it is.
 *
 * The cost of the whole round is charged before its first step.  No step is
 * journaled on its own, which would add an fsync to each at every silo (some
 * 0.2 ms, tests/bench/bench_journal.c): a round that a kill cut short is drawn
 * anew and charged again. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/fs.h"
#include "core/hkdf.h"
#include "core/mem.h"
#include "core/secret.h"
#include "jobs/budget.h"
#include "jobs/masked.h"
#include "jobs/round.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"
#include "privacy/field.h"
#include "privacy/sampling.h"
#include "solver/private_gradient.h"
#include "solver/private_train.h"

typedef struct {
    cv_run *run;
    cv_attempt at;
    uint8_t *keys;    /* (n_hosted, 2, 32) of the round: sample, noise */
    cv_dgauss *noise; /* one silo's share */
    uint32_t *idx;    /* sampled rows */
    float *w;         /* (n) the moving model: payload[0] */
    float *grad;      /* (n) on leaders */
    double divisor;   /* public: weighted batches of all members */
    void *words;      /* (n) of a rank that is not a leader */
} stepping;

static void round_keys(stepping *k)
{
    cv_run *run = k->run;
    double sigma = run->budget->multiplier * run->budget->sensitivity;
    for (int s = 0; s < run->fed.n_hosted; s++) {
        uint8_t *key = k->keys + 64 * s;
        cv_private_key(run, s, key, "sample", &k->at, sigma);
        if (cv_fed_is_leader(&run->fed))
            cv_private_key(run, s, key + 32, "noise", &k->at, sigma);
    }
}

static void step_key(uint8_t out[32], const uint8_t key[32], int64_t step)
{
    uint8_t info[8];
    cv_put_le64(info, (uint64_t)step);
    cv_hkdf_expand(out, 32, key, info, sizeof info);
}

static size_t word_size(const cv_run *run)
{
    return run->secure->wide ? 8 : 4;
}

/* This rank's part of one silo's noised gradient sum. */
static void silo_words(stepping *k, int s, int64_t step, uint8_t *key)
{
    cv_run *run = k->run;
    const cv_fed *fed = &run->fed;
    cv_hosted *h = &run->hosted[s];
    int wide = run->secure->wide;
    void *y = cv_fed_is_leader(fed) ? run->secure->y[s] : k->words;
    double factor = cv_masked_public_factor(run, h->index);
    memset(y, 0, run->n * word_size(run));
    step_key(key, k->keys + 64 * s, step);
    int64_t n = cv_poisson_sample(k->idx, h->train.n_rows,
                                  run->job->privacy.sampling, key);
    cv_private_grad_add(run->private_grad, &h->train, k->idx, n, k->w, factor,
                        fed->part, fed->n_parts, y);
    if (fed->n_parts > 1)
        cv_masked_sum_silo_all(run, y, run->n, wide);
    if (cv_fed_is_leader(fed)) {
        step_key(key, k->keys + 64 * s + 32, step);
        cv_masking all = {.noise = k->noise, .noise_key = key};
        cv_masked_words(run, &all, y, run->n);
    }
}

static int take_step(stepping *k, int64_t step, cv_err *err)
{
    cv_run *run = k->run;
    uint8_t *key = cv_secret_alloc(32);
    for (int s = 0; s < run->fed.n_hosted; s++)
        if (cv_attempt_has(&k->at, run->hosted[s].index))
            silo_words(k, s, step, key);
    cv_secret_free(key);
    int rc = cv_masked_sum_all(run, &k->at, run->n, err);
    if (rc)
        return rc;
    if (cv_fed_is_leader(&run->fed)) {
        if (run->secure->wide)
            cv_f61_decode(k->grad, run->secure->sum, run->n,
                          run->budget->exponent, k->divisor);
        else
            cv_f32_decode(k->grad, run->secure->sum, run->n,
                          run->budget->exponent, k->divisor);
        cv_private_step(&run->train, k->w, run->velocity, run->w, k->grad,
                        run->n);
    }
    cv_bcast_bytes_all(run->fed.silo, k->w, run->n * sizeof *k->w, 0);
    return 0;
}

static int begin(stepping *k, cv_err *err)
{
    cv_run *run = k->run;
    cv_segment cost;
    for (int i = 0; i < run->fed.n_silos; i++)
        run->status[i] = CV_SILO_READY;
    int rc =
        cv_attempt_begin_all(run, &k->at, run->round + 1, run->status, 0, err);
    if (rc)
        return rc;
    cv_budget_round(run, &k->at, &cost);
    cv_journal_cost entry = cv_budget_cost(run, &cost);
    rc = cv_attempt_spend_all(run, &k->at, &entry, NULL, err);
    if (rc)
        return rc;
    cv_budget_charge(run, &cost);
    round_keys(k);
    CV_CHECK(cv_dgauss_create(cv_budget_share(run, &k->at), 0, &k->noise,
                              NULL) == 0);
    for (int i = 0; i < k->at.n; i++)
        k->divisor += run->job->training.local.batch *
                      cv_masked_public_factor(run, k->at.member[i]);
    return 0;
}

static int64_t most_rows(const cv_run *run)
{
    int64_t n = 1;
    for (int s = 0; s < run->fed.n_hosted; s++)
        if (run->hosted[s].n_train > n)
            n = run->hosted[s].n_train;
    return n;
}

int cv_round_steps_all(cv_run *run, cv_err *err)
{
    size_t n = run->n, secret = 64 * (size_t)run->fed.n_hosted;
    stepping k = {.run = run,
                  .keys = cv_secret_alloc(secret),
                  .idx = CV_NEW(most_rows(run), uint32_t),
                  .w = run->payload[0],
                  .grad = CV_NEW(n, float)};
    double update = 0.0, seconds[CV_N_PHASES] = {0}, t0 = cv_now();
    if (!cv_fed_is_leader(&run->fed))
        k.words = cv_calloc(n, word_size(run));
    memcpy(k.w, run->w, n * sizeof *k.w);
    if (run->velocity)
        memset(run->velocity, 0, n * sizeof *run->velocity);

    int rc = begin(&k, err);
    for (int64_t step = 0; step < run->train.steps && !rc; step++)
        rc = take_step(&k, step, err);
    if (rc)
        goto out;
    for (size_t i = 0; i < n; i++) /* the common change is the mean change */
        k.w[i] -= run->w[i];
    rc = cv_round_step_all(run, 1.0, &update, err);
    if (rc)
        goto out;
    seconds[CV_PHASE_TRAIN] = cv_now() - t0;
    cv_history_row *h = cv_round_record(run, k.at.n, NAN, update, seconds);
    rc = cv_masked_evaluate_all(run, &k.at, h->metrics, err);
    cv_masked_end_round(run, &k.at, h);
out:
    cv_attempt_end(&k.at);
    cv_dgauss_destroy(&k.noise);
    cv_secret_free(k.keys);
    cv_wipe(k.idx, (size_t)most_rows(run) * sizeof *k.idx); /* who was drawn */
    free(k.idx);
    free(k.grad);
    free(k.words);
    return rc;
}
