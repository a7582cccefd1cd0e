/** What the files of a fit's step share (jobs/fit_step.c, fit_moments.c,
 *  fit_solve.c, fit_finish.c, fit_agree.c alone). On leaders. */
#ifndef COVEY_JOBS_FIT_PARTS_H
#define COVEY_JOBS_FIT_PARTS_H

#include "jobs/fit.h"
#include "solver/spd.h"

/** A coefficient (in working units) above this, whose variance has grown, has no
 *  finite estimate. */
#define CV_FIT_RUNAWAY 5.0

/** Is coefficient j that of the constant? */
int cv_fit_is_intercept(const cv_run *run, int j);
/** For messages. */
const char *cv_fit_column(const cv_run *run, int j);
/** CV_ERR_NUMERIC: coefficient j grows without end. */
int cv_fit_runs_away(const cv_run *run, int j, cv_err *err);

/** Step (q) = H^-1 g where every leader holds the matrix (fit->info), the
 *  variances (q) that go with it, and the factor; in the first iteration columns
 *  that follow from others are found. Local. */
int cv_fit_solve_whole(cv_run *run, const double *g, double *step,
                       double *variance, cv_spd **factor, cv_err *err);
/** The same where it is spread over the leaders (fit->dist, scaled by diag).
 *  Collective on fed.leaders. */
int cv_fit_solve_parts_all(cv_run *run, const double *g, const double *diag,
                           double *step, cv_err *err);
/** Column whose coefficient is on its way to infinity, or -1: large, its variance
 *  grown beyond all measure, and the next step goes on as if nothing was. */
int cv_fit_find_runaway(const cv_run *run, const double *step,
                        const double *variance);

/** Eigenvalues (q) and loadings (components, q) become the root's. CV_ERR_VERIFY
 *  if they are not those of this rank's matrix. Collective on fed.leaders. */
int cv_fit_agree_components_all(cv_run *run, double *values, double *loadings,
                                cv_err *err);

/** The result from the numbers m of the last round; factor or (in parts) diag.
 *  Collective on fed.leaders. */
int cv_fit_finish_all(cv_run *run, const double *m, const cv_spd *factor,
                      const double *diag, int converged, cv_err *err);

#endif
