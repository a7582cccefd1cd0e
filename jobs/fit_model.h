/** A statistical model as one flat vector of doubles with named views: what a fit
 *  goes on from, what silos sign, what run.h5 holds under /model/params, and all
 *  that its summary is made from.
 *
 *  Kinds: glm, cox, ridge, kernel_ridge, pca (job: model.kind).
 *
 *  The fit works on centred and scaled columns: working column j is
 *  (x_j - centre_j) / unit_j (the intercept stays 1; without an intercept, and in
 *  none of the columns of a model that is not to be centred, centre is 0).  What
 *  people see is on the scale of the data.
 *
 *  Scope: local, no MPI.
 */
#ifndef COVEY_JOBS_FIT_MODEL_H
#define COVEY_JOBS_FIT_MODEL_H

#include "core/bytes.h"
#include "io/checkpoint.h"
#include "io/frame.h"
#include "io/job.h"
#include "solver/family.h"
#include "solver/params.h"
#include "solver/private_fit.h"

/** Largest p for which the covariance matrix is kept; above, standard errors
 *  alone. */
enum { CV_FIT_COVARIANCE_MAX = 2000 };

typedef enum {
    CV_FIT_GLM,
    CV_FIT_COX,
    CV_FIT_RIDGE,
    CV_FIT_KERNEL_RIDGE,
    CV_FIT_PCA
} cv_fit_kind;

/** Numbers of the view "scalars". */
enum {
    CV_FIT_STAGE, /* 0 nothing, 1 moments known, 2 fitting, 3 done */
    CV_FIT_ROWS,
    CV_FIT_WEIGHT_SUM,    /* of prior weights */
    CV_FIT_EVENTS,        /* cox */
    CV_FIT_DEVIANCE,      /* glm; cox: -2 loglik */
    CV_FIT_PREVIOUS,      /* the same at the coefficients before */
    CV_FIT_NULL_DEVIANCE, /* glm: R's; NaN with an offset. cox: -2 loglik at 0 */
    CV_FIT_LOGLIK,        /* as R's logLik; NaN where there is none */
    CV_FIT_PEARSON,       /* Pearson's chi squared */
    CV_FIT_DISPERSION,    /* 1, or Pearson / residual degrees of freedom */
    CV_FIT_RANK,          /* coefficients that are not NA */
    CV_FIT_INTERCEPTS,    /* silos' own (strata: silo), else 0 */
    CV_FIT_DF_RESIDUAL,   /* rows of weight > 0 - rank - intercepts */
    CV_FIT_ITERATIONS,    /* evaluations of score and information */
    CV_FIT_HALVINGS,
    CV_FIT_CONVERGED,  /* 1 */
    CV_FIT_DECREMENT,  /* step' H step of the last step */
    CV_FIT_EXTREME,    /* rows whose fitted value is numerically 0 or 1 */
    CV_FIT_CONCORDANT, /* cox: five counts, as survival::concordance has them */
    CV_FIT_DISCORDANT,
    CV_FIT_TIED_X,
    CV_FIT_TIED_Y,
    CV_FIT_TIED_XY,
    CV_FIT_RESPONSE_MEAN, /* weighted; ridge, glm */
    CV_FIT_RSS,           /* ridge, kernel_ridge: of the training rows */
    CV_FIT_TSS,           /* about the mean */
    CV_FIT_NOISE, /* privacy: deviation of the noise, in working units */
    CV_FIT_POSITIVE_ROWS,  /* rows of weight > 0 */
    CV_FIT_TOTAL_VARIANCE, /* pca */
    CV_FIT_PLANNED,        /* privacy: rounds that the fit began with */
    CV_FIT_SCALARS = 32
};

typedef struct {
    cv_fit_kind kind;
    cv_family family;    /* glm; all others gaussian with identity */
    cv_formula *formula; /* `.` replaced */
    cv_frame_plan *plan; /* without an intercept's column for cox, pca,
                          * kernel_ridge, and glm with strata: silo */
    int p;               /* columns of the matrix, at least 1 */
    int q;               /* coefficients: p; of kernel_ridge the intercept and
                          * model.features, in columns made from the p */
    char **name;         /* (q) of the coefficients; of pca of the columns */
    int components;      /* of pca */
    int has_covariance;
    cv_params params; /* views over v:
                       *   scalars (CV_FIT_SCALARS)
                       *   coefficients (q)  on the data's scale; NaN: left out
                       *                     (collinear). not of pca
                       *   standard_errors (q)  glm, cox
                       *   covariance (q, q)  if has_covariance
                       *   working (q), previous (q), step (q)  in working units
                       *   centre (p), unit (p)
                       *   dropped (q)  1: collinear
                       *   norm (q)   diagonal of the first information matrix
                       *   first_variance (q)  diagonal of its inverse, before
                       *                       the dispersion
                       *   pca: variances (q), loadings (components, q)
     *   private logistic fits: newton, the state of solver/private_fit.h */
} cv_fit_model;

/** From job and agreed schema. Free with cv_fit_model_destroy.
 *
 *  `.` stands for the schema's features but for response, event, offsets and the
 *  column of prior weights.
 *  Errors: CV_ERR_INPUT: a formula that does not read, does not fit the kind or
 *  the schema, or leaves no column; an unknown family or link. */
int cv_fit_model_make(const cv_job *job, const cv_schema *schema,
                      cv_fit_model **out, cv_err *err);
void cv_fit_model_destroy(cv_fit_model **m);

/** With privacy: what a record adds to the noisy sums. */
cv_private_fit cv_fit_private(const cv_fit_model *m, const cv_job *job);

/** A view of v (params.n doubles), by name; aborts if there is none. */
double *cv_fit_view(const cv_fit_model *m, double *v, const char *name);
const double *cv_fit_const(const cv_fit_model *m, const double *v,
                           const char *name);

/** The vector before round 1: all zero, which is stage 0. */
void cv_fit_start(const cv_fit_model *m, double *v);

/** One line of the table of coefficients. */
typedef struct {
    const char *name; /* the model's */
    int dropped;      /* NA: collinear with columns before */
    double estimate, std_error, statistic, p_value, lower, upper;
    double ratio; /* exp(estimate): odds (logit), rate (log), hazard ratio; NaN
                   * where it means nothing */
} cv_fit_line;

typedef struct {
    int n;                  /* lines; 0 for pca */
    cv_fit_line *line;      /* (n) */
    int by_t;               /* statistic is t with df_residual, not z; and so
                             * are the intervals, as lm's are */
    const char *ratio_name; /* "odds ratio" (logit), "hazard ratio" (cox); with
                             * a log link "rate ratio" (poisson), "risk ratio"
                             * (binomial), "mean ratio"; or NULL */
    double level;           /* of the intervals (Wald's), 0.95 */
    double aic, loglik, deviance, null_deviance, dispersion, df_residual,
        df_null;
    double lr, lr_df, lr_p; /* cox: likelihood ratio test against 0 */
    double concordance;     /* cox: NaN otherwise */
    double r_squared;       /* ridge, kernel_ridge; glm gaussian identity */
} cv_fit_summary;

/** From the vector alone, as R's summary.glm and summary.coxph.  With a penalty
 *  there is no test, interval or AIC (NaN): their distributions are of
 *  coefficients that nothing shrinks.  NaN stands for all that a kind or a
 *  stage does not have.  Free with cv_fit_summary_free; names are m's. */
void cv_fit_summary_make(const cv_fit_model *m, const cv_job *job,
                         const double *v, cv_fit_summary *out);
void cv_fit_summary_free(cv_fit_summary *s);

/** /model/params and, of a fit that is done, /result (jobs/fit_result.h) of a
 *  checkpoint. */
int cv_fit_save(cv_h5_writer *w, const cv_fit_model *m, const cv_job *job,
                const double *v, cv_err *err);
/** v (params.n) from /model/params; CV_ERR_VERIFY if it is no such vector: other
 *  shapes, NaN or infinity where a fit leaves none, a stage or flag that is
 *  none. Before v is allocated by what a job claims, cv_check_params
 *  (jobs/saved.h) says whether the file holds as much. */
int cv_fit_load(cv_h5_reader *r, const cv_fit_model *m, double *v, cv_err *err);

/** Linear predictor without offset of n rows x (n, p) as they are in a frame
 *  (not centred); kernel_ridge: the fitted value. Dropped columns count 0.
 *  Not for pca. */
void cv_fit_predict(const cv_fit_model *m, const cv_job *job, const double *v,
                    const double *x, int64_t n, double *eta);
/** Scores of pca, of the centred columns, with model.scale in their units: out
 *  (n, components). */
void cv_fit_scores(const cv_fit_model *m, const cv_job *job, const double *v,
                   const double *x, int64_t n, double *out);

#endif
