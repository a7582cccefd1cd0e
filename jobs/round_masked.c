/* A round with one masked sum: each silo's update is clipped, quantised, noised
 * if the job says so, masked, and summed; what cannot travel in clear (weights,
 * losses, rows) rides along as masked numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/fs.h"
#include "core/mem.h"
#include "core/secret.h"
#include "jobs/budget.h"
#include "jobs/masked.h"
#include "jobs/rewards.h"
#include "jobs/round.h"
#include "jobs/round_groups.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"
#include "privacy/clip.h"
#include "privacy/field.h"
#include "solver/private_train.h"

/* Numbers that ride along without privacy; with it they are public constants or
 * nobody's business. */
enum { N_WEIGHT, N_SCALED_WEIGHT, N_LOSS, N_ROWS, N_NUMBERS };

typedef struct {
    cv_run *run;
    cv_attempt at;
    int groups;      /* blocks of a vector: 1 but in round_groups.h's round */
    size_t block;    /* words of one */
    size_t d;        /* words of a silo's vector */
    size_t noisy;    /* of these get noise: the first ones */
    int bit;         /* 1: the last of them is the adaptive clip's bit */
    void **y;        /* (n_hosted) */
    uint8_t *vector; /* (n_hosted, 32) digests of the noised vectors */
    double *number;  /* (n_hosted, N_NUMBERS) */
    double total[N_NUMBERS];
} masked;

static int silo_noise(const cv_run *run)
{
    return run->job->privacy.enabled && run->job->privacy.unit == CV_UNIT_SILO;
}

/* Weight of a silo's update in the sum. Public ones are at most 1, so that a
 * clipped update stays clipped. */
static double factor_of(const cv_run *run, const cv_hosted *h)
{
    return run->job->training.weights == CV_WEIGHTS_ROWS
               ? (double)h->n_train
               : cv_masked_public_factor(run, h->index);
}

/* ---- one silo's vector -------------------------------------------------------
 */

static void *part_of(const cv_run *run, void *y, size_t at)
{
    return run->secure->wide ? (void *)((uint64_t *)y + at)
                             : (void *)((uint32_t *)y + at);
}

/* Where a hosted silo's block begins. */
static size_t block_of(const masked *m, int s)
{
    const cv_fed *fed = &m->run->fed;
    return m->block * (size_t)cv_rewards_group(m->run->hosted[s].index,
                                               fed->n_silos, m->groups);
}

static void move_state(const cv_run *run, cv_hosted *h)
{
    for (size_t i = 0; i < run->n; i++)
        h->next[0][i] = h->state[0][i] + run->payload[1][i];
}

/* Clip all payloads as one vector, and quantise them. */
static void encode_payloads(masked *m, int s, double factor, double scale)
{
    cv_run *run = m->run;
    const cv_budget *b = run->budget;
    int k, n_payload = run->strategy->n_payload;
    double norm = 0.0;
    float *part[CV_MAX_PAYLOAD];
    if (m->groups > 1) /* zeros for the other groups */
        memset(m->y[s], 0, m->d * (run->secure->wide ? 8 : 4));
    for (k = 0; k < n_payload; k++)
        part[k] = run->payload[k];
    /* FedNova's a may be below 1: what is clipped is what is sent. */
    for (size_t i = 0; scale != 1.0 && i < run->n; i++)
        part[0][i] = (float)((double)part[0][i] / scale);
    if (cv_clip_joint(&norm, part, (size_t)n_payload, run->n, b->update_clip,
                      NULL))
        for (k = 0; k < n_payload; k++) /* not finite: as if there were none */
            memset(part[k], 0, run->n * sizeof *part[k]);
    if (run->strategy->n_silo) /* the control moves by what is sent */
        move_state(run, &run->hosted[s]);
    for (k = 0; k < n_payload; k++) {
        void *out = part_of(run, m->y[s], block_of(m, s) + (size_t)k * run->n);
        if (run->secure->wide)
            cv_f61_encode(out, part[k], NULL, run->n, factor,
                          b->update_exponent);
        else
            cv_f32_encode(out, part[k], NULL, run->n, factor,
                          b->update_exponent);
    }
    if (m->bit)
        cv_masked_put(run, m->y[s], m->noisy - 1,
                      cv_clip_bit(norm, b->clip) *
                          (int64_t)(cv_budget_bit(run, b->exponent) / 2.0));
}

/* SCAFFOLD's control moves by what has been noised, not by what has not. */
static void state_from_noised(masked *m, int s, double factor)
{
    cv_run *run = m->run;
    cv_hosted *h = &run->hosted[s];
    if (!run->strategy->n_silo)
        return;
    const void *words = part_of(run, m->y[s], run->n);
    if (run->secure->wide)
        cv_f61_decode(run->payload[1], words, run->n,
                      run->budget->update_exponent, factor);
    else
        cv_f32_decode(run->payload[1], words, run->n,
                      run->budget->update_exponent, factor);
    move_state(run, h);
}

/* Once the roster is known, for the numbers have masks of their own. */
static void put_numbers(masked *m)
{
    cv_run *run = m->run;
    if (!cv_fed_is_leader(&run->fed))
        return;
    for (int s = 0; s < run->fed.n_hosted; s++)
        for (int k = 0; k < m->groups * N_NUMBERS &&
                        cv_attempt_has(&m->at, run->hosted[s].index);
             k++) {
            size_t block = m->block * (size_t)(k / N_NUMBERS);
            int number = k % N_NUMBERS;
            (void)cv_masked_put_number(
                run, &m->at, s, block + m->noisy + (size_t)number * CV_LIMBS,
                block == block_of(m, s) ? m->number[s * N_NUMBERS + number]
                                        : 0.0);
        }
}

/* ---- training ------------------------------------------------------------------
 */

/* Local steps with noise of their own: what comes out is private already. */
static void train_noisy(masked *m, int s)
{
    cv_run *run = m->run;
    cv_hosted *h = &run->hosted[s];
    uint8_t *keys = cv_secret_alloc(64);
    double sigma = run->budget->multiplier * run->budget->sensitivity;
    cv_private_key(run, s, keys, "sample", &m->at, sigma);
    cv_private_key(run, s, keys + 32, "noise", &m->at, sigma);
    cv_masked_train_noisy(run, h, keys, keys + 32,
                          cv_budget_share(run, &m->at));
    cv_secret_free(keys);
}

/* Under privacy nothing that a silo finds changes who takes part: one that has
 * too few rows, or diverges, sends noise and zero. */
static int train_one(masked *m, int s)
{
    cv_run *run = m->run;
    cv_hosted *h = &run->hosted[s];
    double r[CV_R_FIELDS] = {0}, f = factor_of(run, h);
    int is_private = run->job->privacy.enabled;
    CV_CHECK(!is_private || (f > 0.0 && f <= 1.0)); /* the bound is for 1 */
    if (is_private && !silo_noise(run)) {
        train_noisy(m, s);
        r[CV_R_SCALE] = cv_masked_scale(run);
    } else {
        cv_round_train(run, h, r);
        if (run->fed.n_parts > 1)
            cv_masked_share_report(run, r);
    }
    if (is_private && r[CV_R_STATUS] != CV_SILO_READY && silo_noise(run)) {
        for (int k = 0; k < run->strategy->n_payload; k++)
            memset(run->payload[k], 0, run->n * sizeof(float));
        r[CV_R_SCALE] = cv_masked_scale(run);
    } else if (!is_private && r[CV_R_STATUS] != CV_SILO_READY) {
        return (int)r[CV_R_STATUS];
    }
    double *number = m->number + s * N_NUMBERS;
    number[N_WEIGHT] = f;
    number[N_SCALED_WEIGHT] = f * r[CV_R_SCALE];
    number[N_LOSS] = r[CV_R_LOSS];
    number[N_ROWS] = r[CV_R_ROWS];
    if (!cv_fed_is_leader(&run->fed))
        return CV_SILO_READY;
    encode_payloads(m, s, f, r[CV_R_SCALE]);
    if (is_private)
        cv_masked_noise(run, &m->at, s, m->d, silo_noise(run),
                        m->vector + 32 * s);
    if (silo_noise(run))
        state_from_noised(m, s, f);
    return CV_SILO_READY;
}

static void train_members(masked *m)
{
    for (int s = 0; s < m->run->fed.n_hosted; s++)
        if (cv_attempt_has(&m->at, m->run->hosted[s].index))
            train_one(m, s);
}

/* ---- who takes part ---------------------------------------------------------------
 */

/* Without privacy: train first, for whoever diverges stays out. */
static int begin_plain(masked *m, const uint8_t *drawn, cv_err *err)
{
    cv_run *run = m->run;
    for (int s = 0; s < run->fed.n_hosted; s++) {
        int i = run->hosted[s].index;
        run->status[i] = drawn[i] ? train_one(m, s) : CV_SILO_NOT_DRAWN;
    }
    int rc =
        cv_attempt_begin_all(run, &m->at, run->round + 1, run->status, 0, err);
    if (rc == CV_ERR_SILOS)
        return cv_round_too_few(run, m->at.n, err);
    if (!rc) /* members are the same everywhere */
        rc = cv_groups_check(run, &m->at, m->groups, err);
    if (rc)
        return rc;
    put_numbers(m);
    return cv_attempt_spend_all(run, &m->at, NULL, NULL, err);
}

/* With privacy: agree first, for the noise depends on who takes part. A round
 * that was spent before is repeated for nothing if every silo comes to the very
 * vector that its journal has; else it is charged again, with fresh noise. */
static int begin_private(masked *m, const uint8_t *drawn, cv_err *err)
{
    cv_run *run = m->run;
    for (int replay = 1;; replay = 0) {
        for (int i = 0; i < run->fed.n_silos; i++)
            run->status[i] = drawn[i] ? CV_SILO_READY : CV_SILO_NOT_DRAWN;
        int rc = cv_attempt_begin_all(run, &m->at, run->round + 1, run->status,
                                      replay, err);
        if (!rc && m->at.draw == m->at.attempt && run->budget->paid > 0)
            rc = cv_budget_again_all(run, &m->at, err);
        if (rc)
            return rc;
        train_members(m);
        if (m->at.draw == m->at.attempt ||
            cv_attempt_same_vectors_all(run, &m->at, m->vector))
            break;
        cv_attempt_end(&m->at);
    }
    cv_segment cost;
    cv_budget_round(run, &m->at, &cost);
    cv_journal_cost entry = cv_budget_cost(run, &cost);
    int rc = cv_attempt_spend_all(run, &m->at, &entry, m->vector, err);
    if (rc)
        return rc;
    if (m->at.draw == m->at.attempt)
        cv_budget_charge(run, &cost);
    else /* charged when it was first spent */
        cv_budget_repeated(run);
    return 0;
}

/* ---- from the sum to the means -------------------------------------------------------
 */

static void decode_numbers(masked *m)
{
    cv_run *run = m->run;
    if (run->job->privacy.enabled) { /* public constants */
        double a = cv_masked_scale(run);
        for (int k = 0; k < m->at.n; k++) {
            double f = cv_masked_public_factor(run, m->at.member[k]);
            m->total[N_WEIGHT] += f;
            m->total[N_SCALED_WEIGHT] += f * a;
        }
        m->total[N_LOSS] = NAN;
        return;
    }
    for (int g = 0; g < m->groups; g++)
        for (int k = 0; k < N_NUMBERS; k++)
            m->total[k] += cv_masked_get_number(
                run, run->secure->sum,
                (size_t)g * m->block + m->noisy + (size_t)k * CV_LIMBS);
}

/* What each group adds, and then the round's own sum. */
static void value_groups_all(masked *m)
{
    cv_run *run = m->run;
    double *weight = CV_NEW(m->groups, double);
    void *sum = run->secure->sum;
    CV_FREE(run->secure->coalition); /* counts are of the newest round */
    run->secure->n_coalitions = 0;
    if (m->groups == 1)
        goto out;
    for (int g = 0; g < m->groups && cv_fed_is_leader(&run->fed); g++)
        weight[g] = cv_masked_get_number(
            run, sum, (size_t)g * m->block + m->noisy + N_WEIGHT * CV_LIMBS);
    cv_groups_value_all(run, m->groups, sum, m->block, weight);
    if (cv_fed_is_leader(&run->fed))
        cv_groups_fold(run, m->groups, sum, m->block, m->noisy);
out:
    free(weight);
}

/* SCAFFOLD's second mean runs over all silos of the job: those that sit out add
 * nothing. */
static double divisor_of(const masked *m, int k)
{
    double w = m->total[N_WEIGHT];
    return k == 0 ? w : w * m->run->fed.n_silos / m->at.n;
}

static void decode_sum(masked *m)
{
    cv_run *run = m->run;
    for (int k = 0; k < run->strategy->n_payload; k++) {
        const void *words = part_of(run, run->secure->sum, (size_t)k * run->n);
        if (run->secure->wide)
            cv_f61_decode(run->payload[k], words, run->n,
                          run->budget->update_exponent, divisor_of(m, k));
        else
            cv_f32_decode(run->payload[k], words, run->n,
                          run->budget->update_exponent, divisor_of(m, k));
    }
}

/* The share of updates within the clip, from the noisy sum of bits. The root's
 * exp is everyone's, to the last bit; the rest is found by each leader. */
static int adapt_clip_all(masked *m, cv_err *err)
{
    cv_run *run = m->run;
    double mine = 0.0, next;
    int rc = 0;
    if (!m->bit)
        return 0;
    if (cv_fed_is_leader(&run->fed)) {
        double half = cv_budget_bit(run, run->budget->exponent) / 2.0;
        int64_t q = cv_masked_get(run, run->secure->sum, m->noisy - 1);
        mine = cv_clip_next(run->budget->clip,
                            cv_clip_fraction((double)q / half, m->at.n),
                            run->job->privacy.adaptive.quantile,
                            run->job->privacy.adaptive.rate);
        mine = fmin(fmax(mine, 1e-12), 1e12);
    }
    next = mine;
    cv_bcast_bytes_all(run->fed.world, &next, sizeof next, 0);
    if (cv_fed_is_leader(&run->fed) && !(fabs(next / mine - 1.0) < 1e-9))
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                        "round %lld: rank 0 gave another clip than the sum "
                        "does",
                        (long long)m->at.round);
    rc = cv_agree_all(run->fed.world, rc, err);
    if (!rc)
        cv_budget_set_clip(run, next);
    return rc;
}

static void keep_states(masked *m)
{
    for (int s = 0; s < m->run->fed.n_hosted; s++)
        if (cv_attempt_has(&m->at, m->run->hosted[s].index))
            cv_round_keep_state(m->run, &m->run->hosted[s]);
}

/* ---- the round -----------------------------------------------------------------------
 */

static int finish(masked *m, const double t[3], cv_err *err)
{
    cv_run *run = m->run;
    double update = 0.0, seconds[CV_N_PHASES] = {0}, loss;
    int leader = cv_fed_is_leader(&run->fed);
    if (leader)
        decode_numbers(m);
    value_groups_all(m);
    if (leader)
        decode_sum(m);
    keep_states(m);
    int rc = adapt_clip_all(m, err);
    if (!rc)
        rc = cv_round_step_all(
            run, m->total[N_SCALED_WEIGHT] / m->total[N_WEIGHT], &update, err);
    if (rc)
        return rc;
    double t3 = cv_now();
    loss = m->total[N_ROWS] > 0.0 ? m->total[N_LOSS] / m->total[N_ROWS] : NAN;
    cv_bcast_bytes_all(run->fed.silo, &loss, sizeof loss, 0);
    seconds[CV_PHASE_TRAIN] = t[1] - t[0];
    seconds[CV_PHASE_SUM] = t3 - t[1];
    cv_history_row *h = cv_round_record(run, m->at.n, loss, update, seconds);
    rc = cv_masked_evaluate_all(run, &m->at, h->metrics, err);
    if (rc)
        return rc;
    h->seconds[CV_PHASE_EVALUATE] = cv_now() - t3;
    cv_masked_end_round(run, &m->at, h);
    return 0;
}

int cv_round_masked_all(cv_run *run, cv_err *err)
{
    int hosted = run->fed.n_hosted, is_private = run->job->privacy.enabled;
    size_t n = run->n * (size_t)run->strategy->n_payload;
    masked m = {.run = run,
                .bit = run->job->privacy.adaptive.enabled,
                .y = run->secure->y,
                .vector = CV_NEW(32 * (size_t)hosted, uint8_t),
                .number = CV_NEW((size_t)hosted * N_NUMBERS, double)};
    m.noisy = n + (size_t)m.bit;
    m.groups = cv_groups_of_round(run);
    m.block = m.noisy + (is_private ? 0 : (size_t)N_NUMBERS * CV_LIMBS);
    m.d = m.block * (size_t)m.groups;
    uint8_t *drawn = CV_NEW(run->fed.n_silos, uint8_t);
    int32_t *before = CV_NEW(run->fed.n_silos, int32_t);
    memcpy(before, run->status, (size_t)run->fed.n_silos * sizeof *before);
    double t[3] = {cv_now()};

    cv_round_draw(run, drawn);
    int rc = is_private ? begin_private(&m, drawn, err)
                        : begin_plain(&m, drawn, err);
    cv_round_tell_out(run, before);
    t[1] = cv_now();
    if (!rc)
        rc = cv_masked_sum_all(run, &m.at, m.d, err);
    if (!rc)
        rc = finish(&m, t, err);
    cv_attempt_end(&m.at);
    free(drawn);
    free(before);
    free(m.vector);
    free(m.number);
    return rc;
}
