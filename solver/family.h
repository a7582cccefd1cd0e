/** Families and links of generalised linear models, as R's glm has them.
 *
 *  gaussian  identity log inverse            binomial  logit probit cauchit log cloglog
 *  poisson   log identity sqrt               gamma     inverse identity log
 *  (the first is the canonical one, and the default)
 *
 *  Scope: local; no state.
 *  Source: McCullagh and Nelder (1989); R's family(), binomial()$initialize etc.,
 *  make.link (whose clamps at the ends of the links are kept, so that fits take
 *  R's path).
 */
#ifndef COVEY_SOLVER_FAMILY_H
#define COVEY_SOLVER_FAMILY_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
    CV_FAMILY_GAUSSIAN,
    CV_FAMILY_BINOMIAL,
    CV_FAMILY_POISSON,
    CV_FAMILY_GAMMA
} cv_family_kind;
typedef enum {
    CV_LINK_IDENTITY,
    CV_LINK_LOG,
    CV_LINK_LOGIT,
    CV_LINK_PROBIT,
    CV_LINK_CLOGLOG,
    CV_LINK_CAUCHIT,
    CV_LINK_INVERSE,
    CV_LINK_SQRT
} cv_link_kind;

typedef struct {
    cv_family_kind kind;
    cv_link_kind link;
} cv_family;

/** By R's names; link NULL: the canonical one. 0, or -1: no such family, -2: it
 *  has no such link. */
int cv_family_find(cv_family *f, const char *family, const char *link);
const char *cv_family_name(const cv_family *f);
const char *cv_link_name(const cv_family *f);
/** Is the dispersion 1 (binomial, poisson) or estimated? */
int cv_family_fixed_dispersion(const cv_family *f);

/** Is y (with prior weight w) a value of the family? What is wrong with it, for
 *  a message without the value: "expected numbers from 0 to 1"; else NULL. The
 *  y of a row of weight 0 may be anything. */
const char *cv_family_fault(const cv_family *f, double y, double w);

/** n at a time; arrays do not overlap. NULL weights: all 1. */
/** mu = linkinv(eta), d = d mu / d eta. */
void cv_link_inverse(const cv_family *f, const double *eta, double *mu,
                     double *d, size_t n);
/** eta = link(mu). */
void cv_link_apply(const cv_family *f, const double *mu, double *eta, size_t n);
/** V(mu). */
void cv_family_variance(const cv_family *f, const double *mu, double *v,
                        size_t n);
/** R's mustart. */
void cv_family_start(const cv_family *f, const double *y, const double *w,
                     double *mu, size_t n);
/** Sum of dev.resids over the rows of weight above 0. */
double cv_family_deviance(const cv_family *f, const double *y, const double *mu,
                          const double *w, size_t n);

/** The log-likelihood. What rows of weight above 0 add to it:
 *
 *      binomial  log dbinom of the rounded count round(w y) of round(w), as R
 *                does it: y is a proportion, w its number of trials
 *      poisson   w log dpois; rows whose y is not a whole number add nothing here
 *      gaussian  log(w) / 2
 *      gamma     -w log(y)
 *
 *  sums[0] is their sum, and sums[1] the number of rows whose count is not whole
 *  (binomial, poisson).  Both are finite where mu is valid and add up over silos.
 */
enum { CV_FAMILY_SUMS = 2 };
void cv_family_sums(const cv_family *f, const double *y, const double *mu,
                    const double *w, size_t n, double sums[CV_FAMILY_SUMS]);
/** logLik(fit) of R from sums over all rows. n_rows and weight_sum are those of
 *  the rows of weight above 0 (R's is -infinity for a gaussian with others).
 *  With the dispersion that R takes there, deviance / n_rows for gaussian and
 *  deviance / weight_sum for gamma, sums[0], deviance and counts are all that
 *  is needed.  -infinity for a poisson with sums[1] > 0, as in R; +infinity for
 *  a gaussian or gamma of deviance 0. */
double cv_family_loglik(const cv_family *f, const double sums[CV_FAMILY_SUMS],
                        double deviance, double n_rows, double weight_sum);
/** The rows' part alone: sums[0], or -infinity. */
double cv_family_loglik_rows(const cv_family *f, const double *y,
                             const double *mu, const double *w, size_t n);

/** Is eta within the link's domain and mu within the family's (R's valideta,
 *  validmu), and are both finite? All n. */
int cv_family_valid(const cv_family *f, const double *eta, const double *mu,
                    size_t n);

#endif
