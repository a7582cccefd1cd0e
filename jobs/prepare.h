/** Preparing the rows of a run: prepare.c reads, agree_schema.c agrees on the
 *  columns, rows.c encodes and deals out, standardize.c scales, map.c transforms.
 *  Used by these alone. */
#ifndef COVEY_JOBS_PREPARE_H
#define COVEY_JOBS_PREPARE_H

#include "core/hash.h"
#include "io/table.h"
#include "jobs/run.h"
#include "solver/transform.h"

/** Tables as read, before the schema is agreed: one for each hosted silo, or one
 * for all of them when they are simulated. */
typedef struct cv_sources {
    cv_table **table;  /* (n) */
    int32_t **silo_of; /* (n) hosted silo of each row, NULL: all of one */
    int n;
    cv_table *test;  /* simulate.test or data.test: public rows */
    cv_sha256 *hash; /* of the files that all ranks read */
} cv_sources;

/** Path of a file that the job names, relative to the job file; malloc'd. */
char *cv_beside_job(const cv_job *job, const char *path);

/** run->schema from the tables of all ranks; agrees on local_rc first.
 *  Collective. */
int cv_agree_schema_all(cv_run *run, const cv_sources *src, int local_rc,
                        cv_err *err);

/** run->rows, and the views of every hosted silo and of the public rows. Local.
 *  scales: the largest, and minus the smallest, scale of uint8 rows. */
int cv_encode_rows(cv_run *run, cv_sources *src, double scales[2], cv_err *err);
/** One scale for all uint8 rows, wherever they lie; 1 without any. */
int cv_agree_scale_all(const cv_run *run, double scales[2], double *scale,
                       cv_err *err);
/** Ranks that share a silo must hold the same rows. */
int cv_check_shared_all(const cv_run *run, cv_err *err);

/** Pooled means and scales over the training rows of all silos, missing values
 *  filled with the mean; then float rows are standardised in place, and uint8
 *  rows by (mul, add) as they are gathered. Collective on fed.world.
 *  scale: factor of the raw x (uint8).
 *  With masked sums the moments are summed under masks. */
int cv_standardize_all(cv_run *run, double scale, cv_err *err);

/** Put every row through the map, in place of what it was. Local; with the
 *  threads that were granted. */
void cv_map_rows(cv_run *run, const cv_transform *map);

#endif
