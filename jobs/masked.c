#include "jobs/masked.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/hkdf.h"
#include "core/mem.h"
#include "core/secret.h"
#include "core/tagged.h"
#include "jobs/rewards.h"
#include "mpi/agree.h"
#include "mpi/reduce.h"
#include "privacy/field.h"
#include "solver/private_train.h"

enum { MIN_ROOM = 12288 }; /* words: 1,024 numbers a sum */

/* ---- words --------------------------------------------------------------------
 */

void cv_masked_make_room(cv_run *run)
{
    cv_secure *sec = run->secure;
    size_t size = sec->wide ? 8 : 4;
    size_t d = run->n * (size_t)(run->strategy ? run->strategy->n_payload : 0);
    if (!cv_fed_is_leader(&run->fed))
        return;
    d += 64 * CV_LIMBS; /* bits and numbers that ride along */
    d *= (size_t)cv_rewards_groups(run->job);
    d = d < MIN_ROOM ? MIN_ROOM : d;
    for (int s = 0; sec->y && s < run->fed.n_hosted; s++)
        free(sec->y[s]);
    free(sec->y);
    free(sec->sum);
    sec->room = d;
    sec->y = CV_NEW(run->fed.n_hosted, void *);
    for (int s = 0; s < run->fed.n_hosted; s++)
        sec->y[s] = cv_calloc(d, size);
    sec->sum = cv_calloc(d, size);
}

int cv_masked_sum_all(cv_run *run, cv_attempt *at, size_t d, cv_err *err)
{
    CV_CHECK(!cv_fed_is_leader(&run->fed) || d <= run->secure->room);
    return cv_secure_sum_all(run, at, run->secure->y, d, run->secure->sum, err);
}

void cv_masked_put(const cv_run *run, void *words, size_t at, int64_t q)
{
    if (run->secure->wide)
        ((uint64_t *)words)[at] =
            cv_f61_reduce((uint64_t)(q < 0 ? q + (int64_t)CV_P61 : q));
    else
        ((uint32_t *)words)[at] = (uint32_t)(q < 0 ? q + (int64_t)CV_P32 : q);
}

int64_t cv_masked_get(const cv_run *run, const void *words, size_t at)
{
    return run->secure->wide ? cv_f61_centre(((const uint64_t *)words)[at])
                             : cv_f32_centre(((const uint32_t *)words)[at]);
}

void cv_masked_words(const cv_run *run, cv_masking *m, void *y, size_t n)
{
    if (run->secure->wide)
        cv_masked_u64(m, y, NULL, NULL, n);
    else
        cv_masked_u32(m, y, NULL, NULL, n);
}

void cv_masked_noise(cv_run *run, const cv_attempt *at, int s, size_t d,
                     int with_noise, uint8_t vector[32])
{
    uint8_t *key = cv_secret_alloc(32);
    cv_dgauss *noise = NULL;
    cv_masking all = {.noised = cv_commit_create()};
    if (with_noise) {
        CV_CHECK(cv_dgauss_create(cv_budget_share(run, at), 0, &noise, NULL) ==
                 0);
        cv_private_key(run, s, key, "noise", at,
                       run->budget->multiplier * run->budget->sensitivity);
        all.noise = noise;
        all.noise_key = key;
    }
    cv_masked_words(run, &all, run->secure->y[s], d);
    cv_commit_root(all.noised, vector);
    cv_commit_destroy(&all.noised);
    cv_dgauss_destroy(&noise);
    cv_secret_free(key);
}

/* Random limbs that a pair shares, for one number of one sum. */
static void mask_number(const cv_attempt *at, int s, size_t where,
                        uint64_t limb[CV_LIMBS])
{
    const cv_pairs *pairs = &at->pairs[s];
    uint8_t place[16], info[32], okm[CV_LIMBS * 4];
    cv_put_le64(place, at->step);
    cv_put_le64(place + 8, where);
    cv_part part[] = {{at->proof.roster, 32}, {place, sizeof place}};
    cv_tagged_hash(info, "covey number mask v1", part, 2);
    for (int k = 0; k < pairs->n; k++) {
        uint64_t m[CV_LIMBS];
        cv_hkdf_expand(okm, sizeof okm, pairs->secret + 32 * k, info, 32);
        for (int j = 0; j < CV_LIMBS; j++)
            m[j] = cv_get_le32(okm + 4 * j) & ((1u << CV_LIMB_BITS) - 1);
        if (pairs->peer[k] > pairs->slot)
            cv_limbs_add(limb, m);
        else
            cv_limbs_sub(limb, m);
        cv_wipe(m, sizeof m);
    }
    cv_wipe(okm, sizeof okm);
}

int cv_masked_put_number(const cv_run *run, const cv_attempt *at, int s,
                         size_t where, double v)
{
    uint64_t limb[CV_LIMBS];
    int rc = cv_limbs_put(limb, v);
    if (at->pairs)
        mask_number(at, s, where, limb);
    for (size_t k = 0; k < CV_LIMBS; k++)
        cv_masked_put(run, run->secure->y[s], where + k, (int64_t)limb[k]);
    return rc;
}

double cv_masked_get_number(const cv_run *run, const void *words, size_t at)
{
    uint64_t limb[CV_LIMBS];
    for (size_t k = 0; k < CV_LIMBS; k++)
        limb[k] = (uint64_t)cv_masked_get(run, words, at + k);
    return cv_limbs_get(limb);
}

int cv_masked_numbers_all(cv_run *run, cv_attempt *at, double *total,
                          const double *mine, size_t k, cv_err *err)
{
    int leader = cv_fed_is_leader(&run->fed), rc = 0;
    uint64_t step = leader ? run->secure->room / CV_LIMBS : 0;
    cv_bcast_bytes_all(run->fed.silo, &step, sizeof step, 0);
    for (size_t first = 0; first < k && !rc; first += step) {
        size_t n = k - first < step ? k - first : step;
        int bad = 0;
        for (int s = 0; leader && s < run->fed.n_hosted; s++)
            for (size_t j = 0; j < n; j++)
                bad |= cv_attempt_has(at, run->hosted[s].index) &&
                       cv_masked_put_number(run, at, s, j * CV_LIMBS,
                                            mine[(size_t)s * k + first + j]);
        rc = cv_agree_all(run->fed.world,
                          bad ? cv_err_set(err, CV_ERR_NUMERIC, NULL, 0,
                                           "a number that is summed under "
                                           "masks is not finite or above "
                                           "2e31; bring the columns to a "
                                           "smaller scale")
                              : 0,
                          err);
        if (!rc)
            rc = cv_masked_sum_all(run, at, n * CV_LIMBS, err);
        for (size_t j = 0; j < n && leader && !rc; j++)
            total[first + j] =
                cv_masked_get_number(run, run->secure->sum, j * CV_LIMBS);
    }
    return rc;
}

/* ---- weights and reports ---------------------------------------------------------
 */

double cv_masked_public_factor(const cv_run *run, int silo)
{
    const cv_job *job = run->job;
    double top = 0.0;
    if (job->training.weights != CV_WEIGHTS_DECLARED)
        return 1.0;
    for (int i = 0; i < run->fed.n_silos; i++)
        top = fmax(top, job->silos[i].weight);
    return job->silos[silo].weight / top;
}

double cv_masked_scale(const cv_run *run)
{
    return run->strategy->scale
               ? run->strategy->scale(&run->train, run->train.steps)
               : 1.0;
}

void cv_masked_share_report(const cv_run *run, double r[CV_R_FIELDS])
{
    double sum[3] = {r[CV_R_LOSS], r[CV_R_ROWS],
                     r[CV_R_STATUS] != CV_SILO_READY};
    cv_sum_f64_all(run->fed.silo, sum, 3);
    r[CV_R_LOSS] = sum[0];
    r[CV_R_ROWS] = sum[1];
    if (sum[2] > 0.0 && r[CV_R_STATUS] == CV_SILO_READY)
        r[CV_R_STATUS] = CV_SILO_DIVERGED;
}

/* ---- metrics -----------------------------------------------------------------------
 */

int cv_masked_evaluate_all(cv_run *run, cv_attempt *at,
                           double metrics[CV_MAX_METRICS], cv_err *err)
{
    const char *names[CV_MAX_METRICS];
    size_t k = (size_t)cv_model_n_sums(run->model);
    int hosted = run->fed.n_hosted, rc;
    for (int j = 0; j < CV_MAX_METRICS; j++)
        metrics[j] = NAN;
    if (run->public_test.n_rows > 0) {
        cv_evaluate_all(run, metrics);
        return 0;
    }
    if (run->job->privacy.enabled || run->job->data.test_fraction <= 0.0)
        return 0;
    double *mine = CV_NEW((size_t)hosted * k, double);
    double *total = CV_NEW(k, double);
    for (int s = 0; s < hosted; s++)
        cv_evaluate_silo_all(run, &run->hosted[s], mine + (size_t)s * k);
    rc = cv_masked_numbers_all(run, at, total, mine, k, err);
    cv_bcast_bytes_all(run->fed.silo, total, k * sizeof *total, 0);
    if (!rc && total[0] > 0.0)
        cv_model_metrics(run->model, total, metrics, names);
    free(mine);
    free(total);
    return rc;
}

/* ---- noisy local steps --------------------------------------------------------------
 */

void cv_masked_sum_silo_all(void *ctx, void *words, size_t n, int wide)
{
    const cv_run *run = ctx;
    cv_sum_words_all(run->fed.silo, words, words, n, wide ? 8 : 4,
                     wide ? cv_f61_sum : cv_f32_sum);
}

void cv_masked_train_noisy(cv_run *run, cv_hosted *h,
                           const uint8_t sample_key[32],
                           const uint8_t noise_key[32], cv_variance variance)
{
    float *w = run->payload[0];
    cv_private_local step = {.sampling = run->job->privacy.sampling,
                             .variance = variance,
                             .divisor = run->job->training.local.batch,
                             .sample_key = sample_key,
                             .noise_key = noise_key};
    memcpy(w, run->w, run->n * sizeof *w);
    int finite;
    CV_CHECK(cv_private_train_silo(run->private_trainer, &h->train, &step, w,
                                   run->w, &finite, NULL) == 0);
    for (size_t i = 0; i < run->n; i++)
        w[i] -= run->w[i];
}

/* ---- the end of a round -----------------------------------------------------------
 */

void cv_masked_end_round(cv_run *run, cv_attempt *at, cv_history_row *h)
{
    if (run->job->privacy.enabled) {
        h->epsilon = run->budget->epsilon;
        h->train_loss = NAN;
        for (int i = 0; i < CV_N_PHASES; i++) /* times depend on batches */
            h->seconds[i] = NAN;
    }
    cv_record_round(run, at, h);
}
