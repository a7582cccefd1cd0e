/** Parts of the way back (jobs/restore.c, jobs/restore_privacy.c alone). */
#ifndef COVEY_JOBS_RESTORE_H
#define COVEY_JOBS_RESTORE_H

#include "io/checkpoint.h"
#include "jobs/run.h"

/** The ledger, and what the noise and the chain of records go on from, into
 *  run->budget and run->secure. Local, at the root. */
int cv_restore_privacy(cv_h5_reader *r, cv_run *run, cv_err *err);

/** The same, from the root to all. Collective. */
void cv_restore_share_privacy_all(cv_run *run);

#endif
