/** Tools of the masked rounds: words, numbers that ride along, evaluation. */
#ifndef COVEY_JOBS_MASKED_H
#define COVEY_JOBS_MASKED_H

#include "jobs/budget.h"
#include "jobs/round.h"
#include "jobs/secure.h"
#include "privacy/limbs.h"
#include "privacy/masked.h"

/** Room for vectors of the run's rounds: secure->y (n_hosted), secure->sum. Local.
 *  After cv_budget_open_all, which chooses the field. */
void cv_masked_make_room(cv_run *run);

/** Sum secure->y of the members into secure->sum, d words; on leaders. */
int cv_masked_sum_all(cv_run *run, cv_attempt *at, size_t d, cv_err *err);

/** A signed integer at word `at` of a vector, and back from a sum. */
void cv_masked_put(const cv_run *run, void *words, size_t at, int64_t q);
int64_t cv_masked_get(const cv_run *run, const void *words, size_t at);
/** Words that lie in y already: noise, masks, hashes, as m says. */
void cv_masked_words(const cv_run *run, cv_masking *m, void *y, size_t n);

/** Noise, where a round has it (with_noise), into the words y[s] (d), and the
 *  digest of what will be sent masked into vector[32], in one pass. */
void cv_masked_noise(cv_run *run, const cv_attempt *at, int s, size_t d,
                     int with_noise, uint8_t vector[32]);

/** A real number of hosted silo s in CV_LIMBS words of its vector from `where`
 *  (privacy/limbs.h), under number masks of its pairs; CV_ERR_NUMERIC, and zero,
 *  if it is not finite or too large. */
int cv_masked_put_number(const cv_run *run, const cv_attempt *at, int s,
                         size_t where, double v);
double cv_masked_get_number(const cv_run *run, const void *words, size_t at);

/** total (k) = sum over the members of their numbers mine (n_hosted, k), masked;
 *  at leaders. Collective on fed.world. */
int cv_masked_numbers_all(cv_run *run, cv_attempt *at, double *total,
                          const double *mine, size_t k, cv_err *err);

/** Metrics of the global model: on public rows, or as masked sums over the
 *  members (without privacy only). */
int cv_masked_evaluate_all(cv_run *run, cv_attempt *at,
                           double metrics[CV_MAX_METRICS], cv_err *err);

/** Weight of a silo as the job declares it, over the largest. */
double cv_masked_public_factor(const cv_run *run, int silo);
/** a of FedNova for the public number of steps, else 1. */
double cv_masked_scale(const cv_run *run);
/** Reports of the ranks that share a silo, added up. Collective on fed.silo. */
void cv_masked_share_report(const cv_run *run, double report[CV_R_FIELDS]);

/** Field words of the ranks that share a silo, added up (ctx: the run).
 *  Collective on fed.silo. */
void cv_masked_sum_silo_all(void *ctx, void *words, size_t n, int wide);

/** Steps with `noise: local` of one silo; payload[0] = local - start. */
void cv_masked_train_noisy(cv_run *run, cv_hosted *h,
                           const uint8_t sample_key[32],
                           const uint8_t noise_key[32], cv_variance variance);

/** The digest of the new model, the record, epsilon; and what must not be told
 *  under privacy leaves the history. */
void cv_masked_end_round(cv_run *run, cv_attempt *at, cv_history_row *h);

#endif
