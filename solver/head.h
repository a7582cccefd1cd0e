/** Heads: from scores to a loss, its gradient, predictions and metrics.
 *
 *  All are generalised linear models under their canonical link, so the
 *  gradient of a row's loss is always prediction - target:
 *
 *  head      scores  prediction        loss of a row
 *  squared   1       s                 (s - y)^2 / 2
 *  logistic  1       1 / (1 + e^-s)    log(1 + e^s) - y s
 *  softmax   n       e^s / sum e^s     log(sum e^s) - s_y
 *  poisson   1       e^s               e^s - y s
 *
 *  Scores are (n_out, rows) with ld >= rows; losses are natural logarithms,
 *  without the terms that do not depend on s.
 */
#ifndef COVEY_SOLVER_HEAD_H
#define COVEY_SOLVER_HEAD_H

#include <stdint.h>

#include "solver/model.h"

typedef struct {
    const char *name;
    int n_sums;
    /** s = d loss / d s. Returns the sum of the rows' losses. */
    double (*gradient)(float *s, int64_t ld, const float *y, int n_out,
                       int rows);
    /** s = prediction. */
    void (*predict)(float *s, int64_t ld, int n_out, int rows);
    /** Add to sums (n_sums); s is destroyed. sums[0] counts rows, sums[1] adds
     *  losses. */
    void (*add_sums)(float *s, int64_t ld, const float *y, int n_out, int rows,
                     double *sums);
    /** Totals to values; returns how many. Without rows they are NaN. */
    int (*metrics)(const double *sums, double values[CV_MAX_METRICS],
                   const char *names[CV_MAX_METRICS]);
} cv_head;

extern const cv_head cv_head_squared, cv_head_logistic, cv_head_softmax,
    cv_head_poisson;

#endif
