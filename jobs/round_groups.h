/** The last round of a run whose rewards go by contribution: what would the model
 *  be without this or that group?
 *
 *  Silos fall into fixed groups of collusion + 2 or more (jobs/rewards.h).  In
 *  the masked sum of the last round each group has a block of its own, in which
 *  the others add zeros, so that the sum shows what each group adds and nothing
 *  of a silo; the blocks' own sum is the round's.  From a group's sums follow
 *  the models of all coalitions of groups, and every silo counts for itself
 *  which public test rows they get right.
 */
#ifndef COVEY_JOBS_ROUND_GROUPS_H
#define COVEY_JOBS_ROUND_GROUPS_H

#include "jobs/run.h"
#include "jobs/secure.h"

/** Groups of the round after run->round; 1 if it is like any other. Local. */
int cv_groups_of_round(const cv_run *run);

/** Has every group enough members that their sum may be shown? Local; the same
 *  on all leaders. CV_ERR_SILOS if not. */
int cv_groups_check(const cv_run *run, const cv_attempt *at, int groups,
                    cv_err *err);

/** Values of all coalitions into secure->coalition. Collective on fed.world.
 *  In: sum  on leaders: (groups, block) words, of which the first n of a block
 *           are the payload;  weight (groups) divisors. */
void cv_groups_value_all(cv_run *run, int groups, const void *sum, size_t block,
                         const double *weight);

/** Add the first n words of all blocks into the first one. Local. */
void cv_groups_fold(const cv_run *run, int groups, void *sum, size_t block,
                    size_t n);

#endif
