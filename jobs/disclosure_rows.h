/** Rows of earlier fits, at the site (jobs/disclosure_rows.c). */
#ifndef COVEY_JOBS_DISCLOSURE_ROWS_H
#define COVEY_JOBS_DISCLOSURE_ROWS_H

#include "jobs/run.h"

/** Hold the rows of every hosted silo against those of earlier fits, and, if no
 *  site refuses, note them durably in STATE/silo-NAME.rows. Collective; before
 *  anything is sent; nothing for simulated silos and with privacy.
 *  CV_ERR_PRIVACY names the silo. */
int cv_disclosure_note_rows_all(const cv_run *run, cv_err *err);

#endif
