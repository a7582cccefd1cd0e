/** The public side of privacy in a checkpoint: /privacy, the run's ledger, and
 *  /proofs, the head of its chain of records. */
#ifndef COVEY_JOBS_SAVED_PRIVACY_H
#define COVEY_JOBS_SAVED_PRIVACY_H

#include "io/checkpoint.h"
#include "io/job.h"
#include "privacy/accountant.h"

typedef struct {
    int masked; /* sums were masked and checked */
    int collusion;
    int simulated; /* silos are parts of one data set */
    int honest;    /* silos less colluding ones, of a full roster */
    double multiplier, clip, epsilon;
    int bits, exponent, wide;
    double sensitivity;
    cv_segment *segment; /* (n) what was spent */
    int64_t n;
    char record[65]; /* hex of the newest record; "" without masks */
    int64_t attempt;
} cv_saved_privacy;

/** Local. out is zeroed if the file has none. Free with cv_saved_privacy_free. */
int cv_saved_privacy_load(cv_h5_reader *r, cv_saved_privacy *out, cv_err *err);
int cv_saved_privacy_save(cv_h5_writer *w, const cv_saved_privacy *p,
                          const cv_job *job, cv_err *err);
/** /privacy repeats what the job says, for readers: the first attribute of it
 *  that says something else, or NULL. */
const char *cv_saved_privacy_wrong(cv_h5_reader *r, const cv_job *job);
void cv_saved_privacy_free(cv_saved_privacy *p);

#endif
