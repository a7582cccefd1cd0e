/** Regressions with differential privacy of records: what a record adds to an
 *  integer sum, and estimates, standard errors and dispersion from noisy sums.
 *
 *  Adjacency: one record is replaced by null, which contributes nothing.
 *
 *  Rows are in working units: x (n, q) row-major with every entry in [-1, 1]
 *  (clamped by public bounds), so |x| <= sqrt(q); linear y in [-1, 1], logistic
 *  y in {0, 1}.  A record's contribution is a vector v of L2 norm at most the
 *  bound, rounded to integers rint(v / 2^exponent) before it is added, so sums
 *  are exact in any order.  The caller adds integer noise of one deviation to
 *  every word; sigma below is that deviation times 2^exponent.
 *
 *  Both kinds scale rows by a weight that depends on x alone.  (A weight that
 *  saw y as well would choose records by their response, and bias b.)
 *
 *  linear    s = min(1, clip / sqrt(|x|^2 + 1)),  z = s (x, y)
 *            v = svec(z z'), with the word s^2 behind it if there is no
 *            intercept; |v| <= clip^2.  (Without an intercept the scale is
 *            s = min(1, clip / ((|x|^2 + 1)^2 + 1)^(1/4)).)  s^2 weighted least
 *            squares.
 *  logistic  s = min(1, clip / |x|),  r = y - mu,  w = mu (1 - mu)
 *            v = (s r x, kappa svec(s w x x')),  |v| <= clip.
 *            kappa = phi^(5/2) / sqrt(q), phi = (1 + sqrt 5)/2: the largest for
 *            which the second part costs nothing, for r and w come from one mu
 *            (proof in private_fit.c)
 *
 *  svec(A): the upper triangle (row <= column) row by row, off-diagonals times
 *  sqrt(2); its norm is A's.
 *
 *  Scope: local; no state, no randomness. Results of the solvers come from
 *  LAPACK, whose last bits differ between machines: silos that must agree let
 *  one of them compute them.
 *  Source: Sheffet (2017), Wang (2018) for noisy sums of squares; Golub and Van
 *  Loan (2013), section 8.1, for eigenvalues of perturbed matrices; Tao (2012),
 *  section 2.3, for norms of random ones; otherwise derived in private_*.c.
 */
#ifndef COVEY_SOLVER_PRIVATE_FIT_H
#define COVEY_SOLVER_PRIVATE_FIT_H

#include <stddef.h>
#include <stdint.h>

/** Largest q: 5 * 10^8 words. */
enum { CV_PRIVATE_FIT_MAX_Q = 32000 };

typedef struct {
    int logistic;
    int intercept; /* linear: is column 0 all 1? */
    int q;         /* coefficients, 1 to CV_PRIVATE_FIT_MAX_Q */
    double clip;   /* > 0. From cv_private_fit_no_clip on no row is scaled */
} cv_private_fit;

/* ---- contributions ---- */

/** d: words of a contribution. */
size_t cv_private_fit_words(const cv_private_fit *f);
/** The smallest clip at which no row is scaled. */
double cv_private_fit_no_clip(const cv_private_fit *f);
/** Largest L2 norm of a contribution before rounding, real units; a clip above
 *  cv_private_fit_no_clip does not raise it. */
double cv_private_fit_bound(const cv_private_fit *f);
/** Delta_int, the L2 sensitivity of the integer sum of d words:
 *      bound / 2^exponent (1 + 2^-36) + sqrt(d) / 2.
 *  Proof in private_fit.c; cv_private_fit_add checks it record by record. */
double cv_private_fit_sensitivity(double bound, size_t d, int exponent);

/** sum += contributions of n rows.
 *
 *  In/Out: sum  (d)
 *  In:     x (n, q), y (n), b (q; logistic only, may be anything)
 *          exponent  Delta_int must be below 2^31 - 1 (else a bug of the
 *                 caller): then n < 2^31 rows change no word by 2^62.  Rounding
 *                 shifts a word by at most n / 2, against a largest value of
 *                 n bound / 2^exponent: 2^20 of these are plenty.
 *  A record whose integers have a squared norm above Delta_int^2 adds nothing:
 *  one with an entry that is not finite, or not in working units.
 *  Cost: d multiplications and roundings a row.
 */
void cv_private_fit_add(const cv_private_fit *f, const double *x,
                        const double *y, int64_t n, const double *b,
                        int exponent, int64_t *sum);

/* ---- linear ---- */

typedef struct {
    double dispersion;      /* residual variance, > 0 */
    double null_dispersion; /* the same without covariates, > 0 */
    double weight;          /* sum of s^2, at least q + 1: the rows, if no row
                             * was scaled */
    int raised; /* directions with less information than noise: estimates are
                 * shrunk there, and intervals wide */
} cv_private_linear;

/** Coefficients from the noisy sums.
 *
 *  In:   sum      (d), real units: integers * 2^exponent
 *        sigma    deviation of the noise of each word, real units; 0 is allowed
 *        penalty  (q) added to the diagonal of x'x, or NULL
 *  Out:  b (q); cov (q, q): covariance of b given x, noise of both kinds;
 *        for a penalty that of the penalised estimate, with its bias as if b
 *        were drawn with it as prior
 *  Returns: 0, or -1: sums not finite, or no convergence
 *  Formulas in private_linear.c.
 */
int cv_private_linear_solve(const cv_private_fit *f, const double *sum,
                            double sigma, const double *penalty, double *b,
                            double *cov, cv_private_linear *out);

/* ---- logistic ---- */

/** Damped Newton over a fixed number of rounds; formulas in private_newton.c.
 *  Everything that it goes on from is `state`, a flat vector of doubles that
 *  may be saved and loaded as it is:
 *    round, weight, sum of squared weights, rounds averaged, b (q); of running
 *    means, then of the last half: b (q), gradient (q), information (q, q)
 */
size_t cv_private_newton_words(int q);
/** b = 0, round 0. */
void cv_private_newton_start(double *state, int q);
int cv_private_newton_round(const double *state);
/** Where the next round's sums are to be taken (q). */
const double *cv_private_newton_at(const double *state);
/** One round: sum (d) at cv_private_newton_at, as in cv_private_linear_solve.
 *
 *  In:   rounds   how many there will be in all; the same every time
 *        sigma    the same every time
 *  Returns: 0, or -1: sums not finite, or no convergence; state unchanged
 */
int cv_private_newton_step(double *state, const cv_private_fit *f,
                           const double *sum, double sigma,
                           const double *penalty, int rounds);
/** When all rounds are done: b (q), cov (q, q), and raised as above. */
int cv_private_newton_result(const double *state, const cv_private_fit *f,
                             double sigma, const double *penalty, int rounds,
                             double *b, double *cov, int *raised);

#endif
