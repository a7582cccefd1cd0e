#include "jobs/budget.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"
#include "privacy/clip.h"
#include "privacy/field.h"
#include "privacy/quantise.h"
#include "solver/private_gradient.h"

/* Statistical distance of one table sample: below this for every sigma
 * (discrete_gaussian.h). */
static const double SAMPLER_DISTANCE = 0x1p-111;

/* Bound of a masked update with `noise: local`, whose records are clipped step by
 * step: no matter of privacy, but words have an end. */
static const double LOCAL_UPDATE_CLIP = 100.0;

static int is_record(const cv_job *job)
{
    return job->privacy.enabled && job->privacy.unit == CV_UNIT_RECORD;
}

static int is_local(const cv_job *job)
{
    return is_record(job) && job->privacy.noise == CV_NOISE_LOCAL;
}

int cv_budget_is_stepped(const cv_job *job)
{
    return is_record(job) && !is_local(job);
}

cv_account_method cv_budget_method(const cv_job *job)
{
    return job->privacy.accountant == CV_ACCOUNTANT_RDP ? CV_ACCOUNT_RDP
                                                        : CV_ACCOUNT_PLD;
}

/* ---- grid -------------------------------------------------------------------
 */

static int ceil_log2(double x)
{
    int e;
    double m = frexp(x, &e);
    return m == 0.5 ? e - 1 : e;
}

/* Without privacy: clip / grid = 2^k or a little less, as fine as n sums fit. A
 * sum by rows multiplies with up to 2^31 of them. */
static int plain_bits(const cv_run *run)
{
    if (run->fit) /* words have scales of their own (jobs/fit_sums.c) */
        return 30;
    int n = ceil_log2((double)run->fed.n_silos);
    if (!run->secure->wide)
        return 30 - n;
    return run->job->training.weights == CV_WEIGHTS_ROWS ? 28 - n : 50 - n;
}

/* Largest sum of words of a silo, over clip: itself, or a batch of records. The
 * batch that is drawn is larger than this with probability below 1e-14 as long
 * as the rows are as many as the public batch says; if it ever is, words wrap
 * round, which costs utility and never privacy. */
static double most_units(const cv_job *job)
{
    double b = job->training.local.batch;
    return is_record(job) ? b + 8.0 * sqrt(b) + 32.0 : 1.0;
}

static double sensitivity_of(const cv_run *run, double clip, int exponent)
{
    const cv_budget *b = run->budget;
    if (is_record(run->job))
        return cv_private_sensitivity(run->model, clip, exponent);
    double d = cv_silo_sensitivity(clip, b->d, exponent);
    if (!run->job->privacy.adaptive.enabled)
        return d;
    return cv_clip_joint_sensitivity(d, cv_budget_bit(run, exponent));
}

/* Does n (B c/g + 12 sigma_i) stay below p/2, and can the noise be drawn? With
 * local noise each silo decodes its own words, so n is 1 there. */
static int has_room(const cv_run *run, int bits, double z)
{
    int local = is_local(run->job), wide = run->secure->wide;
    double c = exp2(bits), sigma = z * c * 1.06; /* rounding is below 6 % */
    double share = local ? sigma : sigma / sqrt(2.0); /* 2 honest at least */
    double top = (local ? 1 : run->fed.n_silos) *
                 (most_units(run->job) * c + 12.0 * share);
    if (sigma >= 0x1p29)
        return 0;
    return wide ? top < 0x1p59 : top < 0x1p31 - 3.0 && share < 0x1p26;
}

/* With privacy: so fine that rounding adds little to the sensitivity, and no
 * finer, for wide noise takes longer to draw. Rounding adds about sqrt(d): 0.2 %
 * where there is room, up to 3 % otherwise. 0: nothing fits. */
static int private_bits(cv_run *run, double z)
{
    int root = ceil_log2(sqrt((double)run->budget->d));
    int fine = root + 9 < 16 ? 16 : root + 9;
    int least = root + 5 < 12 ? 12 : root + 5;
    int wide = run->fed.n_silos > CV_NARROW_MAX_SILOS;
    for (; wide <= 1; wide++) {
        int bits = fine;
        run->secure->wide = wide;
        if (is_record(run->job) && !wide && bits > 22)
            bits = 22; /* a leaf of 256 records fits a narrow word */
        for (; bits >= least; bits--)
            if (has_room(run, bits, z))
                return bits;
    }
    return 0;
}

double cv_budget_bit(const cv_run *run, int exponent)
{
    /* A bit of 0.3 clip: costs 1.1 % of the noise, and its own noise is 3.3
     * times the multiplier, in silos. */
    return 2.0 * floor(0.15 * run->budget->clip * exp2(-exponent));
}

void cv_budget_set_clip(cv_run *run, double clip)
{
    cv_budget *b = run->budget;
    b->clip = clip;
    b->exponent = ceil_log2(clip) - b->bits;
    b->update_clip = clip;
    b->update_exponent = b->exponent;
    if (is_local(run->job)) { /* updates are private already */
        b->update_clip = LOCAL_UPDATE_CLIP;
        b->update_exponent = ceil_log2(LOCAL_UPDATE_CLIP) - plain_bits(run);
    }
    if (run->job->privacy.enabled)
        b->sensitivity = sensitivity_of(run, clip, b->exponent);
}

/* ---- cost -------------------------------------------------------------------
 */

static void segment_of(const cv_run *run, int honest, cv_segment *s)
{
    const cv_job *job = run->job;
    const cv_budget *b = run->budget;
    /* An adaptive clip moves the sensitivity within a factor of two; the least
     * is accounted for, at which the terms for integers are the largest. */
    double least =
        job->privacy.adaptive.enabled ? exp2(b->bits - 1) : b->sensitivity;
    *s = (cv_segment){.noise_multiplier = b->multiplier,
                      .sampling = is_record(job) ? job->privacy.sampling : 1.0,
                      .steps = b->steps,
                      .integers = {.sensitivity = least,
                                   .shares = is_local(job) ? 1 : honest,
                                   .dimension = (int64_t)b->d,
                                   .sampler = SAMPLER_DISTANCE}};
}

void cv_budget_round(const cv_run *run, const cv_attempt *at, cv_segment *out)
{
    segment_of(run, at->honest, out);
}

cv_journal_cost cv_budget_cost(const cv_run *run, const cv_segment *s)
{
    return (cv_journal_cost){.noise_multiplier = s->noise_multiplier,
                             .sampling = s->sampling,
                             .steps = s->steps,
                             .sensitivity = s->integers.sensitivity,
                             .shares = s->integers.shares,
                             .dimension = s->integers.dimension,
                             .sampler = s->integers.sampler,
                             .collusion = run->secure->collusion,
                             .unit = run->job->privacy.unit == CV_UNIT_SILO};
}

/* For people, so at the root alone: some 30 ms where records are sampled. */
static void update_epsilon(cv_run *run)
{
    cv_spent spent;
    if (run->fed.rank != 0)
        return;
    cv_accountant_epsilon(run->budget->spent, &spent,
                          cv_budget_method(run->job), run->job->privacy.delta);
    run->budget->epsilon = spent.epsilon;
}

void cv_budget_charge(cv_run *run, const cv_segment *s)
{
    cv_budget *b = run->budget;
    CV_CHECK(cv_accountant_add(b->spent, s, NULL) == 0);
    if (b->allowed != CV_MAX_STEPS)
        b->allowed--;
    update_epsilon(run);
}

cv_variance cv_budget_share(const cv_run *run, const cv_attempt *at)
{
    const cv_budget *b = run->budget;
    cv_variance v = cv_variance_at_least(b->multiplier * b->sensitivity);
    return is_local(run->job) ? v : cv_variance_share(v, (uint64_t)at->honest);
}

void cv_budget_repeated(cv_run *run)
{
    run->budget->paid -= run->budget->paid > 0;
}

int cv_budget_spent(const cv_run *run)
{
    const cv_budget *b = run->budget;
    return b && run->job->privacy.enabled && b->allowed < 1 && b->paid < 1;
}

/* ---- the plan ----------------------------------------------------------------
 */

/* The least noise that keeps the job's epsilon over all its rounds. */
static int find_multiplier(cv_run *run, int honest, cv_err *err)
{
    const cv_job *job = run->job;
    cv_budget *b = run->budget;
    cv_segment s;
    if (job->privacy.noise_multiplier > 0.0) {
        b->multiplier = job->privacy.noise_multiplier;
        return 0;
    }
    segment_of(run, honest, &s);
    s.steps = b->steps * job->training.rounds;
    return cv_accountant_noise(NULL, &b->multiplier, &s, cv_budget_method(job),
                               job->privacy.epsilon, job->privacy.delta, err);
}

static int find_allowed(cv_run *run, const cv_segment *round, cv_err *err)
{
    const cv_job *job = run->job;
    cv_budget *b = run->budget;
    int64_t steps = CV_MAX_STEPS;
    cv_accountant *probe; /* is anything known about such noise? */
    cv_accountant_create(&probe);
    int known = cv_accountant_add(probe, round, err);
    cv_accountant_destroy(&probe);
    if (known)
        return known;
    b->allowed = CV_MAX_STEPS;
    if (!(job->privacy.epsilon > 0.0))
        return 0;
    int rc = cv_accountant_steps(b->spent, &steps, round, cv_budget_method(job),
                                 job->privacy.epsilon, job->privacy.delta, err);
    if (!rc && steps < CV_MAX_STEPS)
        b->allowed = steps / b->steps;
    /* A run that goes on and has spent what it had is through. */
    if (!rc && b->allowed < 1 && run->round == 0)
        rc = cv_err_set(err, CV_ERR_PRIVACY, NULL, 0,
                        "the budget of epsilon %g at delta %g allows no single "
                        "round; raise privacy.epsilon or add noise",
                        job->privacy.epsilon, job->privacy.delta);
    return rc;
}

/* At the root; the others take its numbers. */
static int plan_on_root(cv_run *run, cv_err *err)
{
    cv_budget *b = run->budget;
    int honest = run->fed.n_silos - run->secure->collusion, rc = 0;
    int known = b->multiplier > 0.0; /* from a checkpoint */
    double given = run->job->privacy.noise_multiplier;
    double z = given > 0.0 ? given : 4.0;
    if (known) { /* grid and field stay what they were */
        cv_budget_set_clip(run, b->clip);
        return 0;
    }
    for (int again = 0; again < 3 && !rc; again++) {
        b->bits = private_bits(run, z);
        if (!b->bits)
            return cv_err_set(err, CV_ERR_INPUT, run->job->file, 0,
                              "noise of %g times the clip on %zu parameters "
                              "does not fit the words of a sum; ask for less "
                              "noise, or a smaller model",
                              z, b->d);
        cv_budget_set_clip(run, b->clip);
        rc = find_multiplier(run, honest, err);
        if (b->multiplier <= z || has_room(run, b->bits, b->multiplier))
            break;
        z = 2.0 * b->multiplier; /* more noise than there was room for */
    }
    return rc;
}

static int plan_all(cv_run *run, cv_err *err)
{
    cv_budget *b = run->budget;
    MPI_Comm world = run->fed.world;
    int rc = run->fed.rank == 0 ? plan_on_root(run, err) : 0;
    rc = cv_agree_all(world, rc, err);
    if (rc)
        return rc;
    cv_bcast_bytes_all(world, &b->multiplier, sizeof b->multiplier, 0);
    cv_bcast_bytes_all(world, &b->bits, sizeof b->bits, 0);
    cv_bcast_bytes_all(world, &run->secure->wide, sizeof run->secure->wide, 0);
    cv_budget_set_clip(run, b->clip);
    /* Everything else is found by each rank for itself: the root's word for
     * the multiplier is held against the job's epsilon. */
    cv_segment round;
    segment_of(run, run->fed.n_silos - run->secure->collusion, &round);
    double given = run->job->privacy.noise_multiplier;
    if (given > 0.0 && b->multiplier != given)
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                        "the job's noise multiplier is %g, that of %s is %g",
                        given, run->round ? "the checkpoint" : "rank 0",
                        b->multiplier);
    if (!rc)
        rc = find_allowed(run, &round, err);
    if (!rc && run->round == 0 && b->allowed < run->job->training.rounds &&
        run->job->privacy.noise_multiplier <= 0.0)
        rc = cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                        "the noise multiplier %g that rank 0 gave does not "
                        "keep the job's epsilon",
                        b->multiplier);
    if (!rc)
        rc = cv_budget_check_sites(run, &round, err);
    update_epsilon(run);
    return cv_agree_all(world, rc, err);
}

int cv_budget_open_all(cv_run *run, cv_err *err)
{
    const cv_job *job = run->job;
    if (!run->secure)
        return 0;
    cv_budget *b = run->budget;
    if (!b)
        b = cv_budget_create(run);
    if (!job->privacy.enabled) {
        b->bits = plain_bits(run);
        cv_budget_set_clip(run, b->clip);
        b->allowed = CV_MAX_STEPS;
        return 0;
    }
    return plan_all(run, err);
}

cv_budget *cv_budget_create(cv_run *run)
{
    const cv_job *job = run->job;
    cv_budget *b = run->budget = CV_NEW(1, cv_budget);
    int record = is_record(job);
    if (run->fit) {
        b->clip = 1.0;
        b->d = 1;
        b->steps = 1;
        cv_accountant_create(&b->spent);
        return b;
    }
    b->d = run->n * (size_t)(record ? 1 : run->strategy->n_payload) +
           (size_t)(job->privacy.adaptive.enabled != 0);
    b->clip =
        job->privacy.enabled ? job->privacy.clip : job->secure_aggregation.clip;
    b->steps = record ? job->training.local.steps : 1;
    cv_accountant_create(&b->spent);
    return b;
}

int cv_budget_go_on(cv_run *run, cv_err *err)
{
    cv_budget *b = run->budget;
    if (!run->job->privacy.enabled)
        b->bits = plain_bits(run);
    int most = run->secure->wide ? 50 : is_record(run->job) ? 22 : 30;
    if (run->job->privacy.enabled &&
        (!(b->multiplier > 0.0 && b->multiplier < 1e9) ||
         !(b->clip > 1e-13 && b->clip < 1e13) || b->bits < 8 ||
         b->bits > most || !has_room(run, b->bits, b->multiplier)))
        return cv_err_set(err, CV_ERR_VERIFY, NULL, 0,
                          "the checkpoint holds noise or a clip that no run "
                          "of this job can have had");
    cv_budget_set_clip(run, b->clip);
    return 0;
}

void cv_budget_close(cv_run *run)
{
    if (run->budget)
        cv_accountant_destroy(&run->budget->spent);
    CV_FREE(run->budget);
}
