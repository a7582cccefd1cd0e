/** What one silo adds to an iteration of a generalised linear model.
 *
 *  At coefficients b, with eta = offset + x b, mu = linkinv(eta), d = dmu/deta,
 *  V = V(mu) and prior weights w:
 *
 *      working weight   W = w d^2 / V             residual  r = w (y - mu) d / V
 *      score   g = x' r                           information  H = x' W x
 *
 *  The Newton (Fisher scoring) step is H^-1 g; iteratively reweighted least
 *  squares is the same step.  In the first iteration there is no b: mu is the
 *  family's start (R's mustart), and g is x' W z with the working response
 *  z = eta - offset + (y - mu)/d, so that H^-1 g are the first coefficients.
 *
 *  own_intercept: the silo has an intercept a of its own that never leaves it.
 *  At given b it is found here, by scoring to convergence, and g and H are
 *  those of the profile likelihood: g - H_ba H_aa^-1 g_a, H - H_ba H_aa^-1 H_ab
 *  (in the first iteration, of the weighted least squares).  Columns are centred
 *  before products are summed: nothing cancels where their means are large.  rows
 *  are then all of the silo's.  A silo whose intercept runs away (all y 0, or 1)
 *  adds nothing to g and H; its limit deviance is 0.  Where it would run into the
 *  border of the link's domain (identity and sqrt of poisson: a row of y 0; log of
 *  binomial: of y 1) the likelihood has no maximum inside: bad.
 *
 *  Rows of weight 0 count nothing, whatever their y; their x must be finite.
 *
 *  Scope: local; cv_blas_threads() threads. Sums run in a fixed order over blocks
 *  of rows: the same bytes for the same rows, on one thread.
 *  Source: McCullagh and Nelder (1989), section 2.5; R's glm.fit.
 */
#ifndef COVEY_SOLVER_GLM_H
#define COVEY_SOLVER_GLM_H

#include "solver/family.h"

/** Rows of a silo (or of one rank's part of it). Borrowed. */
typedef struct {
    cv_family family;
    int64_t n;
    int p;
    const double *x;       /* (n, p) row-major */
    const double *y;       /* (n) */
    const double *weights; /* (n) or NULL */
    const double *offset;  /* (n) or NULL */
    int own_intercept;
} cv_glm_rows;

typedef struct {
    double deviance;
    double pearson;                /* sum w (y - mu)^2 / V */
    double family[CV_FAMILY_SUMS]; /* for cv_family_loglik */
    double extreme;   /* rows whose mu is within 10 eps of an end (binomial), or
                     * of 0 (poisson): R's warning */
    double bad;       /* 1: eta or mu out of their domain, or not finite, or no
                     * intercept found; everything else is 0 then */
    double intercept; /* the silo's own, not to be sent; infinite if it runs
                       * away; 0 in the first iteration */
} cv_glm_sums;

/** One pass.
 *
 *  In:   b      (p), or NULL in the first iteration
 *  Out:  sums; score (p), or NULL; info (p, p) its upper triangle (row <=
 *        column) in row-major order, zeros below, or NULL; work, resid (n) W and
 *        r of each row (W z in the first iteration), or NULL
 *  b, score and info are those of x as it is given; p may be 0.
 *  Cost: n p^2 flops with info, 2 n p each for eta and score; x is read once,
 *        twice with own_intercept.
 */
void cv_glm_pass(const cv_glm_rows *rows, const double *b, cv_glm_sums *sums,
                 double *score, double *info, double *work, double *resid);

/** Columns [j0, j1) of x' diag(w) x, rows 0 .. j1-1: out (j1, j1 - j0) row-major;
 *  w NULL: all 1. Entries below the diagonal of the last block are filled too.
 *  With w the `work` of a pass, these are columns of its info.
 *  scratch: cv_gram_scratch(p) doubles. */
void cv_gram_panel(const double *x, int64_t n, int p, const double *w, int j0,
                   int j1, double *out, double *scratch);
size_t cv_gram_scratch(int p);

/** The same for own_intercept: mean (p) = sum W x / sum W (zeros if sum W is 0),
 *  then columns of sum W (x - mean)(x - mean)'. */
void cv_glm_profile_means(const double *x, int64_t n, int p, const double *work,
                          double *mean);
void cv_glm_profile_panel(const double *x, int64_t n, int p, const double *work,
                          const double *mean, int j0, int j1, double *out,
                          double *scratch);

#endif
