/** What the kinds of rounds share.
 *
 *  round.c         the plain round, and the choice
 *  round_masked.c  one masked sum of the silos' updates: without privacy, with
 *                  silo-level noise, or of updates that are private already
 *  round_fit.c     an iteration of a statistical fit
 *  round_steps.c   record-level privacy with distributed noise: a masked sum
 *                  for every step
 */
#ifndef COVEY_JOBS_ROUND_H
#define COVEY_JOBS_ROUND_H

#include "jobs/run.h"

/** What a silo says of its local training: for its own rank alone, unless the
 *  round is a plain one. */
enum {
    CV_R_STATUS,
    CV_R_LOSS,
    CV_R_ROWS,
    CV_R_SCALE,
    CV_R_TOP0,
    CV_R_TOP1,
    CV_R_FIELDS
};

/** Silos of this round, into drawn (n_silos) as 0 and 1. */
void cv_round_draw(const cv_run *run, uint8_t *drawn);

/** Local training of one silo: payload[0] becomes local - start, the silo's next
 *  state and payload[1] follow from it. Collective on fed.silo. */
void cv_round_train(cv_run *run, cv_hosted *h, double report[CV_R_FIELDS]);

/** The silo's own state moves on. */
void cv_round_keep_state(cv_run *run, cv_hosted *h);

/** The strategy's step from payload[] = means; then every leader must hold the
 *  same bytes, and the ranks of shared silos get them. */
int cv_round_step_all(cv_run *run, double factor, double *update, cv_err *err);

/** A line of history, and run->round + 1. loss NaN: not to be told. */
cv_history_row *cv_round_record(cv_run *run, int64_t n_silos, double loss,
                                double update,
                                const double seconds[CV_N_PHASES]);

/** A round fails for want of silos; run->status says why each sits out. */
int cv_round_too_few(const cv_run *run, int n_ready, cv_err *err);
/** Silos that begin to sit out are named; before (n_silos): last round's. */
void cv_round_tell_out(const cv_run *run, const int32_t *before);

int cv_round_masked_all(cv_run *run, cv_err *err);
int cv_round_steps_all(cv_run *run, cv_err *err);
int cv_round_fit_all(cv_run *run, cv_err *err);

#endif
