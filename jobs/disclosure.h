/** What a site lets a fit show of its rows. Settings of the site (`disclosure` in
 *  silo.yaml) win over the job's.
 *
 *  Without privacy noise a sum over few rows, or the difference of two sums,
 *  shows single people.  So a silo refuses a fit, before anything is sent, if
 *  it has too few rows, too few rows for the number of coefficients, or a cell
 *  (a level, an outcome, a time bin) with rows, but few.  That the rows do not
 *  differ from those of an earlier fit by few, jobs/disclosure_rows.h sees to.
 *
 *  Scope: local, no MPI. With privacy there is nothing to check: noise covers it.
 *  Source: PROTOCOL, "What else leaves a silo".
 */
#ifndef COVEY_JOBS_DISCLOSURE_H
#define COVEY_JOBS_DISCLOSURE_H

#include "io/frame.h"
#include "io/job.h"
#include "io/silo.h"

typedef struct {
    int min_rows, min_cell;
    double rows_per_parameter;
} cv_disclosure;

/** The limits that hold at a site; site NULL: simulated, the job's. */
cv_disclosure cv_disclosure_of(const cv_job *job, const cv_silo *site);

/** What is looked at. Borrowed. */
typedef struct {
    const cv_job *job;
    const char *silo;
    cv_disclosure limits;
    const cv_frame *frame; /* not yet centred */
    const cv_formula *formula;
    const cv_frame_plan *plan;
    int q;               /* coefficients */
    const double *edges; /* (job's n_bins), or NULL */
} cv_disclosure_view;

/** CV_ERR_PRIVACY, naming silo, limit and column; never a count. A silo without a
 *  row passes: it adds zeros. */
int cv_disclosure_check(const cv_disclosure_view *v, cv_err *err);

#endif
