/** Where the parts of a run's state lie (jobs/state.c, jobs/restore.c). */
#ifndef COVEY_JOBS_STATE_H
#define COVEY_JOBS_STATE_H

#include "jobs/run.h"

/** The folder of one silo's own vectors: at its site one per run, in RUN when
 *  the silo is simulated. malloc'd. */
char *cv_state_dir(const cv_run *run, const cv_hosted *h);

#endif
