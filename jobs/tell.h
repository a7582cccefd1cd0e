/** What a run says to the people who watch it; at the root. Local. */
#ifndef COVEY_JOBS_TELL_H
#define COVEY_JOBS_TELL_H

#include "jobs/run.h"

void cv_tell_start(const cv_run *run);
void cv_tell_set_up(const cv_run *run);
/** The round that has ended; `started` and `first`: when, and after which round,
 *  this program began. */
void cv_tell_round(const cv_run *run, double started, int64_t first);
void cv_tell_end(const cv_run *run);
/** The one message of a failed run. */
void cv_tell_error(cv_err *err, int rc);

#endif
