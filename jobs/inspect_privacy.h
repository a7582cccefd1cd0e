/** The privacy of a saved run, in words that a data protection officer can sign
 *  (used by jobs/inspect.c alone). Local. */
#ifndef COVEY_JOBS_INSPECT_PRIVACY_H
#define COVEY_JOBS_INSPECT_PRIVACY_H

#include "core/bytes.h"
#include "jobs/saved.h"
#include "jobs/saved_privacy.h"

/** What the ledger comes to. */
typedef struct {
    cv_saved_privacy saved;
    int64_t steps;                   /* spent */
    double epsilon_rdp, epsilon_pld; /* at the job's delta */
    double epsilon;                  /* by the job's accountant */
    int64_t rounds_left;             /* -1: nothing limits them */
} cv_privacy_report;

/** with_rest: also rounds_left, which takes as long as all the rest. */
int cv_privacy_report_load(const cv_saved *s, cv_privacy_report *out,
                           int with_rest, cv_err *err);
void cv_privacy_report_free(cv_privacy_report *p);
void cv_privacy_report_print(const cv_saved *s, const cv_privacy_report *p);
void cv_privacy_report_json(cv_buf *b, const cv_saved *s,
                            const cv_privacy_report *p);

#endif
