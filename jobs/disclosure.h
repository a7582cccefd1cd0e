/** What a site lets a fit show of its rows. Settings of the site (`disclosure` in
 *  silo.yaml) win over the job's.
 *
 *  Without privacy noise a sum over few rows, or the difference of two sums,
 *  shows single people.  So a silo refuses a fit, before anything is sent, if
 *  it has too few rows, too few rows for the number of coefficients, or a cell
 *  (a level, an outcome, a time bin) with rows, but few; and, over all jobs on
 *  its data, if the rows differ from those of an earlier fit by few.
 *
 *  Scope: local. With privacy there is nothing to check: noise covers it.
 *  Source: PROTOCOL, "What else leaves a silo".
 */
#ifndef COVEY_JOBS_DISCLOSURE_H
#define COVEY_JOBS_DISCLOSURE_H

#include "jobs/run.h"

typedef struct {
    int min_rows, min_cell;
    double rows_per_parameter;
} cv_disclosure;

/** The limits that hold for a hosted silo. */
cv_disclosure cv_disclosure_of(const cv_run *run, const cv_hosted *h);

/** CV_ERR_PRIVACY, naming silo, limit and column; never a count. */
int cv_disclosure_check(const cv_run *run, int hosted, cv_err *err);

/** Hold the silo's rows against those of earlier fits, and note them, durably,
 *  in STATE/silo-NAME.rows. Before anything is sent; nothing for simulated
 *  silos. CV_ERR_PRIVACY names the silo. */
int cv_disclosure_note_rows(const cv_run *run, int hosted, cv_err *err);

#endif
