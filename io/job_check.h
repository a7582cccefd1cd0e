/** Rules of job.yaml that more than one key takes part in; internal to io/. */
#ifndef COVEY_IO_JOB_CHECK_H
#define COVEY_IO_JOB_CHECK_H

#include "io/job_keys.h"

typedef struct {
    cv_job *job;
    const cv_yaml *tree; /* for the lines */
    cv_err *err;
} cv_job_checker;

/** "path: ..." at the line of path: expected, found, what to do. Returns
 *  CV_ERR_INPUT. */
int cv_job_wrong(const cv_job_checker *c, const char *path, const char *fmt,
                 ...) __attribute__((format(printf, 3, 4)));

/** The same at the line of item i of the list data.features. */
int cv_job_wrong_feature(const cv_job_checker *c, int i, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Does the file itself give the key "section.name"? */
int cv_job_gives(const cv_job_checker *c, const char *section,
                 const char *name);

/** Defaults of secure_aggregation and privacy that hang on other sections;
 *  before all checks. */
void cv_job_fill_privacy(const cv_job_checker *c);

/** secure_aggregation and privacy; the silos of {count, prefix} are there. */
int cv_job_check_privacy(const cv_job_checker *c);

/** Is model.kind this one? */
int cv_job_is_kind(const cv_job *job, const char *kind);

/** The formula of a fit, in normal form afterwards; what data.target and
 *  data.features say must agree with it, and are what it reads afterwards. */
int cv_job_check_formula(const cv_job_checker *c);

/** Defaults of fitted models; before all checks. */
void cv_job_fill_fit(const cv_job_checker *c);
/** Models that are fitted: before features and privacy, for the columns follow
 *  from the formula. */
int cv_job_check_fit(const cv_job_checker *c);

/** chain, after privacy. */
int cv_job_check_chain(const cv_job_checker *c);

#endif
