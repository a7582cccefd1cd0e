/** Preparing the rows of a run (used by jobs/prepare.c alone). */
#ifndef COVEY_JOBS_PREPARE_H
#define COVEY_JOBS_PREPARE_H

#include "jobs/run.h"
#include "solver/transform.h"

/** Pooled means and scales over the training rows of all silos, missing values
 *  filled with the mean; then float rows are standardised in place, and uint8
 *  rows by (mul, add) as they are gathered. Collective on fed.world.
 *  scale: factor of the raw x (uint8). */
void cv_standardize_all(cv_run *run, double scale);

/** Put every row through the map, in place of what it was. Local; with the
 *  threads that were granted. */
void cv_map_rows(cv_run *run, const cv_transform *map);

#endif
