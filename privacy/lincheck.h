/** The linear check: is S the sum of the committed vectors?
 *
 *  From a challenge that follows all commitments and the sum, draw K pairs
 *  (u, v) uniform in the field; read a vector x (n) as a matrix with
 *  ceil(sqrt n) columns; f_k(x) = sum_ab u_a v_b x_ab.  f_k is linear, so the
 *  f_k of the silos add up to f_k(S).  A wrong S that is fixed before the
 *  challenge passes with probability at most (2/p)^K: 2^-124 for K = 4 narrow,
 *  2^-120 for K = 2 wide (Schwartz-Zippel on the bilinear form; PROTOCOL, step 6).
 *
 *  Scope: local.
 */
#ifndef COVEY_PRIVACY_LINCHECK_H
#define COVEY_PRIVACY_LINCHECK_H

#include <stddef.h>
#include <stdint.h>

enum { CV_CHECK_NARROW = 4, CV_CHECK_WIDE = 2, CV_CHECK_MAX = 4 };

typedef struct cv_lincheck cv_lincheck;

/** Draw the functions for vectors of n words. */
cv_lincheck *cv_lincheck_create(const uint8_t challenge[32], size_t n,
                                int wide);
void cv_lincheck_destroy(cv_lincheck **c);

/** f[0..K) of x (n), canonical words. */
void cv_lincheck_u32(const cv_lincheck *c, uint64_t f[CV_CHECK_NARROW],
                     const uint32_t *x);
void cv_lincheck_u64(const cv_lincheck *c, uint64_t f[CV_CHECK_WIDE],
                     const uint64_t *x);

/** 1 if the silos' values (n_silos, K), each canonical, add up to those of the
 *  sum; values of other ranks that are not canonical make it 0. */
int cv_lincheck_holds(const uint64_t *silos, int n_silos, const uint64_t *sum,
                      int wide);

#endif
