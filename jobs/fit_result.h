/** What /result of a checkpoint says: all that people read of a fit, made from
 *  its vector alone, so that anybody can make it again.
 *
 *      attributes          kind, formula, family, .., rows, deviance, aic, ..
 *      /result/names       of coefficients, or of the columns of pca
 *      /result/coefficients  table: name, estimate, std_error, ..
 *      /result/covariance  (q, q)
 *      /result/variances, /result/loadings   pca
 *
 *  What a kind does not have is not there.
 *
 *  Scope: local, no MPI.
 */
#ifndef COVEY_JOBS_FIT_RESULT_H
#define COVEY_JOBS_FIT_RESULT_H

#include "jobs/fit_model.h"

/** Where it goes. Each function returns 0 or a negative code, which ends it. */
typedef struct {
    void *arg;
    int (*text)(void *arg, const char *attribute, const char *v, cv_err *err);
    int (*whole)(void *arg, const char *attribute, int64_t v, cv_err *err);
    int (*number)(void *arg, const char *attribute, double v, cv_err *err);
    int (*names)(void *arg, const char *path, const char *const *v, size_t n,
                 const char *note, cv_err *err);
    int (*array)(void *arg, const char *path, int rank, const int64_t *dims,
                 const double *v, const char *note, cv_err *err);
    int (*table)(void *arg, const char *path, const cv_h5_column *cols,
                 int n_cols, int64_t n_rows, const char *note, cv_err *err);
} cv_fit_sink;

/** Nothing before stage 3. */
int cv_fit_result(const cv_fit_model *m, const cv_job *job, const double *v,
                  const cv_fit_sink *sink, cv_err *err);

/** Into a checkpoint. */
int cv_fit_result_save(cv_h5_writer *w, const cv_fit_model *m,
                       const cv_job *job, const double *v, cv_err *err);

/** Does a checkpoint say all of it? Numbers may differ by rounding. CV_ERR_VERIFY
 *  names the first attribute or array that is not there or says something
 *  else. What is there beside it is not looked at. */
int cv_fit_result_check(cv_h5_reader *r, const cv_fit_model *m,
                        const cv_job *job, const double *v, cv_err *err);

#endif
