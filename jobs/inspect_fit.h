/** A fitted model for people: the table of coefficients as R prints it, and what
 *  stands below it (used by jobs/inspect.c alone). Local. */
#ifndef COVEY_JOBS_INSPECT_FIT_H
#define COVEY_JOBS_INSPECT_FIT_H

#include "core/bytes.h"
#include "jobs/saved.h"

/** The lines model, formula, rows and target of the head. */
void cv_inspect_fit_head(const cv_saved *s);
/** Coefficients and measures, or where the fit stands. */
void cv_inspect_fit_print(const cv_saved *s);
/** All of it, under "fit". */
void cv_inspect_fit_json(cv_buf *b, const cv_saved *s);

#endif
