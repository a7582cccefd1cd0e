/** Which silos of a roster share a mask.
 *
 *  Up to CV_MASK_GRAPH_COMPLETE members every pair does.  Above, each pair does
 *  with probability p, independently, as a seed says that nobody could choose;
 *  p is so large that the honest members, whichever they are, stay connected by
 *  shared masks except with probability 2^-40 over a whole run.  As long as they
 *  are connected, their masked vectors are uniform given their sum.
 *
 *  Source: PROTOCOL, "Mask graph"; Bell et al. 2020 argue the same for regular
 *  graphs. Scope: local.
 */
#ifndef COVEY_PRIVACY_MASK_GRAPH_H
#define COVEY_PRIVACY_MASK_GRAPH_H

#include <stddef.h>
#include <stdint.h>

enum { CV_MASK_GRAPH_COMPLETE = 32 };

/** Probability of an edge: the smallest multiple of 2^-32 with
 *      sum_{k=1}^{h/2} C(h, k) (1 - p)^(k (h - k)) <= 2^-60
 *  for h honest ones among n; 1 up to 32 members. 2^-60 leaves room for 2^20
 *  graphs (rounds and retries) in 2^-40. h >= 2. */
double cv_mask_graph_p(int n, int honest);

/** peers = the members that i shares masks with, ascending; returns how many.
 *  peers has room for n - 1. The same from both ends. */
int cv_mask_graph_peers(int *peers, int n, int i, double p,
                        const uint8_t seed[32]);

#endif
