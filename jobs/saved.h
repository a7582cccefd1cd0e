/** A checkpoint as its readers see it: `covey inspect`, `covey predict` and the
 *  run that continues it. Local, no MPI. */
#ifndef COVEY_JOBS_SAVED_H
#define COVEY_JOBS_SAVED_H

#include "io/checkpoint.h"
#include "io/design.h"
#include "io/job.h"
#include "jobs/fit_model.h"
#include "solver/model.h"
#include "solver/transform.h"

/** Version of run.h5 and silo-NAME.h5; a reader accepts all older ones. */
enum { CV_FORMAT_VERSION = 1 };

typedef struct {
    cv_h5_reader *file;
    cv_job *job;
    cv_schema *schema;
    /* Of a trained model; NULL of a fit. */
    cv_transform *transform; /* between the rows and the model, or NULL */
    cv_model *model;
    float *w; /* (n) parameters */
    /* Of a fitted one; else NULL. */
    cv_fit_model *fit;
    double *v; /* (n) its vector */
    int64_t round;
    char *run_id, *job_digest, *created, *program;
} cv_saved;

/** Open path (a checkpoint, or a run folder that holds run.h5) and load the
 *  model. CV_ERR_INPUT if it is not there or the file is
 *  none of Covey's, CV_ERR_VERIFY if it is damaged or
 *  its bytes do not fit its own digest. Free with cv_saved_close. */
int cv_saved_open(const char *path, cv_saved *saved, cv_err *err);
void cv_saved_close(cv_saved *saved);

/** Views and length of the vector, of either. */
const cv_params *cv_saved_params(const cv_saved *saved);
/** What silos sign of the model. */
void cv_saved_root(const cv_saved *saved, uint8_t root[32]);
/** What /model says of it. */
void cv_saved_digest(const cv_saved *saved, uint8_t digest[32]);

/** What cv_schema_of_table should make of the target: 0 a number, 1 classes,
 *  2 what the data say. */
int cv_target_of_job(const cv_job *job);

/** The map in front of the model, NULL for none; CV_ERR_INPUT if the data's
 *  columns are no such images. */
int cv_transform_for_job(const cv_job *job, const cv_schema *schema,
                         cv_transform **transform, cv_err *err);

/** The model that a job and its data call for; its inputs are what the job's
 *  transform gives. */
int cv_model_for_job(const cv_job *job, const cv_schema *schema,
                     cv_model **model, cv_err *err);

/** Has /model/params these views, in these shapes? To be asked before memory is
 *  allocated: a job may claim a model of any size, a file holds what it holds. */
int cv_check_params(cv_h5_reader *r, const cv_params *params, cv_err *err);

/** /model/params by the model's table of views. */
int cv_load_params(cv_h5_reader *r, const cv_params *params, float *w,
                   cv_err *err);

#endif
