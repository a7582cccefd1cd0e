/** A statistical fit: exact sums over the silos, and Newton's method on them.
 *
 *  Round 1 sums the columns (moments): from then on every silo works on centred
 *  and scaled columns.  Every later round sums score and information at the
 *  coefficients of the round before, and takes a step.  Sums go through the
 *  masked, checked sum of the run (jobs/secure.h), so that nobody sees a silo's;
 *  every silo takes the steps itself.
 *
 *  fit_prepare.c  from tables to the silos' rows
 *  fit_local.c    what one silo adds
 *  fit_sums.c     masked sums of it: numbers, and triangles
 *  fit_moments.c  from the first round's sums to centres and units
 *  fit_step.c     from sums to the next coefficients
 *  fit_solve.c    the step: of the whole matrix, or of its parts
 *  fit_finish.c   to the result: covariance, dispersion, tests
 *  round_fit.c    the round
 *  fit_agree.c    the root's numbers held against each leader's
 *  fit_private.c  the same with noise: sums that are private for every record
 *
 *  PROTOCOL, "Statistics", without privacy: the roster
 *  is all silos of the job for the whole fit, the start is fixed by the family
 *  (nobody chooses where sums are taken), and 25 rounds are the most.
 */
#ifndef COVEY_JOBS_FIT_H
#define COVEY_JOBS_FIT_H

#include "jobs/fit_model.h"
#include "jobs/run.h"
#include "jobs/secure.h"
#include "solver/block_cyclic.h"
#include "solver/cox.h"
#include "solver/glm.h"
#include "solver/private_fit.h"

/** Rows of one hosted silo, as its rank works on them. */
typedef struct {
    cv_frame *frame;
    double *mapped; /* kernel_ridge: (n, q) features; else NULL */
    cv_cox *cox;    /* cox alone */
    double *mean;   /* (q) weighted means of the evaluation, of silos with an
                      * intercept of their own, where panels are built */
    double *work;   /* (n) of the evaluation, where panels are built */
    double *info;   /* (q, q) of the evaluation; NULL where panels are */
} cv_fit_rows;

/** Numbers that silos add up, before the (q) of score and diagonal. */
enum { /* round 1, first: in how many silos there is what; then (p) for columns,
        * twice */
       CV_P_ROWS, /* rows of weight > 0 */
       CV_P_YES,  /* with an event, or a response that is not 0 */
       CV_P_NO,   /* censored, or of binomial below 1 */
       CV_P_FIXED
};
enum { /* round 1 */
       CV_M_ROWS,
       CV_M_POSITIVE, /* rows of weight > 0 */
       CV_M_WEIGHT,
       CV_M_WEIGHTED_Y,
       CV_M_EVENTS,
       CV_M_FIXED
};
enum { /* later */
       CV_E_BAD,
       CV_E_DEVIANCE,
       CV_E_PEARSON,
       CV_E_EXTREME,
       CV_E_NULL, /* deviance of the null model; TSS */
       CV_E_FAMILY,
       CV_E_FIXED = CV_E_FAMILY + CV_FAMILY_SUMS
};

typedef struct cv_fit {
    cv_fit_model *model;
    double *v; /* (model->params.n) what the fit has come to */
    cv_family family;
    cv_fit_rows *rows; /* (n_hosted) */
    double *edges;     /* (model.n_bins) of cox without strata */
    int is_working;    /* rows are in working units */
    int is_noted;      /* the sites know which rows take part */
    int q;             /* coefficients */
    /* Of the evaluation under way, on leaders. */
    double *numbers;       /* sums over the silos */
    double *info;          /* (q, q) upper triangle; NULL where dist is */
    cv_dist *dist;         /* scaled to a unit diagonal */
    double *penalty;       /* (q) in working units */
    cv_private_fit secret; /* with privacy: what a record adds */
} cv_fit;

extern const cv_strategy cv_newton;

/** Tables to rows; run->fit. Collective on fed.world; errors are agreed. src: of
 *  jobs/prepare.h. */
struct cv_sources;
int cv_fit_rows_all(cv_run *run, struct cv_sources *src, cv_err *err);
void cv_fit_close_all(cv_run *run);

/** Is the information matrix kept in parts over the leaders? */
int cv_fit_is_distributed(const cv_run *run);
/** The kind of the job's model. */
int cv_fit_is(const cv_run *run, const char *kind);
/** A view of fit->v. */
double *cv_fit_of(const cv_run *run, const char *view);
double *cv_fit_scalars(const cv_run *run);

/* ---- fit_local.c: local, collective on fed.silo where ranks share one ---- */

/** Numbers of a round: how many. */
size_t cv_fit_n_presence(const cv_run *run);
size_t cv_fit_n_moments(const cv_run *run);
size_t cv_fit_n_numbers(const cv_run *run, int with_info);
/** This rank's silos' numbers, mine (n_hosted, n). */
void cv_fit_presence(cv_run *run, double *mine);
void cv_fit_moments(cv_run *run, double *mine);
/** with_info 0: no information matrix (and no diagonal among the numbers). */
void cv_fit_evaluate(cv_run *run, double *mine, int with_info);
/** Rows to working units, once centre and unit are known. */
void cv_fit_to_working(cv_run *run);
/** Cox: counts of concordant and other pairs at the coefficients (n_hosted,
 *  CV_CONCORDANCE). */
void cv_fit_concordance(cv_run *run, double *mine);

/* ---- fit_sums.c ---- */

/** Room for words. Local. */
void cv_fit_make_room(cv_run *run);
/** total (k) at leaders and the ranks of their silos. Collective on world. */
int cv_fit_numbers_all(cv_run *run, cv_attempt *at, double *total,
                       const double *mine, size_t k, cv_err *err);
/** Sum of the information matrices into fit->info or fit->dist, given the sums
 *  of their diagonals, diag (q). Collective on world. */
int cv_fit_info_all(cv_run *run, cv_attempt *at, const double *diag,
                    cv_err *err);

/* ---- fit_agree.c ---- */

/** The leaders hold what they have come to (fit->v) against the root's, and take
 *  the root's last bits; then the ranks of their silos have it. Collective. */
int cv_fit_agree_all(cv_run *run, cv_err *err);

/* ---- fit_private.c ---- */

/** A round with noise. Collective on world. */
int cv_round_fit_private_all(cv_run *run, cv_err *err);

/* ---- fit_step.c: on leaders, from the sums; same bytes everywhere ---- */

/** What only a few silos have is not summed: fit->numbers are those of presence.
 *  Local, the same on all leaders. */
int cv_fit_check_presence(const cv_run *run, cv_err *err);
int cv_fit_take_moments(cv_run *run, cv_err *err);
/** Penalty of each working coefficient, into fit->penalty. */
void cv_fit_set_penalty(const cv_run *run);
/** Coefficients b (q) and cov (q, q; or NULL) from working units to the data's,
 *  in place. */
void cv_fit_to_data_scale(const cv_run *run, double *b, double *cov);
/** Next coefficients, or the result. Collective on fed.leaders. */
int cv_fit_step_all(cv_run *run, int with_info, cv_err *err);

#endif
