/** `covey predict` for fitted models (used by jobs/predict.c alone).
 *
 *  A line a row of the data in which nothing is missing, numbered as they are:
 *
 *      glm            row, response (its mean), eta (linear predictor)
 *        strata: silo   row, eta_without_intercept: intercepts stay in the silos
 *      cox            row, lp, risk:  lp = (x - centre) b + offset with the
 *                     weighted means of the fit as centre, risk = exp(lp).  R
 *                     centres at its own means; differences of lp are the same
 *      ridge, kernel_ridge   row, response
 *      pca            row, PC1 ..: scores, centred and scaled as in the fit
 *
 *  The response's column is called as in the formula.
 *
 *  Scope: local. Errors: those of the data and of writing; CV_ERR_INPUT if the
 *  fit is not done.
 */
#ifndef COVEY_JOBS_PREDICT_FIT_H
#define COVEY_JOBS_PREDICT_FIT_H

#include "jobs/saved.h"

/** output NULL: standard output. Where the data hold the response too, how well
 *  it was met goes to stderr. */
int cv_predict_fit(const cv_saved *s, const char *data, const char *output,
                   cv_err *err);

#endif
