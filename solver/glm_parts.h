/** What the files of a pass share (solver/glm*.c). */
#ifndef COVEY_SOLVER_GLM_PARTS_H
#define COVEY_SOLVER_GLM_PARTS_H

#include "solver/glm.h"

/* Rows of a block: x and its weighted copy stay in the first two caches until
 * they are used again. Two designs were measured on one core at p = 101, in times
 * of one dsyrk over all rows: a dsyrk for each block of 64 rows 1.15, of 256 1.22,
 * of 1024 1.20 to 1.29, of 4096 1.5; blocks packed until 1024 rows go into one
 * dsyrk 1.14, 4096 1.2 to 1.4; dgemm of both triangles 1.36 and more. At p = 20 64
 * rows are best too, at p = 1000 256 (the triangle does not fit a cache: 1.06
 * against 1.10). */
enum { CV_GLM_NARROW = 256, CV_GLM_ROWS = 64, CV_GLM_ROWS_WIDE = 256 };

/** One thread's share of the rows, its scratch and its sums. */
typedef struct {
    int64_t from, to;
    double *eta, *mu, *d, *v, *work, *resid; /* (block) */
    double *centred, *scaled;                /* (block, p) */
    cv_glm_sums sums;
    double *score, *info;           /* (p), (p, p) */
    double *lift;                   /* (p): sum W (x - centre), or sum w x */
    double total_work, total_resid; /* sums of W, r */
    double total_abs, total_eta;    /* of |r|, W |eta| */
    double largest;                 /* max |eta| */
} cv_glm_lane;

typedef struct {
    const cv_glm_rows *rows;
    const double *b;
    int first; /* iteration: from R's mustart */
    int64_t block;
    int n_lanes;
    cv_glm_lane *lanes;
    double *arena;
    double *base;     /* (n): eta without the own intercept */
    double *centre;   /* (p) */
    double intercept; /* at which the lanes work */
    int want_score, want_info;
    double *work, *resid; /* (n) or NULL */
} cv_glm_job;

/** Fill mu, work and resid of rows [i0, i0 + m) from the lane's eta (or, first,
 *  from mustart; then resid is W (z - offset)), and add to its sums; those for
 *  the log-likelihood only if told to. offset is that of row i0, or NULL. */
void cv_glm_eval(const cv_glm_rows *rows, int first, const double *offset,
                 int likelihood, int64_t i0, int64_t m, cv_glm_lane *lane);

/** Run f on every lane, each on a thread. */
void cv_glm_lanes(cv_glm_job *job, void (*f)(cv_glm_job *, cv_glm_lane *));

/** Does the silo's intercept run away? -1 or 1: to that side; else 0. */
int cv_glm_one_class(const cv_glm_rows *rows);
/** Find job->intercept at job->base. Returns 0, or -1 if there is none. */
int cv_glm_own_intercept(cv_glm_job *job);

#endif
