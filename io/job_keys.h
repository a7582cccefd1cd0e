/** The table of job.yaml's keys; internal to io/ and its tests. */
#ifndef COVEY_IO_JOB_KEYS_H
#define COVEY_IO_JOB_KEYS_H

#include "io/job.h"
#include "io/keys.h"

/** Rows for the members of cv_job. */
extern const cv_keys cv_job_keys;

/** Rules that more than one key takes part in; fills in what depends on them
 *  (epochs, the silos of {count, prefix}, min_silos and clip under masks).
 *  tree is for the lines and for what the file gives itself. */
int cv_job_check(cv_job *job, const cv_yaml *tree, cv_err *err);

#endif
