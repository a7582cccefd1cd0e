/** Preparing the rows of a run (used by jobs/prepare.c alone). */
#ifndef COVEY_JOBS_PREPARE_H
#define COVEY_JOBS_PREPARE_H

#include "jobs/run.h"

/** Pooled means and scales over the training rows of all silos, missing values
 *  filled with the mean; then float rows are standardised in place, and uint8
 *  rows by (mul, add) as they are gathered. Collective on fed.world.
 *  scale: factor of the raw x (uint8).
 *  With masked sums the moments are summed under masks. */
int cv_standardize_all(cv_run *run, double scale, cv_err *err);

#endif
