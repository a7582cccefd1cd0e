/** What a site's own files say: its key, which data it has, what those data have
 *  spent over all runs, and its limit. Local, without MPI: for a run's own silos
 *  and for `covey check` at the site.
 *
 *  Errors name private paths: see cv_site_error before they travel.
 */
#ifndef COVEY_JOBS_SITE_LEDGER_H
#define COVEY_JOBS_SITE_LEDGER_H

#include "chain/key.h"
#include "io/job.h"
#include "io/journal.h"
#include "io/silo.h"
#include "privacy/accountant.h"

/** Open the site's key file with its pass phrase. */
int cv_site_unlock(const cv_silo *site, cv_seckey **key, cv_err *err);

/** The folder of the site's journal and log: `state`, or covey-state beside
 *  silo.yaml. The caller frees it. */
char *cv_site_state_dir(const cv_silo *site);

/** Which content, and which file: budgets are kept by both. */
int cv_site_identify_data(const char *path, uint8_t data[32], uint8_t place[32],
                          cv_err *err);

/** An entry's cost, as the accountant wants it. */
cv_segment cv_site_segment(const cv_journal_cost *c);

/** Charge a with all that these data have spent by this journal; runs: in how
 *  many (may be NULL). */
int cv_site_spent(const cv_journal *j, const uint8_t data[32],
                  const uint8_t place[32], cv_accountant *a, int64_t *runs,
                  cv_err *err);

/** The site's limit for a job: 1 and its numbers, or 0 if it has none. */
int cv_site_limit(const cv_silo *site, const cv_job *job, double *epsilon,
                  double *delta);

/** `covey check` at the site: key, partners, limits, budget; prints what it
 *  finds. rows: of the silo.
 *  Returns 0, or what a run would be refused for. */
int cv_site_check(const cv_silo *site, const cv_job *job, int64_t rows,
                  cv_err *err);

#endif
