/** What one silo adds to an iteration of a Cox proportional hazards model.
 *
 *  Stratified by silo: risk sets never leave it; log partial likelihood, score
 *  and information are sums over silos.  Ties after Efron or Breslow.  With time
 *  bins, agreed by all, one baseline hazard for all silos: then the risk sets'
 *  sums are what is added up over silos, bin by bin (a discrete-time fit on the
 *  binned times).
 *
 *  Times are tied where they are equal as numbers (coxph's timefix, which takes
 *  those within 1.5e-8 for equal, is the caller's).  A row of weight 0 is as if
 *  it were not there.
 *
 *  Scope: local; the same bytes for the same rows on one thread.
 *  Source: Therneau and Grambsch (2000), chapter 3; survival's coxph and
 *  concordance (survival::concordancefit).
 */
#ifndef COVEY_SOLVER_COX_H
#define COVEY_SOLVER_COX_H

#include <stddef.h>
#include <stdint.h>

/** Efron's average weight of tied events as in coxph. */
typedef enum { CV_TIES_EFRON, CV_TIES_BRESLOW } cv_ties;

typedef struct cv_cox cv_cox;

/** Sorts the rows by time (its own order; x is copied in it).
 *  In: x (n, p), time (n), event (n) 0 or 1, weights (n) or NULL, offset (n) or
 *  NULL. n may be 0. */
cv_cox *cv_cox_create(const double *x, int64_t n, int p, const double *time,
                      const uint8_t *event, const double *weights,
                      const double *offset, cv_ties ties);
void cv_cox_destroy(cv_cox **c);

typedef struct {
    double loglik;
    double events; /* rows with an event and weight > 0 */
    double bad;    /* 1: something was not finite, or a weight negative; all
                    * else is 0 then */
} cv_cox_sums;

/** score (p) and info (p, p) upper triangle, row-major, at b (p).
 *  Any finite eta will do: risk sets are summed relative to their largest.
 *  Info of a column that is constant within all risk sets, as far as rounding
 *  can tell, is 0.
 *  Cost: (n + up to 2 per event time) p^2 flops; x is read twice. */
void cv_cox_pass(const cv_cox *c, const double *b, cv_cox_sums *sums,
                 double *score, double *info);

/** Concordance of -(offset + x b) with time within the silo, as survival's
 *  concordance(fit) counts it (pairs of comparable rows; weights 1): concordant,
 *  discordant, tied in x, tied in y, tied in both. O(n log n). All 0 if an eta
 *  is not finite. */
enum { CV_CONCORDANCE = 5 };
void cv_cox_concordance(const cv_cox *c, const double *b,
                        double count[CV_CONCORDANCE]);

/** Unstratified over bins. edges (n_bins + 1), ascending: bin k holds times in
 *  (edges[k], edges[k+1]]; a row is at risk in its own bin and all before it.
 *  Times at or below edges[0], or above the last edge, are the caller's to
 *  refuse (returns their number, and then does nothing else).
 *
 *  Out: sums (n_bins, cv_cox_bin_size(p)): of the rows whose own bin is k, with
 *       r = weight exp(eta - shift):
 *         [0] r  [1..p] r x  [..] r x x' (upper triangle, row-major packed)
 *       and then the same of the rows with an event; then weights of events,
 *       number of events, sum of weight x over events (p), sum of weight eta
 *       (offset and all, no shift) over events.
 *  All NaN where a row is bad. x counts as it is: columns whose means are far
 *  larger than their deviations lose digits; take off a mean that all agree on.
 *  shift: at least the largest eta of all silos; events whose whole risk set is
 *  smaller by some 700 make the fit bad.
 *  cv_cox_bins_fit makes log-likelihood, score and information from the sums
 *  over all silos: cumulated from the last bin backwards. */
size_t cv_cox_bin_size(int p);
int64_t cv_cox_bin_sums(const cv_cox *c, const double *b, double shift,
                        const double *edges, int n_bins, double *sums);
void cv_cox_bins_fit(const double *sums, int n_bins, int p, double shift,
                     cv_ties ties, cv_cox_sums *out, double *score,
                     double *info);
/** Largest eta of the silo's rows at b (for shift); -inf without rows. */
double cv_cox_largest_eta(const cv_cox *c, const double *b);

/** Breslow estimate of the cumulative baseline hazard is not here: it would show
 *  event times. */
#endif
