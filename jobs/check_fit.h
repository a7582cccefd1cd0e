/** `covey check` of a job whose model is fitted. Local, no MPI. */
#ifndef COVEY_JOBS_CHECK_FIT_H
#define COVEY_JOBS_CHECK_FIT_H

#include "core/err.h"
#include "io/job.h"

/** Look at the data that are in sight (a silo.yaml, those of a folder, the
 *  simulated source), hold them against what the sites allow, and print what the
 *  fit is. silo and silo_dir may be NULL. */
int cv_check_fit(const cv_job *job, const char *silo, const char *silo_dir,
                 cv_err *err);

#endif
