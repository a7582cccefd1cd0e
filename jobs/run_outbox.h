/** From a run's checkpoint to its outbox. Everything that settles is in run.h5
 *  as well, so an outbox that was lost, or is behind, is filled again.
 *  Local, without MPI.
 */
#ifndef COVEY_JOBS_RUN_OUTBOX_H
#define COVEY_JOBS_RUN_OUTBOX_H

#include "chain/outbox.h"
#include "io/job.h"
#include "jobs/rewards.h"
#include "jobs/saved_proofs.h"

/** Rounds that were attested with the one at place `at`; nothing if none were. */
int cv_outbox_put_attested(cv_outbox *o, const cv_proofs *p, int64_t at,
                           cv_err *err);
int cv_outbox_put_rewards(cv_outbox *o, const cv_rewards *r, cv_err *err);

/** Attesters of a checkpoint: silo (n) with name, identity (n), attester and
 *  signatures as the file has them, unchecked. */
int cv_load_attesters(cv_h5_reader *r, const cv_job *job,
                      const cv_pubkey *identity, cv_outbox_silo *silo,
                      cv_err *err);

/** Open RUN/outbox.db, filled from RUN/run.h5 where that is there; job (may be
 *  NULL) is then its job, else NULL, and the caller's to destroy.
 *  CV_ERR_INPUT for a folder without either, or a run that has no chain. */
int cv_run_outbox_open(const char *run_dir, cv_outbox **o, cv_job **job,
                       cv_err *err);

/** The same, and the run that it is of; the caller closes the one and frees the
 *  other (cv_outbox_run_free), whatever is returned. CV_ERR_INPUT for an empty
 *  outbox as well. */
int cv_run_outbox_load(const char *run_dir, cv_outbox **o, cv_outbox_run *run,
                       cv_job **job, cv_err *err);

#endif
