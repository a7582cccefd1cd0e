/** Rows of earlier fits, at the site (jobs/disclosure_rows.c). */
#ifndef COVEY_JOBS_DISCLOSURE_ROWS_H
#define COVEY_JOBS_DISCLOSURE_ROWS_H

#include "jobs/run.h"

/** Hold the rows of a hosted silo against those of earlier fits, and note them,
 *  durably, in STATE/silo-NAME.rows. Local; before anything is sent; nothing for
 *  simulated silos. CV_ERR_PRIVACY names the silo. */
int cv_disclosure_note_rows(const cv_run *run, int hosted, cv_err *err);

#endif
